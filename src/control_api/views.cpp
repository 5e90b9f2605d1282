#include "control_api/views.h"

#include "control_api/json/writer.h"
#include "model/enum_names.h"
#include "model/json.h"
#include "reconcile/rules.h"

namespace bridgehead::control_api {
namespace {

template <typename T>
std::string name_of(const state::Inventory& inventory, const decltype(T::id)& id) {
  if (id.empty()) return {};
  const auto record = inventory.find<T>(id);
  return record ? record->value.name : std::string();
}

void hide(nlohmann::json& object, const char* field) {
  auto& value = object[field];
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) value = "(set)";
}

std::string mode_text(std::uint32_t mode) { return fmt::format("{:04o}", mode); }

// Neither their content nor how it is kept.
nlohmann::json secrets_view(const std::vector<model::SecretFile>& secrets) {
  auto all = nlohmann::json::array();
  for (const auto& secret : secrets) {
    all.push_back(
        {{"path", secret.path}, {"mode", mode_text(secret.mode)}, {"size", secret.size}, {"content", "(set)"}});
  }
  return all;
}

}  // namespace

std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string without_password(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const auto authority = scheme + 3;
  const auto path = std::min(url.find_first_of("/?#", authority), url.size());
  const auto at = url.substr(authority, path - authority).rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  return fmt::format("{}***{}", url.substr(0, authority), url.substr(authority + at));
}

nlohmann::json view_of(const model::Vm& vm, const state::Inventory& inventory) {
  nlohmann::json json = vm;
  auto& cloud_init = json["spec"]["cloud_init"];
  hide(cloud_init, "password_hash");
  hide(cloud_init, "user_data");
  json["node_name"] = name_of<model::Node>(inventory, vm.node);
  json.erase("past_leases");  // between manager and agents
  json["status"].erase("lease");
  return json;
}

nlohmann::json view_of(const model::Image& image, const state::Inventory& inventory) {
  nlohmann::json json = image;
  json["source"] = without_password(image.source);
  json["pool_name"] = name_of<model::Pool>(inventory, image.pool);
  json["node_name"] = name_of<model::Node>(inventory, image.node);
  json["vm_name"] = name_of<model::Vm>(inventory, image.vm);
  return json;
}

nlohmann::json view_of(const model::Pool& pool) { return pool; }
nlohmann::json view_of(const model::Network& network) { return network; }

nlohmann::json view_of(const model::Node& node, const state::Inventory& inventory) {
  nlohmann::json json = node;
  if (node.netboot) {
    auto& files = json["netboot"]["files"] = nlohmann::json::array();
    for (const auto& file : node.netboot->files) {
      files.push_back({{"path", file.path}, {"mode", mode_text(file.mode)}, {"size", file.content.size()}});
    }
    json["netboot"]["secret_files"] = secrets_view(node.netboot->secret_files);
  }
  json["bmc"] = nullptr;
  if (const auto bmc = inventory.find<model::Bmc>(node.id)) {
    json["bmc"] = {{"driver", bmc->value.driver},
                   {"address", bmc->value.address},
                   {"power", bmc->value.power},
                   {"sleep", model::to_string(bmc->value.sleep)},
                   {"sleep_message", bmc->value.sleep_message},
                   {"sleep_wake", bmc->value.sleep_wake.count()}};
  }
  auto& boot = json["boot"] = nullptr;
  if (!node.netboot) return json;
  const auto record = inventory.find<model::Boot>(node.id);
  if (!record || record->value.events.empty()) return json;
  const auto& newest = record->value.events.back();
  boot = {{"step", model::to_string(newest.step)}, {"message", newest.message},
          {"since", to_rfc3339(newest.time)},      {"started", to_rfc3339(record->value.started)},
          {"image", record->value.image},          {"discovery", record->value.discovery}};
  return json;
}

nlohmann::json view_of(const model::Boot& boot) {
  nlohmann::json json = boot;
  json.erase("token_sha256");
  return json;
}

nlohmann::json view_of(const model::Profile& profile) {
  nlohmann::json json = profile;
  auto& files = json["files"];
  for (std::size_t i = 0; i < profile.files.size(); ++i) files[i]["mode"] = mode_text(profile.files[i].mode);
  json["secret_files"] = secrets_view(profile.secret_files);
  return json;
}

nlohmann::json view_of(const model::NodeImage& image) { return image; }

nlohmann::json view_of(const model::NetbootSettings& settings) {
  nlohmann::json json = settings;
  json.erase("id");  // there is one only
  return json;
}

nlohmann::json view_of(const model::Operation& operation) {
  nlohmann::json json = operation;
  const auto source = json["parameters"].find("source");
  if (source != json["parameters"].end() && source->is_object() && source->contains("location") &&
      (*source)["location"].is_string()) {
    (*source)["location"] = without_password((*source)["location"].get_ref<const std::string&>());
  }
  return json;
}

nlohmann::json view_of(const model::Token& token) {
  nlohmann::json json = token;
  json.erase("secret_sha256");
  return json;
}

nlohmann::json view_of(const model::Plan& plan) { return plan; }

nlohmann::json view_of(const model::PlanningPolicy& policy) {
  nlohmann::json json = policy;
  json.erase("id");  // there is one only
  return json;
}

nlohmann::json view_of(const model::Rule& rule, const state::Inventory& inventory) {
  nlohmann::json json = rule;
  json["node_names"] = nlohmann::json::array();
  for (const auto& node : rule.nodes) json["node_names"].push_back(name_of<model::Node>(inventory, node));
  json["members"] = nlohmann::json::array();
  for (const auto& vm : inventory.all<model::Vm>()) {
    if (reconcile::selects(rule, vm->value)) json["members"].push_back(vm->value.name);
  }
  return json;
}

void append_summary(std::string& out, const model::Vm& vm, std::string_view node_name, std::optional<double> cpus) {
  out += "{\"id\":";
  append_json_string(out, vm.id.str());
  out += ",\"name\":";
  append_json_string(out, vm.name);
  out += ",\"phase\":";
  append_json_string(out, model::to_string(vm.status.phase));
  out += ",\"node\":";
  append_json_string(out, node_name);
  out += ",\"cpus\":";
  append_json_number(out, vm.spec.cpus);
  out += ",\"cpu_use\":";
  out += cpus ? fmt::format("{:.2f}", *cpus) : "null";
  out += ",\"memory\":";
  append_json_number(out, vm.spec.memory.count());
  out += ",\"ip\":";
  append_json_string(out, vm.status.ip_addresses.empty() ? std::string_view() : vm.status.ip_addresses.front());
  out += ",\"message\":";
  append_json_string(out, vm.status.message);
  out += ",\"created\":";
  append_json_time(out, vm.created);
  out += '}';
}

}  // namespace bridgehead::control_api
