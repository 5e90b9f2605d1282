// What the firmware and the first loader of many machines do at once: an address by DHCP as iPXE asks for it, over one
// packet socket, then the loader's first script by TFTP. Asked again after 4, 8, 16 seconds, each a random second more
// or less, as RFC 2131 wants it (4.1). One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "netboot/dhcp_packet.h"

namespace bridgehead::performance {

struct StormIdentity {
  std::string mac;
  std::uint32_t address = 0;  // that it must get
};

class StormFirmware {
 public:
  // `interface` must have all their addresses. not_found, permission_denied: as DhcpSocket::open.
  static Result<StormFirmware> open(const std::string& interface, const std::vector<StormIdentity>& machines);

  // Called for each machine once: with "" when it has its address and script, otherwise with what is wrong.
  using Loaded = std::function<void(std::size_t machine, const std::string& problem)>;
  // Ends when all have been told, at the deadline with those that are left.
  void run(const Loaded& loaded, Monotonic deadline);

  std::size_t repeated() const { return repeated_; }  // questions that went without an answer at first

 private:
  enum class Step { discover, request, load, ended };
  struct Machine {
    StormIdentity identity;
    Step step = Step::discover;
    netboot::DhcpMessage question;
    std::string script;
    Monotonic ask_at{};
    std::chrono::seconds patience{4};
  };

  StormFirmware(netboot::DhcpSocket dhcp, UniqueFd tftp, const std::vector<StormIdentity>& machines);
  Machine* of_transaction(std::uint32_t transaction);
  Machine* of_address(std::uint32_t address);
  void go_on(Machine& machine, Step step);
  void ask(Machine& machine);
  void ask_those_due();
  void take_dhcp(const netboot::DhcpMessage& answer);
  void take_tftp();
  void send_tftp(const Machine& machine, std::string_view packet, std::uint16_t port) const;
  void end(Machine& machine, const std::string& problem);

  netboot::DhcpSocket dhcp_;
  UniqueFd tftp_;
  std::uint32_t server_ = 0;
  std::vector<Machine> machines_;
  std::size_t left_ = 0;
  std::size_t repeated_ = 0;
  std::minstd_rand random_{1};
  const Loaded* loaded_ = nullptr;
};

}  // namespace bridgehead::performance
