// bridgehead-initramfs: makes an initramfs from a root tree, without a manager; see --help.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "netboot/initramfs/initramfs.h"

namespace {

using namespace bridgehead;
using model::RootTransport;

struct Options {
  netboot::InitramfsRequest request;
  std::string nics = "servers";
  std::vector<std::string> roots{"nbd", "ram"};
  std::string output;
  bool check = false;
  bool json = false;
};

void add_options(CLI::App& app, Options& options) {
  auto& request = options.request;
  app.add_option("--tree", request.tree, "Root tree that holds a kernel and its modules")->required()->type_name("DIR");
  app.add_option("--kernel", request.kernel_version, "Version of the kernel; default: the newest in the tree")
      ->type_name("VERSION");
  app.add_option("--init", request.init, "Static program that becomes /init")->type_name("FILE");
  app.add_option("--busybox", request.busybox, "Static busybox")->type_name("FILE");
  app.add_option("--nics", options.nics, "'servers', 'all', or drivers: 'e1000e,igb', 'servers,mlx5_core'")
      ->capture_default_str()
      ->type_name("LIST");
  app.add_option("--roots", options.roots, "How the root may come: nbd, nfs, ram")
      ->delimiter(',')
      ->check(CLI::IsMember({"nbd", "nfs", "ram"}))
      ->capture_default_str()
      ->type_name("LIST");
  app.add_flag("--vlan", request.vlan, "With VLANs (8021q)");
  app.add_flag("--bond", request.bond, "With bonding");
  app.add_option("--module", request.modules, "One more module, loaded at the start; may be repeated")
      ->type_name("NAME");
  app.add_option("--role", request.role, "What the nodes are for; 'compute' needs KVM in the tree")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("-o,--output", options.output, "The initramfs to write")->type_name("FILE");
  app.add_flag("--check", options.check, "Only look at the kernel: say what a boot over the network lacks");
  app.add_flag("--json", options.json, "Tell the result as JSON");
}

int complain(const Error& error) {
  fmt::print(stderr, "bridgehead-initramfs: {}\n", error.describe());
  return error.code == ErrorCode::invalid_argument ? 2 : 1;
}

std::string_view severity_name(netboot::KernelFinding::Severity severity) {
  return severity == netboot::KernelFinding::Severity::error ? "error" : "warning";
}

int check(const Options& options) {
  const auto checked = netboot::check_kernel(options.request);
  if (!checked) return complain(checked.error());
  if (options.json) {
    auto findings = nlohmann::json::array();
    for (const auto& finding : checked->findings) {
      findings.push_back({{"severity", severity_name(finding.severity)},
                          {"needed", finding.needed},
                          {"message", finding.message},
                          {"hint", finding.hint}});
    }
    fmt::print("{}\n", nlohmann::json{{"kernel_version", checked->version},
                                      {"kernel", checked->kernel.native()},
                                      {"kernels", checked->found},
                                      {"findings", findings}}
                           .dump(2));
  } else {
    fmt::print("kernel {} ({})\n", checked->version, checked->kernel.native());
    for (const auto& finding : checked->findings) {
      fmt::print("{}: {}. {}\n", severity_name(finding.severity), finding.message, finding.hint);
    }
  }
  return checked->status() ? 0 : 1;
}

int build(const Options& options) {
  const auto report = netboot::build_initramfs(options.request, options.output);
  if (!report) return complain(report.error());
  if (options.json) {
    fmt::print("{}\n", netboot::to_json(*report).dump(2));
    return 0;
  }
  fmt::print("{}: kernel {}, {:.2f} MB ({}), {:.1f} MB unpacked, {} modules, NIC drivers: {}\n", report->file.native(),
             report->kernel_version, static_cast<double>(report->size.count()) / 1e6,
             netboot::to_string(report->compression), static_cast<double>(report->unpacked_size.count()) / 1e6,
             report->modules.size(), fmt::join(report->nic_drivers, " "));
  if (!report->left_out.empty()) fmt::print("NIC drivers left out: {}\n", fmt::join(report->left_out, " "));
  if (!report->missing_firmware.empty())
    fmt::print("missing firmware: {}\n", fmt::join(report->missing_firmware, ", "));
  for (const auto& warning : report->warnings) fmt::print("warning: {}\n", warning);
  return 0;
}

int run(Options& options) {
  const auto nics = netboot::parse_nic_drivers(options.nics);
  if (!nics) return complain(nics.error());
  options.request.nics = *nics;
  options.request.roots.clear();
  for (const auto& root : options.roots) {
    options.request.roots.insert(root == "nbd"   ? RootTransport::nbd
                                 : root == "nfs" ? RootTransport::nfs
                                                 : RootTransport::ram);
  }
  if (options.check) return check(options);
  if (options.output.empty() || options.request.init.empty() || options.request.busybox.empty()) {
    fmt::print(stderr, "bridgehead-initramfs: --init, --busybox and -o are needed, or --check.\n");
    return 2;
  }
  return build(options);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Makes an initramfs that boots a machine without a disk, from any root tree that holds a kernel.\n"
      "No program of the tree is run."};
  app.set_version_flag("--version", std::string("bridgehead-initramfs ") + BRIDGEHEAD_VERSION);
  app.footer("Exit codes: 0 made (or nothing lacks), 1 failed (or something lacks), 2 wrong usage.");
  Options options;
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return run(options);
}
