#include "host_agent/migration/gates.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <atomic>
#include <thread>

#include "base/file.h"
#include "host_agent/messages.h"
#include "host_agent/migration/relay_threads.h"
#include "host_agent/migration/tls_link.h"

namespace bridgehead::host_agent {
namespace {

constexpr char kControl = 'c';
constexpr char kData = 'd';
constexpr char kProbe = 'p';  // is this the gate, and the right node behind it?
// Where disks go along. An agent of before, which would leave them behind, doesn't know this control.
constexpr char kControlWithDisks = 'm';
constexpr char kDisks = 'b';
constexpr char kGiveUp = 'g';

// Answered by the other agent, at whichever of its addresses.
bool is_question(char tag) { return tag == kProbe || tag == kGiveUp; }
bool is_control(char tag) { return tag == kControl || tag == kControlWithDisks; }

// Only of what lies in a directory of root's: nobody else can put a link in its place.
Status give_to_qemu(const MigrationPaths& paths, const std::filesystem::path& path) {
  const passwd* user = ::getpwnam(paths.qemu_user.c_str());
  if (user == nullptr || ::geteuid() != 0 || ::lchown(path.c_str(), user->pw_uid, user->pw_gid) == 0) return {};
  return fail_errno(errno, "chown " + path.string());
}

// Only root may speak to libvirtd through control.sock. Whoever makes data.sock, QEMU on the target or the source's
// agent, has the directory below, of `data_mode`.
Status make_place(const MigrationPaths& paths, const model::VmId& vm, mode_t data_mode) {
  const auto place = paths.run_dir / vm.str();
  std::error_code error;
  std::filesystem::remove_all(place, error);
  if (auto made = make_directories(paths.run_dir, 0711); !made) return made;
  if (auto made = make_directories(place, 0711); !made) return made;
  const auto data = paths.data(vm).parent_path();
  if (auto made = make_directories(data, data_mode); !made) return made;
  // What an administrator's umask left out.
  if (::chmod(place.c_str(), 0711) != 0 || ::chmod(data.c_str(), data_mode) != 0) return fail_errno(errno, "chmod");
  return {};
}

void remove_place(const MigrationPaths& paths, const model::VmId& vm) {
  std::error_code ignored;
  std::filesystem::remove_all(paths.run_dir / vm.str(), ignored);
}

// The address from which this node reaches its manager comes first: the source reaches that, too, more often than not.
std::string address_towards(const std::string& manager) {
  const auto colon = manager.rfind(':');
  if (colon == std::string::npos) return {};
  auto host = manager.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), manager.substr(colon + 1).c_str(), &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  const UniqueFd socket(::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  char text[NI_MAXHOST] = "";
  if (!socket || ::connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0 ||
      ::getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) {
    return {};
  }
  return text;
}

std::vector<std::string> own_addresses(const std::string& manager) {
  std::vector<std::string> addresses;
  const auto add = [&](const std::string& address) {
    const bool known = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    if (!address.empty() && !known && !address.starts_with("127.") && address != "::1") addresses.push_back(address);
  };
  add(address_towards(manager));
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(first, &::freeifaddrs);
  for (const auto* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = "";
    const auto* four = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    if (::inet_ntop(AF_INET, &four->sin_addr, text, sizeof text) != nullptr) add(text);
  }
  return addresses;
}

}  // namespace

class MigrationGates::Gate {
 public:
  Gate(const MigrationHost& host, model::VmId vm, model::NodeId source, Identity identity,
       std::optional<MemoryBudget::Reservation> memory, TakeOver take_over)
      : host_(host),
        vm_(std::move(vm)),
        source_(std::move(source)),
        identity_(std::move(identity)),
        memory_(std::move(memory)),
        take_over_(std::move(take_over)) {}
  ~Gate() {
    done_.raise();
    relays_.stop();
    if (closer_.joinable()) closer_.join();
  }

  Status open(std::uint16_t& port) {
    auto listener = listen_anywhere(port);
    if (!listener) return forward(listener);
    auto made = make_place(host_.paths, vm_, 0700);
    if (made) made = give_to_qemu(host_.paths, host_.paths.data(vm_).parent_path());
    if (!made) {
      remove_place(host_.paths, vm_);
      return made;
    }
    relays_.listen(std::move(*listener), [this](UniqueFd connection, int stop) { serve(std::move(connection), stop); });
    closer_ = std::thread([this] { close_when_done(); });
    return {};
  }
  bool closed() const { return closed_; }

 private:
  void serve(UniqueFd connection, int stop) {
    auto link = TlsLink::as_server(std::move(connection), identity_, source_, host_.handshake);
    const auto tag = link ? link->receive_tag(host_.handshake) : Result<char>(forward(link));
    if (!tag) {
      log::warning(messages::migration_refused, "guest {}: {}", vm_, tag.error().describe());
      return;
    }
    if (*tag == kProbe) return (void)link->send_tag(kProbe);
    if (*tag == kGiveUp && take_over_) return take_over(*link);
    auto local = reach(*tag);
    if (!local) {
      log::warning(messages::migration_refused, "guest {}: {}", vm_, local.error().describe());
      if (is_control(*tag)) done_.raise();
      return;
    }
    if (is_control(*tag)) came_ = true;
    link->relay(std::move(*local), stop);
    if (is_control(*tag)) (take_over_ ? left_ : done_).raise();
  }

  Result<UniqueFd> reach(char tag) const {
    const auto& paths = host_.paths;
    if (tag == kData) return connect_to(paths.data(vm_).string(), host_.handshake);
    if (tag == kDisks && take_over_) return connect_to(paths.disks(vm_).string(), host_.handshake);
    if (tag == (take_over_ ? kControlWithDisks : kControl)) {
      return connect_to(paths.libvirt_socket.string(), host_.handshake);
    }
    return fail(ErrorCode::permission_denied, "the source asks for something that isn't part of this migration");
  }

  void take_over(TlsLink& link) {
    if (auto taken = take_over_()) {
      (void)link.send_tag(kGiveUp);
      done_.raise();
    } else {
      log::warning(messages::migration_refused, "guest {}: {}", vm_, taken.error().describe());
    }
  }

  // Nobody came, or the source has hung up (and given the guest up): from then on nothing gets in, and nothing stays.
  void close_when_done() {
    pollfd ends[] = {{.fd = done_.fd(), .events = POLLIN, .revents = 0},
                     {.fd = left_.fd(), .events = POLLIN, .revents = 0}};
    const auto patience = static_cast<int>(host_.patience.count());
    int ready = ::poll(ends, 2, patience);
    if (ready == 0 && came_) ready = ::poll(ends, 2, -1);
    if (ready > 0 && ends[0].revents == 0) (void)::poll(ends, 1, patience);
    relays_.stop();
    remove_place(host_.paths, vm_);
    memory_.reset();
    closed_ = true;
  }

  const MigrationHost& host_;
  const model::VmId vm_;
  const model::NodeId source_;
  const Identity identity_;
  std::optional<MemoryBudget::Reservation> memory_;
  const TakeOver take_over_;
  StopSignal done_;
  StopSignal left_;  // libvirt has hung up; whether the guest was given up is to be heard
  std::atomic<bool> came_ = false;
  std::atomic<bool> closed_ = false;
  RelayThreads relays_;
  std::thread closer_;
};

MigrationGates::MigrationGates(MigrationHost host) : host_(std::move(host)) {}
MigrationGates::~MigrationGates() = default;

Result<model::MigrationGate> MigrationGates::open(const model::VmId& vm, const model::NodeId& source,
                                                  std::optional<MemoryBudget::Reservation> memory, TakeOver take_over) {
  auto identity = host_.identity();
  if (!identity) return forward(identity);
  model::MigrationGate answer{.addresses = own_addresses(identity->manager), .port = 0, .disks = {}};
  if (answer.addresses.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, "this node has no address that other nodes reach",
                          "Give one of its interfaces an address.");
  }
  close(vm);
  auto gate = std::make_unique<Gate>(host_, vm, source, std::move(*identity), std::move(memory), std::move(take_over));
  if (auto opened = gate->open(answer.port); !opened) return forward(opened);
  const std::lock_guard lock(mutex_);
  drop_closed();
  gates_[vm] = std::move(gate);
  return answer;
}

bool MigrationGates::is_open(const model::VmId& vm) {
  const std::lock_guard lock(mutex_);
  drop_closed();
  return gates_.contains(vm);
}

void MigrationGates::drop_closed() {
  std::erase_if(gates_, [](const auto& entry) { return entry.second->closed(); });
}

void MigrationGates::close(const model::VmId& vm) {
  std::unique_ptr<Gate> gate;
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find(vm);
  if (found == gates_.end()) return;
  gate = std::move(found->second);
  gates_.erase(found);
}

class MigrationWay::State {
 public:
  State(MigrationHost host, model::VmId vm, model::NodeId target, std::uint16_t port, Identity identity)
      : host_(std::move(host)),
        vm_(std::move(vm)),
        target_(std::move(target)),
        port_(port),
        identity_(std::move(identity)) {}
  ~State() {
    relays_.stop();
    remove_place(host_.paths, vm_);
  }

  // Finds the first address that the target answers at, before libvirt is asked for anything.
  Status build(const std::vector<std::string>& addresses, bool with_disks) {
    if (auto answered = ask(kProbe, addresses); !answered) return answered;
    if (auto made = make_place(host_.paths, vm_, 0711); !made) return made;
    const auto& paths = host_.paths;
    auto listening = listen(with_disks ? kControlWithDisks : kControl, paths.control(vm_));
    if (listening) listening = listen(kData, paths.data(vm_));
    if (listening && with_disks) listening = listen(kDisks, paths.disks(vm_));
    return listening;
  }

  Status give_up(const std::vector<std::string>& addresses) { return ask(kGiveUp, addresses); }

  const MigrationPaths& paths() const { return host_.paths; }
  const model::VmId& vm() const { return vm_; }

 private:
  // One after the other, until one answers.
  Status ask(char tag, const std::vector<std::string>& addresses) {
    Error why{ErrorCode::unavailable, "the target names no address", {}};
    for (const auto& address : addresses) {
      address_ = address;
      auto link = reach(tag);
      // Our own end of the handshake says nothing about what the target makes of us: it answers when it lets us in.
      const auto answer = link ? link->receive_tag(host_.handshake) : Result<char>(forward(link));
      if (answer) return {};
      why = answer.error();
    }
    why.hint = "Migration needs TCP between the nodes; look at their firewalls and routes.";
    return fail(std::move(why));
  }

  Status listen(char tag, const std::filesystem::path& path) {
    auto listener = listen_at(path.string());
    if (!listener) return forward(listener);
    if (!is_control(tag)) {
      if (auto given = give_to_qemu(host_.paths, path); !given) return given;
    }
    relays_.listen(std::move(*listener),
                   [this, tag](UniqueFd connection, int stop) { serve(std::move(connection), tag, stop); });
    return {};
  }

  Result<TlsLink> reach(char tag) const {
    auto socket = connect_to(address_, port_, is_question(tag) ? std::chrono::seconds(3) : host_.handshake);
    if (!socket) return forward(socket);
    auto link = TlsLink::as_client(std::move(*socket), identity_, target_, host_.handshake);
    if (!link) return link;
    if (auto said = link->send_tag(tag); !said) return forward(said);
    return link;
  }

  void serve(UniqueFd local, char tag, int stop) {
    auto link = reach(tag);
    if (link) return link->relay(std::move(local), stop);
    log::warning(messages::migration_refused, "guest {}: {}", vm_, link.error().describe());  // libvirt is cut off
  }

  const MigrationHost host_;
  const model::VmId vm_;
  const model::NodeId target_;
  const std::uint16_t port_;
  const Identity identity_;
  std::string address_;
  RelayThreads relays_;
};

Result<MigrationWay> MigrationWay::build(const MigrationHost& host, const model::VmId& vm, const model::NodeId& target,
                                         const model::MigrationGate& gate) {
  auto identity = host.identity();
  if (!identity) return forward(identity);
  auto state = std::make_unique<State>(host, vm, target, gate.port, std::move(*identity));
  if (auto built = state->build(gate.addresses, !gate.disks.empty()); !built) return forward(built);
  return MigrationWay(std::move(state));
}

Status MigrationWay::give_up(const MigrationHost& host, const model::VmId& vm, const model::NodeId& target,
                             const model::MigrationGate& gate) {
  auto identity = host.identity();
  if (!identity) return forward(identity);
  return State(host, vm, target, gate.port, std::move(*identity)).give_up(gate.addresses);
}

MigrationWay::MigrationWay(std::unique_ptr<State> state) : state_(std::move(state)) {}
MigrationWay::MigrationWay(MigrationWay&&) noexcept = default;
MigrationWay& MigrationWay::operator=(MigrationWay&&) noexcept = default;
MigrationWay::~MigrationWay() = default;

std::filesystem::path MigrationWay::control_socket() const { return state_->paths().control(state_->vm()); }
std::filesystem::path MigrationWay::data_socket() const { return state_->paths().data(state_->vm()); }
std::filesystem::path MigrationWay::disks_socket() const { return state_->paths().disks(state_->vm()); }

}  // namespace bridgehead::host_agent
