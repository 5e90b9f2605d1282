#include "hypervisor/libvirt/disk_jobs.h"

#include <sstream>
#include <thread>

#include <pugixml.hpp>

#include "hypervisor/xml_build.h"
#include "model/enum_names.h"

namespace bridgehead::hypervisor {
namespace {

constexpr auto kLook = std::chrono::milliseconds(250);

// REUSE_EXT: the file is made before, laid out as its pool wants it. TRANSIENT_JOB: libvirt otherwise refuses guests
// that have a definition, since it can't take such a job over into another QEMU; we begin it anew instead.
// SYNCHRONOUS_WRITES: what the guest was told to be written is in both files, so that whichever counts after a crash
// lacks nothing.
constexpr unsigned kCopyFlags =
    VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB | VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES;

pugi::xml_node find_disk(const pugi::xml_document& domain, const std::string& name) {
  const auto alias = "ua-" + name;
  for (const auto disk : domain.child("domain").child("devices").children("disk")) {
    if (alias == disk.child("alias").attribute("name").value()) return disk;
  }
  return {};
}

struct Seen {
  DiskInUse use;
  std::string target;   // "vda"
  bool copied = false;  // libvirt itself holds the copy for complete, and lets the guest go over to it
};

// What runs, or the definition of what doesn't.
Result<std::optional<Seen>> look(const FoundDomain& found, const std::string& name) {
  const CString xml(::virDomainGetXMLDesc(found.domain.get(), 0));
  if (!xml) return fail_libvirt("read the guest's definition");
  pugi::xml_document document;
  document.load_string(xml.get());
  const auto disk = find_disk(document, name);
  if (!disk) return std::optional<Seen>();
  Seen seen;
  seen.target = disk.child("target").attribute("dev").value();
  auto& use = seen.use;
  use.runs = !document.child("domain").attribute("id").empty();
  use.disk.name = name;
  use.disk.path = disk.child("source").attribute("file").value();
  use.disk.backing = disk.child("backingStore").child("source").attribute("file").value();
  if (const auto format = model::parse_enum<model::ImageFormat>(disk.child("driver").attribute("type").value())) {
    use.disk.format = *format;
  }
  use.disk.direct_io = std::string_view(disk.child("driver").attribute("cache").value()) == "none";
  const auto mirror = disk.child("mirror");
  use.copying_to = mirror.child("source").attribute("file").value();
  seen.copied = std::string_view(mirror.attribute("ready").value()) == "yes";
  return std::optional(std::move(seen));
}

Result<Seen> require_disk(const FoundDomain& found, const std::string& name) {
  auto seen = look(found, name);
  if (!seen) return forward(seen);
  if (!*seen) return fail(ErrorCode::not_found, "the guest has no disk '{}'", name);
  return std::move(**seen);
}

// Whether a job runs on the disk. Its figures say when QEMU is done, a moment before libvirt has noticed: they are for
// people, not for deciding.
Result<bool> job_runs(const FoundDomain& found, const std::string& target, const char* phase,
                      const ProgressSink& progress) {
  virDomainBlockJobInfo info{};
  const int runs = ::virDomainGetBlockJobInfo(found.domain.get(), target.c_str(), &info, 0);
  if (runs < 0) return fail_libvirt("look at the disk's job");
  if (runs == 0) return false;
  progress({.phase = phase, .done = info.cur, .total = info.end});
  return true;
}

// The definition alone may still be that of before the job's end, which libvirt is just taking in. Asking for the job
// waits for that; a guest that has ended has none.
Result<std::optional<Seen>> look_after_job(const FoundDomain& found, const std::string& name,
                                           const std::string& target) {
  const auto runs = job_runs(found, target, "", [](const Progress&) {});
  auto seen = look(found, name);
  if (!runs && seen && *seen && (*seen)->use.runs) return forward(runs);
  return seen;
}

std::string copy_xml(const GuestDisk& to) {
  pugi::xml_document document;
  auto disk = document.append_child("disk");
  set(disk, "type", "file");
  set(disk.append_child("driver"), "type", std::string(model::to_string(to.format)));
  set(disk.append_child("source"), "file", to.path.string());
  disk.append_child("backingStore");
  std::ostringstream out;
  document.print(out, "", pugi::format_raw | pugi::format_no_declaration);
  return out.str();
}

}  // namespace

Result<std::optional<DiskInUse>> disk_in_use(const FoundDomain& found, const std::string& name) {
  auto seen = look(found, name);
  if (seen && *seen && (*seen)->use.runs) seen = look_after_job(found, name, (*seen)->target);
  if (!seen) return forward(seen);
  return *seen ? std::optional(std::move((*seen)->use)) : std::optional<DiskInUse>();
}

Status move_disk(const FoundDomain& found, const GuestDisk& to, const std::function<Status()>& in_step,
                 const ProgressSink& progress, std::stop_token stop) {
  auto* domain = found.domain.get();
  const auto before = require_disk(found, to.name);
  if (!before) return forward(before);
  const auto& target = before->target;
  if (before->use.disk.path == to.path) return {};
  if (before->use.copying_to.empty()) {
    auto begun = check(::virDomainBlockCopy(domain, target.c_str(), copy_xml(to).c_str(), nullptr, 0, kCopyFlags),
                       "begin the copy");
    if (!begun) return begun;
  } else if (before->use.copying_to != to.path) {
    return fail(ErrorCode::conflict, "the disk is being copied to {} already", before->use.copying_to.native());
  }
  for (;;) {
    const auto runs = job_runs(found, target, "copy", progress);
    if (!runs) return forward(runs);
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled");
    const auto now = require_disk(found, to.name);
    if (!now) return forward(now);
    if (now->use.disk.path == to.path) return {};
    if (!*runs) return fail(ErrorCode::io_error, "QEMU gave the copy up");
    if (now->copied) break;
    std::this_thread::sleep_for(kLook);
  }
  if (auto agreed = in_step(); !agreed) return agreed;
  progress({.phase = "pivot"});
  return check(::virDomainBlockJobAbort(domain, target.c_str(), VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT),
               "let the guest go over to the copy");
}

Status flatten_disk(const FoundDomain& found, const std::string& name, const ProgressSink& progress,
                    std::stop_token stop) {
  const auto before = require_disk(found, name);
  if (!before) return forward(before);
  bool begun = false;
  for (;;) {
    // The job first: what the disk is then told to be is what it is after the job.
    const auto runs = job_runs(found, before->target, "flatten", progress);
    if (!runs) return forward(runs);
    const auto seen = require_disk(found, name);
    if (!seen) return forward(seen);
    if (!*runs && seen->use.disk.backing.empty()) return {};
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled");
    if (*runs) {
      begun = true;
      std::this_thread::sleep_for(kLook);
      continue;
    }
    if (begun) return fail(ErrorCode::io_error, "QEMU gave up bringing the golden image into the disk");
    auto pull =
        check(::virDomainBlockPull(found.domain.get(), seen->target.c_str(), 0, 0), "begin to flatten the disk");
    if (!pull) return pull;
    begun = true;
  }
}

Status end_disk_job(const FoundDomain& found, const std::string& name) {
  const auto seen = look(found, name);
  if (!seen) return forward(seen);
  if (!*seen || !(*seen)->use.runs) return {};
  const auto& target = (*seen)->target;
  const auto runs = job_runs(found, target, "end", [](const Progress&) {});
  if (!runs) return forward(runs);
  if (!*runs || ::virDomainBlockJobAbort(found.domain.get(), target.c_str(), 0) == 0) return {};
  auto failed = fail_libvirt("end the disk's job");
  const auto now = job_runs(found, target, "end", [](const Progress&) {});
  return now && !*now ? Status{} : Status(failed);  // it may have ended by itself
}

Status use_file(virConnectPtr connection, const FoundDomain& found, const GuestDisk& disk) {
  const CString xml(::virDomainGetXMLDesc(found.domain.get(), VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
  if (!xml) return fail_libvirt("read the guest's definition");
  const auto changed = with_disk_file(xml.get(), disk);
  if (!changed) return forward(changed);
  const auto defined = define(connection, *changed);
  return defined ? Status{} : forward(defined);
}

}  // namespace bridgehead::hypervisor
