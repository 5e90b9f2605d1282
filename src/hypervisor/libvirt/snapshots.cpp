#include "hypervisor/libvirt/snapshots.h"

#include <algorithm>

#include <pugixml.hpp>

#include "base/file.h"

namespace bridgehead::hypervisor {
namespace {

std::filesystem::path nvram_copy(const std::filesystem::path& nvram, const std::string& name) {
  return nvram.string() + ".snapshot-" + name;
}

// Variables are at most some MiB; whole and atomic.
Status copy_variables(const std::filesystem::path& from, const std::filesystem::path& to) {
  const auto content = read_file(from);
  if (!content && content.error().code == ErrorCode::not_found) return {};  // never started yet: no variables
  if (!content) return forward(content);
  // Not beside it under a name that another snapshot's copy may have.
  return write_file_atomic(to, *content, 0600, to.parent_path() / "nvram.copying");
}

std::string snapshot_xml(const std::string& name) {
  pugi::xml_document document;
  document.append_child("domainsnapshot").append_child("name").text().set(name.c_str());
  std::ostringstream out;
  document.first_child().print(out, "", pugi::format_raw | pugi::format_no_declaration);
  return out.str();
}

Result<SnapshotPtr> find_snapshot(const FoundDomain& found, const std::string& name) {
  SnapshotPtr snapshot(::virDomainSnapshotLookupByName(found.domain.get(), name.c_str(), 0));
  if (!snapshot && last_libvirt_code() != VIR_ERR_NO_DOMAIN_SNAPSHOT) return fail_libvirt("look for the snapshot");
  return snapshot;
}

Status check_possible(const ParsedDomain& definition, bool alive) {
  if (definition.config.disks.empty())
    return fail(ErrorCode::unsupported, "a guest without disks has nothing to snapshot");
  for (const auto& disk : definition.config.disks) {
    if (disk.format == model::ImageFormat::qcow2) continue;
    return fail_with_hint(ErrorCode::unsupported,
                          fmt::format("disk '{}' is stored as {}, which holds no snapshots", disk.name,
                                      disk.format == model::ImageFormat::raw ? "raw" : "a foreign format"),
                          "Snapshots need a pool whose disks are qcow2 overlays.");
  }
  if (alive && definition.config.firmware == model::Firmware::uefi) {
    return fail_with_hint(ErrorCode::failed_precondition, "a UEFI guest can only be snapshotted while it is stopped",
                          "Stop the guest first.");
  }
  // libvirt adds such CPUs to a QEMU that it has started with the memory already loaded, and QEMU refuses that memory.
  if (alive && definition.cpus_added) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          "a guest that was given CPUs while it ran can't be brought back with its memory",
                          "Stop the guest, or stop and start it, before the snapshot.");
  }
  return {};
}

}  // namespace

Status create_snapshot(const FoundDomain& found, const std::string& name) {
  const auto existing = find_snapshot(found, name);
  if (!existing) return forward(existing);
  if (*existing) return {};
  const bool alive = ::virDomainIsActive(found.domain.get()) == 1;
  const auto definition = read_domain(found.domain.get(), VIR_DOMAIN_XML_INACTIVE);
  if (!definition) return forward(definition);
  // What runs counts: a disk that was plugged in is in the running definition.
  const auto live = alive ? read_domain(found.domain.get(), 0) : definition;
  if (!live) return forward(live);
  if (auto possible = check_possible(*live, alive); !possible) return possible;
  const auto& nvram = definition->config.nvram;
  if (!nvram.empty()) {
    if (auto copied = copy_variables(nvram, nvram_copy(nvram, name)); !copied) return copied;
  }
  const SnapshotPtr made(::virDomainSnapshotCreateXML(found.domain.get(), snapshot_xml(name).c_str(), 0));
  if (made) return {};
  auto failed = fail_libvirt("take the snapshot");
  if (!nvram.empty()) (void)remove_file(nvram_copy(nvram, name));
  return failed;
}

Status rollback_snapshot(virConnectPtr connection, const FoundDomain& found, const std::string& name) {
  const auto snapshot = find_snapshot(found, name);
  if (!snapshot) return forward(snapshot);
  if (!*snapshot) return fail(ErrorCode::not_found, "the guest has no snapshot named '{}'", name);
  const auto definition = read_domain(found.domain.get(), VIR_DOMAIN_XML_INACTIVE);
  if (!definition) return forward(definition);
  const auto& nvram = definition->config.nvram;
  if (!nvram.empty()) {
    if (::virDomainIsActive(found.domain.get()) == 1) {
      if (auto off = check(::virDomainDestroyFlags(found.domain.get(), 0), "power the guest off"); !off) return off;
    }
    if (auto copied = copy_variables(nvram_copy(nvram, name), nvram); !copied) return copied;
  }
  // FORCE: the running machine is replaced in any case, so that a changed definition is no risk.
  if (::virDomainRevertToSnapshot(snapshot->get(), VIR_DOMAIN_SNAPSHOT_REVERT_FORCE) < 0)
    return fail_libvirt("roll back");
  auto now = require_domain(connection, found.metadata.id);
  if (!now) return forward(now);
  auto metadata = now->metadata;
  metadata.lease = found.metadata.lease;  // a fencing token never goes back
  const unsigned affect = ::virDomainIsActive(now->domain.get()) == 1
                              ? VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_AFFECT_LIVE
                              : VIR_DOMAIN_AFFECT_CONFIG;
  return write_metadata(now->domain.get(), metadata, affect);
}

Status remove_snapshot(const FoundDomain& found, const std::string& name) {
  const auto snapshot = find_snapshot(found, name);
  if (!snapshot) return forward(snapshot);
  if (*snapshot && ::virDomainSnapshotDelete(snapshot->get(), 0) < 0) return fail_libvirt("remove the snapshot");
  const auto definition = read_domain(found.domain.get(), VIR_DOMAIN_XML_INACTIVE);
  if (!definition) return forward(definition);
  const auto& nvram = definition->config.nvram;
  return nvram.empty() ? Status{} : remove_file(nvram_copy(nvram, name));
}

Status remove_snapshot_files(const std::filesystem::path& nvram) {
  const auto prefix = nvram.filename().string() + ".snapshot-";
  const auto files = list_directory(nvram.parent_path());
  if (!files) return files.error().code == ErrorCode::not_found ? Status{} : forward(files);
  for (const auto& file : *files) {
    if (!file.filename().string().starts_with(prefix)) continue;
    if (auto removed = remove_file(file); !removed) return removed;
  }
  return {};
}

}  // namespace bridgehead::hypervisor
