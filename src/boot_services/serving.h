// Serving: DHCP and TFTP (dnsmasq), NBD (nbdkit) and NFS (Ganesha) as a plan wants them, below one directory. Level-
// triggered: each apply() compares the plan with what is there and changes what differs. Thread-safe.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/command.h"
#include "base/supervisor.h"
#include "boot_services/boot_services.h"
#include "netboot/dnsmasq.h"
#include "nodeimage/store.h"

namespace bridgehead::boot_services {

// What `plan` may not hold, whoever sent it; the rest is checked where it is written (netboot/boot_values.h).
Status check_plan(const model::ServingPlan& plan);

class Serving {
 public:
  // `directory`: of generated files and the TFTP root; dnsmasq's user must reach it.
  Serving(const Clock& clock, CommandRunner& runner, const nodeimage::ImageStore& images,
          std::filesystem::path directory);
  // Stops all; machines that run with a root by NBD wait for the next one.
  ~Serving();

  void listen(BootServices::Listener listener);
  Result<model::ServingStatus> apply(const model::ServingPlan& plan, const std::stop_token& stop);
  model::ServingStatus status() const;
  Result<model::ForeignDhcpServers> foreign_dhcp_servers(std::stop_token stop) const;

 private:
  void set_part(const std::string& name, const Status& status);
  void drop_part(const std::string& name);
  Status sync_dhcp(const model::ServingPlan& plan);
  Status sync_loaders(const model::ServingPlan& plan);
  Status sync_nbd(const model::ServingPlan& plan);
  Status sync_nfs(const model::ServingPlan& plan);
  netboot::DnsmasqPlan dnsmasq_plan(const model::ServingPlan& plan) const;
  Status collect_loaders(const model::ServingPlan& plan, const netboot::DnsmasqPlan& wanted);
  void advertise(const netboot::DnsmasqPlan& plan);
  void heard(std::string_view dnsmasq_line);

  CommandRunner& runner_;
  const nodeimage::ImageStore& images_;
  const std::filesystem::path directory_;

  std::mutex applying_;              // guards what follows: one plan after the other
  std::string missing_loaders_;      // with the packages to install
  std::string advertises_on_;        // this interface has the address that router advertisements need
  std::string advertising_trouble_;  // as the log says

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, std::optional<Error>> parts_;
  model::ServingPlan plan_;
  BootServices::Listener listener_;
  netboot::SightingReader sightings_;

  Supervisor supervisor_;  // last: its thread calls heard()
};

}  // namespace bridgehead::boot_services
