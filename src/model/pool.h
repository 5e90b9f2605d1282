// A place where images live, and what one node found out about it by trial.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/ids.h"

namespace bridgehead::model {

// local: each node's own directory. posix: a directory that somebody else mounts on every node. The others are mounted
// by the agents.
enum class PoolDriver { local, posix, nfs, moosefs, cephfs, lustre };

// Every node sees the same images.
constexpr bool is_shared(PoolDriver driver) { return driver != PoolDriver::local; }
// Its agents mount and unmount it.
constexpr bool is_mounted_by_agents(PoolDriver driver) {
  return driver != PoolDriver::local && driver != PoolDriver::posix;
}

// How a disk is made from a golden image, best first: shared blocks (FICLONE), shared chunks (MooseFS), a qcow2
// overlay.
enum class CloneMethod { reflink, snapshot, overlay };

// Found by trial on the mounted directory, never assumed from a name.
struct PoolAbilities {
  bool direct_io = false;
  std::uint32_t direct_io_alignment = 4096;  // bytes
  bool reflink = false;
  bool punch_hole = false;
  bool preallocate = false;
  bool locks = false;       // OFD locks are honoured between two openers
  bool seek_holes = false;  // SEEK_HOLE tells data from holes
  bool attributes = false;  // extended attributes of the user namespace
  bool layouts = false;     // a new file can be told over which targets it is spread
  CloneMethod clone = CloneMethod::overlay;
  std::string file_system;  // for people only: "ext4", "xfs"

  bool operator==(const PoolAbilities&) const = default;
};

struct PoolOnNode {
  bool ready = false;
  std::string message;  // why it isn't ready
  Bytes total;
  Bytes available;
  PoolAbilities abilities;
  std::string mounted;        // as /proc/mounts says it: "nfs4 10.0.0.5:/vm rw,hard,..."; "" = not by an agent
  std::uint32_t targets = 0;  // storage targets (OSTs, chunk servers) that the node sees; 0 = it can't tell
  std::vector<std::string> targets_down;  // those of them that don't work now: "OST0002: down"

  bool operator==(const PoolOnNode&) const = default;
};

struct Pool {
  PoolId id;
  std::string name;
  PoolDriver driver = PoolDriver::local;
  std::string source;  // what is mounted: "10.0.0.5@tcp:/scratch"; local and posix have none
  std::string path;    // local, posix: absolute, on each node; others: inside the source, "" = its top
  std::map<std::string, std::string> options;  // of the mount, as the driver's page in src/storage names them
  Timestamp created{};
  bool deleting = false;
  std::vector<NodeId> limited_to;      // the nodes that should have it; none = all
  std::map<NodeId, PoolOnNode> nodes;  // observed

  bool operator==(const Pool&) const = default;
};

}  // namespace bridgehead::model
