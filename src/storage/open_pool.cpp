#include "model/pool_rules.h"
#include "storage/directory_pool.h"
#include "storage/image_pool.h"

namespace bridgehead::storage {

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
  auto mount = std::make_unique<Mount>(std::move(*plan), point, runner);
  auto root = pool.path.empty() ? mount->point() : mount->point() / pool.path;
  return open(std::move(root), std::move(mount));
}

}  // namespace bridgehead::storage
