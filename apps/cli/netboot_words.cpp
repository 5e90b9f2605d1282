#include "cli/netboot_words.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "cli/context.h"

namespace bridgehead::cli {
namespace {

bool is_octal(std::string_view text) {
  return text.size() >= 3 && text.size() <= 5 && text.find_first_not_of("01234567") == std::string_view::npos;
}

const nlohmann::json& items_of(const nlohmann::json& answer) {
  static const nlohmann::json none = nlohmann::json::array();
  const auto* items = find(answer, "/items");
  return items != nullptr && items->is_array() ? *items : none;
}

}  // namespace

std::string image_base_of(const std::string& path) {
  auto name = std::filesystem::path(path).filename().string();
  if (name.empty()) name = std::filesystem::path(path).parent_path().filename().string();  // "rocky9/"
  for (const char* ending : {".gz", ".xz", ".zst", ".bz2", ".tar", ".tgz", ".oci"}) {
    if (name.ends_with(ending) && name.size() > std::string_view(ending).size()) {
      name.resize(name.size() - std::string_view(ending).size());
    }
  }
  return name;
}

std::vector<std::string> superfluous_images(const nlohmann::json& images, const nlohmann::json& nodes,
                                            std::size_t keep) {
  std::set<std::string> used;
  for (const auto& node : items_of(nodes)) {
    used.insert(text(node, "/netboot/image"));
    used.insert(text(node, "/boot/image"));
  }
  std::map<std::string, std::vector<std::uint64_t>> versions;  // of ready images, by base
  for (const auto& image : items_of(images)) {
    if (text(image, "/state") == "ready") versions[text(image, "/base")].push_back(number(image, "/version"));
  }
  for (auto& [base, all] : versions) std::sort(all.rbegin(), all.rend());
  std::vector<std::string> result;
  for (const auto& image : items_of(images)) {
    const auto state = text(image, "/state");
    const auto& newest = versions[text(image, "/base")];
    const auto kept = newest.begin() + static_cast<std::ptrdiff_t>(std::min(keep, newest.size()));
    const bool is_kept = std::find(newest.begin(), kept, number(image, "/version")) != kept;
    if (used.contains(text(image, "/name"))) continue;
    if (state == "failed" || (state == "ready" && !is_kept)) result.push_back(text(image, "/name"));
  }
  return result;
}

std::string missing_driver(const nlohmann::json& node, const nlohmann::json& image) {
  const auto drivers = image.value("nic_drivers", std::vector<std::string>{});
  const auto mac = text(node, "/netboot/mac");
  const auto* nics = find(node, "/netboot/hardware/nics");
  if (drivers.empty() || mac.empty() || nics == nullptr || !nics->is_array()) return {};
  for (const auto& nic : *nics) {  // "eth0 52:54:00:12:34:56 virtio_net 10000 Mbit/s"
    const auto line = text(nic, "");
    const auto at = line.find(" " + mac + " ");
    if (at == std::string::npos) continue;
    const auto start = at + mac.size() + 2;
    const auto driver = line.substr(start, line.find(' ', start) - start);
    if (driver.empty() || std::find(drivers.begin(), drivers.end(), driver) != drivers.end()) return {};
    return fmt::format(
        "its NIC {0} needs the driver {1}, which isn't in the initramfs of {2}: bh node-image build {3} --nic-drivers "
        "servers,{1}",
        mac, driver, text(image, "/name"), text(image, "/base"));
  }
  return {};
}

Result<OverlaySpec> parse_overlay_spec(std::string_view flag, const std::string& text) {
  OverlaySpec spec;
  std::string rest = text;
  if (const auto colon = rest.rfind(':'); colon != std::string::npos && is_octal(rest.substr(colon + 1))) {
    spec.mode = rest.substr(colon + 1);
    rest.resize(colon);
  }
  const auto colon = rest.rfind(":/");
  if (colon == std::string::npos || colon == 0) {
    return fail(ErrorCode::invalid_argument, "{}: '{}' is not LOCAL:REMOTE[:MODE], like motd:/etc/motd:0644", flag,
                text);
  }
  spec.local = rest.substr(0, colon);
  spec.remote = rest.substr(colon + 1);
  return spec;
}

}  // namespace bridgehead::cli
