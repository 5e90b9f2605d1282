#include "storage/mount_plan.h"

#include "model/enum_names.h"

namespace bridgehead::storage {

Result<MountPlan> plan_mount(const model::Pool& pool, const std::filesystem::path& point) {
  if (auto checked = model::check_pool_place(pool.driver, pool.source, pool.path, pool.options); !checked) {
    return forward(checked);
  }
  switch (pool.driver) {
    case model::PoolDriver::nfs: return plan_nfs_mount(pool, point);
    case model::PoolDriver::moosefs: return plan_moosefs_mount(pool, point);
    case model::PoolDriver::cephfs: return plan_cephfs_mount(pool, point);
    case model::PoolDriver::lustre: return plan_lustre_mount(pool, point);
    case model::PoolDriver::local:
    case model::PoolDriver::posix: break;
  }
  return fail(ErrorCode::unsupported, "a {} pool is mounted by nobody", model::to_string(pool.driver));
}

std::string option_or(const model::Pool& pool, const std::string& name, std::string otherwise) {
  const auto found = pool.options.find(name);
  return found == pool.options.end() ? std::move(otherwise) : found->second;
}

}  // namespace bridgehead::storage
