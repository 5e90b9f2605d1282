// Commands about machines that boot over the network: netboot itself, profiles, node images, approval and assignment.
// The rules of commands.h hold.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/netboot.h"
#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

// The settings record's only id.
model::NetbootSettingsId netboot_settings_id();
// Off when it was never enabled.
model::NetbootSettings netboot_settings(const state::Inventory& inventory);

// Whether DHCP can keep this address for a machine: in full mode inside the manager's network, and nobody else's by
// definition (the network's own, its broadcast, the manager's).
bool can_be_reserved(const model::NetbootSettings& settings, const std::string& address);

struct EnableNetboot {
  model::NetbootMode mode = model::NetbootMode::full;
  std::string interface;
  std::string address;  // the manager's there, "10.20.0.1/22"
  std::string range;    // full: "10.20.0.100-10.20.3.250", inside the address's network
  std::optional<std::uint64_t> http_port;
  std::optional<std::uint64_t> nbd_port;
  std::vector<std::string> nbd_servers;  // "10.20.0.2:10809"
  bool auto_approve = false;
};
Result<model::NetbootSettings> enable_netboot(Commander& commander, const Caller& caller, const EnableNetboot& request);
// Machines that run go on; new boots find nobody.
Result<model::NetbootSettings> disable_netboot(Commander& commander, const Caller& caller);

struct ProfileRequest {
  std::string name;
  std::optional<model::RootTransport> root;
  std::optional<model::BootMethod> method;
  std::optional<model::OnBootFailure> on_failure;
  std::optional<std::string> bridge;
  std::optional<std::uint64_t> vlan;  // 0 = none
  std::optional<std::string> bond_mode;
  std::optional<std::string> overlay;
  std::optional<std::vector<std::string>> arguments;
  std::optional<std::vector<model::OverlayFile>> files;
  std::optional<std::vector<model::SecretFile>> secret_files;  // sealed already
};
// Makes it, or changes what is given of one that is there. Nodes take it at their next boot, secret files at once.
Result<model::Profile> set_profile(Commander& commander, const Caller& caller, const ProfileRequest& request);
// failed_precondition while nodes use it.
Result<model::Profile> delete_profile(Commander& commander, const Caller& caller, const std::string& profile);
// By name; "" and "default" are always there. not_found.
Result<model::Profile> find_profile(const state::Inventory& inventory, const std::string& name);

struct BuildNodeImage {
  std::string base;  // "debian-12": the recipe's name
  std::string role = "compute";
  std::string nic_drivers = "servers";  // "servers", "all", names; with commas between
};
struct ImportNodeImage {
  std::string base;
  std::string path;  // on the manager's machine: a directory, a tar, an OCI layout
  std::string role = "compute";
  std::string nic_drivers = "servers";
  std::string initramfs;  // a file in it, made by dracut with our module; "" = ours is made
};
// The next version of `base` is made on the manager's machine.
Result<Accepted<model::NodeImage>> build_node_image(Commander& commander, const Caller& caller,
                                                    const BuildNodeImage& request);
Result<Accepted<model::NodeImage>> import_node_image(Commander& commander, const Caller& caller,
                                                     const ImportNodeImage& request);
// failed_precondition while nodes are assigned to it or run it.
Result<Accepted<model::NodeImage>> delete_node_image(Commander& commander, const Caller& caller,
                                                     const std::string& image);
// A version ("debian-12:3"), or a base's newest that is ready ("debian-12").
Result<state::Record<model::NodeImage>> resolve_node_image(const state::Inventory& inventory,
                                                           const std::string& reference);

// Names, ids and patterns ("rack1-*", "*") of nodes that boot over the network. not_found when one fits nothing.
struct SelectNodes {
  std::vector<std::string> nodes;
};
Result<std::vector<state::Record<model::Node>>> selected(const state::Inventory& inventory, const SelectNodes& select);
struct ApproveNodes {
  SelectNodes select;
  model::Approval approval = model::Approval::approved;  // or refused
};
Result<std::vector<model::Node>> approve_nodes(Commander& commander, const Caller& caller, const ApproveNodes& request);

struct AssignNodes {
  SelectNodes select;
  std::optional<std::string> image;    // "debian-12:3", "debian-12" (its newest now), "" = none
  std::optional<std::string> profile;  // "" = default
  std::optional<std::string> address;  // reserved, for one node only
};
// Taken at the nodes' next boot.
Result<std::vector<model::Node>> assign_nodes(Commander& commander, const Caller& caller, const AssignNodes& request);

}  // namespace bridgehead::reconcile
