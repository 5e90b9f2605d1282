#include "provision/netboot_service.h"

#include "boot_services/local_boot_services.h"
#include "netboot/nfs_server.h"
#include "netboot/taken_bytes.h"
#include "provision/messages.h"
#include "provision/reservations.h"
#include "reconcile/commands/netboot.h"

namespace bridgehead::provision {
namespace {

constexpr std::chrono::seconds kRetry{10};
// Between one look at the inventory and the next: a thousand machines that appear make a few new lists of reservations.
constexpr std::chrono::milliseconds kGather{500};
constexpr std::chrono::seconds kLookAtJoined{1};
constexpr std::chrono::seconds kProbeEvery{60};
constexpr std::string_view kJoined = "node.joined";

std::optional<model::BootStep> last_step(const state::Record<model::Boot>& boot) {
  if (!boot || boot->value.events.empty()) return std::nullopt;
  return boot->value.events.back().step;
}

}  // namespace

NetbootService::NetbootService(state::Inventory& inventory, boot_services::BootServices& services, const Clock& clock,
                               RandomSource& random, AgentDoor agents, const std::filesystem::path& directory,
                               const std::filesystem::path& reading_lists)
    : inventory_(inventory),
      services_(services),
      clock_(clock),
      book_(inventory, clock, random),
      desk_(inventory, book_, boot_services::store_directory(directory), std::move(agents), directory / "first",
            reading_lists) {
  services_.listen({.address_given = [this](const model::AddressGiven& given) { heard(given); },
                    .began_anew = [this] { apply_again(); }});
  watch_ = inventory_.listen([this](state::Revision, const std::vector<model::Event>& events) { take_events(events); });
  take_up_joined();  // now: a join in between is noted twice, which is once
  probe_ = std::jthread([this](const std::stop_token& stop) { look_for_foreign_dhcp(stop); });
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

NetbootService::~NetbootService() {
  services_.listen({});
  watch_.reset();
  probe_.request_stop();
  thread_.request_stop();
  probe_.join();
  thread_.join();
}

void NetbootService::apply_again() {
  const std::lock_guard lock(mutex_);
  look_ = began_anew_ = true;
  wake_.notify_all();
}

// Called from a committing thread: only notes what to do.
void NetbootService::take_events(const std::vector<model::Event>& events) {
  const std::lock_guard lock(mutex_);
  for (const auto& event : events) {
    if (event.kind == kJoined) {
      to_note_.emplace_back(joining(model::NodeId(event.object)));
      wake_.notify_all();
    }
    if (event.kind == "node.boot" || event.object_kind == "vm") continue;  // often, and changes nothing here
    look_ = true;
    wake_.notify_all();
  }
}

void NetbootService::heard(const model::AddressGiven& given) {
  const std::lock_guard lock(mutex_);
  to_note_.emplace_back([this, given] {
    const auto noted = book_.got_address(given.mac, given.address, given.asker);
    if (!noted) log::warning(boot_not_recorded, "{}: {}", given.mac, noted.error().describe());
  });
  wake_.notify_all();
}

// Nodes that had joined when the manager before ended, and whose boot's story doesn't tell yet how it went on.
void NetbootService::take_up_joined() {
  for (const auto& boot : inventory_.all<model::Boot>()) {
    if (last_step(boot) == model::BootStep::agent) joined_.insert(boot->value.id);
  }
  std::vector<std::function<void()>> notes;
  for (const auto& event : inventory_.events_since(0, std::numeric_limits<std::size_t>::max())) {
    if (event.kind != kJoined) continue;
    const auto boot = inventory_.find<model::Boot>(model::NodeId(event.object));
    if (last_step(boot) && event.time >= boot->value.events.back().time) notes.push_back(joining(boot->value.id));
  }
  const std::lock_guard lock(mutex_);
  to_note_.insert(to_note_.end(), notes.begin(), notes.end());
}

std::function<void()> NetbootService::joining(const model::NodeId& node) {
  return [this, node] {
    note_step(node, model::BootStep::agent);
    joined_.insert(node);
  };
}

void NetbootService::work_off() {
  std::vector<std::function<void()>> notes;
  {
    const std::lock_guard lock(mutex_);
    notes.swap(to_note_);
  }
  for (const auto& note : notes) note();
}

void NetbootService::note_step(const model::NodeId& node, model::BootStep step) {
  const auto record = inventory_.find<model::Node>(node);
  if (!record || !record->value.netboot) return;
  const auto noted =
      book_.note(node, step, step == model::BootStep::ready ? bytes_of(record->value) : model::BootBytes{});
  if (!noted) log::warning(boot_not_recorded, "{}: {}", record->value.name, noted.error().describe());
}

// A connection that has ended by now isn't counted, as the root's is where another server took over.
model::BootBytes NetbootService::bytes_of(const model::Node& node) const {
  const auto boot = inventory_.find<model::Boot>(node.id);
  const auto& address = node.netboot->address;
  model::BootBytes bytes;
  if (!boot || address.empty()) return bytes;
  if (const auto sent = http_ ? http_->sent_in_boot(address) : std::nullopt) bytes.http = sent->count();
  const auto settings = reconcile::netboot_settings(inventory_);
  switch (boot->value.root) {
    case model::RootTransport::ram: bytes.root = 0; break;  // it came by HTTP
    case model::RootTransport::nbd:
      if (const auto taken = netboot::taken_bytes(address, settings.nbd_port)) bytes.root = taken->count();
      break;
    case model::RootTransport::nfs:
      if (const auto taken = netboot::taken_bytes(address, netboot::NfsServerPlan().port)) bytes.root = taken->count();
      break;
  }
  return bytes;
}

// A node is ready when it may get guests: its stream is open, and it has told what it is.
void NetbootService::look_at_joined() {
  std::erase_if(joined_, [this](const model::NodeId& id) {
    const auto node = inventory_.find<model::Node>(id);
    if (!node || last_step(inventory_.find<model::Boot>(id)) != model::BootStep::agent) return true;  // or boots anew
    if (node->value.state != model::NodeState::ready || node->value.facts.cpus == 0) return false;
    note_step(id, model::BootStep::ready);
    return true;
  });
}

void NetbootService::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool look = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, joined_.empty() ? kRetry : kLookAtJoined,
                     [this] { return look_ || !to_note_.empty(); });
      const auto early = gathered_ - clock_.monotonic();
      if (look_ && early.count() > 0) wake_.wait_for(lock, stop, early, [this] { return !to_note_.empty(); });
      if (clock_.monotonic() >= gathered_) look = std::exchange(look_, false);
      if (look && std::exchange(began_anew_, false)) applied_.reset();
    }
    if (stop.stop_requested()) return;
    work_off();
    look_at_joined();
    const bool due = clock_.monotonic() >= next_sync_;
    if (!look && !due) continue;
    // Whatever is no longer as the plan wants it is set right then; nothing that serves has to be asked where it's off.
    if (due && applied_ && applied_->mode != model::NetbootMode::off) applied_.reset();
    sync(stop);
    gathered_ = clock_.monotonic() + kGather;
  }
}

// What is wrong now, told once in the log.
void NetbootService::set_error(std::optional<Error>& error, std::string_view part, const Status& status) {
  const std::lock_guard lock(mutex_);
  if (!status && (!error || error->message != status.error().message)) {
    log::error(netboot_not_served, "{}: {}", part, status.error().describe());
  }
  error = status ? std::nullopt : std::optional(status.error());
}

void NetbootService::sync(const std::stop_token& stop) {
  const auto settings = reconcile::netboot_settings(inventory_);
  const auto plan = plan_for(settings);
  if (applied_ == plan) return;
  next_sync_ = clock_.monotonic() + kRetry;
  const bool off = settings.mode == model::NetbootMode::off;
  if (off) http_.reset();
  set_error(http_error_, "http", off ? Status() : sync_http(settings));
  {
    const std::lock_guard lock(mutex_);
    http_serves_ = http_ != nullptr;
    if (off) foreign_dhcp_.clear();
  }
  const auto applied = services_.apply(plan, stop);
  applied_ = applied ? std::optional(plan) : std::nullopt;
  // Where there is nobody who could serve, nothing is served.
  set_error(plan_error_, "plan", applied || off ? Status() : forward(applied));
  if (off) {
    if (std::exchange(serves_, false)) log::info(netboot_stopped, "{}", settings.interface);
    return;
  }
  const bool all = applied && http_ != nullptr &&
                   std::all_of(applied->parts.begin(), applied->parts.end(), [](const auto& p) { return p.running; });
  if (all && !std::exchange(serves_, true)) log::info(netboot_serves, "{}", settings.interface);
}

Status NetbootService::sync_http(const model::NetbootSettings& settings) {
  const std::pair at{own_address(settings), settings.http_port};
  if (http_ && http_at_ == at) return {};
  http_.reset();
  netboot::BootServerOptions options;
  options.address = at.first;
  options.port = at.second;
  auto started = netboot::BootServer::start(options, desk_);
  if (!started) return forward(started);
  http_ = std::move(*started);
  http_at_ = at;
  return {};
}

model::ServingPlan NetbootService::plan_for(const model::NetbootSettings& settings) const {
  model::ServingPlan plan;
  plan.mode = settings.mode;
  if (plan.mode == model::NetbootMode::off) return plan;
  plan.interface = settings.interface;
  plan.address = settings.address;
  plan.range_first = settings.range_first;
  plan.range_last = settings.range_last;
  plan.http_port = settings.http_port;
  plan.nbd_port = settings.nbd_port;
  if (const auto profile = reconcile::find_profile(inventory_, "")) plan.strangers = profile->method;
  for (const auto& profile : inventory_.all<model::Profile>()) {
    plan.nfs = plan.nfs || profile->value.root == model::RootTransport::nfs;
  }
  for (const auto& image : inventory_.all<model::NodeImage>()) {
    if (image->value.state != model::NodeImageState::ready) continue;
    const auto& has = image->value.transports;
    plan.images.push_back(
        {.id = image->value.id, .by_nfs = std::find(has.begin(), has.end(), model::RootTransport::nfs) != has.end()});
  }
  plan.reservations = reservations(inventory_, settings);
  add_loader_files(plan);
  return plan;
}

// pxelinux and GRUB read files by TFTP: one for each node whose profile says so, and one for machines that nobody
// knows.
void NetbootService::add_loader_files(model::ServingPlan& plan) const {
  using Method = model::BootMethod;
  const auto add_file = [&](Method method, const std::string& mac, const Result<std::string>& text) {
    if (text) plan.loader_files.push_back({.method = method, .mac = mac, .text = *text});
  };
  for (const auto method : {Method::pxelinux, Method::shim}) add_file(method, "", desk_.loader_file(nullptr, method));
  for (const auto& node : inventory_.all<model::Node>()) {
    const auto& machine = node->value.netboot;
    if (!machine) continue;
    const auto profile = reconcile::find_profile(inventory_, machine->profile);
    if (!profile || profile->method == Method::ipxe) continue;
    add_file(profile->method, machine->mac, desk_.loader_file(&node->value, profile->method));
  }
}

void NetbootService::look_for_foreign_dhcp(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto settings = reconcile::netboot_settings(inventory_);
    if (settings.mode == model::NetbootMode::full) {
      const auto found = services_.foreign_dhcp_servers(stop);
      const std::lock_guard lock(mutex_);
      if (found && found->servers != foreign_dhcp_) {
        for (const auto& server : found->servers) {
          log::warning(foreign_dhcp_server, "{} on {}", server, settings.interface);
        }
        foreign_dhcp_ = found->servers;
      }
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kProbeEvery, [] { return false; });
  }
}

Status NetbootService::available() const {
  const auto status = services_.status();
  return status ? Status() : forward(status);
}

reconcile::NetbootStatus NetbootService::status() const {
  reconcile::NetbootStatus status;
  if (reconcile::netboot_settings(inventory_).mode == model::NetbootMode::off) return status;
  const auto serving = services_.status();
  const std::lock_guard lock(mutex_);
  const auto why = !serving ? std::optional(serving.error()) : plan_error_;
  if (why) {
    for (const char* part : {"dhcp", "nbd"}) status.parts.push_back({.name = part, .message = why->describe()});
  } else {
    status.parts = serving->parts;
  }
  status.parts.push_back({.name = "http",
                          .running = http_serves_,
                          .message = http_error_    ? http_error_->describe()
                                     : http_serves_ ? ""
                                                    : "not started yet"});
  std::sort(status.parts.begin(), status.parts.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  status.foreign_dhcp_servers = foreign_dhcp_;
  return status;
}

Result<std::string> NetbootService::boot_script(const model::Node& node) const { return desk_.preview(node); }

Result<model::NodeImageDifference> NetbootService::diff(const model::NodeImage& from,
                                                        const model::NodeImage& to) const {
  return services_.compare_images({.from = from.id, .to = to.id});
}

}  // namespace bridgehead::provision
