// A lab's storage servers: real ones (MooseFS, CephFS, NFS), each in a namespace behind a NIC of its own, started as
// values that the lab's record names. What they keep lies in the lab's directory and goes with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "base/result.h"
#include "lab/member.h"
#include "lab/process.h"
#include "model/enum_names.h"

namespace bridgehead::lab {

enum class StorageKind { moosefs, cephfs, nfs };
inline constexpr unsigned kMostServers = 20;

struct StorageWish {
  StorageKind kind = StorageKind::moosefs;
  unsigned servers = 3;  // that hold data; one more holds what the file system knows of them, but with NFS
};
// "moosefs:5", "cephfs:3", "nfs". Errors: invalid_argument.
Result<StorageWish> parse_storage(std::string_view text);

// As the record keeps it. The first member is the one that clients are told of.
struct Storage {
  StorageKind kind = StorageKind::moosefs;
  std::vector<Member> servers;
  std::string pool;  // that was added for it; "" = none
  bool operator==(const Storage&) const = default;
};
// What its servers are called: "master", "chunk1", ...
std::vector<std::string> server_names(const StorageWish& wish);

// A program that the servers or the clients need, and the package that has it.
struct NeededProgram {
  std::string_view program;
  std::string_view package;
};
std::vector<NeededProgram> server_programs(StorageKind kind);
std::vector<NeededProgram> client_programs(StorageKind kind);

// What `bh pool add` needs. CephFS: clients read kCephConfig, where the lab's hosts have it.
inline constexpr char kCephConfig[] = "/etc/ceph/ceph.conf";
struct PoolSource {
  std::string source;
  std::vector<std::string> options;
};
PoolSource pool_source(const Storage& storage);

// The configuration that CephFS's clients on this machine read.
std::filesystem::path ceph_config(const Places& places);

// Returns when the file system can be used. `save` writes the record with a server's process in it before that does
// anything. Errors: timeout (with the ends of the logs), what the programs say.
Status start_storage(CommandRunner& runner, const Places& places, Storage& storage,
                     const std::function<Status()>& save);

// Stops all of its servers, as if they hung, or lets them go on.
enum class Pausing { pause, resume };
Status pause_storage(const Places& places, const Storage& storage, Pausing what);

}  // namespace bridgehead::lab

namespace bridgehead::model {
template <>
struct EnumNames<lab::StorageKind> {
  static constexpr std::string_view kind = "storage";
  static constexpr auto values = std::to_array<std::pair<lab::StorageKind, std::string_view>>(
      {{lab::StorageKind::moosefs, "moosefs"}, {lab::StorageKind::cephfs, "cephfs"}, {lab::StorageKind::nfs, "nfs"}});
};
}  // namespace bridgehead::model
