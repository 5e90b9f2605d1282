#include "netboot/nfs_server.h"

#include <set>

#include "base/file.h"
#include "netboot/boot_values.h"

namespace bridgehead::netboot {
namespace {

// NFS 4 only: one port, no rpcbind, no statd. Graceless: nodes that boot must not wait 90 s for a grace period; what a
// node's lock state is worth after our restart is little, since roots are read-only or one node's. Owners as numbers:
// the server's user names mean nothing in an image, and a file of root's would show as nobody's.
constexpr std::string_view kCore = R"(# Written by bridgehead-manager; changes are lost.
NFS_CORE_PARAM {{
  Protocols = 4;
  Bind_addr = {};
  NFS_Port = {};
  Enable_NLM = false;
  Enable_RQUOTA = false;
}}
NFSV4 {{
  Minor_Versions = 0, 1, 2;
  Graceless = true;
  RecoveryBackend = fs;
  Only_Numeric_Owners = true;
}}
LOG {{
  Default_Log_Level = EVENT;
}}
EXPORT_DEFAULTS {{
  Protocols = 4;
  Transports = TCP;
  SecType = sys;
  Squash = No_Root_Squash;
  Access_Type = None;
}}
)";

Status check_export(const NfsExport& one) {
  if (one.id == 0) return fail(ErrorCode::invalid_argument, "an NFS export's id is at least 1");
  if (auto good = check_config_path("exported directory", one.path.string()); !good) return good;
  if (auto good = check_config_path("NFS path", one.pseudo); !good) return good;
  if (one.pseudo == "/") return fail(ErrorCode::invalid_argument, "an NFS export can't be the root of all");
  for (const auto& client : one.clients) {
    const auto slash = client.find('/');
    if (auto good = check_ipv4(client.substr(0, slash)); !good) return good;
    if (slash == std::string::npos) continue;
    const auto prefix = client.substr(slash + 1);
    const bool number = !prefix.empty() && prefix.size() <= 2 &&
                        prefix.find_first_not_of("0123456789") == std::string::npos && std::stoi(prefix) <= 32;
    if (!number) return fail(ErrorCode::invalid_argument, "'{}' is no network", printable(client));
  }
  return {};
}

std::string export_text(const NfsExport& one) {
  const std::string_view access = one.writable ? "RW" : "RO";
  std::string text = fmt::format("EXPORT {{\n  Export_Id = {};\n  Path = \"{}\";\n  Pseudo = \"{}\";\n", one.id,
                                 one.path.string(), one.pseudo);
  text += one.clients.empty()
              ? fmt::format("  Access_Type = {};\n", access)
              : fmt::format("  CLIENT {{ Clients = {}; Access_Type = {}; }}\n", fmt::join(one.clients, ", "), access);
  return text + "  FSAL { Name = VFS; }\n}\n";
}

}  // namespace

Result<std::string> nfs_config(const NfsServerPlan& plan) {
  if (auto good = check_ipv4(plan.address); !good) return forward(good);
  if (auto good = check_config_path("directory", plan.directory.string()); !good) return forward(good);
  if (plan.port == 0) return fail(ErrorCode::invalid_argument, "NFS needs a port");
  std::set<std::uint16_t> ids;
  std::set<std::string> pseudos;
  std::string text = fmt::format(kCore, plan.address, plan.port);
  for (const auto& one : plan.exports) {
    if (auto good = check_export(one); !good) return forward(good);
    if (!ids.insert(one.id).second || !pseudos.insert(one.pseudo).second) {
      return fail(ErrorCode::invalid_argument, "two NFS exports have the id {} or the path {}", one.id, one.pseudo);
    }
    text += export_text(one);
  }
  return text;
}

Result<bool> install_nfs(const NfsServerPlan& plan) {
  const auto config = nfs_config(plan);
  if (!config) return forward(config);
  for (const auto& directory : {plan.directory, plan.directory / "state", plan.directory / "run"}) {
    if (auto made = make_directories(directory, 0700); !made) return forward(made);
  }
  // Mount points of the service; they are part of the packages, except where /run starts empty.
  for (const char* directory : {"/var/lib/nfs", "/run/ganesha"}) {
    if (auto made = make_directories(directory); !made) return forward(made);
  }
  if (read_file(plan.config_file()).value_or("") == *config) return false;
  if (auto written = write_file_atomic(plan.config_file(), *config, 0644); !written) return forward(written);
  return true;
}

std::vector<ServiceSpec> nfs_services(const NfsServerPlan& plan) {
  ServiceSpec spec{.name = "ganesha"};
  spec.command = {.program = "ganesha.nfsd",
                  .arguments = {"-F", "-f", plan.config_file().string(), "-L", "/dev/stderr", "-p",
                                (plan.directory / "run" / "ganesha.pid").string()}};
  spec.mounts = {{(plan.directory / "state").string(), "/var/lib/nfs"},
                 {(plan.directory / "run").string(), "/run/ganesha"}};
  spec.stop_grace = std::chrono::seconds(10);
  return {spec};
}

}  // namespace bridgehead::netboot
