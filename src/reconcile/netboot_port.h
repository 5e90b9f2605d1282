// The seam between the API and what boots machines (provision): what is served, what a machine would get, how node
// images differ. Implementations are thread-safe; calls may read files.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/boot_services.h"
#include "model/node.h"

namespace bridgehead::reconcile {

struct NetbootStatus {
  std::vector<model::ServingPart> parts;          // "dhcp", "http", "nbd", "nfs"
  std::vector<std::string> foreign_dhcp_servers;  // "10.20.0.7 (52:54:00:aa:bb:cc)": others that answer on the segment
};

class NetbootPort {
 public:
  virtual ~NetbootPort() = default;
  // Whether what serves machines and makes node images can be had at all; unavailable says what to do.
  virtual Status available() const = 0;
  virtual NetbootStatus status() const = 0;
  // What its boot loader would be told now: iPXE script, pxelinux or GRUB configuration. Changes nothing.
  virtual Result<std::string> boot_script(const model::Node& node) const = 0;
  virtual Result<model::NodeImageDifference> diff(const model::NodeImage& from, const model::NodeImage& to) const = 0;
};

}  // namespace bridgehead::reconcile
