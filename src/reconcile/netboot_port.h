// The seam between the API and what boots machines (provision): what is served, what a machine would get, how node
// images differ. Implementations are thread-safe; calls may read files.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/netboot.h"
#include "model/node.h"

namespace bridgehead::reconcile {

struct NetbootPart {
  std::string name;  // "dhcp", "http", "nbd", "nfs"
  bool running = false;
  std::string message;  // why not; "" = all is well
};

struct NetbootStatus {
  std::vector<NetbootPart> parts;
  std::vector<std::string> foreign_dhcp_servers;  // "10.20.0.7 (52:54:00:aa:bb:cc)": others that answer on the segment
};

struct NodeImageDiff {
  std::vector<std::string> packages;  // "+ nginx 1.22", "- curl 7.88", "~ libc6 2.36-9 -> 2.36-10"
  std::vector<std::string> files;     // "+ /etc/x", "- /etc/y", "~ /etc/z"
};

class NetbootPort {
 public:
  virtual ~NetbootPort() = default;
  virtual NetbootStatus status() const = 0;
  // What its boot loader would be told now: iPXE script, pxelinux or GRUB configuration. Changes nothing.
  virtual Result<std::string> boot_script(const model::Node& node) const = 0;
  virtual Result<NodeImageDiff> diff(const model::NodeImage& from, const model::NodeImage& to) const = 0;
};

}  // namespace bridgehead::reconcile
