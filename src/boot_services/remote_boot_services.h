// BootServices in the netboot helper, for a manager without rights: each call is a connection to the helper's socket.
// The helper may come, go and come back: what runs there is watched by a thread of this object's.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "boot_services/boot_services.h"
#include "boot_services/frame_stream.h"

namespace bridgehead::boot_services {

class RemoteBootServices final : public BootServices {
 public:
  explicit RemoteBootServices(std::filesystem::path socket);
  ~RemoteBootServices() override;

  void listen(Listener listener) override;
  Result<model::ServingStatus> apply(const model::ServingPlan& plan, std::stop_token stop) override;
  Result<model::ServingStatus> status() const override;
  Result<model::ForeignDhcpServers> foreign_dhcp_servers(std::stop_token stop) override;
  Result<model::NodeImage> make_image(const model::NodeImageOrder& order, const ProgressSink& progress,
                                      std::stop_token stop) override;
  Status remove_image(const model::NodeImageId& id, std::stop_token stop) override;
  Result<model::NodeImageDifference> compare_images(const model::NodeImageComparison& comparison) const override;

 private:
  struct Call;
  Result<UniqueFd> connect() const;
  Result<std::string> ask(const Call& call) const;
  void watch(const std::stop_token& stop);
  Status watch_once(const std::stop_token& stop, bool& was_there);

  const std::filesystem::path socket_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  Listener listener_;    // set before the thread starts
  std::jthread thread_;  // last
};

}  // namespace bridgehead::boot_services
