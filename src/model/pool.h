// A place where images live, and what one node found out about it by trial.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/ids.h"

namespace bridgehead::model {

enum class PoolDriver { local };  // nfs, cephfs, lustre, moosefs and posix come with the cluster file systems

// How a disk is made from a golden image, best first.
enum class CloneMethod { reflink, overlay };

// Found by trial on the mounted directory, never assumed from a name.
struct PoolAbilities {
  bool direct_io = false;
  std::uint32_t direct_io_alignment = 4096;  // bytes
  bool reflink = false;
  bool punch_hole = false;
  bool preallocate = false;
  bool locks = false;       // OFD locks are honoured between two openers
  std::string file_system;  // for people only: "ext4", "xfs"

  bool operator==(const PoolAbilities&) const = default;
};

struct PoolOnNode {
  bool ready = false;
  std::string message;  // why it isn't ready
  Bytes total;
  Bytes available;
  PoolAbilities abilities;

  bool operator==(const PoolOnNode&) const = default;
};

struct Pool {
  PoolId id;
  std::string name;
  PoolDriver driver = PoolDriver::local;
  std::string path;  // absolute, on each node that has it
  Timestamp created{};
  bool deleting = false;
  std::vector<NodeId> limited_to;      // the nodes that should have it; none = all
  std::map<NodeId, PoolOnNode> nodes;  // observed

  bool operator==(const Pool&) const = default;
};

}  // namespace bridgehead::model
