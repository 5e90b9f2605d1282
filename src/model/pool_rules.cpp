#include "model/pool_rules.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "model/enum_names.h"

namespace bridgehead::model {
namespace {

constexpr auto kOptions = std::to_array<PoolOption>({
    {PoolDriver::nfs, "version", PoolOptionKind::choice, "of NFS; default: the highest 4.x that both know",
     "4|4.0|4.1|4.2"},
    {PoolDriver::nfs, "port", PoolOptionKind::count, "of the server; default 2049"},
    {PoolDriver::nfs, "connections", PoolOptionKind::count, "TCP connections to the server (nconnect); default 4"},
    {PoolDriver::nfs, "security", PoolOptionKind::choice, "default sys", "sys|krb5|krb5i|krb5p"},
    {PoolDriver::moosefs, "password_file", PoolOptionKind::path, "file on the nodes with the export's password"},
    {PoolDriver::moosefs, "storage_class", PoolOptionKind::word, "of new images; default: that of the directory"},
    {PoolDriver::cephfs, "user", PoolOptionKind::word, "Ceph user; default admin"},
    {PoolDriver::cephfs, "secret_file", PoolOptionKind::path,
     "file on the nodes with the user's key alone (kernel client)"},
    {PoolDriver::cephfs, "keyring", PoolOptionKind::path, "keyring on the nodes (FUSE client)"},
    {PoolDriver::cephfs, "config", PoolOptionKind::path, "ceph.conf on the nodes; default: none is needed"},
    {PoolDriver::cephfs, "file_system", PoolOptionKind::word, "where the cluster has several"},
    {PoolDriver::cephfs, "client", PoolOptionKind::choice, "default: the kernel's, else FUSE", "kernel|fuse"},
    {PoolDriver::cephfs, "evict_keyring", PoolOptionKind::path,
     "keyring on the nodes of a user who may evict a dead node's client"},
    {PoolDriver::cephfs, "evict_user", PoolOptionKind::word, "that user; default admin"},
    {PoolDriver::cephfs, "data_pool", PoolOptionKind::word, "of new images; default: the file system's"},
    {PoolDriver::lustre, "ost_pool", PoolOptionKind::word, "OST pool of new images; default: all OSTs"},
    {PoolDriver::lustre, "stripe_size", PoolOptionKind::size, "a multiple of 64KiB; default 1MiB, golden images 4MiB"},
    {PoolDriver::lustre, "disk_stripes", PoolOptionKind::count, "OSTs per guest disk; default: by its size"},
    {PoolDriver::lustre, "golden_stripes", PoolOptionKind::count, "OSTs per golden image; default: all"},
    {PoolDriver::lustre, "evict_by", PoolOptionKind::logins,
     "SSH logins on the MDS and OSS, USER@SERVER[:USER@SERVER...], by which a dead node's client is evicted"},
    {PoolDriver::lustre, "evict_key", PoolOptionKind::path, "SSH private key on the nodes for evict_by"},
});

template <typename... Args>
tl::unexpected<Error> wrong(std::string_view field, fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::invalid_argument, "{}: {}", field, fmt::format(format, std::forward<Args>(args)...));
}

bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool only(std::string_view text, std::string_view also) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return is_word(c) || also.find(c) != also.npos; });
}

bool is_count(std::string_view text) {
  return !text.empty() && text.size() <= 5 && text.front() != '0' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_plain(const std::filesystem::path& path, std::string_view text) {
  return path.lexically_normal().string() == text && path.has_filename();
}

Status check_directory(std::string_view path) {
  if (path.empty() || path.front() != '/') return wrong("path", "must be absolute, like /var/lib/bridgehead/pool");
  if (path.size() > 1024) return wrong("path", "must be at most 1024 bytes");
  if (!std::all_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 127; })) {
    return wrong("path", "has control characters");
  }
  const std::filesystem::path directory{std::string(path)};
  if (directory == directory.root_path()) return wrong("path", "can't be the root directory");
  if (!is_plain(directory, path)) {
    return wrong("path", "must be written plainly, without '.', '..', '//' or a '/' at its end");
  }
  static constexpr auto system = std::to_array<std::string_view>(
      {"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"});
  for (const auto below : system) {
    if (path == below || (path.starts_with(below) && path[below.size()] == '/')) {
      return wrong("path", "can't be below {}, which belongs to the system", below);
    }
  }
  return {};
}

Status check_path_inside(std::string_view path) {
  if (path.empty()) return {};
  if (path.size() > 1024 || !only(path, "/._-+ ")) {
    return wrong("path", "is a directory inside the source: letters, digits, '/', '.', '_', '-', '+' and spaces");
  }
  const std::filesystem::path directory{std::string(path)};
  if (directory.is_absolute() || !is_plain(directory, path) || path.starts_with(".")) {
    return wrong(
        "path", "is a directory inside the source, like 'vm' or 'site/vm': no '/' at an end, no '..', no '.' in front");
  }
  return {};
}

std::string_view source_form(PoolDriver driver) {
  switch (driver) {
    case PoolDriver::nfs: return "SERVER:/EXPORT, like 10.0.0.5:/export/vm";
    case PoolDriver::moosefs: return "MASTER[:PORT][:/FOLDER], like 10.77.0.10";
    case PoolDriver::cephfs: return "MONITOR[:PORT][,MONITOR...][:/FOLDER], like 10.0.0.5,10.0.0.6";
    case PoolDriver::lustre: return "MGS[:MGS...]:/FILESYSTEM[/FOLDER], like 10.0.0.5@tcp:/scratch";
    case PoolDriver::local:
    case PoolDriver::posix: break;
  }
  return "";
}

Status check_source(PoolDriver driver, std::string_view source) {
  const auto name = to_string(driver);
  if (!is_mounted_by_agents(driver)) {
    if (source.empty()) return {};
    return wrong("source", "a {} pool has none; its directory is the path", name);
  }
  const auto bad = [&](std::string_view why) {
    return wrong("source", "{}; a {} pool needs {}", why, name, source_form(driver));
  };
  if (source.empty()) return bad("is missing");
  if (source.size() > 512 || !only(source, ".,:@/_-[]") || source.front() == '-') return bad("isn't written right");
  const auto parts = split_source(source);
  // Several servers are an argument of their own there; elsewhere the source becomes a part of the mount's options.
  const bool lists_servers = driver == PoolDriver::cephfs || driver == PoolDriver::lustre;
  if ((lists_servers ? parts.folder : std::string(source)).find(',') != std::string::npos) {
    return bad("has a comma where none can be");
  }
  const bool needs_folder = driver == PoolDriver::nfs || driver == PoolDriver::lustre;
  if (parts.servers.empty() || parts.servers.find('/') != std::string::npos) return bad("names no server");
  if (needs_folder && parts.folder.empty()) return bad("names no directory");
  if (driver == PoolDriver::lustre && parts.folder == "/") return bad("names no file system");
  if (driver != PoolDriver::lustre && parts.servers.find('@') != std::string::npos) return bad("isn't written right");
  if (!parts.folder.empty() && std::filesystem::path(parts.folder).lexically_normal().string() != parts.folder) {
    return bad("must be written plainly, without '.', '..' or '//'");
  }
  return {};
}

// What comes to SSH's command line: no word of it may be taken for an option.
bool are_logins(std::string_view text) {
  for (bool more = true; more;) {
    const auto login = text.substr(0, text.find(':'));
    more = login.size() < text.size();
    text.remove_prefix(login.size() + (more ? 1 : 0));
    const auto at = login.find('@');
    if (at == login.npos || at == 0 || at + 1 == login.size() || login.front() == '-' || login[at + 1] == '-' ||
        !only(login.substr(0, at), "._-") || !only(login.substr(at + 1), ".-")) {
      return false;
    }
  }
  return true;
}

Status check_option(PoolDriver driver, const std::string& name, const std::string& value) {
  const auto field = fmt::format("options.{}", name.substr(0, 32));
  const auto option = std::find_if(kOptions.begin(), kOptions.end(),
                                   [&](const auto& known) { return known.driver == driver && known.name == name; });
  if (option == kOptions.end()) {
    std::string known;
    for (const auto& each : kOptions) {
      if (each.driver == driver) known += fmt::format("{}{}", known.empty() ? "" : ", ", each.name);
    }
    return wrong(field, "a {} pool has {}", to_string(driver), known.empty() ? "no options" : "only these: " + known);
  }
  bool good = !value.empty() && value.size() <= 255;
  switch (option->kind) {
    case PoolOptionKind::word: good = good && value.size() <= 64 && only(value, "._-") && value.front() != '-'; break;
    case PoolOptionKind::path:
      good = good && value.front() == '/' && only(value, "/._-+") && is_plain(std::filesystem::path(value), value);
      break;
    case PoolOptionKind::count: good = good && is_count(value); break;
    case PoolOptionKind::size: {
      const auto size = parse_bytes(value);
      good = good && size && size->count() != 0 && size->count() % (64 << 10) == 0 && *size < 4_GiB;
      break;
    }
    case PoolOptionKind::logins: good = good && are_logins(value); break;
    case PoolOptionKind::choice:
      good = good && value.find('|') == value.npos &&
             fmt::format("|{}|", option->choices).find("|" + value + "|") != std::string::npos;
      break;
  }
  if (good) return {};
  return wrong(field, "'{}' isn't possible: {}{}", only(value, "._-/ @:") ? value.substr(0, 64) : "?", option->meaning,
               option->choices.empty() ? "" : fmt::format(" (one of {})", option->choices));
}

}  // namespace

PoolSource split_source(std::string_view source) {
  const auto at = source.find(":/");
  if (at == source.npos) return {std::string(source), {}};
  return {std::string(source.substr(0, at)), std::string(source.substr(at + 1))};
}

std::span<const PoolOption> pool_options() { return kOptions; }

Status check_pool_place(PoolDriver driver, std::string_view source, std::string_view path,
                        const std::map<std::string, std::string>& options) {
  if (auto checked = check_source(driver, source); !checked) return checked;
  auto checked = is_mounted_by_agents(driver) ? check_path_inside(path) : check_directory(path);
  if (!checked) return checked;
  return check_pool_options(driver, options);
}

Status check_pool_options(PoolDriver driver, const std::map<std::string, std::string>& options) {
  for (const auto& [name, value] : options) {
    if (auto fine = check_option(driver, name, value); !fine) return fine;
  }
  return {};
}

bool can_free_locks(const Pool& pool) {
  switch (pool.driver) {
    case PoolDriver::moosefs: return true;
    case PoolDriver::cephfs: return pool.options.contains("evict_keyring");
    case PoolDriver::lustre: return pool.options.contains("evict_by") && pool.options.contains("evict_key");
    case PoolDriver::local:
    case PoolDriver::nfs:
    case PoolDriver::posix: break;
  }
  return false;
}

bool spreads_files(const Pool& pool) {
  if (pool.driver == PoolDriver::lustre || pool.driver == PoolDriver::cephfs) return true;
  // Mounted by somebody else: what the nodes found. MooseFS has storage classes, no stripes.
  return std::any_of(pool.nodes.begin(), pool.nodes.end(), [](const auto& node) {
    const auto& abilities = node.second.abilities;
    return abilities.layouts && abilities.file_system != "moosefs";
  });
}

}  // namespace bridgehead::model
