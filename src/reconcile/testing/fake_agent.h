// FakeAgent: an agent as the manager sees it, without a host: a journal that outlives restarts, guests and files that
// are entries in maps, and work that is done one small step at a time, so that a simulation can crash it between any
// two. Not thread-safe. Deterministic: all choices come from the caller.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "model/assignment.h"

namespace bridgehead::reconcile::testing {

// What an agent says on its stream.
struct Said {
  enum class What { observed, gone, report } what = What::report;
  model::ObservedVm observed;
  model::VmId gone;
  model::AssignmentReport report;
};

class FakeAgent {
 public:
  struct Guest {
    std::uint64_t generation = 0;
    std::uint64_t lease = 0;
    model::PowerState power = model::PowerState::stopped;
    std::set<std::string> snapshots;
  };
  struct Entry {
    model::Assignment assignment;
    unsigned step = 0;
    bool cancel = false;
    std::optional<model::AssignmentReport> end;
    std::uint64_t order = 0;
  };

  explicit FakeAgent(model::NodeId node) : id(std::move(node)) {}

  // The other nodes, for guests that migrate; null: no such node.
  std::function<FakeAgent*(const model::NodeId&)> peer = [](const auto&) { return nullptr; };

  void assign(const model::Assignment& assignment) {
    if (const auto found = journal.find(assignment.operation); found != journal.end()) {
      if (found->second.end) say({.what = Said::What::report, .report = *found->second.end});
      return;
    }
    journal[assignment.operation] = {.assignment = assignment, .order = next_order_++};
  }
  void cancel(const model::OperationId& operation) {
    if (const auto found = journal.find(operation); found != journal.end()) found->second.cancel = true;
  }
  void acknowledge(const model::OperationId& operation) {
    const auto found = journal.find(operation);
    if (found != journal.end() && found->second.end) journal.erase(found);
  }
  // What was to be said on the old stream is lost with it.
  void lose_stream() { said.clear(); }

  bool busy() const {
    for (const auto& [operation, entry] : journal) {
      if (!entry.end) return true;
    }
    return false;
  }

  // One step of the `pick`-th piece of work that may go on (one per guest at a time, in order). `fails`: it goes wrong
  // and, at its worst, leaves behind what it has made so far.
  void work(std::size_t pick, bool fails) {
    std::vector<Entry*> ready;
    std::map<std::string, std::uint64_t> first;
    for (auto& [operation, entry] : journal) {
      if (entry.end) continue;
      auto& order = first.try_emplace(subject(entry.assignment.body), entry.order).first->second;
      order = std::min(order, entry.order);
    }
    for (auto& [operation, entry] : journal) {
      if (!entry.end && first.at(subject(entry.assignment.body)) == entry.order) ready.push_back(&entry);
    }
    if (ready.empty()) return;
    auto& entry = *ready[pick % ready.size()];
    const bool over = has_gone_over(entry);
    if (entry.cancel && !over) return cancelled(entry);
    if (fails && over) {  // the node can't say where it is now
      return finish(entry, model::AssignmentState::failed, Error{ErrorCode::unavailable, "libvirtd is away", {}});
    }
    if (fails && still_has_guest(entry)) {
      return finish(entry, model::AssignmentState::failed, Error{ErrorCode::unavailable, "libvirtd is away", {}});
    }
    if (fails) {
      if (const auto* accept = std::get_if<model::AcceptVm>(&entry.assignment.body)) {
        for (const auto& coming : accept->disks) disks.insert(coming.image);
      }
      return finish(entry, model::AssignmentState::failed,
                    Error{ErrorCode::io_error, "the simulated host had a bad day", {}});
    }
    std::visit([&](const auto& body) { step(entry, body); }, entry.assignment.body);
    ++entry.step;
  }

  std::uint64_t uptime_seconds = 0;  // of its machine
  std::string version;               // its own

  model::NodeReport report(Timestamp) const {
    model::NodeReport report;
    report.facts.cpus = 64;
    report.facts.memory = Bytes(256_GiB);
    report.facts.agent_version = version;
    report.load.uptime_seconds = uptime_seconds;
    report.helps_imports = helps_imports;
    for (const auto& [vm, guest] : guests) report.vms.push_back(observed(vm, guest));
    for (const auto& pool : pools) {
      if (!pools_are_mounted) {
        report.pools[pool] = {.message = "is being mounted"};
        continue;
      }
      report.pools[pool] = {
          .ready = true, .total = Bytes(10_TiB), .available = Bytes(5_TiB), .abilities = {.locks = true}};
    }
    for (const auto& [operation, entry] : journal) {
      model::AssignmentReport running;
      running.operation = operation;
      report.assignments.push_back(entry.end.value_or(running));
    }
    return report;
  }

  // The guest's user does something.
  void change_power(const model::VmId& vm, model::PowerState power) {
    guests.at(vm).power = power;
    observe(vm);
  }
  void lose_guest(const model::VmId& vm) {
    guests.erase(vm);
    say({.what = Said::What::gone, .gone = vm});
  }

  const model::NodeId id;
  bool helps_imports = true;
  bool pools_are_mounted = true;
  std::map<model::OperationId, Entry> journal;
  std::map<model::VmId, Guest> guests;
  std::set<model::ImageId> disks;
  // Copies under way in pools that all nodes share, with the number of parts that are done.
  std::shared_ptr<std::map<model::OperationId, unsigned>> copies =
      std::make_shared<std::map<model::OperationId, unsigned>>();
  // Of pools that all nodes share.
  std::shared_ptr<std::set<model::ImageId>> shared = std::make_shared<std::set<model::ImageId>>();
  // Beside each guest's disks, in whatever pool.
  std::shared_ptr<std::map<model::VmId, model::LeaseStamp>> stamps =
      std::make_shared<std::map<model::VmId, model::LeaseStamp>>();
  std::string
      unknown_stamps;  // that it found of older leases, of which the manager should have known that they are over
  std::set<model::ImageId> golden;
  std::set<model::PoolId> pools;
  std::set<model::NetworkId> networks;
  std::map<model::VmId, std::uint64_t> gates;  // open for a guest under this lease
  std::set<model::VmId> held;                  // have come in with their disks, and stand still until they are given up
  std::deque<Said> said;

 private:
  static std::string subject(const model::AssignmentBody& body) {
    return std::visit(
        [](const auto& b) -> std::string {
          if constexpr (requires { b.vm.id; }) {
            return b.vm.id.str();
          } else if constexpr (requires { b.guest; }) {
            return b.guest.vm.id.str();
          } else if constexpr (requires { b.vm; }) {
            if constexpr (requires { b.image; }) {
              if (b.vm.empty()) return b.image.id.str();
            }
            return b.vm.str();
          } else if constexpr (requires { b.image; }) {
            return b.image.id.str();
          } else if constexpr (requires { b.pool; }) {
            return b.pool.id.str();
          } else {
            return b.network.id.str();
          }
        },
        body);
  }

  void say(Said what) { said.push_back(std::move(what)); }

  static model::ObservedVm observed(const model::VmId& vm, const Guest& guest) {
    model::ObservedVm seen{.vm = vm, .generation = guest.generation, .lease = guest.lease};
    seen.status.phase = guest.power == model::PowerState::running   ? model::VmPhase::running
                        : guest.power == model::PowerState::stopped ? model::VmPhase::stopped
                                                                    : model::VmPhase::paused;
    for (const auto& name : guest.snapshots) seen.status.snapshots.push_back({.name = name});
    return seen;
  }
  void observe(const model::VmId& vm) { say({.what = Said::What::observed, .observed = observed(vm, guests.at(vm))}); }

  void finish(Entry& entry, model::AssignmentState state, std::optional<Error> error,
              std::vector<model::Image> images = {}) {
    model::AssignmentReport end;
    end.operation = entry.assignment.operation;
    end.state = state;
    end.error = std::move(error);
    end.images = std::move(images);
    if (std::holds_alternative<model::ImportImage>(entry.assignment.body)) copies->erase(end.operation);
    entry.end = end;
    say({.what = Said::What::report, .report = std::move(end)});
  }
  void succeed(Entry& entry, std::vector<model::Image> images = {}) {
    finish(entry, model::AssignmentState::succeeded, {}, std::move(images));
  }
  void cancelled(Entry& entry) {
    finish(entry, model::AssignmentState::cancelled, {});
    if (const auto* move = std::get_if<model::MigrateVm>(&entry.assignment.body)) tell_if_here(entry, move->vm);
  }
  // What goes with its disks is here for as long as it wasn't given up.
  bool still_has_guest(const Entry& entry) const {
    const auto* move = std::get_if<model::MigrateVm>(&entry.assignment.body);
    return move != nullptr && !move->gate.disks.empty() && guests.contains(move->vm);
  }
  // What still runs or has ended here can't go on elsewhere.
  void tell_if_here(Entry& entry, const model::VmId& vm) {
    const auto guest = guests.find(vm);
    const bool here =
        still_has_guest(entry) || (guest != guests.end() && guest->second.power != model::PowerState::paused);
    entry.end->guest_is_here = said.back().report.guest_is_here = here;
  }
  void refuse(Entry& entry, std::string why) {
    finish(entry, model::AssignmentState::failed, Error{ErrorCode::failed_precondition, std::move(why), {}});
  }

  // False: the work has ended by it.
  bool stamp(Entry& entry, const model::LeaseClaim& claim) {
    const auto found = stamps->find(claim.vm);
    const bool any = found != stamps->end();
    const auto verdict = model::judge_stamp(any ? std::optional(found->second) : std::nullopt, claim);
    if (verdict == model::StampVerdict::write)
      (*stamps)[claim.vm] = claim.stamp(any ? std::optional(found->second) : std::nullopt);
    if (verdict != model::StampVerdict::refuse) return true;
    if (found->second.token < claim.token) {
      unknown_stamps += fmt::format("guest {}: lease {} of node {} stands in the way of lease {} of node {}\n",
                                    claim.vm, found->second.token, found->second.node, claim.token, claim.node);
    }
    refuse(entry, "another lease is stamped");
    entry.end->stamp = said.back().report.stamp = found->second;
    return false;
  }

  // Disk by disk, then the domain, then its power, then the end.
  void step(Entry& entry, const model::EnsureVm& ensure) {
    const auto& spec = ensure.vm.spec;
    if (entry.step < spec.disks.size()) {
      const auto& disk = spec.disks[entry.step].image;
      const bool everywhere = std::any_of(ensure.images.begin(), ensure.images.end(),
                                          [&](const auto& image) { return image.id == disk && image.node.empty(); });
      (everywhere ? *shared : disks).insert(disk);
      return;
    }
    if (entry.step > spec.disks.size() && !guests.contains(ensure.vm.id)) return refuse(entry, "the guest vanished");
    const model::LeaseClaim claim{
        .vm = ensure.vm.id, .node = id, .token = ensure.vm.lease, .past = ensure.vm.past_leases, .source = {}};
    if (entry.step == spec.disks.size() && !stamp(entry, claim)) return;
    auto& guest = guests[ensure.vm.id];
    if (ensure.vm.lease < guest.lease) return refuse(entry, "an older lease");
    if (entry.step == spec.disks.size()) {
      guest.lease = ensure.vm.lease;
      return;
    }
    if (entry.step == spec.disks.size() + 1) {
      guest.power = spec.power;
      observe(ensure.vm.id);
      return;
    }
    guest.generation = std::max(guest.generation, ensure.vm.generation);
    held.erase(ensure.vm.id);
    observe(ensure.vm.id);
    std::vector<model::Image> images;
    for (auto image : ensure.images) {
      if (image.role != model::ImageRole::disk) continue;
      image.format = model::ImageFormat::qcow2;
      images.push_back(std::move(image));
    }
    succeed(entry, std::move(images));
  }
  void step(Entry& entry, const model::RemoveVm& remove) {
    if (entry.step == 0) {
      guests.erase(remove.vm.id);
      return;
    }
    if (entry.step <= remove.disks.size()) {
      disks.erase(remove.disks[entry.step - 1].id);
      shared->erase(remove.disks[entry.step - 1].id);
      return;
    }
    if (!remove.disks.empty()) stamps->erase(remove.vm.id);
    succeed(entry);
  }
  void step(Entry& entry, const model::RebootVm& reboot) {
    if (!guests.contains(reboot.vm)) return refuse(entry, "no such guest");
    succeed(entry);
  }
  void step(Entry& entry, const model::SnapshotVm& snapshot) {
    const auto found = guests.find(snapshot.vm);
    if (found == guests.end()) return refuse(entry, "no such guest");
    auto& guest = found->second;
    switch (snapshot.action) {
      case model::SnapshotAction::create: guest.snapshots.insert(snapshot.name); break;
      case model::SnapshotAction::remove: guest.snapshots.erase(snapshot.name); break;
      case model::SnapshotAction::rollback: guest.power = model::PowerState::stopped; break;
    }
    observe(snapshot.vm);
    succeed(entry);
  }
  void step(Entry& entry, const model::AcceptVm& accept) {
    const auto& vm = accept.guest.vm;
    if (guests.contains(vm.id)) return refuse(entry, "the guest is here already");
    model::MigrationGate gate{.addresses = {"192.0.2.1"}, .port = 1, .disks = {}};
    for (const auto& coming : accept.disks) {
      if (disks.contains(coming.image)) return refuse(entry, "a file of the disk is here already");
      disks.insert(coming.image);
      for (const auto& spec : vm.spec.disks) {
        if (spec.image == coming.image) {
          gate.disks.push_back({.name = spec.name, .path = "/pool/" + coming.image.str(), .size = spec.size});
        }
      }
    }
    const model::LeaseClaim claim{.vm = vm.id,
                                  .node = id,
                                  .token = vm.lease,
                                  .past = vm.past_leases,
                                  .source = model::LeaseHolder{accept.source, accept.source_lease}};
    if (!stamp(entry, claim)) return;
    gates[vm.id] = vm.lease;
    succeed(entry);
    entry.end->gate = said.back().report.gate = gate;
  }
  // It has moved before this node says so; a failure in between is a last word that was lost.
  void step(Entry& entry, const model::MigrateVm& migrate) {
    const auto found = guests.find(migrate.vm);
    if (entry.step == 0 && found != guests.end()) return;
    auto* target = peer(migrate.target);
    const bool with_disks = !migrate.gate.disks.empty();
    if (found == guests.end()) {
      if (!with_disks) return succeed(entry);
      if (target == nullptr || !target->take_over(migrate.vm)) return refuse(entry, "the target hasn't got it");
      return succeed(entry);
    }
    if (target == nullptr || target->gates.erase(migrate.vm) == 0) {
      refuse(entry, "the gate is closed");
      return tell_if_here(entry, migrate.vm);
    }
    target->guests[migrate.vm] = found->second;
    if (with_disks) {
      target->held.insert(migrate.vm);
    } else {
      target->observe(migrate.vm);
    }
    guests.erase(found);
    say({.what = Said::What::gone, .gone = migrate.vm});
  }
  bool take_over(const model::VmId& vm) {
    held.erase(vm);
    if (!guests.contains(vm)) return false;
    observe(vm);
    return true;
  }
  void step(Entry& entry, const model::SettleVm& settle) {
    gates.erase(settle.vm);
    if (held.erase(settle.vm) != 0 && !settle.given_up) guests.erase(settle.vm);
    const bool here = guests.contains(settle.vm);
    succeed(entry);
    entry.end->guest_is_here = said.back().report.guest_is_here = here;
  }
  void step(Entry& entry, const model::ClearDisk& clear) {
    if (!clear.guest_is_here) {
      gates.erase(clear.vm);
      const auto found = guests.find(clear.vm);
      if (found != guests.end() && found->second.power == model::PowerState::running && !held.contains(clear.vm)) {
        return refuse(entry, "the guest runs here");
      }
      if (found != guests.end()) guests.erase(found);
      held.erase(clear.vm);
    }
    place(clear.pool).erase(clear.image.id);
    succeed(entry);
  }
  // Whether a disk that moves is in its new pool: then its work has no other end.
  bool has_gone_over(const Entry& entry) const {
    const auto* move = std::get_if<model::MoveDisk>(&entry.assignment.body);
    return move != nullptr && place(move->to).contains(move->image.id);
  }
  std::set<model::ImageId>& place(const model::Pool& pool) { return is_shared(pool.driver) ? *shared : disks; }
  const std::set<model::ImageId>& place(const model::Pool& pool) const {
    return is_shared(pool.driver) ? *shared : disks;
  }
  // A copy for some steps; then, at once, it is there and not here.
  void step(Entry& entry, const model::MoveDisk& move) {
    if (!has_gone_over(entry)) {
      if (entry.step < 3) return;
      if (place(move.from).erase(move.image.id) == 0) return refuse(entry, "the disk isn't here");
      place(move.to).insert(move.image.id);
      return;
    }
    auto image = move.image;
    image.pool = move.to.id;
    succeed(entry, {image});
  }
  void step(Entry& entry, const model::FlattenDisk& flatten) {
    if (entry.step < 2) return;
    succeed(entry, {flatten.image});
  }
  static constexpr unsigned kParts = 4;
  void step(Entry& entry, const model::ImportImage& import) {
    auto& done = (*copies)[entry.assignment.operation];
    if (done < kParts) {
      ++done;
      return;
    }
    copies->erase(entry.assignment.operation);
    (import.image.node.empty() ? *shared : golden).insert(import.image.id);
    auto image = import.image;
    image.virtual_size = Bytes(1_GiB);
    succeed(entry, {image});
  }
  // Before the leader has begun, or after it has ended, there is nothing to do.
  void step(Entry& entry, const model::HelpImport& help) {
    const auto copy = copies->find(entry.assignment.operation);
    if (copy == copies->end()) {
      if (entry.step > 20 || shared->contains(help.image.id)) succeed(entry);
      return;
    }
    if (copy->second < kParts) ++copy->second;
    if (copy->second == kParts) succeed(entry);
  }
  void step(Entry& entry, const model::RemoveImage& remove) {
    golden.erase(remove.image.id);
    shared->erase(remove.image.id);
    disks.erase(remove.image.id);
    succeed(entry);
  }
  void step(Entry& entry, const model::EnsurePool& ensure) {
    pools.insert(ensure.pool.id);
    succeed(entry);
  }
  void step(Entry& entry, const model::RemovePool& remove) {
    pools.erase(remove.pool.id);
    succeed(entry);
  }
  void step(Entry& entry, const model::EnsureNetwork& ensure) {
    networks.insert(ensure.network.id);
    succeed(entry);
  }
  void step(Entry& entry, const model::RemoveNetwork& remove) {
    networks.erase(remove.network.id);
    succeed(entry);
  }

  std::uint64_t next_order_ = 0;
};

}  // namespace bridgehead::reconcile::testing
