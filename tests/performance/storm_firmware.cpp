#include "performance/storm_firmware.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "netboot/boot_values.h"

namespace bridgehead::performance {
namespace {

using netboot::DhcpMessage;
using netboot::DhcpType;

constexpr std::uint32_t kFirstTransaction = 0x5e000000;
constexpr std::chrono::seconds kFirstPatience{4};
constexpr std::chrono::seconds kLongestPatience{64};
constexpr std::uint16_t kTftpPort = 69;
constexpr std::size_t kBlock = 512;
constexpr std::string_view kFirstScript = "bridgehead.ipxe";

DhcpMessage discover_of(const StormIdentity& machine, std::size_t index) {
  DhcpMessage message;
  message.transaction = kFirstTransaction + static_cast<std::uint32_t>(index);
  for (std::size_t i = 0; i < message.mac.size(); ++i) {
    message.mac[i] = static_cast<std::uint8_t>(std::stoi(machine.mac.substr(i * 3, 2), nullptr, 16));
  }
  message.set_type(DhcpType::discover);
  message.options[55] = std::string("\x01\x03\x06\x0c\x42\x43\xaf", 7);
  message.options[60] = "PXEClient:Arch:00000:UNDI:002001";
  message.options[77] = "iPXE";
  message.options[93] = std::string(2, '\0');
  message.options[94] = std::string("\x01\x02\x01", 3);
  message.options[175] = std::string("\xb1\x05\x01\x1a\xf4\x10\x00", 7);
  return message;
}

std::string network_order(std::uint32_t address) {
  const auto bytes = htonl(address);
  return {reinterpret_cast<const char*>(&bytes), sizeof bytes};
}

}  // namespace

Result<StormFirmware> StormFirmware::open(const std::string& interface, const std::vector<StormIdentity>& machines) {
  auto dhcp = netboot::DhcpSocket::open(interface);
  if (!dhcp) return forward(dhcp);
  // One for all: each packet says whose address it is from or for.
  UniqueFd tftp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  sockaddr_in any{};
  any.sin_family = AF_INET;
  if (!tftp || ::setsockopt(tftp.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0 ||
      ::bind(tftp.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) {
    return fail_errno(errno, "open a socket for TFTP");
  }
  return StormFirmware(std::move(*dhcp), std::move(tftp), machines);
}

StormFirmware::StormFirmware(netboot::DhcpSocket dhcp, UniqueFd tftp, const std::vector<StormIdentity>& machines)
    : dhcp_(std::move(dhcp)), tftp_(std::move(tftp)), left_(machines.size()) {
  for (const auto& identity : machines) {
    machines_.push_back({.identity = identity, .question = discover_of(identity, machines_.size()), .script = {}});
  }
}

StormFirmware::Machine* StormFirmware::of_transaction(std::uint32_t transaction) {
  const auto index = transaction - kFirstTransaction;
  return index < machines_.size() ? &machines_[index] : nullptr;
}

StormFirmware::Machine* StormFirmware::of_address(std::uint32_t address) {
  const auto found = std::find_if(machines_.begin(), machines_.end(),
                                  [&](const Machine& machine) { return machine.identity.address == address; });
  return found == machines_.end() ? nullptr : &*found;
}

void StormFirmware::go_on(Machine& machine, Step step) {
  machine.step = step;
  machine.patience = kFirstPatience;
  ask(machine);
}

void StormFirmware::ask(Machine& machine) {
  machine.ask_at = std::chrono::steady_clock::now() + machine.patience +
                   std::chrono::milliseconds(std::uniform_int_distribution(-1000, 1000)(random_));
  machine.patience = std::min(machine.patience * 2, kLongestPatience);
  if (machine.step == Step::load) {
    using namespace std::string_literals;
    return send_tftp(machine, "\0\x01"s + std::string(kFirstScript) + "\0octet\0"s, kTftpPort);
  }
  // A full queue of the interface is as good as a lost packet.
  (void)dhcp_.broadcast(machine.question);
}

void StormFirmware::ask_those_due() {
  const auto now = std::chrono::steady_clock::now();
  for (auto& machine : machines_) {
    if (machine.step == Step::ended || machine.ask_at > now) continue;
    if (machine.ask_at != Monotonic{}) ++repeated_;
    ask(machine);
  }
}

void StormFirmware::take_dhcp(const DhcpMessage& answer) {
  auto* machine = of_transaction(answer.transaction);
  const auto type = answer.type();
  if (machine == nullptr || answer.mac != machine->question.mac || !type) return;
  if (*type == DhcpType::nak) return end(*machine, "its request for an address was refused");
  if (*type == DhcpType::offer && machine->step == Step::discover) {
    machine->question.set_type(DhcpType::request);
    machine->question.options[50] = network_order(answer.yours);
    machine->question.options[54] = network_order(answer.address_option(54));
    return go_on(*machine, Step::request);
  }
  if (*type != DhcpType::ack || machine->step != Step::request) return;
  if (answer.yours != machine->identity.address) {
    return end(*machine, fmt::format("it got the address {} and not {}", netboot::ipv4_text(answer.yours),
                                     netboot::ipv4_text(machine->identity.address)));
  }
  const auto named = answer.options.find(67);
  const std::string file = named == answer.options.end() ? answer.file : named->second;
  if (file.substr(0, file.find('\0')) != kFirstScript) return end(*machine, "it was told to load '" + file + "'");
  server_ = answer.server;
  go_on(*machine, Step::load);
}

void StormFirmware::send_tftp(const Machine& machine, std::string_view packet, std::uint16_t port) const {
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(port);
  server.sin_addr.s_addr = htonl(server_);
  iovec part{const_cast<char*>(packet.data()), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))] = {};
  msghdr message{};
  message.msg_name = &server;
  message.msg_namelen = sizeof server;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  auto* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo from{};
  from.ipi_spec_dst.s_addr = htonl(machine.identity.address);
  std::memcpy(CMSG_DATA(header), &from, sizeof from);
  (void)::sendmsg(tftp_.get(), &message, 0);  // asked again where it is lost
}

void StormFirmware::take_tftp() {
  for (;;) {
    char bytes[4 + kBlock];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))];
    sockaddr_in from{};
    iovec part{bytes, sizeof bytes};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const auto got = ::recvmsg(tftp_.get(), &message, 0);
    if (got < 4) return;
    in_pktinfo at{};
    if (const auto* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      std::memcpy(&at, CMSG_DATA(header), sizeof at);
    }
    auto* machine = of_address(ntohl(at.ipi_addr.s_addr));
    if (machine == nullptr || machine->step != Step::load) continue;
    if (bytes[1] == 5) continue;  // "too busy" among others: asked again
    const auto block =
        static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[2]) << 8 | static_cast<std::uint8_t>(bytes[3]));
    const char acknowledged[] = {0, 4, bytes[2], bytes[3]};
    send_tftp(*machine, {acknowledged, sizeof acknowledged}, ntohs(from.sin_port));
    if (block != machine->script.size() / kBlock + 1) continue;  // sent again
    machine->script.append(bytes + 4, static_cast<std::size_t>(got) - 4);
    if (got == 4 + kBlock) continue;
    end(*machine, machine->script.starts_with("#!ipxe\n") ? "" : "its first script is none");
  }
}

void StormFirmware::end(Machine& machine, const std::string& problem) {
  machine.step = Step::ended;
  --left_;
  (*loaded_)(static_cast<std::size_t>(&machine - machines_.data()), problem);
}

void StormFirmware::run(const Loaded& loaded, Monotonic deadline) {
  loaded_ = &loaded;
  while (left_ > 0 && std::chrono::steady_clock::now() < deadline) {
    ask_those_due();
    pollfd waiting[] = {{dhcp_.fd(), POLLIN, 0}, {tftp_.get(), POLLIN, 0}};
    ::poll(waiting, 2, 50);
    take_tftp();
    while (const auto received = dhcp_.receive_any(std::chrono::steady_clock::now()).value_or(std::nullopt)) {
      take_dhcp(received->message);
    }
  }
  for (auto& machine : machines_) {
    if (machine.step == Step::discover || machine.step == Step::request) end(machine, "nobody gave it an address");
    if (machine.step == Step::load) end(machine, "nobody gave it its first script");
  }
}

}  // namespace bridgehead::performance
