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
       std::optional<MemoryBudget::Reservation> memory)
      : host_(host),
        vm_(std::move(vm)),
        source_(std::move(source)),
        identity_(std::move(identity)),
        memory_(std::move(memory)) {}
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
    const auto& paths = host_.paths;
    auto local =
        connect_to(*tag == kControl ? paths.libvirt_socket.string() : paths.data(vm_).string(), host_.handshake);
    if (!local) {
      log::warning(messages::migration_refused, "guest {}: {}", vm_, local.error().describe());
      if (*tag == kControl) done_.raise();
      return;
    }
    if (*tag == kControl) came_ = true;
    link->relay(std::move(*local), stop);
    if (*tag == kControl) done_.raise();
  }

  // Nobody came, or the source has hung up: from then on nothing gets in, and nothing stays.
  void close_when_done() {
    pollfd entry{.fd = done_.fd(), .events = POLLIN, .revents = 0};
    int ready = ::poll(&entry, 1, static_cast<int>(host_.patience.count()));
    if (ready == 0 && came_) ready = ::poll(&entry, 1, -1);
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
  StopSignal done_;
  std::atomic<bool> came_ = false;
  std::atomic<bool> closed_ = false;
  RelayThreads relays_;
  std::thread closer_;
};

MigrationGates::MigrationGates(MigrationHost host) : host_(std::move(host)) {}
MigrationGates::~MigrationGates() = default;

Result<model::MigrationGate> MigrationGates::open(const model::VmId& vm, const model::NodeId& source,
                                                  std::optional<MemoryBudget::Reservation> memory) {
  auto identity = host_.identity();
  if (!identity) return forward(identity);
  model::MigrationGate answer{.addresses = own_addresses(identity->manager), .port = 0};
  if (answer.addresses.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, "this node has no address that other nodes reach",
                          "Give one of its interfaces an address.");
  }
  close(vm);
  auto gate = std::make_unique<Gate>(host_, vm, source, std::move(*identity), std::move(memory));
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
  Status build(const std::vector<std::string>& addresses) {
    Error why{ErrorCode::unavailable, "the target names no address", {}};
    for (const auto& address : addresses) {
      address_ = address;
      auto link = reach(kProbe);
      // Our own end of the handshake says nothing about what the target makes of us: it answers when it lets us in.
      const auto answer = link ? link->receive_tag(host_.handshake) : Result<char>(forward(link));
      if (!answer) {
        why = answer.error();
        address_.clear();
        continue;
      }
      break;
    }
    if (address_.empty()) {
      why.hint = "Migration needs TCP between the nodes; look at their firewalls and routes.";
      return fail(std::move(why));
    }
    if (auto made = make_place(host_.paths, vm_, 0711); !made) return made;
    for (const char tag : {kControl, kData}) {
      const auto path = tag == kControl ? host_.paths.control(vm_) : host_.paths.data(vm_);
      auto listener = listen_at(path.string());
      if (!listener) return forward(listener);
      if (tag == kData) {
        if (auto given = give_to_qemu(host_.paths, path); !given) return given;
      }
      relays_.listen(std::move(*listener),
                     [this, tag](UniqueFd connection, int stop) { serve(std::move(connection), tag, stop); });
    }
    return {};
  }

  const MigrationPaths& paths() const { return host_.paths; }
  const model::VmId& vm() const { return vm_; }

 private:
  Result<TlsLink> reach(char tag) const {
    auto socket = connect_to(address_, port_, tag == kProbe ? std::chrono::seconds(3) : host_.handshake);
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
  if (auto built = state->build(gate.addresses); !built) return forward(built);
  return MigrationWay(std::move(state));
}

MigrationWay::MigrationWay(std::unique_ptr<State> state) : state_(std::move(state)) {}
MigrationWay::MigrationWay(MigrationWay&&) noexcept = default;
MigrationWay& MigrationWay::operator=(MigrationWay&&) noexcept = default;
MigrationWay::~MigrationWay() = default;

std::filesystem::path MigrationWay::control_socket() const { return state_->paths().control(state_->vm()); }
std::filesystem::path MigrationWay::data_socket() const { return state_->paths().data(state_->vm()); }

}  // namespace bridgehead::host_agent
