#include "availability/lease_keeper.h"

namespace bridgehead::availability {

using model::VmId;

LeaseKeeper::LeaseKeeper(Host host, const Timing& timing, KeeperRecord record, BootRecord boot, std::set<VmId> running)
    : host_(std::move(host)),
      timing_(timing),
      record_(std::move(record)),
      boot_(std::move(boot)),
      running_(std::move(running)) {}

const LeaseKeeper::Entry* LeaseKeeper::find(const VmId& vm) const {
  const auto found = record_.held.find(vm);
  return found == record_.held.end() ? nullptr : &found->second;
}

LeaseKeeper::Entry& LeaseKeeper::entry(const VmId& vm) {
  const auto found = record_.held.find(vm);
  require(found != record_.held.end(), "a guest without a lease");
  return found->second;
}

std::optional<Token> LeaseKeeper::token(const VmId& vm) const {
  const auto* held = find(vm);
  return held ? std::optional(held->grant.token) : std::nullopt;
}

bool LeaseKeeper::in_time(const Entry& entry, BootTime now) const {
  const auto ends = boot_.ends.find({entry.grant.vm, entry.grant.token});
  return ends != boot_.ends.end() && now < ends->second;
}

Renewal LeaseKeeper::renewal(bool storage_well) {
  Renewal renewal{.instance = host_.instance,
                  .sequence = ++sequence_,
                  .heard = heard_,
                  .watchdog = host_.watchdog,
                  .storage_well = storage_well,
                  .claims = claims_,
                  .held = {},
                  .released = {},
                  .refused = {}};
  for (const auto& [vm, held] : record_.held) {
    renewal.held.push_back({.vm = vm,
                            .token = held.grant.token,
                            .terms = told(held),
                            .kind = held.grant.kind,
                            .source = held.grant.source,
                            .stamped = held.stamped,
                            .running = active(vm)});
  }
  for (const auto& [own, stamped] : record_.released) renewal.released.push_back({own, stamped});
  for (const auto& [own, stamp] : record_.refused) renewal.refused.push_back({own.vm, own.token, stamp});
  return renewal;
}

LeaseKeeper::Duties LeaseKeeper::tick(BootTime now, bool storage_well) {
  Duties duties;
  restamp(duties, now);
  if (now >= next_renewal_) {
    duties.renew = renewal(storage_well);
    // The lease counts from here: whatever the manager answers, it hasn't answered yet.
    sent_.emplace(sequence_, now);
    std::erase_if(sent_, [&](const auto& sent) { return now >= sent.second + timing_.lease; });
    next_renewal_ = now + timing_.renew_every;
  }
  for (const auto& vm : running_) {
    const auto* held = find(vm);
    const bool late = held && held->grant.terms == Terms::stop && !in_time(*held, now + timing_.stop_before);
    if (!held || recalled_.contains(vm) || late) duties.stop.push_back(vm);
  }
  return duties;
}

void LeaseKeeper::release(const VmId& vm) {
  const auto own = name(vm);
  record_.released.emplace(own, find(vm)->stamped);
  record_.held.erase(vm);
  dirty_.record = true;
  dirty_.boot |= boot_.ends.erase(own) > 0;
  recalled_.erase(vm);
  startable_.erase(vm);
  lowered_.erase(vm);
  restamp_again_.erase(vm);
  look_again_.erase(vm);
  next_renewal_ = BootTime::min();
}

void LeaseKeeper::answered(const Answer& answer, BootTime now) {
  const auto sent = sent_.find(answer.sequence);
  // An answer to another process of this agent, or one that a newer one has overtaken.
  if (answer.instance != host_.instance || sent == sent_.end()) return;
  const auto until = sent->second + timing_.lease;
  sent_.erase(sent_.begin(), std::next(sent));
  // One that is too late may be of a manager that is gone: what it grants was perhaps granted to others since.
  if (now >= until) return;
  for (const auto& settled : answer.settled) {
    dirty_.record |= record_.released.erase(settled) > 0;
    dirty_.record |= record_.refused.erase(settled) > 0;
  }
  startable_.clear();
  take_recalls(answer);
  take_grants(answer, until, now);
  heard_ = answer.sequence;
}

void LeaseKeeper::set_watchdog(bool works) {
  if (std::exchange(host_.watchdog, works) != works) next_renewal_ = BootTime::min();
}

void LeaseKeeper::take_recalls(const Answer& answer) {
  for (const auto& recall : answer.recalled) {
    const auto* held = find(recall.vm);
    if (held && held->grant.token == recall.token) {
      recalled_.insert(recall.vm);
      if (!active(recall.vm)) release(recall.vm);
    } else if (record_.released.emplace(recall, false).second) {  // it never came, or was forgotten: it won't be used
      dirty_.record = true;
      next_renewal_ = BootTime::min();
    }
  }
}

void LeaseKeeper::take_grants(const Answer& answer, BootTime until, BootTime now) {
  for (const auto& grant : answer.grants) {
    const GrantName own{grant.vm, grant.token};
    if (record_.released.contains(own)) continue;  // the answer was on its way before that was told
    auto found = record_.held.find(grant.vm);
    if (found == record_.held.end()) {
      found = record_.held.emplace(grant.vm, Entry{.grant = grant}).first;
      found->second.grant.may_start = false;
      dirty_.record = true;
    }
    if (found->second.grant.token != grant.token) continue;
    if (found->second.grant.kind != grant.kind) {
      found->second.grant.kind = grant.kind;
      dirty_.record = true;
    }
    auto& ends = boot_.ends[own];
    ends = std::max(ends, until);
    dirty_.boot = true;
    take_terms(grant, ends, now, found->second);
    if (grant.may_start) startable_.insert(grant.vm);
  }
}

// A guest that ran on without a lease that counts isn't stopped by an answer that comes late: then the next one is
// taken.
void LeaseKeeper::take_terms(const Grant& grant, BootTime ends, BootTime now, Entry& held) {
  if (wanted(held) == grant.terms) return;
  const bool late = now + timing_.stop_before + timing_.renew_every >= ends;
  if (grant.terms == Terms::stop && active(grant.vm) && late) return;
  lowered_.erase(grant.vm);
  restamp_again_.erase(grant.vm);
  if (held.grant.terms == Terms::stop && grant.terms != Terms::stop && held.says != model::LeaseTerms::keep) {
    lowered_[grant.vm] = grant.terms;
    return;
  }
  held.grant.terms = grant.terms;
  dirty_.record = true;
}

Terms LeaseKeeper::wanted(const Entry& held) const {
  const auto lowered = lowered_.find(held.grant.vm);
  return lowered == lowered_.end() ? held.grant.terms : lowered->second;
}

Terms LeaseKeeper::told(const Entry& held) const {
  const auto terms = wanted(held);
  return terms == Terms::stop && held.says != model::LeaseTerms::stop ? Terms::keep : terms;
}

std::optional<model::LeaseTerms> LeaseKeeper::to_be_stamped(const Entry& held) const {
  using enum model::LeaseTerms;
  if (wanted(held) != Terms::stop) {
    const bool needed = held.says != keep && (held.grant.terms == Terms::stop || may_be_stamped(held));
    return needed ? std::optional(keep) : std::nullopt;
  }
  if (!may_be_stamped(held)) return {};
  return held.says != stop || look_again_.contains(held.grant.vm) ? std::optional(stop) : std::nullopt;
}

void LeaseKeeper::restamp(Duties& duties, BootTime now) {
  for (auto& [vm, held] : record_.held) {
    const auto terms = to_be_stamped(held);
    if (!terms) continue;
    auto& again = restamp_again_.emplace(vm, now).first->second;
    if (now < again) continue;
    again = now + timing_.renew_every;
    duties.restamp.push_back({vm, held.grant.token, *terms});
    // From here on some may say this. That outlives this process before any does.
    if (held.says && held.says != terms) {
      held.says.reset();
      dirty_.record = true;
    }
  }
}

void LeaseKeeper::restamped(const Restamp& done) {
  const auto found = record_.held.find(done.vm);
  if (found == record_.held.end() || found->second.grant.token != done.token) return;
  auto& held = found->second;
  held.says = done.terms;
  if (done.terms == model::LeaseTerms::keep) held.grant.terms = wanted(held);
  if (wanted(held) == held.grant.terms) lowered_.erase(done.vm);
  look_again_.erase(done.vm);
  restamp_again_.erase(done.vm);
  dirty_.record = true;
  next_renewal_ = BootTime::min();
}

void LeaseKeeper::pool_read(std::vector<std::uint64_t> claims, BootTime began, BootTime now) {
  claims_ = std::move(claims);
  if (!claims_.empty()) return;
  for (const auto& vm : running_) {
    const auto* held = find(vm);
    // One that has ended stays ended: somebody else may have been granted the lease, and the claim be gone again.
    if (!held || held->grant.terms != Terms::stop || !in_time(*held, now)) continue;
    auto& ends = boot_.ends[name(vm)];
    if (began + timing_.lease <= ends) continue;
    ends = began + timing_.lease;
    dirty_.boot = true;
  }
}

Result<LeaseKeeper::Entry> LeaseKeeper::begin_start(const VmId& vm, BootTime now) {
  const auto* held = find(vm);
  if (!held)
    return fail(ErrorCode::failed_precondition, "the guest has no lease on this node, so it must not be started");
  if (active(vm)) return fail(ErrorCode::failed_precondition, "the guest runs already");
  if (held->grant.kind == GrantKind::incoming) {
    return fail(ErrorCode::failed_precondition, "the guest runs on another node and may only come in from there");
  }
  if (recalled_.contains(vm)) return fail(ErrorCode::failed_precondition, "the manager wants the guest's lease back");
  if (held->grant.terms == Terms::stop && !host_.watchdog) {
    return fail(ErrorCode::failed_precondition,
                "the guest must stop when its lease ends, and this host has no watchdog");
  }
  if (held->grant.terms != Terms::own && !(startable_.contains(vm) && in_time(*held, now))) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          "the manager has not confirmed lately that the guest may be started here",
                          "It is started as soon as the manager answers.");
  }
  starting_.emplace(vm, false);
  return *held;
}

bool LeaseKeeper::may_run_now(const VmId& vm, BootTime now) const {
  const auto* held = find(vm);
  const auto starting = starting_.find(vm);
  if (!held || starting == starting_.end() || !starting->second || recalled_.contains(vm)) return false;
  if (held->grant.terms == Terms::own) return true;
  // The manager may be another by now, one that has let another node start the guest: its answers let this one run, but
  // not start.
  const bool allowed = held->grant.kind == GrantKind::incoming || startable_.contains(vm);
  return allowed && in_time(*held, now + timing_.stop_before);
}

Result<LeaseKeeper::Entry> LeaseKeeper::begin_incoming(const VmId& vm, BootTime now) {
  const auto* held = find(vm);
  if (!held || !in_time(*held, now + timing_.stop_before) || recalled_.contains(vm) || active(vm)) {
    return fail(ErrorCode::failed_precondition, "the guest may not come in here now");
  }
  if (held->grant.terms == Terms::stop && !host_.watchdog) {
    return fail(ErrorCode::failed_precondition,
                "the guest must stop when its lease ends, and this host has no watchdog");
  }
  starting_.emplace(vm, false);
  return *held;
}

void LeaseKeeper::stamped(const VmId& vm) {
  auto& held = entry(vm);
  dirty_.record |= !held.stamped;
  held.stamped = true;
  if (const auto starting = starting_.find(vm); starting != starting_.end()) starting->second = true;
}

void LeaseKeeper::refused(const VmId& vm, const Stamp& found) {
  record_.refused[name(vm)] = found;
  starting_.erase(vm);
  release(vm);
}

void LeaseKeeper::started(const VmId& vm) {
  starting_.erase(vm);
  running_.insert(vm);
  next_renewal_ = BootTime::min();
}

void LeaseKeeper::not_started(const VmId& vm) {
  starting_.erase(vm);
  release_if_recalled(vm);
}

void LeaseKeeper::stopped(const VmId& vm) {
  running_.erase(vm);
  release_if_recalled(vm);
}

void LeaseKeeper::release_if_recalled(const VmId& vm) {
  next_renewal_ = BootTime::min();
  if (recalled_.contains(vm) && find(vm) && !active(vm)) release(vm);
}

void LeaseKeeper::give_back(const VmId& vm) {
  require(!active(vm), "a running guest's lease can't be given back");
  if (find(vm)) release(vm);
}

bool LeaseKeeper::needs_watchdog() const {
  return std::any_of(record_.held.begin(), record_.held.end(),
                     [&](const auto& held) { return held.second.grant.terms == Terms::stop && active(held.first); });
}

bool LeaseKeeper::may_feed_watchdog(BootTime now) const {
  return std::all_of(record_.held.begin(), record_.held.end(), [&](const auto& held) {
    return held.second.grant.terms != Terms::stop || !active(held.first) || in_time(held.second, now);
  });
}

}  // namespace bridgehead::availability
