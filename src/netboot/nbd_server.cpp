#include "netboot/nbd_server.h"

#include <linux/capability.h>
#include <unistd.h>

#include <csignal>

#include "base/file.h"
#include "netboot/boot_values.h"

namespace bridgehead::netboot {
namespace {

Status check_export_name(const std::string& name) {
  if (name.empty() || name.starts_with('.')) {
    return fail(ErrorCode::invalid_argument, "'{}' can't be an NBD export's name", printable(name));
  }
  return check_characters("NBD export", name, "-_.:", 200);
}

}  // namespace

Result<ServiceSpec> nbd_service(const NbdServerPlan& plan) {
  if (auto good = check_ipv4(plan.address); !good) return forward(good);
  if (auto good = check_config_path("directory of exports", plan.exports.string()); !good) return forward(good);
  if (plan.port == 0 || plan.threads == 0 || plan.threads > 256) {
    return fail(ErrorCode::invalid_argument, "nbdkit needs a port and 1 to 256 threads");
  }
  ServiceSpec spec{.name = "nbdkit"};
  // No filter: the page cache reads ahead by itself, and blocks that many nodes read come from memory.
  spec.command = {.program = "nbdkit",
                  .arguments = {"--foreground", "--readonly", "--newstyle", "--log=stderr", "--tls=off",
                                "--ipaddr=" + plan.address, fmt::format("--port={}", plan.port),
                                fmt::format("--threads={}", plan.threads), "file", "dir=" + plan.exports.string()}};
  // Told to end in order it would answer what nodes read with errors until they have all gone: their roots would break.
  // Killed it only cuts the connections, and nodes wait for the next server.
  spec.stop_signal = SIGKILL;
  // It reads images, which may belong to root only, and must not be able to do more.
  if (::geteuid() == 0) spec.run_as = RunAs{.user = "nobody", .capabilities = {CAP_DAC_READ_SEARCH}};
  return spec;
}

Status publish_nbd_export(const std::filesystem::path& exports, const std::string& name,
                          const std::filesystem::path& file) {
  if (auto good = check_export_name(name); !good) return good;
  if (auto made = make_directories(exports); !made) return made;
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    return fail(ErrorCode::not_found, "there is no image file {}", file.string());
  }
  return point_link(exports / name, std::filesystem::absolute(file));
}

Status withdraw_nbd_export(const std::filesystem::path& exports, const std::string& name) {
  if (auto good = check_export_name(name); !good) return good;
  return remove_file(exports / name);
}

std::vector<std::string> nbd_exports(const std::filesystem::path& exports) {
  std::vector<std::string> names;
  // Not there: none.
  for (const auto& path : list_directory(exports).value_or(std::vector<std::filesystem::path>())) {
    auto name = path.filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace bridgehead::netboot
