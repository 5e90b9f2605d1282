#include "netboot/initramfs/initramfs.h"

#include "base/file.h"
#include "netboot/initramfs/compression.h"
#include "netboot/initramfs/cpio.h"
#include "netboot/initramfs/firmware.h"
#include "netboot/initramfs/kernel.h"
#include "netboot/initramfs/kernel_check.h"
#include "netboot/initramfs/module_index.h"
#include "netboot/initramfs/module_set.h"
#include "netboot/initramfs/tree.h"

namespace bridgehead::netboot {
namespace {

constexpr Bytes kProgramLimit = 64_MiB;
constexpr std::size_t kFattestShown = 5;

// Loaded at the start, in this order, where they are modules; those that a boot can't do without are checked before.
// virtio_mmio: microvm's devices on the command line have no alias. af_packet: udhcpc.
constexpr const char* kAlways[] = {"virtio_pci", "virtio_mmio", "af_packet", "bridge", "overlay"};

// The tree and the kernel in it, found and read.
struct Source {
  RootTree tree;
  Kernel kernel;
  ModuleIndex index;
};

Result<Source> open_source(const InitramfsRequest& request) {
  auto tree = RootTree::open(request.tree);
  if (!tree) return forward(tree);
  auto kernel = find_kernel(*tree, request.kernel_version);
  if (!kernel) return forward(kernel);
  auto index = ModuleIndex::load(*tree, kernel->modules);
  if (!index) return forward(index);
  return Source{std::move(*tree), std::move(*kernel), std::move(*index)};
}

std::vector<std::string> root_modules(const std::set<model::RootTransport>& roots) {
  std::vector<std::string> names;
  for (const auto root : roots) {
    switch (root) {
      case model::RootTransport::nbd: names.insert(names.end(), {"nbd", "loop", "squashfs"}); break;
      case model::RootTransport::ram: names.insert(names.end(), {"loop", "squashfs"}); break;
      case model::RootTransport::nfs: names.insert(names.end(), {"nfs", "nfsv4", "nfsv3"}); break;
    }
  }
  return names;
}

Status choose_modules(ModuleSet& set, const ModuleIndex& index, const InitramfsRequest& request) {
  const auto has = [&](const std::string& name) { return index.find(name) != nullptr; };
  for (const auto* name : kAlways) {
    if (!has(name)) continue;
    if (auto added = set.add_always(name); !added) return added;
  }
  auto names = root_modules(request.roots);
  if (request.vlan) names.emplace_back("8021q");
  if (request.bond) names.emplace_back("bonding");
  const auto drivers = available_nic_drivers(index, request.nics);
  names.insert(names.end(), drivers.begin(), drivers.end());
  for (const auto& name : names) {
    if (!has(name)) continue;  // built in, or optional; check() has seen to the rest
    if (auto added = set.add(name); !added) return added;
  }
  for (const auto& name : request.modules) {
    if (auto added = set.add_always(name); !added) return added;
  }
  return {};
}

// With those that others bring along: a NIC by mlx4_en calls its driver mlx4_core.
std::vector<std::string> drivers_in(const ModuleIndex& index, const ModuleSet& chosen, const NicDrivers& wanted) {
  const auto asked = available_nic_drivers(index, wanted);
  std::set<std::string> names(asked.begin(), asked.end());
  for (const auto& [name, module] : chosen.modules()) {
    if (is_ethernet_driver(module.path)) names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> left_out_drivers(const ModuleIndex& index, const ModuleSet& chosen) {
  std::set<std::string> names(server_drivers().begin(), server_drivers().end());
  names.insert(other_server_drivers().begin(), other_server_drivers().end());
  std::erase_if(
      names, [&](const std::string& name) { return index.find(name) == nullptr || chosen.modules().contains(name); });
  return {names.begin(), names.end()};
}

struct Programs {
  std::string init;
  std::string busybox;
};

Result<std::string> read_program(const std::filesystem::path& path) {
  auto content = read_file(path, kProgramLimit);
  if (!content) return content;
  if (auto fit = check_static_program(*content, path.native()); !fit) return forward(fit);
  return content;
}

Result<Programs> read_programs(const InitramfsRequest& request) {
  auto init = read_program(request.init);
  if (!init) return forward(init);
  auto busybox = read_program(request.busybox);
  if (!busybox) return forward(busybox);
  return Programs{std::move(*init), std::move(*busybox)};
}

std::string archive(const std::string& version, Programs programs, const ModuleSet& modules, const Firmware& firmware) {
  CpioArchive cpio;
  for (const auto* directory : {"bin", "dev", "etc", "lib", "proc", "run", "sys", "tmp"}) cpio.add_directory(directory);
  cpio.add_character_device("dev/console", 5, 1, 0600);
  cpio.add_character_device("dev/null", 1, 3, 0666);
  cpio.add_file("init", std::move(programs.init), 0755);
  cpio.add_file("bin/busybox", std::move(programs.busybox), 0755);
  cpio.add_symlink("bin/sh", "busybox");
  cpio.add_file("lib/modules.bridgehead", modules.index_text());
  cpio.add_directory("lib/modules/" + version);
  for (const auto& [name, module] : modules.modules()) {
    cpio.add_file("lib/modules/" + version + "/" + module.path, module.content);
  }
  for (const auto& [name, content] : firmware.files) cpio.add_file("lib/firmware/" + name, content);
  return cpio.bytes();
}

std::string size_warning(const InitramfsReport& report, const Firmware& firmware) {
  std::vector<std::pair<std::uint64_t, std::string>> parts;
  for (const auto& module : report.modules) parts.emplace_back(module.size.count(), module.name);
  for (const auto& [name, content] : firmware.files) parts.emplace_back(content.size(), "firmware " + name);
  std::sort(parts.rbegin(), parts.rend());
  if (parts.size() > kFattestShown) parts.resize(kFattestShown);
  std::vector<std::string> named;
  for (const auto& [size, name] : parts) named.push_back(fmt::format("{} {}", name, Bytes(size).human()));
  return fmt::format(
      "The initramfs takes {:.1f} MB, more than {:.0f} MB. The largest in it, before compression: {}. Name the "
      "NIC drivers that the machines need to make it smaller.",
      static_cast<double>(report.size.count()) / 1e6, static_cast<double>(kInitramfsGoal.count()) / 1e6,
      fmt::join(named, ", "));
}

InitramfsReport describe(const Source& source, const KernelCheck& checked, const ModuleSet& modules,
                         Firmware& firmware) {
  InitramfsReport report;
  report.kernel_version = source.kernel.version;
  report.kernel = source.kernel.image;
  for (const auto& [name, module] : modules.modules()) {
    report.modules.push_back({name, module.path, Bytes(module.content.size())});
  }
  for (const auto& [name, content] : firmware.files) report.firmware.push_back(name);
  report.missing_firmware = std::move(firmware.missing);
  for (const auto& finding : checked.findings) {
    report.warnings.push_back(fmt::format("{}. {}", finding.message, finding.hint));
  }
  report.warnings.insert(report.warnings.end(), firmware.warnings.begin(), firmware.warnings.end());
  return report;
}

}  // namespace

Result<KernelCheck> check_kernel(const InitramfsRequest& request) {
  const auto source = open_source(request);
  if (!source) return forward(source);
  return check(source->kernel, source->index, request);
}

Result<InitramfsReport> build_initramfs(const InitramfsRequest& request, const std::filesystem::path& output) {
  if (request.roots.empty())
    return fail(ErrorCode::invalid_argument, "no root transport is asked for: nbd, nfs or ram");
  auto programs = read_programs(request);
  if (!programs) return forward(programs);
  const auto source = open_source(request);
  if (!source) return forward(source);
  const auto checked = check(source->kernel, source->index, request);
  if (auto good = checked.status(); !good) return forward(good);

  ModuleSet modules(source->tree, source->index);
  if (auto chosen = choose_modules(modules, source->index, request); !chosen) return forward(chosen);
  auto firmware = collect_firmware(source->tree, source->kernel.version, modules, request.nics.names);
  if (!firmware) return forward(firmware);

  auto report = describe(*source, checked, modules, *firmware);
  report.nic_drivers = drivers_in(source->index, modules, request.nics);
  report.left_out = left_out_drivers(source->index, modules);
  const auto unpacked = archive(source->kernel.version, std::move(*programs), modules, *firmware);
  report.unpacked_size = Bytes(unpacked.size());
  report.compression = best_compression(source->kernel.config);
  const auto packed = compress(unpacked, report.compression);
  if (!packed) return forward(packed);
  report.size = Bytes(packed->size());
  if (report.size > kInitramfsGoal) report.warnings.push_back(size_warning(report, *firmware));
  if (auto written = write_file_atomic(output, *packed, 0644); !written) return forward(written);
  report.file = output;
  return report;
}

nlohmann::json to_json(const InitramfsReport& report) {
  auto modules = nlohmann::json::array();
  for (const auto& module : report.modules) {
    modules.push_back({{"name", module.name}, {"path", module.path}, {"size", module.size.count()}});
  }
  return {{"kernel_version", report.kernel_version},
          {"kernel", report.kernel.native()},
          {"file", report.file.native()},
          {"size", report.size.count()},
          {"unpacked_size", report.unpacked_size.count()},
          {"compression", std::string(to_string(report.compression))},
          {"modules", modules},
          {"nic_drivers", report.nic_drivers},
          {"firmware", report.firmware},
          {"missing_firmware", report.missing_firmware},
          {"warnings", report.warnings},
          {"left_out", report.left_out}};
}

}  // namespace bridgehead::netboot
