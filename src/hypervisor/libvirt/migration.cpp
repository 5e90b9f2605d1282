#include "hypervisor/libvirt/migration.h"

#include <future>

namespace bridgehead::hypervisor {
namespace {

constexpr auto kLook = std::chrono::milliseconds(250);

// UNSAFE: libvirt's list of file systems that hosts share lacks Lustre and MooseFS; whether a pool is shared and keeps
// locks is found by trial, and refused before it comes to this. AUTO_CONVERGE: a guest that writes its memory quicker
// than the network carries it is slowed down until it fits.
constexpr unsigned kFlags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PERSIST_DEST |
                            VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_UNSAFE | VIR_MIGRATE_AUTO_CONVERGE;

struct Parameters {
  virTypedParameterPtr list = nullptr;
  int count = 0;
  int room = 0;
  ~Parameters() { ::virTypedParamsFree(list, count); }
};

std::uint64_t number(const Parameters& stats, const char* name) {
  unsigned long long value = 0;
  return ::virTypedParamsGetULLong(stats.list, stats.count, name, &value) == 1 ? value : 0;
}

void tell(virDomainPtr domain, const ProgressSink& progress) {
  int type = 0;
  Parameters stats;
  if (::virDomainGetJobStats(domain, &type, &stats.list, &stats.count, 0) != 0 || type == VIR_DOMAIN_JOB_NONE) return;
  const auto total = number(stats, VIR_DOMAIN_JOB_MEMORY_TOTAL);
  const auto remaining = number(stats, VIR_DOMAIN_JOB_MEMORY_REMAINING);
  const auto round = number(stats, VIR_DOMAIN_JOB_MEMORY_ITERATION);
  const auto dirty = number(stats, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) * number(stats, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE);
  std::string phase = "memory";
  if (round > 1) phase = fmt::format("memory, round {}, {}/s dirtied", round, Bytes(dirty).human());
  progress({.phase = std::move(phase), .done = total - std::min(total, remaining), .total = total});
}

}  // namespace

Status migrate(const FoundDomain& found, const MigrationRoute& route, const ProgressSink& progress,
               std::stop_token stop) {
  auto* domain = found.domain.get();
  Parameters parameters;
  const auto uri = "unix://" + route.data.string();
  if (::virTypedParamsAddString(&parameters.list, &parameters.count, &parameters.room, VIR_MIGRATE_PARAM_URI,
                                uri.c_str()) != 0) {
    return fail_libvirt("prepare the migration");
  }
  const auto destination = "qemu+unix:///system?socket=" + route.control.string();
  auto moving = std::async(std::launch::async, [&] {
    return check(::virDomainMigrateToURI3(domain, destination.c_str(), parameters.list,
                                          static_cast<unsigned>(parameters.count), kFlags),
                 "migrate the guest");
  });
  bool aborted = false;
  while (moving.wait_for(kLook) != std::future_status::ready) {
    tell(domain, progress);
    // Refused while nothing has begun, or when it is too late; so it is asked for until the end.
    if (stop.stop_requested()) aborted = ::virDomainAbortJob(domain) == 0 || aborted;
  }
  auto moved = moving.get();
  if (!moved && aborted) return fail(ErrorCode::cancelled, "cancelled");
  return moved;
}

}  // namespace bridgehead::hypervisor
