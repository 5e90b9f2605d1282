// DownloadBridge: what an agent sends, as the body of an answer. The answer begins with the first bytes, so that an
// error before them is a proper problem; one after them cuts the connection, so that nobody takes the part for the
// whole.
#pragma once

#include "control_api/resources/tunnel_bridge.h"

namespace bridgehead::control_api {

class DownloadBridge final : public TunnelBridge {
 public:
  DownloadBridge(std::shared_ptr<Call> call, http::Response head)
      : TunnelBridge(std::move(call)), head_(std::move(head)) {}

 protected:
  void on_open() override { resume(); }

  void on_data(std::string bytes) override {
    begin();
    exchange().write(std::move(bytes), [self = shared_from_this(), this](bool sent) {
      if (sent) resume();
    });
  }

  void on_closed(Status result) override {
    if (result) {
      begin();
      exchange().finish();
    } else if (begun_) {
      exchange().abort();
    } else {
      refuse(result.error());
    }
  }

 private:
  void begin() {
    if (std::exchange(begun_, true)) return;
    exchange().start_stream(std::move(head_), http::OnStop::cut);
  }

  http::Response head_;
  bool begun_ = false;  // the tunnel's handlers come one at a time
};

}  // namespace bridgehead::control_api
