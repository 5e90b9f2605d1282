#include "hypervisor/libvirt/migration.h"

#include <algorithm>
#include <future>

namespace bridgehead::hypervisor {
namespace {

constexpr auto kLook = std::chrono::milliseconds(250);

// UNSAFE: libvirt's list of file systems that hosts share lacks Lustre and MooseFS; whether a pool is shared and keeps
// locks is found by trial, and refused before it comes to this.
constexpr unsigned kFlags =
    VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_UNSAFE;
// AUTO_CONVERGE: a guest that writes its memory quicker than the network carries it is slowed down until it fits.
constexpr unsigned kRunsMeanwhile = VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE;
// SYNCHRONOUS_WRITES: a guest that writes its disks quicker than the network carries it is slowed down to that.
constexpr unsigned kWithDisks =
    VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES | VIR_MIGRATE_PAUSED;

struct Parameters {
  virTypedParameterPtr list = nullptr;
  int count = 0;
  int room = 0;
  ~Parameters() { ::virTypedParamsFree(list, count); }

  Status add(const char* name, const std::string& value) {
    return check(::virTypedParamsAddString(&list, &count, &room, name, value.c_str()), "prepare the migration");
  }
};

std::uint64_t number(const Parameters& stats, const char* name) {
  unsigned long long value = 0;
  return ::virTypedParamsGetULLong(stats.list, stats.count, name, &value) == 1 ? value : 0;
}

// What libvirt knows of the way so far.
struct Seen {
  std::uint64_t round = 0;
  bool post_copy = false;
};

std::string phase_of(const Parameters& stats, const Seen& seen) {
  const auto remaining = number(stats, VIR_DOMAIN_JOB_MEMORY_REMAINING);
  const auto speed = number(stats, VIR_DOMAIN_JOB_MEMORY_BPS);
  const auto dirty = number(stats, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) * number(stats, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE);
  // Disks come first, and are kept in step until the end.
  std::string phase = number(stats, VIR_DOMAIN_JOB_MEMORY_TOTAL) == 0 ? "disks" : "memory";
  if (seen.post_copy) {
    phase = "memory, runs on the target already";
  } else if (seen.round > 1) {
    phase += fmt::format(", round {}, {}/s dirtied", seen.round, Bytes(dirty).human());
  }
  const auto gained = seen.post_copy || dirty < speed ? speed - (seen.post_copy ? 0 : dirty) : 0;
  if (gained != 0) phase += fmt::format(", about {} s left", (remaining + gained - 1) / gained);
  return phase;
}

Seen tell(virDomainPtr domain, const ProgressSink& progress) {
  int type = 0;
  Parameters stats;
  if (::virDomainGetJobStats(domain, &type, &stats.list, &stats.count, 0) != 0 || type == VIR_DOMAIN_JOB_NONE)
    return {};
  int state = 0;
  int reason = 0;
  const bool paused = ::virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED;
  const Seen seen{.round = number(stats, VIR_DOMAIN_JOB_MEMORY_ITERATION),
                  .post_copy = paused && reason == VIR_DOMAIN_PAUSED_POSTCOPY};
  const auto total = number(stats, VIR_DOMAIN_JOB_MEMORY_TOTAL) + number(stats, VIR_DOMAIN_JOB_DISK_TOTAL);
  const auto remaining = number(stats, VIR_DOMAIN_JOB_MEMORY_REMAINING) + number(stats, VIR_DOMAIN_JOB_DISK_REMAINING);
  progress({.phase = phase_of(stats, seen), .done = total - std::min(total, remaining), .total = total});
  return seen;
}

// An emulated guest stands still while its memory is copied: QEMU's emulation loses writes to memory that is being
// copied (docs/decisions/0014).
Result<unsigned> flags_for(virDomainPtr domain, MigrationMode mode) {
  const auto definition = read_domain(domain, 0);
  if (!definition) return forward(definition);
  const bool post_copy = mode == MigrationMode::post_copy;
  if (definition->config.kvm) return kFlags | kRunsMeanwhile | (post_copy ? unsigned{VIR_MIGRATE_POSTCOPY} : 0U);
  if (!post_copy) return kFlags;
  return fail_with_hint(ErrorCode::unsupported,
                        "an emulated guest can't move by post-copy: it stands still while its memory is copied",
                        "Leave post-copy out.");
}

Result<std::string> definition_with(virDomainPtr domain, unsigned flags, const std::vector<GuestDisk>& disks) {
  const CString xml(::virDomainGetXMLDesc(domain, flags | VIR_DOMAIN_XML_SECURE));
  if (!xml) return fail_libvirt("read the guest's definition");
  Result<std::string> changed(xml.get());
  for (const auto& disk : disks) {
    changed = with_disk_file(*changed, disk);
    if (!changed) return changed;
  }
  return changed;
}

// Which disks go along, how, and what they are called there.
Status add_disks(virDomainPtr domain, const MigrationRoute& route, Parameters& parameters) {
  const auto now = read_domain(domain, 0);
  if (!now) return forward(now);
  auto added = parameters.add(VIR_MIGRATE_PARAM_DISKS_URI, "unix://" + route.disks.string());
  for (const auto& disk : route.copied) {
    const auto target = now->pinned.targets.find(disk.name);
    if (target == now->pinned.targets.end()) {
      return fail(ErrorCode::not_found, "the guest has no disk '{}'", disk.name);
    }
    if (added) added = parameters.add(VIR_MIGRATE_PARAM_MIGRATE_DISKS, target->second);
  }
  const auto live = definition_with(domain, VIR_DOMAIN_XML_MIGRATABLE, route.copied);
  if (!live) return forward(live);
  const auto stored = definition_with(domain, VIR_DOMAIN_XML_INACTIVE, route.copied);
  if (!stored) return forward(stored);
  if (added) added = parameters.add(VIR_MIGRATE_PARAM_DEST_XML, *live);
  if (added) added = parameters.add(VIR_MIGRATE_PARAM_PERSIST_XML, *stored);
  return added;
}

}  // namespace

Status migrate(const FoundDomain& found, const MigrationRoute& route, MigrationMode mode, const AskAboutJob& ask,
               const ProgressSink& progress, std::stop_token stop) {
  auto* domain = found.domain.get();
  const auto mode_flags = flags_for(domain, mode);
  if (!mode_flags) return forward(mode_flags);
  Parameters parameters;
  auto prepared = parameters.add(VIR_MIGRATE_PARAM_URI, "unix://" + route.data.string());
  if (prepared && !route.copied.empty()) prepared = add_disks(domain, route, parameters);
  if (!prepared) return prepared;
  const unsigned flags = *mode_flags | (route.copied.empty() ? 0U : kWithDisks);
  const auto destination = "qemu+unix:///system?socket=" + route.control.string();
  auto moving = std::async(std::launch::async, [&] {
    return check(::virDomainMigrateToURI3(domain, destination.c_str(), parameters.list,
                                          static_cast<unsigned>(parameters.count), flags),
                 "migrate the guest");
  });
  bool aborted = false;
  while (moving.wait_for(kLook) != std::future_status::ready) {
    ask([&](virDomainPtr job) {
      const auto seen = tell(job, progress);
      // Refused while nothing has begun, or when it is too late; so it is asked for until the end.
      if (stop.stop_requested()) {
        aborted = ::virDomainAbortJob(job) == 0 || aborted;
      } else if (mode == MigrationMode::post_copy && seen.round > 1 && !seen.post_copy) {
        (void)::virDomainMigrateStartPostCopy(job, 0);
      }
    });
  }
  auto moved = moving.get();
  if (!moved && aborted) return fail(ErrorCode::cancelled, "cancelled");
  return moved;
}

}  // namespace bridgehead::hypervisor
