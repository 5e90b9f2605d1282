// What starting storage servers of each kind shares; for storage*.cpp only.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lab/storage.h"

namespace bridgehead::lab {

class StorageStart {
 public:
  StorageStart(CommandRunner& runner, const Places& places, Storage& storage, std::function<Status()> save)
      : runner_(&runner), places_(&places), storage_(&storage), save_(std::move(save)) {}

  std::vector<Member>& servers() { return storage_->servers; }
  std::string namespace_of(const Member& server) const { return places_->member_namespace(server.name); }
  std::filesystem::path directory() const { return places_->storage(); }
  std::filesystem::path log(const std::string& server) const { return places_->storage() / (server + ".log"); }

  // A daemon of a server, in its namespace; the first one is what the record keeps.
  Status start(Member& server, Command command, std::vector<Bind> binds = {});
  // In the lab's namespace, from where all servers are reached.
  Result<CommandOutput> run(const Command& command);
  // Until `done`; errors: timeout, with what the server's log says last.
  Status wait(const Member& server, std::string_view what, std::chrono::seconds patience,
              const std::function<bool()>& done);

 private:
  CommandRunner* runner_;
  const Places* places_;
  Storage* storage_;
  std::function<Status()> save_;
};

Status start_moosefs(StorageStart& start);
// As the master lists them: each has told how much it holds. Pure.
bool have_told_space(const std::string& listed, std::span<const Member> chunk_servers);
Status start_cephfs(StorageStart& start);
Status start_nfs(StorageStart& start);

}  // namespace bridgehead::lab
