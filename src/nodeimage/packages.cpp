#include "nodeimage/packages.h"

#include <algorithm>
#include <array>

namespace bridgehead::nodeimage {
namespace {

constexpr std::array<std::string_view, 2> kRpmDatabases{"/usr/lib/sysimage/rpm/rpmdb.sqlite",
                                                        "/var/lib/rpm/rpmdb.sqlite"};

}  // namespace

std::vector<Package> parse_dpkg_status(std::string_view text) {
  std::vector<Package> packages;
  std::string name, version, architecture;
  bool installed = false;
  const auto end_paragraph = [&] {
    if (installed && !name.empty()) {
      const bool foreign = architecture != "all" && architecture != "amd64" && !architecture.empty();
      packages.push_back({foreign ? name + ":" + architecture : name, version});
    }
    name = version = architecture = {};
    installed = false;
  };
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = text.substr(start, end - start);
    start = end + 1;
    if (line.empty()) end_paragraph();
    if (line.starts_with("Package: ")) name = line.substr(9);
    if (line.starts_with("Version: ")) version = line.substr(9);
    if (line.starts_with("Architecture: ")) architecture = line.substr(14);
    if (line.starts_with("Status: ")) installed = line.ends_with(" ok installed");
  }
  end_paragraph();
  std::sort(packages.begin(), packages.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return packages;
}

InstalledPackages installed_packages(const Tree& tree, std::vector<std::string>& notes) {
  if (const auto status = tree.read("/var/lib/dpkg/status", 64_MiB)) return {"dpkg", parse_dpkg_status(*status)};
  for (const auto path : kRpmDatabases) {
    if (!tree.exists(path)) continue;
    auto packages = read_rpm_database(tree, path);
    if (packages) return {"rpm", std::move(*packages)};
    notes.push_back(fmt::format("The package list can't be read: {}", packages.error().message));
  }
  return {};
}

std::string os_name(const Tree& tree) {
  for (const auto* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    const auto text = tree.read(path, 1_MiB);
    if (!text) continue;
    constexpr std::string_view kKey = "PRETTY_NAME=";
    std::size_t at = text->find(kKey);
    while (at != std::string::npos && at != 0 && (*text)[at - 1] != '\n') at = text->find(kKey, at + 1);
    if (at == std::string::npos) continue;
    at += kKey.size();
    std::string value = text->substr(at, std::min(text->find('\n', at), text->size()) - at);
    if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'')) value = value.substr(1, value.size() - 2);
    std::erase_if(value, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    return value.substr(0, 200);
  }
  return {};
}

}  // namespace bridgehead::nodeimage
