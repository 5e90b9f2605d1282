#include "availability/lease_book.h"

namespace bridgehead::availability {

using model::NodeId;
using model::VmId;

namespace {

LeaseEntry* entry_of(GuestLeases& leases, const NodeId& node, Token token) {
  for (auto& entry : leases.outstanding) {
    if (entry.node == node && entry.token == token) return &entry;
  }
  return nullptr;
}

Grant as_grant(const VmId& vm, const LeaseEntry& entry) {
  return {.vm = vm,
          .token = entry.token,
          .after = entry.after,
          .after_by_time = entry.after_by_time,
          .terms = entry.terms,
          .kind = entry.kind,
          .source = entry.source};
}

void forget_old(GuestLeases& leases) {
  std::erase_if(leases.ended, [&](const Holder& ended) { return ended.token <= leases.over; });
}

// Ends those of a guest's leases that `ended` names.
template <typename Ended>
void end(GuestLeases& leases, const Ended& ended, model::LeaseEnd by = model::LeaseEnd::proof) {
  for (const auto& entry : leases.outstanding) {
    if (!ended(entry)) continue;
    // A stamp for coming in has replaced one that may not be over.
    if (entry.stamped && entry.kind == GrantKind::run) {
      if (entry.token <= leases.over) continue;
      leases.over = entry.token;
      leases.by_time = by == model::LeaseEnd::time ? entry.node : NodeId();
    } else {
      leases.ended.push_back({entry.node, entry.token});
    }
  }
  std::erase_if(leases.outstanding, ended);
  forget_old(leases);
  if (leases.outstanding.size() != 1) return;
  auto& left = leases.outstanding.front();
  // What was for coming in is for starting, too. But not by time alone: its own stamp would let it.
  if (by == model::LeaseEnd::time && left.kind == GrantKind::incoming) left.recalled = true;
  if (!left.recalled) left.kind = GrantKind::run;
}

}  // namespace

const GuestLeases* LeaseBook::leases(const VmId& vm) const {
  const auto found = record_.guests.find(vm);
  return found == record_.guests.end() ? nullptr : &found->second;
}

std::vector<std::pair<VmId, Terms>> LeaseBook::held_by(const NodeId& node) const {
  std::vector<std::pair<VmId, Terms>> held;
  for (const auto& [vm, leases] : record_.guests) {
    for (const auto& entry : leases.outstanding) {
      if (entry.node == node) held.emplace_back(vm, entry.terms);
    }
  }
  return held;
}

bool LeaseBook::runs(const VmId& vm, const NodeId& node) const {
  const auto seen = seen_.find(node);
  if (seen == seen_.end()) return false;
  const auto held = seen->second.held.find(vm);
  return held != seen->second.held.end() && held->second.running;
}

bool LeaseBook::has_watchdog(const NodeId& node) const {
  const auto seen = seen_.find(node);
  return seen != seen_.end() && seen->second.watchdog;
}

// A record that is too old may have a counter that is too low; what is known of the guest raises it.
Token LeaseBook::next_token(const GuestLeases& leases) {
  auto token = std::max(record_.next, leases.over + 1);
  for (const auto& entry : leases.outstanding) token = std::max(token, entry.token + 1);
  for (const auto& ended : leases.ended) token = std::max(token, ended.token + 1);
  record_.next = token + 1;
  return token;
}

Grant LeaseBook::add(GuestLeases& leases, const VmId& vm, LeaseEntry entry) {
  entry.token = next_token(leases);
  entry.after = leases.over;
  entry.after_by_time = !leases.by_time.empty();
  if (entry.terms == Terms::stop) {
    wanted_.emplace(vm, Terms::stop);
    entry.terms = Terms::keep;  // until its agent says that it holds it so
  }
  mine_.insert({vm, entry.token});
  leases.outstanding.push_back(entry);
  return as_grant(vm, entry);
}

Result<Grant> LeaseBook::grant(const VmId& vm, const NodeId& node, Terms terms, BootTime now) {
  const auto known = record_.guests.find(vm);
  const bool newcomer = known == record_.guests.end();
  if (!newcomer) {
    for (const auto& entry : known->second.outstanding) {
      if (entry.node == node && !entry.recalled) {
        return as_grant(vm, entry);
      }
      return fail(ErrorCode::failed_precondition, "node {} may still run it under token {}", entry.node, entry.token);
    }
    if (learning(now)) {
      return fail_with_hint(ErrorCode::failed_precondition, "the manager has just started and learns who runs what",
                            "It goes on by itself within half a minute.");
    }
  }
  if (!heard(node)) return fail(ErrorCode::failed_precondition, "node {} has not said yet what it holds", node);
  if (newcomer) newcomers_.insert(vm);
  return add(record_.guests[vm], vm, {.node = node, .terms = terms});
}

Result<Grant> LeaseBook::grant_incoming(const VmId& vm, const NodeId& to, Terms terms, BootTime now) {
  const auto known = record_.guests.find(vm);
  if (known == record_.guests.end() || known->second.outstanding.size() != 1 ||
      known->second.outstanding.front().node == to || known->second.outstanding.front().recalled) {
    return fail(ErrorCode::failed_precondition, "the guest isn't on one other node for certain");
  }
  if (known->second.outstanding.front().terms == Terms::own || terms == Terms::own) {
    return fail(ErrorCode::failed_precondition, "the guest's disks are on its node alone");
  }
  if (learning(now) || !heard(to)) {
    return fail(ErrorCode::failed_precondition, "the manager has just started and learns who runs what");
  }
  auto& leases = known->second;
  const Holder source{leases.outstanding.front().node, leases.outstanding.front().token};
  return add(leases, vm, {.node = to, .terms = terms, .kind = GrantKind::incoming, .source = source});
}

void LeaseBook::recall(const VmId& vm, const NodeId& node) {
  const auto known = record_.guests.find(vm);
  if (known == record_.guests.end()) return;
  for (auto& entry : known->second.outstanding) {
    if (entry.node == node) entry.recalled = true;
  }
}

void LeaseBook::learn_holder(const VmId& vm, const LeaseEntry& entry) {
  auto& leases = record_.guests[vm];
  const bool ended = std::any_of(leases.ended.begin(), leases.ended.end(), [&](const Holder& one) {
    return one == Holder{entry.node, entry.token};
  });
  if (entry.token <= leases.over || ended) return;
  if (auto* known = entry_of(leases, entry.node, entry.token)) {
    known->stamped |= entry.stamped;
    return;
  }
  leases.outstanding.push_back(entry);
  if (!entry.source) return;
  // It may not have come in yet: then its source runs it.
  learn_holder(vm, {.node = entry.source->node, .token = entry.source->token, .terms = Terms::keep, .stamped = true});
}

// Who holds it doesn't end by time, so the lease isn't over. As long as it lasts: orders that go by its end may still
// be on their way, and only that its stamp says `keep` stands in theirs.
void LeaseBook::learn_kept(const VmId& vm, const Holder& holder, const std::optional<Holder>& source) {
  auto& leases = record_.guests[vm];
  const Holder taken{std::exchange(leases.by_time, NodeId()), leases.over};
  leases.over = holder.token - 1;
  if (taken != holder) leases.ended.push_back(taken);
  learn_holder(vm, {.node = holder.node,
                    .token = holder.token,
                    .terms = Terms::keep,
                    .source = source,
                    .stamped = true,
                    .by_proof_only = true});
}

void LeaseBook::adopt(const VmId& vm, const Holder& holder, Terms terms) {
  wanted_[vm] = terms;
  learn_holder(vm, {.node = holder.node, .token = holder.token, .terms = std::min(terms, Terms::keep)});
  auto* known = entry_of(record_.guests[vm], holder.node, holder.token);
  // Before the agent may hear of it.
  if (known && known->terms == Terms::stop && terms != Terms::stop) known->terms = Terms::keep;
}

// The agent acts by what it was told. Terms of adopted leases change, so an agent that says `stop` may not have heard
// yet that it shouldn't: it must have heard an answer of this process (and so all of those before), and the newest one
// by which it should not.
void LeaseBook::learn_terms(const Held& held, const Renewal& renewal, LeaseEntry& entry, const Seen& seen) {
  const auto wanted = wanted_.find(held.vm);
  if (wanted == wanted_.end() || held.terms != Terms::stop) {
    entry.terms = std::min(held.terms, entry.by_proof_only ? Terms::keep : Terms::stop);
    return;
  }
  if (entry.by_proof_only || entry.kind == GrantKind::incoming) return;
  if (wanted->second != Terms::stop || !renewal.watchdog || !held.running) return;
  if (seen.first_answer == 0 || renewal.heard < seen.first_answer) return;
  const auto lowered = lowered_.find({held.vm, held.token});
  if (lowered != lowered_.end() && lowered->second.instance == renewal.instance &&
      renewal.heard < lowered->second.answer) {
    return;
  }
  entry.terms = Terms::stop;
  entry.stamped = true;  // to say so
}

Terms LeaseBook::tell_terms(const VmId& vm, LeaseEntry& entry, const Seen& seen) {
  const auto wanted = wanted_.find(vm);
  if (wanted == wanted_.end()) return entry.terms;
  if (wanted->second == Terms::stop && seen.watchdog && !entry.by_proof_only) return Terms::stop;
  entry.terms = std::min(entry.terms, Terms::keep);
  const auto held = seen.held.find(vm);
  if (held != seen.held.end() && held->second.token == entry.token && held->second.terms == Terms::stop) {
    lowered_[{vm, entry.token}] = {.instance = seen.instance, .answer = seen.sequence};
  }
  return entry.terms;
}

// The stamp found belongs to a lease that is over, is known, or was granted by a manager whose records were lost.
void LeaseBook::learn_refusal(const Refusal& refusal) {
  const auto& [node, token] = refusal.found.holder;
  auto& leases = record_.guests[refusal.vm];
  if (auto* known = entry_of(leases, node, token)) {
    known->stamped = true;
  } else if (std::find(leases.ended.begin(), leases.ended.end(), refusal.found.holder) != leases.ended.end()) {
    // It was stamped for certain; what it replaced is over, if it wasn't one that is kept.
    const auto& source = refusal.found.source;
    if (source && *source == Holder{leases.by_time, leases.over} &&
        refusal.found.source_terms == model::LeaseTerms::keep) {
      return learn_kept(refusal.vm, *source, {});
    }
    if (token > leases.over) leases.by_time = NodeId();
    leases.over = std::max(leases.over, token);
    forget_old(leases);
  } else if (token == leases.over && !leases.by_time.empty()) {
    learn_kept(refusal.vm, refusal.found.holder, refusal.found.source);
  } else {
    // By what terms it runs there isn't known.
    learn_holder(refusal.vm,
                 {.node = node, .token = token, .terms = Terms::keep, .source = refusal.found.source, .stamped = true});
  }
}

void LeaseBook::learn(const NodeId& node, const Renewal& renewal) {
  // What others hold comes before what is given back: it must not seem that nobody holds the guest.
  for (const auto& refusal : renewal.refused) learn_refusal(refusal);
  for (const auto& held : renewal.held) {
    // Where terms change, a lease that isn't known is one that only proof ends: see learn_terms.
    const auto most = wanted_.contains(held.vm) ? Terms::keep : Terms::stop;
    const auto& leases = record_.guests[held.vm];
    if (held.running && held.terms != Terms::stop && leases.by_time == node && leases.over == held.token) {
      learn_kept(held.vm, {node, held.token}, held.source);
    }
    learn_holder(held.vm, {.node = node,
                           .token = held.token,
                           .terms = std::min(held.terms, most),
                           .kind = held.kind,
                           .source = held.source,
                           .stamped = held.stamped});
    if (auto* known = entry_of(record_.guests[held.vm], node, held.token)) {
      learn_terms(held, renewal, *known, seen_[node]);
    }
  }
  for (const auto& release : renewal.released) {
    const auto known = record_.guests.find(release.name.vm);
    if (known == record_.guests.end()) continue;
    if (known->second.by_time == node && known->second.over == release.name.token) known->second.by_time = NodeId();
    auto* entry = entry_of(known->second, node, release.name.token);
    if (!entry) continue;
    entry->stamped |= release.stamped;
    end(known->second, [&](const LeaseEntry& one) { return one.node == node && one.token == release.name.token; });
  }
}

// Of several leases of a guest: a migration that has arrived ends the source's; where there is none, records were
// restored, and the node that runs it keeps it. Who doesn't run it gives it back, if it can be asked: one that isn't
// heard may run it.
void LeaseBook::resolve(const VmId& vm, GuestLeases& leases) {
  auto& all = leases.outstanding;
  if (all.size() == 1 && !all.front().recalled) all.front().kind = GrantKind::run;
  if (all.size() < 2) return;
  const auto incoming =
      std::find_if(all.begin(), all.end(), [](const LeaseEntry& entry) { return entry.kind == GrantKind::incoming; });
  const auto best = std::max_element(all.begin(), all.end(), [&](const LeaseEntry& a, const LeaseEntry& b) {
    return std::pair(runs(vm, a.node), a.token) < std::pair(runs(vm, b.node), b.token);
  });
  if (incoming != all.end() && !runs(vm, incoming->node)) return;
  for (auto entry = all.begin(); entry != all.end(); ++entry) {
    if (entry != best && seen_.contains(entry->node) && !runs(vm, entry->node)) entry->recalled = true;
  }
}

bool LeaseBook::may_start(const VmId& vm, const GuestLeases& leases, const LeaseEntry& entry, BootTime now) const {
  return leases.outstanding.size() == 1 && entry.kind == GrantKind::run && (newcomers_.contains(vm) || !learning(now));
}

std::optional<Answer> LeaseBook::renew(const NodeId& node, const Renewal& renewal, bool withhold, BootTime now) {
  auto& seen = seen_[node];
  if (seen.instance == renewal.instance && renewal.sequence <= seen.sequence) return std::nullopt;  // overtaken
  if (seen.instance != renewal.instance) seen.first_answer = 0;
  seen.instance = renewal.instance;
  seen.sequence = renewal.sequence;
  seen.watchdog = renewal.watchdog;
  seen.held.clear();
  for (const auto& held : renewal.held) seen.held.emplace(held.vm, held);
  learn(node, renewal);
  if (withhold) return std::nullopt;
  Answer answer{
      .instance = renewal.instance, .sequence = renewal.sequence, .grants = {}, .recalled = {}, .settled = {}};
  for (const auto& release : renewal.released) answer.settled.push_back(release.name);
  for (const auto& refused : renewal.refused) answer.settled.push_back({refused.vm, refused.token});
  for (const auto& held : renewal.held) {
    const auto known = record_.guests.find(held.vm);
    if (known == record_.guests.end() || entry_of(known->second, node, held.token)) continue;
    answer.recalled.push_back({held.vm, held.token});  // it is over
  }
  for (auto& [vm, leases] : record_.guests) {
    // It doesn't hold it any more: then it says so, which is proof.
    if (leases.by_time == node && !seen.held.contains(vm)) answer.recalled.push_back({vm, leases.over});
    if (std::none_of(leases.outstanding.begin(), leases.outstanding.end(),
                     [&](const LeaseEntry& entry) { return entry.node == node; })) {
      continue;
    }
    resolve(vm, leases);
    for (auto& entry : leases.outstanding) {
      if (entry.node != node) continue;
      const auto held = seen.held.find(vm);
      const bool holds = held != seen.held.end() && held->second.token == entry.token;
      // A lease that the agent doesn't hold is told again only by the process that granted it: one of before may have
      // been used and given back since, and its token must not be used twice.
      if (entry.recalled || (!holds && !mine_.contains({vm, entry.token}))) {
        answer.recalled.push_back({vm, entry.token});
      } else {
        answer.grants.push_back(as_grant(vm, entry));
        answer.grants.back().terms = tell_terms(vm, entry, seen);
        answer.grants.back().may_start = may_start(vm, leases, entry, now);
      }
    }
  }
  seen.answered = now;
  if (seen.first_answer == 0) seen.first_answer = answer.sequence;
  return answer;
}

void LeaseBook::node_off(const NodeId& node) {
  for (auto& [vm, leases] : record_.guests) {
    if (leases.by_time == node) leases.by_time = NodeId();
    // `own`: nobody else can run it, and its node will want it back.
    end(leases, [&](const LeaseEntry& entry) { return entry.node == node && entry.terms != Terms::own; });
  }
}

void LeaseBook::node_lapsed(const NodeId& node, BootTime claimed, BootTime now) {
  const auto seen = seen_.find(node);
  // From the claim on neither the manager nor the pool prolongs them.
  require(
      now >= lapses(claimed) && (seen == seen_.end() || !seen->second.answered || *seen->second.answered <= claimed),
      "leases were to end before their time");
  for (auto& [vm, leases] : record_.guests) {
    const auto ended = [&](const LeaseEntry& entry) { return entry.node == node && entry.terms == Terms::stop; };
    end(leases, ended, model::LeaseEnd::time);
  }
}

void LeaseBook::forget(const VmId& vm) {
  record_.guests.erase(vm);
  wanted_.erase(vm);
  std::erase_if(lowered_, [&](const auto& lowered) { return lowered.first.vm == vm; });
}

}  // namespace bridgehead::availability
