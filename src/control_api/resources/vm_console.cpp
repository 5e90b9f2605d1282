// A guest's serial console and screen over WebSockets, and what its console has printed so far.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/download_bridge.h"
#include "control_api/resources/handlers.h"
#include "control_api/sessions.h"

namespace bridgehead::control_api {
namespace {

// RFC 6455, 7.4.1; 4000 and above are an application's own.
constexpr std::uint16_t kGuestEnded = 1000;
constexpr std::uint16_t kBadMessage = 1007;
constexpr std::uint16_t kFailed = 1011;
constexpr std::uint16_t kTakenOver = 4000;

class SocketBridge final : public TunnelBridge {
 public:
  SocketBridge(std::shared_ptr<Call> call, bool takes_sizes)
      : TunnelBridge(std::move(call)), takes_sizes_(takes_sizes) {}

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
    if (!accepted_) {
      return refuse(result ? Error{ErrorCode::unavailable, "the guest's console ended at once", {}} : result.error());
    }
    if (result) {
      exchange().close_websocket(kGuestEnded, "the guest has ended");
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

  const bool takes_sizes_;
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

void open_socket(Services& services, const std::shared_ptr<Call>& call, reconcile::TunnelKind kind) {
  const auto refuse = [&](const Error& error, unsigned status = 0) {
    call->exchange->respond(problem(error, call->request().target.path, status));
  };
  if (!call->request().upgrade_websocket) {
    return refuse({ErrorCode::invalid_argument, "this address is a WebSocket",
                   "Connect with a WebSocket client, such as: bh vm console."},
                  426);
  }
  const auto take_over = query_flag(*call, "take_over", false);
  if (!take_over) return refuse(take_over.error());
  const auto vm = placed_vm(services, *call);
  if (!vm) return refuse(vm.error());
  const bool serial = kind == reconcile::TunnelKind::serial_console;
  auto bridge = std::make_shared<SocketBridge>(call, serial);
  if (serial) {
    auto claim =
        services.sessions.claim("console/" + (*vm)->value.id.str(), *take_over, [weak = std::weak_ptr(bridge)] {
          if (const auto other = weak.lock()) other->taken();
        });
    if (!claim) {
      return refuse({ErrorCode::failed_precondition,
                     fmt::format("somebody else has the console of '{}' open", (*vm)->value.name),
                     "Add ?take_over=true (bh vm console --take-over) to take it over."});
    }
    bridge->hold(std::move(claim));
  }
  bridge->start(services.tunnels, (*vm)->value.node, {.kind = kind, .vm = (*vm)->value.id});
}

}  // namespace

void open_console(Services& services, const std::shared_ptr<Call>& call) {
  open_socket(services, call, reconcile::TunnelKind::serial_console);
}

void open_vnc(Services& services, const std::shared_ptr<Call>& call) {
  open_socket(services, call, reconcile::TunnelKind::vnc);
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
