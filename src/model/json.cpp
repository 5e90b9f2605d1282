#include "model/json.h"

#include <nlohmann/json.hpp>

#include "model/enum_names.h"
#include "model/past_boots.h"

// nlohmann's NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT, but with functions that are compiled here only.
#define BRIDGEHEAD_FIELDS(Type, ...)                                                        \
  void to_json(nlohmann::json& nlohmann_json_j, const Type& nlohmann_json_t) {              \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(NLOHMANN_JSON_TO, __VA_ARGS__))                \
  }                                                                                         \
  void from_json(const nlohmann::json& nlohmann_json_j, Type& nlohmann_json_t) {            \
    const Type nlohmann_json_default_obj;                                                   \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(NLOHMANN_JSON_FROM_WITH_DEFAULT, __VA_ARGS__)) \
  }

namespace nlohmann {

template <typename T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    if (value) {
      out = *value;
    } else {
      out = nullptr;
    }
  }
  static void from_json(const json& in, std::optional<T>& value) {
    if (in.is_null()) {
      value.reset();
    } else {
      value = in.get<T>();
    }
  }
};

// Times are RFC 3339 text; "" stands for "never".
template <>
struct adl_serializer<bridgehead::Timestamp> {
  static void to_json(json& out, const bridgehead::Timestamp& value) {
    out = value == bridgehead::Timestamp{} ? std::string() : bridgehead::to_rfc3339(value);
  }
  static void from_json(const json& in, bridgehead::Timestamp& value) {
    const auto& text = in.get_ref<const std::string&>();
    if (text.empty()) {
      value = {};
      return;
    }
    const auto parsed = bridgehead::parse_rfc3339(text);
    if (!parsed) throw std::invalid_argument(parsed.error().message);
    value = *parsed;
  }
};

template <>
struct adl_serializer<std::chrono::seconds> {
  static void to_json(json& out, const std::chrono::seconds& value) { out = value.count(); }
  static void from_json(const json& in, std::chrono::seconds& value) {
    value = std::chrono::seconds(in.get<std::int64_t>());
  }
};

template <typename Tag>
struct adl_serializer<bridgehead::Id<Tag>> {
  static void to_json(json& out, const bridgehead::Id<Tag>& value) { out = value.str(); }
  static void from_json(const json& in, bridgehead::Id<Tag>& value) {
    value = bridgehead::Id<Tag>(in.get<std::string>());
  }
};

template <typename E>
requires requires { bridgehead::model::EnumNames<E>::values; }
struct adl_serializer<E> {
  static void to_json(json& out, const E& value) { out = std::string(bridgehead::model::to_string(value)); }
  static void from_json(const json& in, E& value) {
    const auto parsed = bridgehead::model::parse_enum<E>(in.get_ref<const std::string&>());
    if (!parsed) throw std::invalid_argument(parsed.error().describe());
    value = *parsed;
  }
};

// A map keyed by node or pool id is a JSON object.
template <typename Tag, typename T>
struct adl_serializer<std::map<bridgehead::Id<Tag>, T>> {
  static void to_json(json& out, const std::map<bridgehead::Id<Tag>, T>& values) {
    out = json::object();
    for (const auto& [id, value] : values) out[id.str()] = value;
  }
  static void from_json(const json& in, std::map<bridgehead::Id<Tag>, T>& values) {
    values.clear();
    for (const auto& [id, value] : in.items()) values.emplace(bridgehead::Id<Tag>(id), value.template get<T>());
  }
};

}  // namespace nlohmann

namespace bridgehead {

void to_json(nlohmann::json& json, const Bytes& value) { json = value.count(); }
void from_json(const nlohmann::json& json, Bytes& value) {
  if (!json.is_number_unsigned()) throw std::invalid_argument("a size is a whole number of bytes, not negative");
  value = Bytes(json.get<std::uint64_t>());
}

void to_json(nlohmann::json& json, const Error& value) {
  json = {{"code", to_string(value.code)}, {"message", value.message}, {"hint", value.hint}};
}
void from_json(const nlohmann::json& json, Error& value) {
  value.code = error_code_from_string(json.value("code", std::string("internal")));
  value.message = json.value("message", std::string());
  value.hint = json.value("hint", std::string());
}

BRIDGEHEAD_FIELDS(Progress, phase, done, total)

}  // namespace bridgehead

namespace bridgehead::model {

BRIDGEHEAD_FIELDS(PoolAbilities, direct_io, direct_io_alignment, reflink, punch_hole, preallocate, locks, seek_holes,
                  attributes, layouts, clone, file_system)
BRIDGEHEAD_FIELDS(PoolOnNode, ready, message, total, available, abilities, mounted, targets, targets_down)
BRIDGEHEAD_FIELDS(Pool, id, name, driver, source, path, options, created, deleting, limited_to, nodes)
BRIDGEHEAD_FIELDS(Image, id, name, role, pool, node, format, state, message, virtual_size, allocated, sha256, source,
                  parent, vm, layout, created)
BRIDGEHEAD_FIELDS(LayoutPart, end, stripes, stripe_size, targets)
BRIDGEHEAD_FIELDS(FileLayout, group, parts)
BRIDGEHEAD_FIELDS(StorageTarget, index, name, state, total, available)
BRIDGEHEAD_FIELDS(ImagePlacement, image, role, allocated, layout)
BRIDGEHEAD_FIELDS(PoolSurvey, layouts, targets, images)
BRIDGEHEAD_FIELDS(ImageSource, kind, location, image, sha256, size)
BRIDGEHEAD_FIELDS(Network, id, name, kind, bridge, vlan, subnet, created, deleting)
BRIDGEHEAD_FIELDS(DiskSpec, name, image, size)
BRIDGEHEAD_FIELDS(NicSpec, name, network, mac, vlan)
BRIDGEHEAD_FIELDS(CloudInit, hostname, user, password_hash, ssh_keys, user_data, network_config)
BRIDGEHEAD_FIELDS(VmSpec, cpus, max_cpus, memory, max_memory, cpu_model, firmware, autostart, ha, when_alone, watchdog,
                  restart_hung, power, disks, nics, cloud_init)
BRIDGEHEAD_FIELDS(Snapshot, name, created, with_memory)
BRIDGEHEAD_FIELDS(LeaseHolder, node, token)
BRIDGEHEAD_FIELDS(PastLeases, over, ended, by_time)
BRIDGEHEAD_FIELDS(LeaseStamp, vm, node, token, source, terms, source_terms)
BRIDGEHEAD_FIELDS(VmStatus, phase, message, observed_generation, restart_required, ip_addresses, guest_agent,
                  agent_silent_since, snapshots, waits_for_manager, since, lease)
BRIDGEHEAD_FIELDS(PlanningWish, priority, move_cost, may_move)
BRIDGEHEAD_FIELDS(Vm, id, name, labels, planning, generation, spec, node, lease, past_leases, deleting, created, status)
BRIDGEHEAD_FIELDS(NumaCell, id, cpus, memory)
BRIDGEHEAD_FIELDS(NetworkInterface, name, mac, kind, bridge, up, speed_mbit, addresses)
BRIDGEHEAD_FIELDS(NodeFacts, hostname, machine_id, machine, os, kernel, cpu_model, cpu_flags, cpus, memory, numa,
                  interfaces, virtualization, virtualization_message, libvirt_version, hypervisor_version,
                  hypervisor_message, agent_version, watchdog, watchdog_message)
BRIDGEHEAD_FIELDS(Pressure, cpu, memory, io)
BRIDGEHEAD_FIELDS(NodeLoad, load1, memory_available, pressure, guest_disk_ms, uptime_seconds)
BRIDGEHEAD_FIELDS(Node, id, name, facts, schedulable, draining, rack, power_feed, to_be_off, power_since,
                  certificate_serial, previous_certificate_serial, created, state, message, last_seen, load, netboot)
BRIDGEHEAD_FIELDS(GuestUse, vm, cpus, memory, storage, network)
BRIDGEHEAD_FIELDS(NodeUse, cpus, watts, guests)
BRIDGEHEAD_FIELDS(NodeImage, id, name, base, version, role, source, state, message, os, kernel_version, nic_drivers,
                  transports, kernel_size, initramfs_size, root_size, root_sha256, created)
BRIDGEHEAD_FIELDS(OverlayFile, path, content, mode)
BRIDGEHEAD_FIELDS(SecretFile, path, mode, size, sealed)
BRIDGEHEAD_FIELDS(Profile, id, name, root, method, on_failure, bridge, vlan, bond_mode, overlay, arguments, files,
                  secret_files, created)
BRIDGEHEAD_FIELDS(Hardware, vendor, product, cpus, memory, nics, disks)
BRIDGEHEAD_FIELDS(Netboot, mac, uuid, serial, address, approval, image, profile, files, secret_files, hardware)
BRIDGEHEAD_FIELDS(BootEvent, step, message, time)
BRIDGEHEAD_FIELDS(BootBytes, http, root)
BRIDGEHEAD_FIELDS(Boot, id, token_sha256, image, discovery, root, events, log, started, bytes)
BRIDGEHEAD_FIELDS(PastBoots, id, boots)
BRIDGEHEAD_FIELDS(NetbootSettings, id, mode, interface, address, range_first, range_last, http_port, nbd_port,
                  nbd_servers, auto_approve)
BRIDGEHEAD_FIELDS(PowerProof, state, evidence, time)
BRIDGEHEAD_FIELDS(Bmc, id, driver, address, port, user, options, password, created, power, waking_since, wake, sleep,
                  sleep_message, asleep_since, sleep_wake)
BRIDGEHEAD_FIELDS(BootReservation, mac, address, hostname, method)
BRIDGEHEAD_FIELDS(LoaderFile, method, mac, text)
BRIDGEHEAD_FIELDS(ServedImage, id, by_nfs)
BRIDGEHEAD_FIELDS(ServingPlan, mode, interface, address, range_first, range_last, http_port, nbd_port, strangers, nfs,
                  reservations, loader_files, images)
BRIDGEHEAD_FIELDS(ServingPart, name, running, message)
BRIDGEHEAD_FIELDS(ServingStatus, parts)
BRIDGEHEAD_FIELDS(AddressGiven, mac, address, asker)
BRIDGEHEAD_FIELDS(ForeignDhcpServers, servers)
BRIDGEHEAD_FIELDS(NodeImageOrder, id, base, version, role, recipe, path, nic_drivers, initramfs)
BRIDGEHEAD_FIELDS(NodeImageComparison, from, to)
BRIDGEHEAD_FIELDS(NodeImageDifference, packages, files)
BRIDGEHEAD_FIELDS(Rule, id, name, kind, domain, hard, weight, vms, labels, nodes, created)
BRIDGEHEAD_FIELDS(PlanningPolicy, id, repair, balance, consolidate, power, power_at_night_only, night_from, night_to,
                  evenness, ceiling, move_price, most_moves, failures, moves_per_node, horizon, interval, sustained,
                  restart_against_rules)
BRIDGEHEAD_FIELDS(PlanAction, kind, purpose, vm, vm_name, from, from_name, to, to_name, after, gain, seconds, reason,
                  state, operation, message)
BRIDGEHEAD_FIELDS(PlanScore, unplaced, violations, soft, hosts_on, unevenness)
BRIDGEHEAD_FIELDS(PlanConflict, rules, vms, nodes, reason)
BRIDGEHEAD_FIELDS(Plan, id, name, state, message, created_by, created, started, finished, actions, conflicts, before,
                  after, bound, gap, watts_before, watts_after, evaluated, seed, moves_per_node)
BRIDGEHEAD_FIELDS(PlanInput, id, created, text)
BRIDGEHEAD_FIELDS(BenchmarkPool, pool, name, servers, server_link_bits, server_disk_bytes, copies)
BRIDGEHEAD_FIELDS(BenchmarkNode, node, name)
BRIDGEHEAD_FIELDS(BenchmarkGuests, image, image_name, cpus, memory)
BRIDGEHEAD_FIELDS(BenchmarkSettings, pools, nodes, counts, workloads, file_size, seconds, repetitions, users, rate,
                  pressure, guest_disk_ms, node_link_bits, seed, guests)
BRIDGEHEAD_FIELDS(BenchmarkLeftover, pool, node)
BRIDGEHEAD_FIELDS(Benchmark, id, name, command, settings, state, message, operation, created_by, created, finished,
                  runs_done, runs, result, leftovers)
BRIDGEHEAD_FIELDS(AvailabilityState, id, text)
BRIDGEHEAD_FIELDS(KilowattHours, bmc, rapl, model)
BRIDGEHEAD_FIELDS(NodeEnergy, name, used, unknown, off, saved, promised, least_watts)
BRIDGEHEAD_FIELDS(GuestEnergy, name, used)
BRIDGEHEAD_FIELDS(TimeSpan, from, to)
BRIDGEHEAD_FIELDS(EnergyPeriod, id, counted_to, nodes, guests, away)
BRIDGEHEAD_FIELDS(Alert, id, condition, severity, object_kind, object, message, action, since, cleared, told)
BRIDGEHEAD_FIELDS(PowerProfile, id, idle_watts, busy_watts, off_watts, created_by, created)
BRIDGEHEAD_FIELDS(Webhook, id, url, secret, least, created_by, created, last_told, failing_since, error)
BRIDGEHEAD_FIELDS(Operation, id, kind, target_kind, target, target_name, state, parameters, node, generation,
                  cancel_requested, progress, error, created_by, created, started, finished)
BRIDGEHEAD_FIELDS(Token, id, name, role, secret_sha256, created, expires, last_used)
BRIDGEHEAD_FIELDS(JoinToken, id, node_name, node, secret_sha256, created, expires, used, used_by)
BRIDGEHEAD_FIELDS(Event, revision, time, kind, object_kind, object, object_name, message, actor)
BRIDGEHEAD_FIELDS(EnsureVm, vm, images, pools, networks, force_stop, stop_grace_seconds)
BRIDGEHEAD_FIELDS(RemoveVm, vm, disks, pools, unless_running)
BRIDGEHEAD_FIELDS(RebootVm, vm, lease, force)
BRIDGEHEAD_FIELDS(SnapshotVm, vm, lease, action, name)
BRIDGEHEAD_FIELDS(WaitingDisk, name, path, format, size, direct_io)
BRIDGEHEAD_FIELDS(MigrationGate, addresses, port, disks)
BRIDGEHEAD_FIELDS(ComingDisk, image, room)
BRIDGEHEAD_FIELDS(AcceptVm, guest, source, disks, source_lease)
BRIDGEHEAD_FIELDS(MigrateVm, vm, lease, target, gate, post_copy, token, leaving, past)
BRIDGEHEAD_FIELDS(SettleVm, vm, disks, pools, given_up)
BRIDGEHEAD_FIELDS(MoveDisk, vm, lease, disk, image, from, to, others_stay, others_there, past)
BRIDGEHEAD_FIELDS(FlattenDisk, vm, lease, disk, image, pool, past)
BRIDGEHEAD_FIELDS(ClearDisk, vm, lease, image, pool, guest_is_here, disks, others_stay)
BRIDGEHEAD_FIELDS(ImportImage, image, pool, source, source_image, source_pool, helpers)
BRIDGEHEAD_FIELDS(HelpImport, image, pool, source_image, source_pool, leader)
BRIDGEHEAD_FIELDS(RemoveImage, image, pool)
BRIDGEHEAD_FIELDS(EnsurePool, pool)
BRIDGEHEAD_FIELDS(RemovePool, pool)
BRIDGEHEAD_FIELDS(EnsureNetwork, network)
BRIDGEHEAD_FIELDS(RemoveNetwork, network)
BRIDGEHEAD_FIELDS(AssignmentReport, operation, state, progress, error, images, gate, guest_is_here, stamp)
BRIDGEHEAD_FIELDS(ObservedVm, vm, generation, lease, status)
BRIDGEHEAD_FIELDS(SecretsOnNode, digest, message)
BRIDGEHEAD_FIELDS(NodeReport, facts, load, vms, pools, assignments, secrets, answers_pings, helps_imports)

namespace {

template <typename T>
struct BodyKind;
template <>
struct BodyKind<EnsureVm> {
  static constexpr std::string_view name = "ensure_vm";
};
template <>
struct BodyKind<RemoveVm> {
  static constexpr std::string_view name = "remove_vm";
};
template <>
struct BodyKind<RebootVm> {
  static constexpr std::string_view name = "reboot_vm";
};
template <>
struct BodyKind<SnapshotVm> {
  static constexpr std::string_view name = "snapshot_vm";
};
template <>
struct BodyKind<AcceptVm> {
  static constexpr std::string_view name = "accept_vm";
};
template <>
struct BodyKind<MigrateVm> {
  static constexpr std::string_view name = "migrate_vm";
};
template <>
struct BodyKind<SettleVm> {
  static constexpr std::string_view name = "settle_vm";
};
template <>
struct BodyKind<MoveDisk> {
  static constexpr std::string_view name = "move_disk";
};
template <>
struct BodyKind<FlattenDisk> {
  static constexpr std::string_view name = "flatten_disk";
};
template <>
struct BodyKind<ClearDisk> {
  static constexpr std::string_view name = "clear_disk";
};
template <>
struct BodyKind<ImportImage> {
  static constexpr std::string_view name = "import_image";
};
template <>
struct BodyKind<HelpImport> {
  static constexpr std::string_view name = "help_import";
};
template <>
struct BodyKind<RemoveImage> {
  static constexpr std::string_view name = "remove_image";
};
template <>
struct BodyKind<EnsurePool> {
  static constexpr std::string_view name = "ensure_pool";
};
template <>
struct BodyKind<RemovePool> {
  static constexpr std::string_view name = "remove_pool";
};
template <>
struct BodyKind<EnsureNetwork> {
  static constexpr std::string_view name = "ensure_network";
};
template <>
struct BodyKind<RemoveNetwork> {
  static constexpr std::string_view name = "remove_network";
};

template <std::size_t I = 0>
AssignmentBody read_body(std::string_view kind, const nlohmann::json& body) {
  if constexpr (I == std::variant_size_v<AssignmentBody>) {
    throw std::invalid_argument(fmt::format("'{}' is not a kind of assignment that this version knows", kind));
  } else {
    using T = std::variant_alternative_t<I, AssignmentBody>;
    if (BodyKind<T>::name == kind) return body.get<T>();
    return read_body<I + 1>(kind, body);
  }
}

}  // namespace

std::string_view kind_of(const AssignmentBody& body) {
  return std::visit([](const auto& value) { return BodyKind<std::decay_t<decltype(value)>>::name; }, body);
}

void to_json(nlohmann::json& json, const Assignment& value) {
  json = {{"operation", value.operation}, {"kind", kind_of(value.body)}};
  std::visit([&](const auto& body) { json["body"] = body; }, value.body);
}

void from_json(const nlohmann::json& json, Assignment& value) {
  value.operation = json.at("operation").get<OperationId>();
  value.body = read_body(json.at("kind").get_ref<const std::string&>(), json.at("body"));
}

}  // namespace bridgehead::model
