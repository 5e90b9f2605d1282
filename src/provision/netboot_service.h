// NetbootService: keeps what serves machines as settings, nodes and images want it: the boot server (HTTP) here, all
// else by BootServices. Level-triggered on a thread of its own: it looks at the inventory after each change and has the
// whole plan brought about where that is another one; and so it does when what serves began anew, and every ten
// seconds. Thread-safe. Errors: of a part in status(); nothing else stops because of it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/clock.h"
#include "boot_services/boot_services.h"
#include "netboot/boot_server.h"
#include "provision/boot_book.h"
#include "provision/boot_desk.h"
#include "reconcile/netboot_port.h"
#include "state/inventory.h"

namespace bridgehead::provision {

class NetbootService final : public reconcile::NetbootPort {
 public:
  // `directory`: what `services` shows for the boot server to send: images and loaders; `reading_lists`: this manager's
  // own (reading_lists.h). `services` outlives this.
  NetbootService(state::Inventory& inventory, boot_services::BootServices& services, const Clock& clock,
                 RandomSource& random, AgentDoor agents, const std::filesystem::path& directory,
                 const std::filesystem::path& reading_lists);
  ~NetbootService() override;  // ends the boot server; what `services` serves goes on as long as that lives

  Status available() const override;
  reconcile::NetbootStatus status() const override;
  Result<std::string> boot_script(const model::Node& node) const override;
  Result<model::NodeImageDifference> diff(const model::NodeImage& from, const model::NodeImage& to) const override;

 private:
  void run(const std::stop_token& stop);
  void sync(const std::stop_token& stop);
  void set_error(std::optional<Error>& error, std::string_view part, const Status& status);
  Status sync_http(const model::NetbootSettings& settings);
  model::ServingPlan plan_for(const model::NetbootSettings& settings) const;
  void add_loader_files(model::ServingPlan& plan) const;
  void apply_again();

  void heard(const model::AddressGiven& given);
  void take_up_joined();
  void take_events(const std::vector<model::Event>& events);
  std::function<void()> joining(const model::NodeId& node);
  void work_off();
  void note_step(const model::NodeId& node, model::BootStep step);
  model::BootBytes bytes_of(const model::Node& node) const;
  void look_at_joined();
  void look_for_foreign_dhcp(const std::stop_token& stop);

  state::Inventory& inventory_;
  boot_services::BootServices& services_;
  const Clock& clock_;
  BootBook book_;
  BootDesk desk_;

  // Used by the service's thread only.
  std::unique_ptr<netboot::BootServer> http_;
  std::pair<std::string, std::uint16_t> http_at_;
  bool serves_ = false;                        // all parts ran, as the log says
  std::optional<model::ServingPlan> applied_;  // the newest one that was brought about as far as it goes
  Monotonic next_sync_{};
  Monotonic gathered_{};            // before then changes wait for those that come with them
  std::set<model::NodeId> joined_;  // that have not told yet what they are

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  bool look_ = true;
  bool began_anew_ = false;                     // so the plan is due, though it may be the same
  std::vector<std::function<void()>> to_note_;  // steps of boots, told by events and dnsmasq
  bool http_serves_ = false;
  std::optional<Error> http_error_;
  std::optional<Error> plan_error_;  // why the plan as a whole could not be brought about
  std::vector<std::string> foreign_dhcp_;

  std::unique_ptr<state::StateStore::Watch> watch_;
  std::jthread probe_;
  std::jthread thread_;  // last
};

}  // namespace bridgehead::provision
