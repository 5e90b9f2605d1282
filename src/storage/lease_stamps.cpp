#include "storage/lease_stamps.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "model/json.h"

namespace bridgehead::storage {

std::filesystem::path LeaseStamps::file(const model::VmId& vm) const { return directory_ / (vm.str() + ".json"); }

// One of 16 lock files, so that VMs seldom wait for each other and no file stays behind for each VM that ever was.
Result<UniqueFd> LeaseStamps::lock(const model::VmId& vm) const {
  if (!is_uuid(vm.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a VM's id", vm.str());
  auto fd = open_file(directory_ / fmt::format(".lock-{}", vm.str().front()), O_RDWR | O_CREAT);
  if (!fd) return fd;
  while (::flock(fd->get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(errno, "lock the lease stamps");
  }
  return fd;
}

Result<std::optional<model::LeaseStamp>> LeaseStamps::read(const model::VmId& vm) const {
  auto text = read_file(file(vm), 64_KiB);
  if (!text && text.error().code == ErrorCode::not_found) return std::optional<model::LeaseStamp>();
  if (!text) return forward(text);
  try {
    auto stamp = nlohmann::json::parse(*text).get<model::LeaseStamp>();
    if (stamp.vm == vm && stamp.token > 0) return stamp;
  } catch (const std::exception&) {  // no JSON, or of other types
  }
  return fail_with_hint(ErrorCode::data_corrupt, fmt::format("the lease stamp {} is unreadable", file(vm).native()),
                        "Make sure that no node runs this VM, then delete the file.");
}

Status LeaseStamps::stamp(const model::LeaseClaim& claim, const std::filesystem::path& staging) const {
  auto locked = lock(claim.vm);
  if (!locked) return forward(locked);
  auto held = read(claim.vm);
  if (!held) return forward(held);
  switch (model::judge_stamp(*held, claim)) {
    case model::StampVerdict::good: return {};
    case model::StampVerdict::refuse:
      return fail(ErrorCode::failed_precondition,
                  "VM {} is leased to node {} under token {}, which may not be over; token {} of node {} doesn't count",
                  claim.vm, (*held)->node, (*held)->token, claim.token, claim.node);
    case model::StampVerdict::write: break;
  }
  return replace(claim.stamp(*held), staging);
}

Status LeaseStamps::change_terms(const model::LeaseClaim& own, const std::filesystem::path& staging) const {
  auto locked = lock(own.vm);
  if (!locked) return forward(locked);
  auto held = read(own.vm);
  if (!held) return forward(held);
  if (*held && (*held)->source == own.holder()) {
    return fail(ErrorCode::failed_precondition, "VM {} is about to go to node {} under token {}", own.vm, (*held)->node,
                (*held)->token);
  }
  if (!*held || (*held)->holder() != own.holder()) {
    return fail(ErrorCode::not_found, "VM {} isn't stamped {} of node {}", own.vm, own.token, own.node);
  }
  if ((*held)->terms == own.terms) return {};
  (*held)->terms = own.terms;
  return replace(**held, staging);
}

Status LeaseStamps::remove(const model::VmId& vm) const {
  auto locked = lock(vm);
  if (!locked) return forward(locked);
  if (auto removed = remove_file(file(vm)); !removed) return removed;
  return sync_directory(directory_);
}

// As write_file_atomic, but for what the VM's lock makes needless: each call on a shared file system is a round trip to
// its servers, and every start waits for them.
Status LeaseStamps::replace(const model::LeaseStamp& stamp, const std::filesystem::path& staging) const {
  const auto file = this->file(stamp.vm);
  const auto text = nlohmann::json(stamp).dump() + "\n";
  const auto fd = open_file(staging, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
  if (!fd) return forward(fd);
  auto written = write_all(fd->get(), text, file.native());
  if (written && ::fsync(fd->get()) != 0) written = fail_errno(errno, fmt::format("sync {}", file.native()));
  if (written && ::rename(staging.c_str(), file.c_str()) != 0) {
    written = fail_errno(errno, fmt::format("rename to {}", file.native()));
  }
  if (written) return sync_directory(file.parent_path());
  ::unlink(staging.c_str());
  return written;
}

}  // namespace bridgehead::storage
