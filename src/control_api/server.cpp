#include "control_api/server.h"

#include "base/log.h"
#include "base/worker_pool.h"
#include "control_api/events/event_hub.h"
#include "control_api/http/listener.h"
#include "control_api/metrics.h"
#include "control_api/pages/dashboard.h"
#include "control_api/pages/own_page.h"
#include "control_api/problem.h"
#include "control_api/routes.h"
#include "control_api/services.h"
#include "control_api/sessions.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {
namespace {

constexpr log::Message listening{"API_LISTENING", "The REST API answers at this address from now on."};
constexpr log::Message stopped{"API_STOPPED", "The REST API has finished what ran and answers no more."};
constexpr log::Message change_asked{
    "API_CHANGE",
    "Somebody asked for a change: who, from where, what, and the HTTP status that was answered. The audit trail."};
constexpr log::Message request_done{"API_REQUEST", "A request was answered."};
constexpr log::Message handler_failed{"API_HANDLER_FAILED",
                                      "A request met a fault of ours and was answered with 500. Please report it."};

bool is_change(http::Method method) { return method != http::Method::get && method != http::Method::head; }

std::optional<model::Role> role_for(Access access) {
  switch (access) {
    case Access::none: return std::nullopt;
    case Access::viewer_or_loopback:
    case Access::viewer: return model::Role::viewer;
    case Access::operator_: return model::Role::operator_;
    case Access::admin: return model::Role::admin;
  }
  return model::Role::admin;
}

}  // namespace

class Server::Impl final : public http::Application {
 public:
  Impl(ServerConfig config, ServerDependencies dependencies)
      : config_(std::move(config)),
        dependencies_(std::move(dependencies)),
        authenticator_(dependencies_.commander.inventory, dependencies_.commander.clock),
        events_(dependencies_.commander.inventory, dependencies_.progress,
                {.heartbeat = config_.heartbeat_interval, .queue = config_.event_stream_queue}),
        services_{.config = config_,
                  .commander = dependencies_.commander,
                  .agents = dependencies_.agents,
                  .tunnels = dependencies_.tunnels,
                  .progress = dependencies_.progress,
                  .authenticator = authenticator_,
                  .events = events_,
                  .metrics = metrics_,
                  .sessions = sessions_,
                  .reconcile_metrics = dependencies_.reconcile_metrics,
                  .extra_metrics = dependencies_.extra_metrics,
                  .netboot = dependencies_.netboot,
                  .secrets = dependencies_.secrets,
                  .power = dependencies_.power,
                  .availability = dependencies_.availability,
                  .energy = dependencies_.energy,
                  .upgrades = dependencies_.upgrades},
        listener_({.address = config_.address,
                   .port = config_.port,
                   .certificate_pem = config_.certificate_pem,
                   .private_key_pem = config_.private_key_pem,
                   .io_threads = config_.io_threads,
                   .max_connections = config_.max_connections,
                   .max_connections_per_address = config_.max_connections_per_address,
                   .idle_timeout = config_.idle_timeout},
                  *this) {}

  ~Impl() override { stop(); }

  Status start() {
    workers_ = std::make_unique<WorkerPool>(std::max<std::size_t>(config_.worker_threads, 1));
    events_.start();
    running_ = true;
    if (auto status = listener_.start(); !status) {
      stop();
      return status;
    }
    log::info(listening, "https://{}:{}/api/v1", config_.address, listener_.port());
    return {};
  }

  std::uint16_t port() const { return listener_.port(); }

  void stop() {
    if (!std::exchange(running_, false)) return;
    // Streams and long polls end first, or they would use up the grace of what really runs.
    events_.stop();
    listener_.stop(config_.stop_grace);
    workers_->stop();
    log::info(stopped, "the API has stopped");
  }

  void handle(std::shared_ptr<http::Exchange> exchange) override;
  http::Response bad_request(unsigned status, std::string_view message) override {
    metrics_.count_request(nullptr, http::Method::other, status, {});
    return problem({ErrorCode::invalid_argument, std::string(message), {}}, "", status);
  }

 private:
  Status authorise(Call& call);
  Status check_query(const Call& call) const;
  void note_end(const Call& call, std::chrono::nanoseconds took);
  void run(const std::shared_ptr<Call>& call);
  void run_on_worker(const std::shared_ptr<Call>& call);

  const ServerConfig config_;
  const ServerDependencies dependencies_;
  Authenticator authenticator_;
  EventHub events_;
  Metrics metrics_;
  Sessions sessions_;
  Services services_;
  std::unique_ptr<WorkerPool> workers_;
  http::Listener listener_;
  bool running_ = false;
};

Status Server::Impl::authorise(Call& call) {
  call.actor.name = "anonymous";
  const auto needed = role_for(call.route->access);
  if (!needed) return {};
  const auto& request = call.request();
  if (call.route->access == Access::viewer_or_loopback && is_loopback(request.remote_address)) return {};
  auto actor = authenticator_.authenticate(credential_of(request), request.remote_address);
  if (!actor) return forward(actor);
  call.actor = std::move(*actor);
  if (call.actor.role >= *needed) return {};
  return fail_with_hint(ErrorCode::permission_denied,
                        fmt::format("this needs the role {}, token '{}' has the role {}", model::to_string(*needed),
                                    call.actor.name, model::to_string(call.actor.role)),
                        "Use a token with that role.");
}

Status Server::Impl::check_query(const Call& call) const {
  for (const auto& [name, value] : call.request().target.query) {
    const auto& known = call.route->query;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string all;
    for (const auto& one : known) all += (all.empty() ? "" : ", ") + std::string(one);
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("there is no query parameter '{}' here", name.substr(0, 64)),
                          all.empty() ? "This address takes none." : fmt::format("Known are: {}.", all));
  }
  return {};
}

void Server::Impl::note_end(const Call& call, std::chrono::nanoseconds took) {
  const auto& request = call.request();
  const unsigned status = call.exchange->status();
  metrics_.count_request(call.route, request.method, status, took);
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  // The path only: a query may be long, and bodies hold secrets. Whoever had a console could change anything inside.
  if (is_change(request.method) || status == 101) {
    log::info(change_asked, "{} from {}: {} {} -> {} in {} us", call.actor.name, request.remote_address,
              request.method_text, request.target.path, status, microseconds);
  } else {
    log::debug(request_done, "{} from {}: {} {} -> {} in {} us", call.actor.name, request.remote_address,
               request.method_text, request.target.path, status, microseconds);
  }
}

void Server::Impl::handle(std::shared_ptr<http::Exchange> exchange) {
  auto call = std::make_shared<Call>();
  call->exchange = std::move(exchange);
  const auto& request = call->request();
  // The exchange owns this function and the call owns the exchange; the circle opens when the exchange ends, as it
  // must.
  call->exchange->on_end([this, call, began = dependencies_.commander.clock.monotonic()] {
    note_end(*call, dependencies_.commander.clock.monotonic() - began);
  });
  const auto refuse = [&](const Error& error, unsigned status = 0) {
    call->exchange->respond(problem(error, request.target.path, status));
  };

  auto match = find_route(request.method, request.target.segments);
  call->route = match.route;
  call->parameters = std::move(match.parameters);
  if (call->route == nullptr && match.allowed.empty()) {
    if (auto page = page_answer(request)) return call->exchange->respond(std::move(*page));
  }
  if (call->route == nullptr && !match.allowed.empty()) {
    auto response = problem({ErrorCode::invalid_argument, fmt::format("{} is not possible here", request.method_text),
                             fmt::format("Possible are: {}.", match.allowed)},
                            request.target.path, 405);
    call->exchange->respond(response.with("Allow", match.allowed));
    return;
  }
  if (call->route == nullptr) {
    return refuse(
        {ErrorCode::not_found, "there is nothing at this address", "See /api/v1/openapi.yaml for what there is."});
  }
  if (const auto allowed = authorise(*call); !allowed) {
    // Too many failures: 429, not 507 which is about space.
    return refuse(allowed.error(), allowed.error().code == ErrorCode::resource_exhausted ? 429 : 0);
  }
  if (const auto known = check_query(*call); !known) return refuse(known.error());
  if (call->route->stream != nullptr) return call->route->stream(services_, call);
  if (!request.has_body) return run_on_worker(call);
  call->exchange->read_body(config_.max_body_bytes, [this, call](Result<std::string> body) {
    if (!body) {
      const unsigned status = body.error().code == ErrorCode::resource_exhausted ? 413 : 400;
      call->exchange->respond(problem({ErrorCode::invalid_argument, body.error().message, body.error().hint},
                                      call->request().target.path, status));
      return;
    }
    call->body = std::move(*body);
    run_on_worker(call);
  });
}

void Server::Impl::run_on_worker(const std::shared_ptr<Call>& call) {
  if (workers_->submit([this, call] { run(call); })) return;
  call->exchange->respond(problem({ErrorCode::unavailable, "the manager is stopping", "Try again in a moment."},
                                  call->request().target.path));
}

void Server::Impl::run(const std::shared_ptr<Call>& call) {
  const auto& path = call->request().target.path;
  try {
    auto answer = call->route->answer(services_, *call);
    call->exchange->respond(answer ? std::move(*answer) : problem(answer.error(), path));
  } catch (const std::exception& failure) {
    log::error(handler_failed, "{} {}: {}", call->request().method_text, path, failure.what());
    call->exchange->respond(
        problem({ErrorCode::internal, "the manager met a fault of its own", "See its log; please report it."}, path));
  }
}

Server::Server(ServerConfig config, ServerDependencies dependencies)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(dependencies))) {}
Server::~Server() = default;
Status Server::start() { return impl_->start(); }
std::uint16_t Server::port() const { return impl_->port(); }
void Server::stop() { impl_->stop(); }

}  // namespace bridgehead::control_api
