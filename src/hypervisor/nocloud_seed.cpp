#include "hypervisor/nocloud_seed.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "hypervisor/iso9660.h"
#include "model/names.h"
#include "model/network.h"

namespace bridgehead::hypervisor {
namespace {

using nlohmann::json;

// JSON is YAML, and quotes everything: nothing that a user writes can become structure.
std::string cloud_config(const json& config) { return "#cloud-config\n" + config.dump(2, ' ', true) + "\n"; }

bool is_user_name(const std::string& name) {
  return !name.empty() && name.size() <= 32 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-.") == std::string::npos &&
         name.front() != '-' && name.front() != '.' && !(name.front() >= '0' && name.front() <= '9');
}

bool is_hostname(const std::string& name) {
  return !name.empty() && name.size() <= 253 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") ==
             std::string::npos &&
         name.front() != '-' && name.front() != '.';
}

// Our fields. Named user: made with sudo; none: they go to the image's default user.
json our_config(const model::CloudInit& cloud_init) {
  json config = json::object();
  if (cloud_init.user.empty()) {
    if (!cloud_init.ssh_keys.empty()) config["ssh_authorized_keys"] = cloud_init.ssh_keys;
    if (!cloud_init.password_hash.empty()) {
      config["user"] = {{"lock_passwd", false}, {"hashed_passwd", cloud_init.password_hash}};
    }
  } else {
    json user = {{"name", cloud_init.user},
                 {"shell", "/bin/bash"},
                 {"sudo", "ALL=(ALL) NOPASSWD:ALL"},
                 {"lock_passwd", cloud_init.password_hash.empty()}};
    if (!cloud_init.ssh_keys.empty()) user["ssh_authorized_keys"] = cloud_init.ssh_keys;
    if (!cloud_init.password_hash.empty()) user["hashed_passwd"] = cloud_init.password_hash;
    config["users"] = json::array({std::move(user)});
  }
  return config;
}

// Version 2 of cloud-init's network configuration: DHCP on every NIC, found by its MAC whatever the guest calls it.
Result<std::string> network_config(const model::VmSpec& spec) {
  if (!spec.cloud_init.network_config.empty()) return spec.cloud_init.network_config;
  json ethernets = json::object();
  for (const auto& nic : spec.nics) {
    if (!model::is_unicast_mac(nic.mac)) {
      return fail(ErrorCode::invalid_argument, "NIC '{}' has no usable MAC address ('{}')", nic.name, nic.mac);
    }
    // A guest must not wait two minutes at boot for a second network that has no DHCP.
    ethernets[nic.name] = {
        {"match", {{"macaddress", nic.mac}}}, {"dhcp4", true}, {"dhcp6", false}, {"optional", !ethernets.empty()}};
  }
  return json{{"version", 2}, {"ethernets", ethernets}}.dump(2, ' ', true) + "\n";
}

std::string content_hash(const SeedFiles& files) {
  std::uint64_t hash = 14695981039346656037ull;  // FNV-1a: only has to differ when the content does
  for (const auto* text : {&files.user_data, &files.vendor_data, &files.meta_data, &files.network_config}) {
    for (const char c : *text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    hash = (hash ^ 0x100) * 1099511628211ull;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace

Result<SeedFiles> render_seed(const model::Vm& vm) {
  const auto& cloud_init = vm.spec.cloud_init;
  const auto hostname = cloud_init.hostname.empty() ? model::hostname_from(vm.name) : cloud_init.hostname;
  if (!is_hostname(hostname)) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' can't be a host name", hostname),
                          "Use letters, digits, '-' and '.', beginning with a letter or digit.");
  }
  if (!cloud_init.user.empty() && !is_user_name(cloud_init.user)) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' can't be a user name", cloud_init.user),
                          "Use at most 32 of a-z, 0-9, '_', '-' and '.', beginning with a letter or '_'.");
  }
  SeedFiles files;
  try {
    const auto ours = our_config(cloud_init);
    if (cloud_init.user_data.empty()) {
      files.user_data = cloud_config(ours);
    } else {
      files.user_data = cloud_init.user_data;
      if (!ours.empty()) files.vendor_data = cloud_config(ours);
    }
    auto network = network_config(vm.spec);
    if (!network) return forward(network);
    files.network_config = std::move(*network);
    json meta = {{"local-hostname", hostname}};
    files.meta_data = meta.dump();
    meta["instance-id"] = fmt::format("{}-{}", vm.id, content_hash(files));
    files.meta_data = meta.dump(2, ' ', true) + "\n";
  } catch (const json::exception& error) {  // invalid UTF-8 in a key or user name
    return fail(ErrorCode::invalid_argument, "the cloud-init settings of '{}' are not valid text: {}", vm.name,
                error.what());
  }
  return files;
}

std::string seed_iso(const SeedFiles& files) {
  std::vector<std::pair<std::string, std::string>> entries = {
      {"meta-data", files.meta_data}, {"network-config", files.network_config}, {"user-data", files.user_data}};
  if (!files.vendor_data.empty()) entries.emplace_back("vendor-data", files.vendor_data);
  return make_iso("cidata", entries);
}

Result<bool> ensure_seed(const model::Vm& vm, const std::filesystem::path& path) {
  const auto files = render_seed(vm);
  if (!files) return forward(files);
  const auto iso = seed_iso(*files);
  if (const auto present = read_file(path); present && *present == iso) return false;
  if (auto written = write_file_atomic(path, iso, 0600); !written) return forward(written);
  return true;
}

}  // namespace bridgehead::hypervisor
