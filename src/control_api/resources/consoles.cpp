// Over WebSockets: a guest's serial console and screen, and the serial console of a node's own machine. And what a
// guest's console has printed so far.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/download_bridge.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/power_parts.h"
#include "control_api/sessions.h"

namespace bridgehead::control_api {
namespace {

// RFC 6455, 7.4.1; 4000 and above are an application's own.
constexpr std::uint16_t kEnded = 1000;
constexpr std::uint16_t kBadMessage = 1007;
constexpr std::uint16_t kFailed = 1011;
constexpr std::uint16_t kTakenOver = 4000;

class SocketBridge final : public TunnelBridge {
 public:
  // `what`: is at the other end; for its user. `tells_late`: why it can't be opened is said by closing the WebSocket:
  // of an answer without one a page doesn't get to know more than that it failed.
  SocketBridge(std::shared_ptr<Call> call, std::string_view what, bool takes_sizes, bool tells_late = false)
      : TunnelBridge(std::move(call)), what_(what), takes_sizes_(takes_sizes), tells_late_(tells_late) {}

  // Somebody else has the console now.
  void taken() { exchange().close_websocket(kTakenOver, "somebody else has taken over this console"); }

 protected:
  void on_open() override {
    http::WebSocketHandlers handlers;
    handlers.opened = [self = shared_from_this(), this] { resume(); };
    handlers.message = [self = shared_from_this(), this](std::string bytes, bool text, std::function<void()> next) {
      on_message(std::move(bytes), text, std::move(next));
    };
    accepted_ = true;
    exchange().accept_websocket(std::move(handlers));
  }

  void on_data(std::string bytes) override {
    exchange().send_message(std::move(bytes), false, [self = shared_from_this(), this](bool sent) {
      if (sent) resume();
    });
  }

  void on_closed(Status result) override {
    if (!accepted_ && !result && tells_late_) {
      accepted_ = true;
      exchange().accept_websocket({.opened = {}, .message = [](std::string, bool, const std::function<void()>&) {}});
    }
    if (!accepted_) {
      return refuse(result ? Error{ErrorCode::unavailable, fmt::format("the {} ended at once", what_), {}}
                           : result.error());
    }
    if (result) {
      exchange().close_websocket(kEnded, fmt::format("the {} has ended", what_));
    } else {
      exchange().close_websocket(kFailed, result.error().message);
    }
  }

 private:
  void on_message(std::string bytes, bool text, std::function<void()> next) {
    const auto open = tunnel();
    if (!open) return;
    if (!text) return open->write(std::move(bytes), std::move(next));
    const auto size = read_terminal_size(bytes);
    if (!takes_sizes_ || !size) {
      const std::string why = !takes_sizes_ ? "only binary messages are understood here" : size.error().message;
      return exchange().close_websocket(kBadMessage, why);
    }
    open->resize(size->columns, size->rows);
    next();
  }

  const std::string_view what_;
  const bool takes_sizes_;
  const bool tells_late_;
  bool accepted_ = false;  // the tunnel's handlers come one at a time, on_open first
};

Result<state::Record<model::Vm>> placed_vm(const Services& services, const Call& call) {
  auto vm = reconcile::resolve<model::Vm>(services.inventory(), call.parameters[0]);
  if (!vm) return vm;
  if ((*vm)->value.node.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("'{}' is on no node yet", (*vm)->value.name),
                          "Wait until it has been placed; its operations say what it waits for.");
  }
  return vm;
}

void refuse(const Call& call, const Error& error, unsigned status = 0) {
  call.exchange->respond(problem(error, call.request().target.path, status));
}

// Whether to take it over from somebody else; an answer was given where there is none.
std::optional<bool> check_socket(const Call& call) {
  if (!call.request().upgrade_websocket) {
    refuse(call,
           {ErrorCode::invalid_argument, "this address is a WebSocket",
            "Connect with a WebSocket client, such as: bh vm console."},
           426);
    return {};
  }
  const auto take_over = query_flag(call, "take_over", false);
  if (!take_over) refuse(call, take_over.error());
  return take_over ? std::optional(*take_over) : std::nullopt;
}

// One at a time has it. `noun`: of `bh NOUN console`.
Status claim_console(Services& services, const std::shared_ptr<SocketBridge>& bridge, const std::string& id,
                     const std::string& name, std::string_view noun, bool take_over) {
  auto claim = services.sessions.claim("console/" + id, take_over, [weak = std::weak_ptr(bridge)] {
    if (const auto other = weak.lock()) other->taken();
  });
  if (!claim) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("somebody else has the console of '{}' open", name),
                          fmt::format("Add ?take_over=true (bh {} console --take-over) to take it over.", noun));
  }
  bridge->hold(std::move(claim));
  return {};
}

void open_socket(Services& services, const std::shared_ptr<Call>& call, reconcile::TunnelKind kind) {
  const auto take_over = check_socket(*call);
  if (!take_over) return;
  const auto vm = placed_vm(services, *call);
  if (!vm) return refuse(*call, vm.error());
  const bool serial = kind == reconcile::TunnelKind::serial_console;
  auto bridge = std::make_shared<SocketBridge>(call, serial ? "guest" : "guest's screen", serial);
  const auto& value = (*vm)->value;
  if (serial) {
    const auto mine = claim_console(services, bridge, value.id.str(), value.name, "vm", *take_over);
    if (!mine) return refuse(*call, mine.error());
  }
  bridge->start(services.tunnels, value.node, {.kind = kind, .vm = value.id});
}

}  // namespace

void open_console(Services& services, const std::shared_ptr<Call>& call) {
  open_socket(services, call, reconcile::TunnelKind::serial_console);
}

void open_vnc(Services& services, const std::shared_ptr<Call>& call) {
  open_socket(services, call, reconcile::TunnelKind::vnc);
}

void open_node_console(Services& services, const std::shared_ptr<Call>& call) {
  const auto take_over = check_socket(*call);
  if (!take_over) return;
  const auto power = need_power(services);
  if (!power) return refuse(*call, power.error());
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call->parameters[0]);
  if (!node) return refuse(*call, node.error());
  const auto& value = (*node)->value;
  auto bridge = std::make_shared<SocketBridge>(call, "machine's console", true, true);
  const auto mine = claim_console(services, bridge, value.id.str(), value.name, "node", *take_over);
  if (!mine) return refuse(*call, mine.error());
  bridge->start([&](reconcile::TunnelHandlers handlers) {
    return (*power)->open_console(value.id, *take_over, std::move(handlers));
  });
}

void get_vm_log(Services& services, const std::shared_ptr<Call>& call) {
  const auto vm = placed_vm(services, *call);
  if (!vm) return call->exchange->respond(problem(vm.error(), call->request().target.path));
  http::Response head;
  head.with("Content-Type", "text/plain; charset=utf-8");
  auto bridge = std::make_shared<DownloadBridge>(call, std::move(head));
  bridge->start(services.tunnels, (*vm)->value.node, {.kind = reconcile::TunnelKind::boot_log, .vm = (*vm)->value.id});
}

}  // namespace bridgehead::control_api
