#include "lease_keeper.h"

#include <algorithm>
#include <utility>

#include "text.h"

namespace bridgehead::init {
namespace {

using namespace std::chrono_literals;
using Time = LeaseKeeper::Time;

constexpr Time first_retry = 4s;  // RFC 2131, section 4.1
constexpr Time longest_retry = 300s;
constexpr Time between_renewals = 60s;   // section 4.4.5
constexpr unsigned tries_to_reboot = 5;  // 4 + 8 + 16 + 32 + 64 s
constexpr unsigned tries_to_request = 4;
constexpr std::uint32_t for_ever = 0xffffffff;
constexpr std::uint32_t shortest_lease = 10;  // seconds: what a server errs in mustn't flood the network
constexpr Time never = Time::max();
constexpr std::size_t most_told = 16;

}  // namespace

LeaseKeeper::LeaseKeeper(Subject subject, std::uint32_t seed, Time now)
    : subject_(std::move(subject)), random_(seed | 1), due_(now), transaction_(random()) {}

// xorshift; only spreads times and transactions of many nodes.
std::uint32_t LeaseKeeper::random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  return random_;
}

void LeaseKeeper::enter(State state) {
  state_ = state;
  tries_ = 0;
  transaction_ = random();
}

// Twice as long each time, give or take a second, so that a rack that lost its server doesn't ask in step.
void LeaseKeeper::back_off(Time now) {
  pause_ = pause_ == Time(0) ? first_retry : std::min(pause_ * 2, longest_retry);
  due_ = now + pause_ - 1s + Time(random() % 2000);
}

LeaseKeeper::Step LeaseKeeper::complain(std::string why) {
  if (told_.size() == most_told || std::find(told_.begin(), told_.end(), why) != told_.end()) return {};
  told_.push_back(why);
  return {.say = std::move(why), .loud = true};
}

std::string LeaseKeeper::ours() const { return concat(subject_.address.text(), " (", subject_.mac.text(), ")"); }

// Starts over, by asking for the same address.
LeaseKeeper::Step LeaseKeeper::start_over(Time now, std::string why) {
  if (state_ != State::asking) {
    enter(State::asking);
    tries_ = tries_to_reboot;
    back_off(now);
  }
  return complain(std::move(why));
}

LeaseKeeper::Step LeaseKeeper::wake(Time now) {
  if (now < due_) return {};
  if (state_ == State::bound) enter(State::renewing);
  std::string say;
  if (state_ == State::renewing && now >= rebind_at_) {
    enter(State::rebinding);
    say = complain(concat(server_.text(), " doesn't renew the lease of ", ours(), "; every DHCP server is asked now"))
              .say;
  }
  if (state_ == State::rebinding && now >= ends_at_) {
    return start_over(now,
                      concat("the lease of ", ours(), " has run out and no DHCP server answers; the address stays"));
  }
  if (state_ == State::requesting && tries_ == tries_to_request) {
    enter(State::asking);
    tries_ = tries_to_reboot;
  }
  const bool unheard = state_ == State::asking && tries_ == tries_to_reboot && told_.empty();
  if (unheard) {
    say = complain(concat("no DHCP server knows ", ours(), "; the address stays, but nobody keeps it free")).say;
  }
  auto step = ask(now);
  step.say = std::move(say);
  step.loud = unheard;
  return step;
}

LeaseKeeper::Step LeaseKeeper::ask(Time now) {
  ++tries_;
  DhcpRequest request{.transaction = transaction_, .mac = subject_.mac, .hostname = subject_.hostname};
  Ipv4 to = everybody;
  if (state_ == State::renewing || state_ == State::rebinding) {
    request.client = subject_.address;
    const auto end = state_ == State::renewing ? rebind_at_ : ends_at_;
    due_ = std::min(now + std::max((end - now) / 2, between_renewals), end);
    if (state_ == State::renewing && server_.value != 0) to = server_;
  } else if (state_ == State::requesting) {
    request.wanted = subject_.address;
    request.server = server_;
    due_ = now + first_retry;
  } else {
    request.wanted = subject_.address;
    // A server that has forgotten the lease answers a request or a search only, by its kind; and before an offer it may
    // look whether the address is in use, which it is.
    if (tries_ > tries_to_reboot && (tries_ - tries_to_reboot) % 2 == 0) request.type = DhcpType::discover;
    back_off(now);
  }
  return {.send = std::move(request), .to = to};
}

LeaseKeeper::Step LeaseKeeper::take(const DhcpReply& reply, Time now) {
  if (reply.transaction != transaction_ || reply.mac != subject_.mac || state_ == State::bound) return {};
  const bool ours_is_meant = reply.yours == subject_.address;
  if (reply.type == DhcpType::offer) {
    if (state_ != State::asking) return {};
    if (!ours_is_meant) {
      return complain(concat(reply.server.text(), " offers ", reply.yours.text(), " instead of ", ours(),
                             "; the address stays, reserve it on the DHCP server"));
    }
    server_ = reply.server;
    enter(State::requesting);
    transaction_ = reply.transaction;  // RFC 2131, section 4.4.1: of the offer that is taken
    return ask(now);
  }
  if (reply.type == DhcpType::ack && ours_is_meant) return bind(reply, now);
  return start_over(now, concat(reply.server.text(), " refuses ", ours(),
                                "; the address stays, because the root hangs on it; reserve it on the DHCP server"));
}

LeaseKeeper::Step LeaseKeeper::bind(const DhcpReply& reply, Time now) {
  const auto lease = std::max(reply.lease.value_or(for_ever), shortest_lease);
  auto renew = reply.renew.value_or(lease / 2);
  auto rebind = reply.rebind.value_or(lease - lease / 8);
  if (renew == 0 || renew >= rebind || rebind >= lease) {
    renew = lease / 2;
    rebind = lease - lease / 8;
  }
  enter(State::bound);
  pause_ = Time(0);
  server_ = reply.server;
  ends_at_ = now + std::chrono::seconds(lease);
  rebind_at_ = now + std::chrono::seconds(rebind);
  // A rack that was powered on at once doesn't stay in step.
  due_ = lease == for_ever ? never : now + std::chrono::seconds(renew) - Time(random() % (renew * 1000ULL / 32 + 1));
  const bool news = !std::exchange(known_, true) || !told_.empty();
  told_.clear();
  if (!news) return {};
  return {.say = concat("the address ", ours(), " is leased from ", server_.text(),
                        lease == for_ever ? std::string(" for good") : concat(" for ", lease, " s"))};
}

}  // namespace bridgehead::init
