// Commands: everything a user can ask for. Each one validates the whole request, then commits the new desired state,
// the operation that will bring it about and the event in one transaction; the reconciler does the rest.
//
// Thread-safe. Errors: invalid_argument beginning with the field ("cpus: must be between 1 and 512"); not_found,
// already_exists, failed_precondition, resource_exhausted with a sentence and a hint. On an error, and with
// Caller::dry_run, nothing has been changed.
// References to records ("pool", "vm", ...) are an id or a name.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/units.h"
#include "model/image.h"
#include "model/network.h"
#include "model/node.h"
#include "model/operation.h"
#include "model/pool.h"
#include "model/token.h"
#include "model/vm.h"
#include "reconcile/planning/plan_desk.h"
#include "reconcile/planning/use_history.h"
#include "scheduler/scheduler.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

// What commands work with; one per manager. Commands take turns, so that they never make each other retry.
struct Commander {
  state::Inventory& inventory;
  RandomSource& random;
  const Clock& clock;
  scheduler::Limits limits{};
  const UseHistory* use = nullptr;  // null: nothing is measured
  PlanDesk desk{};
  std::mutex turn{};
};

// Who asks, and how.
struct Caller {
  std::string actor;     // the token's name; stands in operations and events
  bool dry_run = false;  // check everything, change nothing; the answer shows what would be
  // For Idempotency-Key: hex SHA-256 of whatever makes the key unique (token id, method, path, key) and of the
  // request's body. The same key with the same body answers with the first one's operations; with another body:
  // conflict. Both empty = not asked for. Commands without an operation ignore it.
  std::string idempotency_key;
  std::string request_digest;
};

// The record as it will be, and the operation that brings it about.
template <typename T>
struct Accepted {
  T object;
  model::Operation operation;
};

// --- Guests ---

struct DiskRequest {
  std::optional<Bytes> size;  // omitted: the image's; a blank disk needs it
  std::string image;          // golden image to clone, or (add_disk) a detached disk; "" = blank
  std::string pool;           // of a blank disk; "" = CreateVms::pool, or add_disk: where the guest's first disk is
  model::LayoutWish layout = model::LayoutWish::automatic;
};

struct NicRequest {
  std::string network;
  std::optional<std::uint64_t> vlan;  // overrides the network's
  std::string mac;                    // "" = one of ours
};

struct CreateVms {
  std::string name;
  std::uint64_t count = 1;         // more than one: names get -1 .. -n
  std::string image;               // golden image that the first disk is a clone of; "" = first disk is blank
  std::vector<DiskRequest> disks;  // none and an image: one disk of the image's size; DiskRequest::image overrides
  std::string pool;                // "" = the image's, or the only one
  std::uint64_t cpus = 1;
  Bytes memory = 1_GiB;
  std::optional<std::vector<NicRequest>> nics;  // omitted: one on network "default", if there is one
  model::CpuModel cpu_model = model::CpuModel::host;
  model::Firmware firmware = model::Firmware::bios;
  bool autostart = true;
  model::PowerState power = model::PowerState::running;  // running or stopped
  std::string node;                                      // only there; "" = chosen
  std::map<std::string, std::string> labels;
  model::PlanningWish planning;
  model::CloudInit cloud_init;  // password_hash: crypt(3) form; the API hashes a plain password first
};

struct CreatedVms {
  std::vector<model::Vm> vms;
  std::vector<model::Operation> operations;  // one per VM, in the same order
};

Result<CreatedVms> create_vms(Commander& commander, const Caller& caller, const CreateVms& request);

struct DiskResize {
  std::string name;
  Bytes size;  // grows only
};

struct CloudInitChange {
  std::optional<std::string> hostname;
  std::optional<std::string> user;
  std::optional<std::string> password_hash;
  std::optional<std::vector<std::string>> ssh_keys;
  std::optional<std::string> user_data;
  std::optional<std::string> network_config;
};

// What isn't given stays.
struct UpdateVm {
  std::optional<std::string> name;
  std::optional<std::map<std::string, std::string>> labels;  // replaces all
  std::optional<std::int64_t> priority;
  std::optional<double> move_cost;
  std::optional<bool> may_move;
  std::optional<std::uint64_t> cpus;
  std::optional<Bytes> memory;
  std::optional<bool> autostart;
  std::optional<model::HaMode> ha;
  std::optional<model::WhenAlone> when_alone;
  std::optional<model::Watchdog> watchdog;            // at its next start
  std::optional<std::uint64_t> restart_hung_seconds;  // 0 = never
  std::optional<model::CpuModel> cpu_model;
  std::optional<model::Firmware> firmware;
  std::vector<DiskResize> disks;
  std::optional<CloudInitChange> cloud_init;
};

Result<Accepted<model::Vm>> update_vm(Commander& commander, const Caller& caller, const std::string& vm,
                                      const UpdateVm& request);

enum class PowerAction { start, stop, reboot, pause, resume };

struct PowerRequest {
  PowerAction action = PowerAction::start;
  bool force = false;                          // stop, reboot: without asking the guest
  std::optional<std::uint64_t> grace_seconds;  // stop: then it is forced; 0 = fail instead; omitted = 60
};

Result<Accepted<model::Vm>> power_vm(Commander& commander, const Caller& caller, const std::string& vm,
                                     const PowerRequest& request);

// A person's word that the guest runs nowhere, though its disks are stamped for a node by a lease of which this manager
// knows nothing: it gets a new lease, by which that stamp is over. failed_precondition where no operation failed by
// one.
Result<model::Vm> confirm_stopped(Commander& commander, const Caller& caller, const std::string& vm);

// Also asks the guest's other open operations to be cancelled. Asked again while it is being done: the same operation.
Result<Accepted<model::Vm>> delete_vm(Commander& commander, const Caller& caller, const std::string& vm,
                                      bool keep_disks);

Result<Accepted<model::Vm>> add_disk(Commander& commander, const Caller& caller, const std::string& vm,
                                     const DiskRequest& request);
Result<Accepted<model::Vm>> remove_disk(Commander& commander, const Caller& caller, const std::string& vm,
                                        const std::string& disk);
Result<Accepted<model::Vm>> add_nic(Commander& commander, const Caller& caller, const std::string& vm,
                                    const NicRequest& request);
Result<Accepted<model::Vm>> remove_nic(Commander& commander, const Caller& caller, const std::string& vm,
                                       const std::string& nic);

Result<Accepted<model::Vm>> create_snapshot(Commander& commander, const Caller& caller, const std::string& vm,
                                            const std::string& snapshot);
Result<Accepted<model::Vm>> rollback_snapshot(Commander& commander, const Caller& caller, const std::string& vm,
                                              const std::string& snapshot);
Result<Accepted<model::Vm>> delete_snapshot(Commander& commander, const Caller& caller, const std::string& vm,
                                            const std::string& snapshot);

// --- Images ---

struct ImportImage {
  std::string name;
  std::string pool;
  std::string node;           // "" = chosen: the one with the most room in the pool
  model::ImageSource source;  // kind image: source.image (or an image's id or name in source.location)
  model::LayoutWish layout = model::LayoutWish::automatic;
  // From one shared pool to another: how many nodes copy it together at most, or which; the first of these leads.
  // Neither: as many as pays.
  std::optional<std::uint64_t> most_nodes;
  std::vector<std::string> nodes;
};

Result<Accepted<model::Image>> import_image(Commander& commander, const Caller& caller, const ImportImage& request);

struct ImageUser {
  model::VmId vm;  // empty: a detached disk
  std::string name;
};

// VMs with a disk that is this image or a clone of it, and detached clones.
std::vector<ImageUser> users_of_image(const state::Inventory& inventory, const model::Image& image);

// failed_precondition with the users while there are any.
Result<Accepted<model::Image>> delete_image(Commander& commander, const Caller& caller, const std::string& image);

// --- Pools, networks, nodes ---

struct AddPool {
  std::string name;
  model::PoolDriver driver = model::PoolDriver::local;
  std::string source;  // which drivers need one, and the rules of path and options: model/pool_rules.h
  std::string path;
  std::map<std::string, std::string> options;
  std::vector<std::string> nodes;  // none = all
};

Result<Accepted<model::Pool>> add_pool(Commander& commander, const Caller& caller, const AddPool& request);
Result<Accepted<model::Pool>> remove_pool(Commander& commander, const Caller& caller, const std::string& pool);

struct CreateNetwork {
  std::string name;
  model::NetworkKind kind = model::NetworkKind::nat;
  std::string bridge;                 // kind bridge: needed
  std::optional<std::uint64_t> vlan;  // kind bridge only
  std::string subnet;                 // kind nat: "" = a free one of 192.168.120.0/24 .. 192.168.219.0/24
};

Result<Accepted<model::Network>> create_network(Commander& commander, const Caller& caller,
                                                const CreateNetwork& request);
Result<Accepted<model::Network>> delete_network(Commander& commander, const Caller& caller, const std::string& network);

struct UpdateNode {
  std::optional<std::string> name;
  std::optional<bool> schedulable;
  std::optional<std::string> rack;  // "" = its own
  std::optional<std::string> power_feed;
  // Of a node that boots over the network only: failed_precondition.
  std::optional<std::vector<model::OverlayFile>> files;        // taken at its next boot
  std::optional<std::vector<model::SecretFile>> secret_files;  // sealed already; taken at once
};

Result<model::Node> update_node(Commander& commander, const Caller& caller, const std::string& node,
                                const UpdateNode& request);
// failed_precondition while VMs or images are on it. Its agent is refused from then on.
Result<model::Node> delete_node(Commander& commander, const Caller& caller, const std::string& node);

// --- Operations and tokens ---

// Asked of an ended operation: failed_precondition. Deletions can be cancelled until they have begun.
Result<model::Operation> cancel_operation(Commander& commander, const Caller& caller, const std::string& operation);

// The secret is made and hashed by the caller (pki); only the hash comes in here.
struct CreateToken {
  std::string name;
  model::Role role = model::Role::viewer;
  std::optional<std::uint64_t> expires_in_seconds;
  std::string secret_sha256;  // hex
};

Result<model::Token> create_token(Commander& commander, const Caller& caller, const CreateToken& request);
// The last admin token can't be deleted.
Result<model::Token> delete_token(Commander& commander, const Caller& caller, const std::string& token);

struct CreateJoinToken {
  std::string node_name;                     // "" = the node's own host name
  std::optional<std::uint64_t> ttl_seconds;  // omitted: one hour; at most 30 days
  std::string secret_sha256;
};

Result<model::JoinToken> create_join_token(Commander& commander, const Caller& caller, const CreateJoinToken& request);

// --- Finding ---

// By id or name; the id wins. not_found: "there is no VM 'web'". For Node, Pool, Image, Network, Vm, Token, Rule and
// Benchmark.
template <typename T>
Result<state::Record<T>> resolve(const state::Inventory& inventory, const std::string& reference);
// already_exists when a record of this kind has the name.
template <typename T>
Status check_name_free(const state::Inventory& inventory, const std::string& name);

}  // namespace bridgehead::reconcile
