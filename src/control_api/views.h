// Records as the API shows them: model/json.h plus names of what ids point to, minus secrets. Free functions;
// thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "model/image.h"
#include "model/netboot.h"
#include "model/network.h"
#include "model/node.h"
#include "model/operation.h"
#include "model/planning.h"
#include "model/pool.h"
#include "model/token.h"
#include "model/vm.h"
#include "state/inventory.h"

namespace bridgehead::control_api {

// Passwords and user data as "(set)"; adds "node_name".
nlohmann::json view_of(const model::Vm& vm, const state::Inventory& inventory);
// Adds "pool_name", "node_name", "vm_name"; hides a password in the source's URL.
nlohmann::json view_of(const model::Image& image, const state::Inventory& inventory);
nlohmann::json view_of(const model::Pool& pool);
nlohmann::json view_of(const model::Network& network);
// Adds "boot": the newest step of its newest boot over the network, or null; "bmc": what its power is switched by, and
// what the last change of it led to, or null.
nlohmann::json view_of(const model::Node& node, const state::Inventory& inventory);
nlohmann::json view_of(const model::Boot& boot);        // without the token's hash
nlohmann::json view_of(const model::Profile& profile);  // files' modes as octal text
nlohmann::json view_of(const model::NodeImage& image);
nlohmann::json view_of(const model::NetbootSettings& settings);
nlohmann::json view_of(const model::Operation& operation);  // hides a password in a source's URL
nlohmann::json view_of(const model::Plan& plan);
nlohmann::json view_of(const model::PlanningPolicy& policy);
// Adds "node_names" and "members": the names of the guests that it is about now.
nlohmann::json view_of(const model::Rule& rule, const state::Inventory& inventory);
nlohmann::json view_of(const model::Token& token);  // without the secret's hash

// One item of GET /vms?summary=true, written straight to text.
// `cpus`: what it keeps busy; none = not measured.
void append_summary(std::string& out, const model::Vm& vm, std::string_view node_name, std::optional<double> cpus);

// Compact; bytes that aren't UTF-8 (they come from guests and files) become U+FFFD instead of an exception.
std::string dump(const nlohmann::json& json);

// "https://user:secret@host/x" -> "https://***@host/x"
std::string without_password(std::string_view url);

}  // namespace bridgehead::control_api
