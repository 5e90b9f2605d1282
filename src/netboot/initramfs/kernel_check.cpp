#include "netboot/initramfs/kernel_check.h"

namespace bridgehead::netboot {
namespace {

using Severity = KernelFinding::Severity;

// Where a kernel's other drivers are to be had, by distribution.
std::string package_hint(const Kernel& kernel) {
  const auto is = [&](std::string_view id) { return kernel.distribution.find(id) != std::string::npos; };
  if (is("ubuntu")) return fmt::format("Install linux-modules-extra-{} in the tree.", kernel.version);
  if (is("debian")) {
    return kernel.version.find("cloud") != std::string::npos
               ? "Install linux-image-amd64 in the tree: linux-image-cloud-amd64 has few drivers."
               : "Install Debian's own linux-image-amd64 in the tree.";
  }
  if (is("fedora") || is("rhel") || is("centos") || is("rocky")) {
    return fmt::format("Install kernel-modules-{0} and kernel-modules-extra-{0} in the tree.", kernel.version);
  }
  return "Install the package with the kernel's other modules in the tree, or another kernel.";
}

class KernelExaminer {
 public:
  KernelExaminer(const Kernel& kernel, const ModuleIndex& index) : kernel_(kernel), index_(index) {}

  // Something that is either a module or built in.
  void part(std::string_view option, std::string_view module, std::string_view what,
            Severity severity = Severity::error, std::string_view instead = {}) {
    if (has(option, module)) return;
    const auto state = kernel_.config.has(option) ? "is m, but" : "isn't set, and";
    add(severity, std::string(option),
        fmt::format("kernel {} has no {}: CONFIG_{} {} module {} is missing", kernel_.version, what, option, state,
                    module),
        fmt::format("{}{}{}", package_hint(kernel_), instead.empty() ? "" : " Or ", instead));
  }

  // Something that can only be built in; known from the configuration alone.
  void built_in(std::string_view option, std::string_view what, std::string_view fix) {
    if (!kernel_.config.known() || kernel_.config.has(option)) return;
    add(Severity::error, std::string(option),
        fmt::format("kernel {} has no {}: CONFIG_{} isn't set", kernel_.version, what, option), std::string(fix));
  }

  bool has(std::string_view option, std::string_view module) const {
    return index_.find(module) != nullptr || index_.built_in(module) || kernel_.config.built_in(option);
  }

  void add(Severity severity, std::string needed, std::string message, std::string hint) {
    findings.push_back({severity, std::move(needed), std::move(message), std::move(hint)});
  }

  std::vector<KernelFinding> findings;

 private:
  const Kernel& kernel_;
  const ModuleIndex& index_;
};

constexpr std::string_view kOwnKernel = "Take a distribution's kernel, or set it and build yours again.";

void examine_root(KernelExaminer& kernel, const std::set<model::RootTransport>& roots) {
  using model::RootTransport;
  const bool image = roots.contains(RootTransport::nbd) || roots.contains(RootTransport::ram);
  if (image) {
    kernel.part("SQUASHFS", "squashfs", "squashfs, which roots by nbd and ram are", Severity::error,
                "take root nfs only.");
    kernel.built_in("SQUASHFS_ZSTD", "zstd in squashfs", "Take another kernel, or root nfs only.");
    kernel.part("BLK_DEV_LOOP", "loop", "loop device, which roots by nbd and ram need", Severity::error,
                "take root nfs only.");
  }
  if (roots.contains(RootTransport::nbd)) {
    kernel.part("BLK_DEV_NBD", "nbd", "NBD client, which root nbd needs", Severity::error, "take other roots.");
  }
  if (roots.contains(RootTransport::nfs)) {
    kernel.part("NFS_FS", "nfs", "NFS client, which root nfs needs", Severity::error, "take other roots.");
    kernel.part("NFS_V4", "nfsv4", "NFSv4 client, which root nfs needs", Severity::error, "take other roots.");
    // 4.2 implies 4.1.
    if (!kernel.has("NFS_V4_2", ""))
      kernel.built_in("NFS_V4_1", "NFSv4.1, which root nfs needs", "Take another kernel, or other roots.");
  }
}

void examine_role(KernelExaminer& kernel, const std::string& role) {
  const auto severity = role == "compute" ? Severity::error : Severity::warning;
  const std::string_view instead = role == "compute" ? "build the image for a role that runs no guests." : "";
  kernel.part("TUN", "tun", "TUN/TAP, which guests' NICs are", severity, instead);
  kernel.part("KVM", "kvm", "KVM, which guests run on", severity, instead);
  kernel.part("VHOST_NET", "vhost_net", "vhost for guests' NICs", severity, instead);
  const bool intel = kernel.has("KVM_INTEL", "kvm_intel");
  const bool amd = kernel.has("KVM_AMD", "kvm_amd");
  if (!intel) kernel.part("KVM_INTEL", "kvm_intel", "KVM on Intel's CPUs", amd ? Severity::warning : severity);
  if (!amd) kernel.part("KVM_AMD", "kvm_amd", "KVM on AMD's CPUs", intel ? Severity::warning : severity);
}

void examine_nics(KernelExaminer& examiner, const Kernel& kernel, const ModuleIndex& index, const NicDrivers& wanted) {
  for (const auto& name : wanted.names) {
    if (index.find(name) != nullptr || index.built_in(name)) continue;
    examiner.add(Severity::error, "driver " + module_name(name),
                 fmt::format("kernel {} has no NIC driver {}", kernel.version, module_name(name)),
                 package_hint(kernel) + " Or correct its name: as lsmod shows it.");
  }
  if (wanted.kind != NicDrivers::Kind::named && available_nic_drivers(index, wanted).empty()) {
    examiner.add(Severity::error, "NIC drivers",
                 fmt::format("kernel {} has no driver for any server's NIC", kernel.version), package_hint(kernel));
  }
}

void examine_unpacking(KernelExaminer& examiner, const Kernel& kernel) {
  examiner.built_in("BLK_DEV_INITRD", "support for an initramfs", kOwnKernel);
  examiner.built_in("DEVTMPFS", "devtmpfs", kOwnKernel);
  if (!kernel.config.known()) {
    examiner.add(Severity::warning, "configuration",
                 fmt::format("kernel {}'s configuration isn't in the tree: that it can unpack xz and has DEVTMPFS and "
                             "SQUASHFS_ZSTD couldn't be checked",
                             kernel.version),
                 fmt::format("Put it at boot/config-{} of the tree.", kernel.version));
  } else if (best_compression(kernel.config) == InitramfsCompression::none) {
    examiner.add(
        Severity::warning, "RD_ZSTD",
        fmt::format("kernel {} can't unpack zstd, xz or gzip: CONFIG_RD_ZSTD, RD_XZ and RD_GZIP aren't set; the "
                    "initramfs stays uncompressed",
                    kernel.version),
        std::string(kOwnKernel));
  }
}

}  // namespace

bool is_ethernet_driver(const std::string& path) { return path.find("/net/ethernet/") != std::string::npos; }

std::vector<std::string> available_nic_drivers(const ModuleIndex& index, const NicDrivers& wanted) {
  std::set<std::string> drivers;
  const auto take = [&](const std::string& name) {
    if (index.find(name) != nullptr || index.built_in(name)) drivers.insert(module_name(name));
  };
  for (const auto& name : wanted.names) take(name);
  if (wanted.kind != NicDrivers::Kind::named) {
    for (const auto& name : server_drivers()) take(name);
  }
  if (wanted.kind == NicDrivers::Kind::all) {
    for (const auto& name : other_server_drivers()) take(name);
    for (const auto& [name, module] : index.modules()) {
      if (is_ethernet_driver(module.path)) drivers.insert(name);
    }
  }
  return {drivers.begin(), drivers.end()};
}

InitramfsCompression best_compression(const KernelConfig& config) {
  if (!config.known()) return InitramfsCompression::xz;
  if (config.has("RD_ZSTD")) return InitramfsCompression::zstd;
  if (config.has("RD_XZ")) return InitramfsCompression::xz;
  if (config.has("RD_GZIP")) return InitramfsCompression::gzip;
  return InitramfsCompression::none;
}

KernelCheck check(const Kernel& kernel, const ModuleIndex& index, const InitramfsRequest& request) {
  KernelExaminer examiner(kernel, index);
  examine_unpacking(examiner, kernel);
  examine_nics(examiner, kernel, index, request.nics);
  examiner.part("BRIDGE", "bridge", "bridge");
  examiner.part("OVERLAY_FS", "overlay", "overlayfs");
  if (request.vlan) examiner.part("VLAN_8021Q", "8021q", "VLANs");
  if (request.bond) examiner.part("BONDING", "bonding", "bonding");
  examine_root(examiner, request.roots);
  examine_role(examiner, request.role);
  KernelCheck result{kernel.version, kernel.image, kernel.found, kernel.config.known(), std::move(examiner.findings)};
  return result;
}

Status KernelCheck::status() const {
  std::vector<const KernelFinding*> errors;
  for (const auto& finding : findings) {
    if (finding.severity == Severity::error) errors.push_back(&finding);
  }
  if (errors.empty()) return {};
  Error error{ErrorCode::failed_precondition, errors.front()->message, errors.front()->hint};
  if (errors.size() > 1) {
    error.message += "; and it lacks";
    for (std::size_t at = 1; at < errors.size(); ++at)
      error.message += fmt::format("{} {}", at > 1 ? "," : "", errors[at]->needed);
  }
  return fail(std::move(error));
}

}  // namespace bridgehead::netboot
