// What all resources share: reading query parameters, writing answers. For the .cpp files of this folder.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "control_api/problem.h"
#include "control_api/routes.h"
#include "control_api/services.h"
#include "control_api/views.h"

namespace bridgehead::control_api {

http::Response json_answer(unsigned status, std::string body);
http::Response json_answer(unsigned status, const nlohmann::json& body);

// "true" or "false"; `otherwise` when it isn't given.
Result<bool> query_flag(const Call& call, std::string_view name, bool otherwise);
Result<std::uint64_t> query_number(const Call& call, std::string_view name, std::uint64_t otherwise,
                                   std::uint64_t most);

// As /whoami and a new session show it.
nlohmann::json describe_actor(const Services& services, const Actor& actor);

// Who asks: actor, ?dry_run, Idempotency-Key.
Result<reconcile::Caller> caller_of(const Call& call);

// {"items":[...],"revision":N}; `item` appends one element's JSON.
template <typename T, typename Append>
http::Response list_answer(state::Revision revision, const std::vector<T>& items, Append&& append) {
  std::string body = "{\"items\":[";
  bool first = true;
  for (const auto& item : items) {
    const std::size_t before = body.size();
    if (!first) body += ",\n";
    if (append(body, item)) {
      first = false;
    } else {
      body.resize(before);
    }
  }
  body += fmt::format("],\"revision\":{}}}\n", revision);
  return json_answer(200, std::move(body));
}

// 202 {"operation","<kind>"}; 200 with "dry_run": true when nothing was done.
http::Response accepted_answer(const reconcile::Caller& caller, std::string_view kind, nlohmann::json object,
                               const model::Operation& operation);

// The common form of a change: body read, command called, answer written.
template <typename Request, typename Command>
Result<http::Response> change_vm(Services& services, const Call& call, Result<Request> request, Command&& command) {
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = command(services.commander, *caller, *request);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "vm", view_of(accepted->object, services.inventory()), accepted->operation);
}

inline std::string location_of(std::string_view collection, const std::string& id) {
  return fmt::format("/api/v1/{}/{}", collection, id);
}

}  // namespace bridgehead::control_api
