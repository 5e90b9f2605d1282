// The table of routes and how a path finds its route. Immutable; thread-safe. api/openapi.yaml describes the same
// routes; a test holds one against the other.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control_api/auth.h"
#include "control_api/http/exchange.h"

namespace bridgehead::control_api {

struct Services;
struct Route;

// One request on its way through a handler.
struct Call {
  std::shared_ptr<http::Exchange> exchange;
  const Route* route = nullptr;
  std::vector<std::string> parameters;  // of the path, in order
  Actor actor;
  std::string body;

  const http::Request& request() const { return exchange->request(); }
};

// What a route asks of who calls it.
enum class Access { none, viewer_or_loopback, viewer, operator_, admin };

// `answer` runs on a worker and may commit. `stream` runs on an I/O thread, never blocks, and answers the exchange
// itself, now or later. A route has one of the two.
using AnswerHandler = Result<http::Response> (*)(Services&, const Call&);
using StreamHandler = void (*)(Services&, const std::shared_ptr<Call>&);

struct Route {
  http::Method method;
  std::string_view pattern;  // "/api/v1/vms/{vm}"
  Access access;
  AnswerHandler answer = nullptr;
  StreamHandler stream = nullptr;
  std::vector<std::string_view> query = {};  // the parameters it knows
};

const std::vector<Route>& all_routes();

struct Match {
  const Route* route = nullptr;
  std::vector<std::string> parameters;
  std::string allowed;  // route null and this not empty: the path exists, with these methods
};

// HEAD finds the GET route (of those that have `answer`).
Match find_route(http::Method method, const std::vector<std::string>& segments);

}  // namespace bridgehead::control_api
