// NetbootService: keeps what serves machines as settings, nodes and images want it: the boot server (HTTP), DHCP and
// TFTP (dnsmasq), NBD (nbdkit), NFS (Ganesha). Level-triggered on a thread of its own: it looks at the inventory after
// each change, changes what differs, and tries again every ten seconds what failed. Thread-safe. Errors: of a part in
// status(); nothing else stops because of it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/command.h"
#include "base/supervisor.h"
#include "netboot/boot_files.h"
#include "netboot/boot_server.h"
#include "netboot/dnsmasq.h"
#include "netboot/nbd_server.h"
#include "netboot/nfs_server.h"
#include "nodeimage/store.h"
#include "provision/boot_book.h"
#include "provision/boot_desk.h"
#include "reconcile/netboot_port.h"
#include "state/inventory.h"

namespace bridgehead::provision {

class NetbootService final : public reconcile::NetbootPort {
 public:
  // `directory`: of the running services: generated files, the TFTP root. dnsmasq's user must reach it.
  NetbootService(state::Inventory& inventory, nodeimage::ImageStore& store, const Clock& clock, RandomSource& random,
                 CommandRunner& runner, AgentDoor agents, std::filesystem::path directory);
  ~NetbootService() override;  // stops all; running machines with a root by NBD wait for the next manager

  reconcile::NetbootStatus status() const override;
  Result<std::string> boot_script(const model::Node& node) const override;
  Result<reconcile::NodeImageDiff> diff(const model::NodeImage& from, const model::NodeImage& to) const override;

 private:
  // What became of one part at the last try.
  struct Part {
    bool wanted = false;
    std::optional<Error> error;
  };

  using LoaderFiles = std::map<std::pair<model::BootMethod, std::string>, std::string>;  // by method and MAC: the text

  void run(const std::stop_token& stop);
  void sync();
  void stop_all();
  Status sync_http(const model::NetbootSettings& settings);
  Status sync_dhcp(const model::NetbootSettings& settings);
  Status sync_nbd(const model::NetbootSettings& settings);
  Status sync_nfs(const model::NetbootSettings& settings);
  Status sync_loaders();
  std::vector<model::NodeImage> ready_images() const;
  bool any_root_by_nfs() const;
  void set_part(const std::string& name, bool wanted, const Status& status);

  void heard(std::string_view dnsmasq_line);
  void take_events(const std::vector<model::Event>& events);
  void work_off();
  void note_step(const model::NodeId& node, model::BootStep step);
  void look_at_joined();
  void look_for_foreign_dhcp(const std::stop_token& stop);

  state::Inventory& inventory_;
  nodeimage::ImageStore& store_;
  const Clock& clock_;
  CommandRunner& runner_;
  const std::filesystem::path directory_;
  BootBook book_;
  BootDesk desk_;
  Supervisor supervisor_;

  // Used by the service's thread only.
  std::unique_ptr<netboot::BootServer> http_;
  std::pair<std::string, std::uint16_t> http_at_;
  std::optional<netboot::BootFiles> boot_files_;
  std::string boot_files_for_;
  std::set<std::string> exports_;
  LoaderFiles loader_files_;
  std::set<std::string> tftp_images_;
  bool served_ = false;
  Monotonic next_sync_{};
  Monotonic gathered_{};            // before then changes wait for those that come with them
  std::string advertises_on_;       // this interface has the address that router advertisements need
  std::set<model::NodeId> joined_;  // that have not told yet what they are

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  bool look_ = true;
  netboot::SightingReader sightings_;
  std::vector<std::function<void()>> to_note_;  // steps of boots, told by events and dnsmasq
  std::map<std::string, Part> parts_;
  std::vector<std::string> foreign_dhcp_;

  std::unique_ptr<state::StateStore::Watch> watch_;
  std::jthread probe_;
  std::jthread thread_;  // last
};

}  // namespace bridgehead::provision
