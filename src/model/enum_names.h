// The text of every enumeration, in one table each: used by JSON, CLI and logs.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "model/alert.h"
#include "model/assignment.h"
#include "model/benchmark.h"
#include "model/bmc.h"
#include "model/boot_services.h"
#include "model/energy.h"
#include "model/image.h"
#include "model/layout.h"
#include "model/netboot.h"
#include "model/network.h"
#include "model/node.h"
#include "model/operation.h"
#include "model/planning.h"
#include "model/pool.h"
#include "model/token.h"
#include "model/vm.h"

namespace bridgehead::model {

template <typename E>
struct EnumNames;  // kind: what a person calls it; values: every value with its text

#define BRIDGEHEAD_ENUM_NAMES(Type, Kind, ...)                                                   \
  template <>                                                                                    \
  struct EnumNames<Type> {                                                                       \
    using E = Type;                                                                              \
    static constexpr std::string_view kind = Kind;                                               \
    static constexpr auto values = std::to_array<std::pair<E, std::string_view>>({__VA_ARGS__}); \
  }

BRIDGEHEAD_ENUM_NAMES(PoolDriver, "pool driver", {E::local, "local"}, {E::posix, "posix"}, {E::nfs, "nfs"},
                      {E::moosefs, "moosefs"}, {E::cephfs, "cephfs"}, {E::lustre, "lustre"});
BRIDGEHEAD_ENUM_NAMES(CloneMethod, "clone method", {E::reflink, "reflink"}, {E::snapshot, "snapshot"},
                      {E::overlay, "overlay"});
BRIDGEHEAD_ENUM_NAMES(ImageRole, "image role", {E::golden, "golden"}, {E::disk, "disk"});
BRIDGEHEAD_ENUM_NAMES(ImageFormat, "image format", {E::raw, "raw"}, {E::qcow2, "qcow2"}, {E::vmdk, "vmdk"},
                      {E::vdi, "vdi"}, {E::vhdx, "vhdx"});
BRIDGEHEAD_ENUM_NAMES(ImageState, "image state", {E::creating, "creating"}, {E::ready, "ready"}, {E::failed, "failed"},
                      {E::deleting, "deleting"});
BRIDGEHEAD_ENUM_NAMES(LayoutWish, "layout", {E::automatic, "automatic"}, {E::narrow, "narrow"}, {E::wide, "wide"});
BRIDGEHEAD_ENUM_NAMES(TargetState, "target state", {E::up, "up"}, {E::down, "down"}, {E::inactive, "inactive"});
BRIDGEHEAD_ENUM_NAMES(ImageSourceKind, "image source", {E::upload, "upload"}, {E::url, "url"}, {E::path, "path"},
                      {E::image, "image"});
BRIDGEHEAD_ENUM_NAMES(NetworkKind, "network kind", {E::nat, "nat"}, {E::bridge, "bridge"});
BRIDGEHEAD_ENUM_NAMES(PowerState, "power state", {E::running, "running"}, {E::stopped, "stopped"},
                      {E::paused, "paused"});
BRIDGEHEAD_ENUM_NAMES(VmPhase, "VM phase", {E::pending, "pending"}, {E::creating, "creating"}, {E::stopped, "stopped"},
                      {E::starting, "starting"}, {E::running, "running"}, {E::paused, "paused"},
                      {E::stopping, "stopping"}, {E::deleting, "deleting"}, {E::failed, "failed"},
                      {E::unknown, "unknown"});
BRIDGEHEAD_ENUM_NAMES(Firmware, "firmware", {E::bios, "bios"}, {E::uefi, "uefi"});
BRIDGEHEAD_ENUM_NAMES(AlertSeverity, "severity", {E::info, "info"}, {E::warning, "warning"}, {E::critical, "critical"});
BRIDGEHEAD_ENUM_NAMES(Watchdog, "watchdog", {E::off, "off"}, {E::reset, "reset"});
BRIDGEHEAD_ENUM_NAMES(PowerSource, "source of watts", {E::bmc, "bmc"}, {E::rapl, "rapl"}, {E::model, "model"});
BRIDGEHEAD_ENUM_NAMES(HaMode, "HA mode", {E::none, "none"}, {E::restart, "restart"});
BRIDGEHEAD_ENUM_NAMES(LeaseTerms, "terms of a lease", {E::keep, "keep"}, {E::stop, "stop"});
BRIDGEHEAD_ENUM_NAMES(WhenAlone, "what becomes of a guest whose node is alone", {E::keep, "keep"}, {E::stop, "stop"});
BRIDGEHEAD_ENUM_NAMES(CpuModel, "CPU model", {E::host, "host"}, {E::baseline, "baseline"});
BRIDGEHEAD_ENUM_NAMES(NodeState, "node state", {E::ready, "ready"}, {E::not_ready, "not_ready"},
                      {E::unreachable, "unreachable"});
BRIDGEHEAD_ENUM_NAMES(Virtualization, "virtualization", {E::kvm, "kvm"}, {E::tcg, "tcg"}, {E::none, "none"});
BRIDGEHEAD_ENUM_NAMES(MachinePower, "state of a machine's power", {E::on, "on"}, {E::off, "off"},
                      {E::sleeping, "sleeping"}, {E::unknown, "unknown"});
BRIDGEHEAD_ENUM_NAMES(AfterDrain, "what a node is drained for", {E::reboot, "reboot"}, {E::off, "off"},
                      {E::update, "update"});
BRIDGEHEAD_ENUM_NAMES(MachinePowerAction, "power action", {E::on, "on"}, {E::off, "off"}, {E::cycle, "cycle"},
                      {E::sleep, "sleep"});
BRIDGEHEAD_ENUM_NAMES(SleepTrial, "whether a machine sleeps", {E::untried, "untried"}, {E::works, "works"},
                      {E::fails, "fails"});
BRIDGEHEAD_ENUM_NAMES(PowerEvidence, "evidence", {E::none, "none"}, {E::bmc, "bmc"}, {E::others, "others"},
                      {E::bmc_and_others, "bmc_and_others"});
BRIDGEHEAD_ENUM_NAMES(OperationState, "operation state", {E::pending, "pending"}, {E::running, "running"},
                      {E::succeeded, "succeeded"}, {E::failed, "failed"}, {E::cancelled, "cancelled"});
BRIDGEHEAD_ENUM_NAMES(PlanMode, "mode", {E::off, "off"}, {E::propose, "propose"}, {E::automatic, "auto"});
BRIDGEHEAD_ENUM_NAMES(Evenness, "evenness", {E::deviation, "deviation"}, {E::peak, "peak"});
BRIDGEHEAD_ENUM_NAMES(RuleKind, "kind of rule", {E::together, "together"}, {E::apart, "apart"}, {E::on_hosts, "on"},
                      {E::off_hosts, "off"}, {E::exclusive, "exclusive"});
BRIDGEHEAD_ENUM_NAMES(FailureDomain, "failure domain", {E::host, "host"}, {E::rack, "rack"},
                      {E::power_feed, "power-feed"});
BRIDGEHEAD_ENUM_NAMES(PlanActionKind, "action", {E::place, "place"}, {E::move, "move"}, {E::wake, "wake"},
                      {E::sleep, "sleep"});
BRIDGEHEAD_ENUM_NAMES(PlanPurpose, "purpose", {E::repair, "repair"}, {E::evacuate, "evacuate"}, {E::place, "place"},
                      {E::balance, "balance"}, {E::consolidate, "consolidate"}, {E::power, "power"});
BRIDGEHEAD_ENUM_NAMES(PlanActionState, "action state", {E::waiting, "waiting"}, {E::running, "running"},
                      {E::done, "done"}, {E::failed, "failed"}, {E::dropped, "dropped"});
BRIDGEHEAD_ENUM_NAMES(PlanState, "plan state", {E::proposed, "proposed"}, {E::applying, "applying"},
                      {E::applied, "applied"}, {E::cancelled, "cancelled"}, {E::superseded, "superseded"},
                      {E::failed, "failed"});
BRIDGEHEAD_ENUM_NAMES(BenchmarkState, "state of a benchmark", {E::running, "running"}, {E::done, "done"},
                      {E::stopped, "stopped"});
BRIDGEHEAD_ENUM_NAMES(Role, "role", {E::viewer, "viewer"}, {E::operator_, "operator"}, {E::admin, "admin"});
BRIDGEHEAD_ENUM_NAMES(SnapshotAction, "snapshot action", {E::create, "create"}, {E::rollback, "rollback"},
                      {E::remove, "remove"});
BRIDGEHEAD_ENUM_NAMES(AssignmentState, "assignment state", {E::running, "running"}, {E::succeeded, "succeeded"},
                      {E::failed, "failed"}, {E::cancelled, "cancelled"});
BRIDGEHEAD_ENUM_NAMES(RootTransport, "root transport", {E::nbd, "nbd"}, {E::nfs, "nfs"}, {E::ram, "ram"});
BRIDGEHEAD_ENUM_NAMES(Asker, "asker", {E::firmware, "firmware"}, {E::loader, "loader"}, {E::other, "other"});
BRIDGEHEAD_ENUM_NAMES(BootMethod, "boot method", {E::ipxe, "ipxe"}, {E::pxelinux, "pxelinux"}, {E::shim, "shim"});
BRIDGEHEAD_ENUM_NAMES(OnBootFailure, "action on a failed boot", {E::retry, "retry"}, {E::reboot, "reboot"},
                      {E::shell, "shell"});
BRIDGEHEAD_ENUM_NAMES(NodeImageState, "node image state", {E::building, "building"}, {E::ready, "ready"},
                      {E::failed, "failed"}, {E::deleting, "deleting"});
BRIDGEHEAD_ENUM_NAMES(Approval, "approval", {E::waiting, "waiting"}, {E::approved, "approved"},
                      {E::refused, "refused"});
BRIDGEHEAD_ENUM_NAMES(BootStep, "boot step", {E::dhcp, "dhcp"}, {E::bootstrap, "bootstrap"}, {E::kernel, "kernel"},
                      {E::bridge, "bridge"}, {E::root, "root"}, {E::handover, "handover"}, {E::agent, "agent"},
                      {E::ready, "ready"}, {E::fallback, "fallback"}, {E::failed, "failed"});
BRIDGEHEAD_ENUM_NAMES(NetbootMode, "netboot mode", {E::off, "off"}, {E::full, "full"}, {E::proxy, "proxy"});

#undef BRIDGEHEAD_ENUM_NAMES

template <typename E>
requires requires { EnumNames<E>::values; }
constexpr std::string_view to_string(E value) {
  for (const auto& [candidate, name] : EnumNames<E>::values) {
    if (candidate == value) return name;
  }
  return "unknown";
}

// "'x' is not a power state; use one of: running, stopped, paused"
template <typename E>
Result<E> parse_enum(std::string_view text) {
  std::string known;
  for (const auto& [candidate, name] : EnumNames<E>::values) {
    if (name == text) return candidate;
    known += known.empty() ? std::string(name) : fmt::format(", {}", name);
  }
  return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' is not a {}", text, EnumNames<E>::kind),
                        fmt::format("Use one of: {}.", known));
}

}  // namespace bridgehead::model
