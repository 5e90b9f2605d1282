#include "storage/image_pool.h"
#include "storage/local/local_pool.h"

namespace bridgehead::storage {

Result<std::unique_ptr<ImagePool>> open_pool(const model::Pool& pool) {
  switch (pool.driver) {
    case model::PoolDriver::local: return std::make_unique<LocalPool>(pool, std::make_unique<SystemCommandRunner>());
  }
  return fail(ErrorCode::unsupported, "this version has no driver for pool {}", pool.name);
}

}  // namespace bridgehead::storage
