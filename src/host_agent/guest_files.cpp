#include "host_agent/guest_files.h"

namespace bridgehead::host_agent {
namespace fs = std::filesystem;

Status GuestFiles::prepare(const model::VmId& vm) const {
  // The id becomes a path: nothing else than a UUID may.
  if (!is_uuid(vm.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a VM's id", vm);
  return make_directories(directory(vm), 0711);
}

std::vector<model::VmId> GuestFiles::all() const {
  std::vector<model::VmId> guests;
  std::error_code error;
  for (fs::directory_iterator entry(root_, error), end; !error && entry != end; entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (is_uuid(name)) guests.emplace_back(name);
  }
  return guests;
}

Status GuestFiles::remove(const model::VmId& vm) const {
  if (!is_uuid(vm.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a VM's id", vm);
  std::error_code error;
  fs::remove_all(directory(vm), error);
  if (error) return fail_errno(error.value(), fmt::format("remove {}", directory(vm).native()));
  return {};
}

}  // namespace bridgehead::host_agent
