#include "model/pool_rules.h"
#include "storage/dead_client.h"
#include "storage/directory_pool.h"
#include "storage/image_pool.h"
#include "storage/messages.h"

namespace bridgehead::storage {
namespace {

// A host that died came back; without it, its guests' disks would stay locked by its former self. `failed`: what was
// said the last time, since mounting is tried again and again while servers are away.
void free_own(const model::Pool& pool, CommandRunner& runner, std::string& failed) {
  const auto freed = free_own_dead_client(pool, runner);
  const auto why = freed ? std::string() : freed.error().describe();
  if (!freed && why != failed) log::warning(own_locks_not_freed, "{}: {}", pool.name, why);
  if (freed && *freed != 0) log::info(locks_freed, "{}: of this node's client from before ({})", pool.name, *freed);
  failed = why;
}

}  // namespace

Result<std::unique_ptr<ImagePool>> open_pool(const model::Pool& pool, const PoolHost& host) {
  auto runner = std::make_shared<SystemCommandRunner>();
  const auto open = [&](std::filesystem::path root, std::unique_ptr<Mount> mount) {
    PoolLayout layout(std::move(root), model::is_shared(pool.driver) ? host.node : "");
    return std::make_unique<DirectoryPool>(pool, std::move(layout), PoolParts{runner, std::move(mount)});
  };
  if (model::is_shared(pool.driver) && host.node.empty()) {
    return fail(ErrorCode::invalid_argument, "pool {} is shared, so who opens it must say which node this is",
                pool.name);
  }
  if (!model::is_mounted_by_agents(pool.driver)) return open(pool.path, nullptr);

  const auto point = host.mounts / pool.id.str();
  auto plan = plan_mount(pool, point);
  if (!plan) return forward(plan);
  auto mount =
      std::make_unique<Mount>(std::move(*plan), point, runner,
                              [pool, runner, failed = std::string()]() mutable { free_own(pool, *runner, failed); });
  auto root = pool.path.empty() ? mount->point() : mount->point() / pool.path;
  return open(std::move(root), std::move(mount));
}

}  // namespace bridgehead::storage
