#include "cli/commands/cloud_init_flags.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/units.h"

namespace bridgehead::cli {
namespace {

// Of a file that the user named, without the line ends that editors put there.
Result<std::string> content_of(const std::string& file) {
  auto content = read_file(file, 1_MiB);
  if (!content) return forward(content);
  while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) content->pop_back();
  return content;
}

}  // namespace

void CloudInitFlags::add_to(CLI::App& command) {
  command.add_option("--user", user, "cloud-init: login user (default: the image's)");
  command.add_option("--ssh-key", ssh_keys, "cloud-init: public key, or a file with one (repeatable)")
      ->allow_extra_args(false);
  command.add_option("--password-file", password_file, "cloud-init: file with the user's password");
  command.add_option("--hostname", hostname, "cloud-init: host name (default: the VM's name)");
  command.add_option("--user-data", user_data, "cloud-init: file passed on as it is");
  command.add_option("--network-config", network_config, "cloud-init: network configuration file");
}

Result<nlohmann::json> CloudInitFlags::body() const {
  nlohmann::json json = nlohmann::json::object();
  if (!user.empty()) json["user"] = user;
  if (!hostname.empty()) json["hostname"] = hostname;
  for (const auto& key : ssh_keys) {
    if (key.starts_with("ssh-") || key.starts_with("ecdsa-") || key.starts_with("sk-")) {
      json["ssh_keys"].push_back(key);
      continue;
    }
    const auto content = content_of(key);
    if (!content) return forward(content);
    json["ssh_keys"].push_back(*content);
  }
  const std::pair<const char*, const std::string*> files[] = {
      {"password", &password_file}, {"user_data", &user_data}, {"network_config", &network_config}};
  for (const auto& [field, file] : files) {
    if (file->empty()) continue;
    const auto content = content_of(*file);
    if (!content) return forward(content);
    json[field] = *content;
  }
  return json;
}

}  // namespace bridgehead::cli
