#include "hypervisor/libvirt/domains.h"

#include <pugixml.hpp>

namespace bridgehead::hypervisor {
namespace {

// While libvirt itself holds the CPUs still (start, snapshot, save) the guest counts as running.
bool paused_by_libvirt(int reason) {
  switch (reason) {
    case VIR_DOMAIN_PAUSED_STARTING_UP:
    case VIR_DOMAIN_PAUSED_SNAPSHOT:
    case VIR_DOMAIN_PAUSED_FROM_SNAPSHOT:
    case VIR_DOMAIN_PAUSED_SAVE:
    case VIR_DOMAIN_PAUSED_DUMP: return true;
    default: return false;
  }
}

// Of a domain that a migration holds still: does it still go on? Its target's libvirt tells nothing of the job but that
// there is one. A source whose target's last word was lost stays paused without a job.
bool has_job(virDomainPtr domain) {
  virDomainJobInfo job{};
  if (::virDomainGetJobInfo(domain, &job) == 0) return job.type != VIR_DOMAIN_JOB_NONE;
  return last_libvirt_code() == VIR_ERR_OPERATION_UNSUPPORTED;
}

bool is_migrating(virDomainPtr domain, int state, int reason) {
  if (state == VIR_DOMAIN_RUNNING) return reason == VIR_DOMAIN_RUNNING_POSTCOPY;
  if (state != VIR_DOMAIN_PAUSED) return false;
  return reason == VIR_DOMAIN_PAUSED_POSTCOPY || (reason == VIR_DOMAIN_PAUSED_MIGRATION && has_job(domain));
}

// A domain that comes in is in shutdown while its QEMU is started, then paused by the migration, also when that is over
// and libvirt is just about to drop it.
bool is_uncertain(int state, int reason) {
  if (state == VIR_DOMAIN_SHUTDOWN) return true;
  return state == VIR_DOMAIN_PAUSED &&
         (reason == VIR_DOMAIN_PAUSED_STARTING_UP || reason == VIR_DOMAIN_PAUSED_MIGRATION);
}

GuestState guest_state(int state, int reason) {
  switch (state) {
    case VIR_DOMAIN_RUNNING:
      // Half of its memory is on another host and doesn't come any more.
      return reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED ? GuestState::crashed : GuestState::running;
    case VIR_DOMAIN_BLOCKED:
    case VIR_DOMAIN_SHUTDOWN: return GuestState::running;
    case VIR_DOMAIN_PAUSED:
      if (reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED) return GuestState::crashed;
      return paused_by_libvirt(reason) ? GuestState::running : GuestState::paused;
    case VIR_DOMAIN_PMSUSPENDED: return GuestState::paused;
    case VIR_DOMAIN_CRASHED: return GuestState::crashed;
    default: return reason == VIR_DOMAIN_SHUTOFF_CRASHED ? GuestState::crashed : GuestState::stopped;
  }
}

Result<std::vector<model::Snapshot>> snapshots_of(virDomainPtr domain) {
  virDomainSnapshotPtr* list = nullptr;
  const int count = ::virDomainListAllSnapshots(domain, &list, 0);
  if (count < 0) return fail_libvirt("list snapshots");
  const std::unique_ptr<virDomainSnapshotPtr, FreeMemory> owner(list);
  std::vector<model::Snapshot> snapshots;
  for (int i = 0; i < count; ++i) {
    const SnapshotPtr snapshot(list[i]);
    const CString xml(::virDomainSnapshotGetXMLDesc(snapshot.get(), 0));
    if (!xml) continue;  // removed meanwhile
    pugi::xml_document document;
    document.load_string(xml.get());
    const auto root = document.child("domainsnapshot");
    snapshots.push_back(
        {.name = root.child_value("name"),
         .created = Timestamp(std::chrono::seconds(root.child("creationTime").text().as_llong())),
         .with_memory = std::string_view(root.child("memory").attribute("snapshot").value()) == "internal"});
  }
  std::sort(snapshots.begin(), snapshots.end(),
            [](const auto& a, const auto& b) { return std::tie(a.created, a.name) < std::tie(b.created, b.name); });
  return snapshots;
}

}  // namespace

model::VmId id_of(virDomainPtr domain) {
  char uuid[VIR_UUID_STRING_BUFLEN] = {};
  ::virDomainGetUUIDString(domain, uuid);
  return model::VmId(uuid);
}

Result<std::optional<GuestMetadata>> read_metadata(virDomainPtr domain) {
  const CString xml(
      ::virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, kMetadataUri, VIR_DOMAIN_AFFECT_CURRENT));
  if (!xml) {
    if (last_libvirt_code() == VIR_ERR_NO_DOMAIN_METADATA) return std::nullopt;
    return fail_libvirt("read a guest's metadata");
  }
  auto metadata = parse_metadata(xml.get());
  if (!metadata) return forward(metadata);
  return std::optional(std::move(*metadata));
}

Result<FoundDomain> find_domain(virConnectPtr connection, const model::VmId& id) {
  if (!is_uuid(id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a VM id", id);
  FoundDomain found;
  found.domain.reset(::virDomainLookupByUUIDString(connection, id.str().c_str()));
  if (!found.domain) {
    if (last_libvirt_code() == VIR_ERR_NO_DOMAIN) return found;
    return fail_libvirt("look for the guest");
  }
  auto metadata = read_metadata(found.domain.get());
  if (!metadata) {
    if (metadata.error().code == ErrorCode::not_found) return FoundDomain{};  // removed between the two calls
    return forward(metadata);
  }
  if (!*metadata) {
    return fail_with_hint(ErrorCode::conflict, fmt::format("a domain that isn't Bridgehead's has the UUID {}", id),
                          "Look at it with: virsh dominfo " + id.str());
  }
  found.metadata = std::move(**metadata);
  return found;
}

Result<FoundDomain> require_domain(virConnectPtr connection, const model::VmId& id) {
  auto found = find_domain(connection, id);
  if (found && !*found) return fail(ErrorCode::not_found, "this node has no guest {}", id);
  return found;
}

Result<GuestCondition> condition_of(virDomainPtr domain) {
  int state = 0;
  int reason = 0;
  if (::virDomainGetState(domain, &state, &reason, 0) < 0) return fail_libvirt("read the guest's state");
  if (is_migrating(domain, state, reason)) return GuestCondition{.state = GuestState::running, .migrating = true};
  return GuestCondition{.state = guest_state(state, reason),
                        .uncertain = is_uncertain(state, reason),
                        .has_ended = state == VIR_DOMAIN_SHUTOFF && reason != VIR_DOMAIN_SHUTOFF_FAILED,
                        .unexplained = state == VIR_DOMAIN_SHUTOFF && reason == VIR_DOMAIN_SHUTOFF_UNKNOWN};
}

Result<GuestInfo> describe(const FoundDomain& found) {
  virDomainInfo now{};
  if (::virDomainGetInfo(found.domain.get(), &now) < 0) return fail_libvirt("read the guest's state");
  const auto condition = condition_of(found.domain.get());
  if (!condition) return forward(condition);
  auto snapshots = snapshots_of(found.domain.get());
  if (!snapshots) return forward(snapshots);
  const bool alive = condition->state == GuestState::running || condition->state == GuestState::paused;
  return GuestInfo{.id = found.metadata.id,
                   .state = condition->state,
                   .generation = found.metadata.generation,
                   .lease = found.metadata.lease,
                   .cpus = now.nrVirtCpu,
                   .memory = Bytes(std::uint64_t{now.memory} << 10),
                   .restart_required = alive && found.metadata.restart_required,
                   .migrating = condition->migrating,
                   .uncertain = condition->uncertain,
                   .has_ended = condition->has_ended,
                   .unexplained = condition->unexplained,
                   .snapshots = std::move(*snapshots)};
}

Result<std::vector<GuestInfo>> describe_all(virConnectPtr connection) {
  virDomainPtr* list = nullptr;
  const int count = ::virConnectListAllDomains(connection, &list, VIR_CONNECT_LIST_DOMAINS_PERSISTENT);
  if (count < 0) return fail_libvirt("list guests");
  const std::unique_ptr<virDomainPtr, FreeMemory> owner(list);
  std::vector<DomainPtr> domains(list, list + count);
  std::vector<GuestInfo> guests;
  for (auto& domain : domains) {
    auto metadata = read_metadata(domain.get());
    if (!metadata && metadata.error().code == ErrorCode::not_found) continue;  // removed meanwhile
    if (!metadata) return forward(metadata);
    if (!*metadata || (*metadata)->id != id_of(domain.get())) continue;
    auto info = describe({std::move(domain), std::move(**metadata)});
    if (!info && info.error().code == ErrorCode::not_found) continue;
    if (!info) return forward(info);
    guests.push_back(std::move(*info));
  }
  return guests;
}

Result<HypervisorInfo> read_info(virConnectPtr connection) {
  unsigned long library = 0, hypervisor = 0;
  if (::virConnectGetLibVersion(connection, &library) < 0 || ::virConnectGetVersion(connection, &hypervisor) < 0) {
    return fail_libvirt("ask libvirt for its version");
  }
  const CString xml(::virConnectGetDomainCapabilities(connection, nullptr, "x86_64", "q35", nullptr, 0));
  if (!xml) {
    auto failed = fail_libvirt("find out what QEMU can do here");
    failed.value().code = ErrorCode::unavailable;
    if (failed.value().hint.empty()) failed.value().hint = "Install qemu-system-x86.";
    return failed;
  }
  pugi::xml_document document;
  document.load_string(xml.get());
  const auto version = [](unsigned long v) {
    return fmt::format("{}.{}.{}", v / 1'000'000, v / 1000 % 1000, v % 1000);
  };
  return HypervisorInfo{version(library), version(hypervisor),
                        document.child("domainCapabilities").child_value("machine")};
}

Result<ParsedDomain> read_domain(virDomainPtr domain, unsigned flags) {
  const CString xml(::virDomainGetXMLDesc(domain, flags));
  if (!xml) return fail_libvirt("read the guest's definition");
  return parse_domain(xml.get());
}

Result<DomainPtr> define(virConnectPtr connection, const std::string& xml) {
  DomainPtr domain(::virDomainDefineXMLFlags(connection, xml.c_str(), 0));
  if (!domain) return fail_libvirt("define the guest");
  return domain;
}

Status write_metadata(virDomainPtr domain, const GuestMetadata& metadata, unsigned affect) {
  return check(::virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, metadata_xml(metadata, false).c_str(),
                                      kMetadataPrefix, kMetadataUri, affect),
               "note the guest's generation");
}

}  // namespace bridgehead::hypervisor
