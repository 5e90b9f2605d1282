// LeaseKeeper: what a DHCP client has to say, and when, so that the address which the node has already stays its own
// (RFC 2131, sections 3.2 and 4.4). It never gives the address up: the root hangs on it. Pure: time, messages and the
// seed come in, messages and lines for people go out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "address.h"
#include "dhcp_message.h"

namespace bridgehead::init {

class LeaseKeeper {
 public:
  using Time = std::chrono::milliseconds;  // since any point; goes on while the machine sleeps

  struct Subject {
    Ipv4 address;
    Mac mac;
    std::string hostname;  // told to the server; may be empty
  };
  struct Step {
    std::optional<DhcpRequest> send;
    Ipv4 to = everybody;
    std::string say;    // empty: nothing to tell
    bool loud = false;  // somebody has to do something about it
  };
  static constexpr Ipv4 everybody{0xffffffff};

  // Begins by asking whether the address is (still) ours: nobody knows for how long the boot loader got it.
  LeaseKeeper(Subject subject, std::uint32_t seed, Time now);

  Time due() const { return due_; }  // when wake() must be called; a reply may change it
  Step wake(Time now);
  Step take(const DhcpReply& reply, Time now);

 private:
  enum class State {
    asking,      // whether the address is ours (INIT-REBOOT); later also who offers it (SELECTING)
    requesting,  // takes such an offer
    bound,
    renewing,   // asks the server that gave it
    rebinding,  // asks every server
  };
  Step ask(Time now);
  Step bind(const DhcpReply& reply, Time now);
  Step start_over(Time now, std::string why);
  Step complain(std::string why);
  std::string ours() const;
  void enter(State state);
  void back_off(Time now);
  std::uint32_t random();

  const Subject subject_;
  std::uint32_t random_;
  State state_ = State::asking;
  unsigned tries_ = 0;  // in this state
  Time pause_{0};       // the last one while asking
  Time due_;
  std::uint32_t transaction_;
  Ipv4 server_;  // that gave the lease, or offers it
  Time rebind_at_{0};
  Time ends_at_{0};
  bool known_ = false;             // whose lease it is
  std::vector<std::string> told_;  // complaints since all was well
};

}  // namespace bridgehead::init
