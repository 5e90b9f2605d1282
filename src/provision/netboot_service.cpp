#include "provision/netboot_service.h"

#include <csignal>

#include "base/file.h"
#include "netboot/dhcp_probe.h"
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

std::vector<std::string> told(const nodeimage::ImageDiff& diff, bool files) {
  std::vector<std::string> lines;
  if (!files) {
    for (const auto& change : diff.packages) {
      if (change.from.empty())
        lines.push_back(fmt::format("+ {} {}", change.name, change.to));
      else if (change.to.empty())
        lines.push_back(fmt::format("- {} {}", change.name, change.from));
      else
        lines.push_back(fmt::format("~ {} {} -> {}", change.name, change.from, change.to));
    }
    return lines;
  }
  for (const auto& change : diff.files) {
    const char sign = change.kind == nodeimage::FileChange::Kind::added     ? '+'
                      : change.kind == nodeimage::FileChange::Kind::removed ? '-'
                                                                            : '~';
    lines.push_back(fmt::format("{} {}", sign, change.path));
  }
  return lines;
}

}  // namespace

NetbootService::NetbootService(state::Inventory& inventory, nodeimage::ImageStore& store, const Clock& clock,
                               RandomSource& random, CommandRunner& runner, AgentDoor agents,
                               std::filesystem::path directory)
    : inventory_(inventory),
      store_(store),
      clock_(clock),
      runner_(runner),
      directory_(std::move(directory)),
      book_(inventory, clock, random),
      desk_(inventory, book_, store, std::move(agents), directory_ / "first"),
      supervisor_(clock) {
  watch_ = inventory_.listen([this](state::Revision, const std::vector<model::Event>& events) { take_events(events); });
  probe_ = std::jthread([this](const std::stop_token& stop) { look_for_foreign_dhcp(stop); });
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

NetbootService::~NetbootService() {
  watch_.reset();
  probe_.request_stop();
  thread_.request_stop();
  probe_.join();
  thread_.join();
  stop_all();
}

// Called from a committing thread: only notes what to do.
void NetbootService::take_events(const std::vector<model::Event>& events) {
  const std::lock_guard lock(mutex_);
  for (const auto& event : events) {
    if (event.kind == "node.joined") {
      to_note_.emplace_back([this, id = model::NodeId(event.object)] {
        note_step(id, model::BootStep::agent);
        joined_.insert(id);
      });
      wake_.notify_all();
    }
    if (event.kind == "node.boot" || event.object_kind == "vm") continue;  // often, and changes nothing here
    look_ = true;
    wake_.notify_all();
  }
}

void NetbootService::heard(std::string_view line) {
  const std::lock_guard lock(mutex_);
  const auto sighting = sightings_.read(line);
  if (!sighting || sighting->mac.empty()) return;
  if (sighting->kind != netboot::SightingKind::ack) return;
  to_note_.emplace_back([this, sighting = *sighting] {
    const auto noted = book_.got_address(sighting.mac, sighting.address, sighting.asker);
    if (!noted) log::warning(boot_not_recorded, "{}: {}", sighting.mac, noted.error().describe());
  });
  wake_.notify_all();
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
  const auto noted = book_.note(node, step, {});
  if (!noted) log::warning(boot_not_recorded, "{}: {}", record->value.name, noted.error().describe());
}

// A node is ready when it may get guests: its stream is open, and it has told what it is.
void NetbootService::look_at_joined() {
  std::erase_if(joined_, [this](const model::NodeId& id) {
    const auto node = inventory_.find<model::Node>(id);
    if (!node) return true;
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
    }
    if (stop.stop_requested()) return;
    work_off();
    look_at_joined();
    look = look || clock_.monotonic() >= next_sync_;
    if (!look) continue;
    sync();
    gathered_ = clock_.monotonic() + kGather;
  }
}

void NetbootService::set_part(const std::string& name, bool wanted, const Status& status) {
  const std::lock_guard lock(mutex_);
  auto& part = parts_[name];
  part.wanted = wanted;
  const auto error = status ? std::nullopt : std::optional(status.error());
  if (error && (!part.error || part.error->message != error->message)) {
    log::error(netboot_part_failed, "{}: {}", name, error->describe());
  }
  part.error = error;
}

void NetbootService::sync() {
  next_sync_ = clock_.monotonic() + kRetry;
  const auto settings = reconcile::netboot_settings(inventory_);
  if (settings.mode == model::NetbootMode::off) {
    if (std::exchange(served_, false)) {
      stop_all();
      log::info(netboot_stopped, "{}", settings.interface);
    }
    return;
  }
  const auto http = sync_http(settings);
  set_part("http", true, http);
  set_part("nbd", true, sync_nbd(settings));
  const bool nfs = any_root_by_nfs();
  set_part("nfs", nfs, nfs ? sync_nfs(settings) : Status());
  if (!nfs) {
    supervisor_.stop("ganesha");
    supervisor_.stop("rpcbind");
  }
  auto dhcp = http ? sync_dhcp(settings) : http;
  if (dhcp) dhcp = sync_loaders();
  set_part("dhcp", true, dhcp);
  if (http && dhcp && !std::exchange(served_, true)) log::info(netboot_serves, "{}", settings.interface);
}

void NetbootService::stop_all() {
  supervisor_.stop_all();
  advertises_on_.clear();
  http_.reset();
  boot_files_.reset();
  const std::lock_guard lock(mutex_);
  parts_.clear();
  foreign_dhcp_.clear();
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

Status NetbootService::sync_dhcp(const model::NetbootSettings& settings) {
  const auto server = server_url(settings);
  if (!boot_files_ || boot_files_for_ != server) {
    auto files = netboot::collect_boot_files(directory_ / "tftp", directory_ / "first", server);
    if (!files) return forward(files);
    boot_files_ = std::move(*files);
    boot_files_for_ = server;
  }
  netboot::DnsmasqPlan plan;
  plan.mode = settings.mode;
  plan.interface = settings.interface;
  plan.address = settings.address;
  plan.range_first = settings.range_first;
  plan.range_last = settings.range_last;
  plan.http_port = settings.http_port;
  if (const auto profile = reconcile::find_profile(inventory_, "")) plan.strangers = profile->method;
  plan.tftp_root = directory_ / "tftp";
  plan.directory = directory_ / "dhcp";
  if (settings.mode == model::NetbootMode::full &&
      std::exchange(advertises_on_, settings.interface) != settings.interface) {
    const auto added = runner_.run(netboot::advertised_address_command(plan));
    if (!added) log::info(no_router_advertisements, "{}: {}", settings.interface, added.error().message);
  }
  const auto change = netboot::install_dnsmasq(plan, reservations(inventory_, settings), runner_);
  if (!change) return forward(change);
  auto spec = netboot::dnsmasq_service(plan);
  spec.on_line = [this](std::string_view line) { heard(line); };
  const bool was_there = supervisor_.status("dnsmasq").has_value();
  if (auto started = supervisor_.start(std::move(spec)); !started) return started;
  if (!was_there || *change == netboot::DnsmasqChange::none) return {};
  if (*change == netboot::DnsmasqChange::restart) return supervisor_.restart("dnsmasq");
  // Where it isn't running just now it reads its files when it starts.
  (void)supervisor_.signal("dnsmasq", SIGHUP);
  return {};
}

std::vector<model::NodeImage> NetbootService::ready_images() const {
  std::vector<model::NodeImage> result;
  for (const auto& image : inventory_.all<model::NodeImage>()) {
    if (image->value.state == model::NodeImageState::ready) result.push_back(image->value);
  }
  return result;
}

Status NetbootService::sync_nbd(const model::NetbootSettings& settings) {
  const auto directory = directory_ / "nbd";
  if (auto made = make_directories(directory); !made) return made;
  std::set<std::string> wanted;
  for (const auto& image : ready_images()) {
    wanted.insert(image.id.str());
    const auto published =
        netboot::publish_nbd_export(directory, image.id.str(), store_.file(image.id, nodeimage::kRootFile));
    if (!published) return published;
  }
  for (const auto& old : exports_) {
    if (wanted.contains(old)) continue;
    if (auto withdrawn = netboot::withdraw_nbd_export(directory, old); !withdrawn) return withdrawn;
  }
  exports_ = std::move(wanted);
  const auto spec =
      netboot::nbd_service({.address = own_address(settings), .port = settings.nbd_port, .exports = directory});
  if (!spec) return forward(spec);
  return supervisor_.start(*spec);
}

bool NetbootService::any_root_by_nfs() const {
  for (const auto& profile : inventory_.all<model::Profile>()) {
    if (profile->value.root == model::RootTransport::nfs) return true;
  }
  return false;
}

Status NetbootService::sync_nfs(const model::NetbootSettings& settings) {
  netboot::NfsServerPlan plan;
  plan.address = own_address(settings);
  plan.directory = directory_ / "nfs";
  std::set<std::uint32_t> taken;
  for (const auto& image : ready_images()) {
    const auto& has = image.transports;
    if (std::find(has.begin(), has.end(), model::RootTransport::nfs) == has.end()) continue;
    // The id is part of clients' file handles, so it comes from the image and not from its place in the list.
    auto id = static_cast<std::uint32_t>(std::stoul(image.id.str().substr(0, 4), nullptr, 16) % 65'535) + 1;
    while (!taken.insert(id).second) id = id % 65'535 + 1;
    plan.exports.push_back({.id = static_cast<std::uint16_t>(id),
                            .path = store_.file(image.id, nodeimage::kTreeDirectory),
                            .pseudo = fmt::format("/images/{}", image.id)});
  }
  const auto changed = netboot::install_nfs(plan);
  if (!changed) return forward(changed);
  const bool was_there = supervisor_.status("ganesha").has_value();
  for (const auto& spec : netboot::nfs_services(plan)) {
    if (auto started = supervisor_.start(spec); !started) return started;
  }
  if (*changed && was_there) (void)supervisor_.signal("ganesha", SIGHUP);
  return {};
}

// pxelinux and GRUB read files by TFTP: one for each node whose profile says so, and one for machines that nobody
// knows.
Status NetbootService::sync_loaders() {
  using Method = model::BootMethod;
  const auto root = directory_ / "tftp";
  LoaderFiles wanted;
  const auto want = [&](Method method, const std::string& mac, const Result<std::string>& text) {
    if (text) wanted[{method, mac}] = *text;
  };
  for (const auto method : {Method::pxelinux, Method::shim}) want(method, "", desk_.loader_file(nullptr, method));
  for (const auto& node : inventory_.all<model::Node>()) {
    const auto& machine = node->value.netboot;
    if (!machine) continue;
    const auto profile = reconcile::find_profile(inventory_, machine->profile);
    if (!profile || profile->method == Method::ipxe) continue;
    want(profile->method, machine->mac, desk_.loader_file(&node->value, profile->method));
  }
  std::set<std::string> images;
  for (const auto& image : ready_images()) {
    images.insert(image.id.str());
    const auto shown = netboot::publish_tftp_image(root, image.id.str(), store_.path(image.id));
    if (!shown) return shown;
  }
  for (const auto& [key, text] : wanted) {
    const auto before = loader_files_.find(key);
    if (before != loader_files_.end() && before->second == text) continue;
    if (auto put = netboot::publish_loader_config(root, key.first, key.second, text); !put) return put;
  }
  for (const auto& [key, text] : loader_files_) {
    if (wanted.contains(key)) continue;
    if (auto removed = netboot::publish_loader_config(root, key.first, key.second, ""); !removed) return removed;
  }
  for (const auto& old : tftp_images_) {
    if (images.contains(old)) continue;
    if (auto withdrawn = netboot::withdraw_tftp_image(root, old); !withdrawn) return withdrawn;
  }
  loader_files_ = std::move(wanted);
  tftp_images_ = std::move(images);
  return {};
}

void NetbootService::look_for_foreign_dhcp(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto settings = reconcile::netboot_settings(inventory_);
    if (settings.mode == model::NetbootMode::full) {
      const auto found =
          netboot::find_dhcp_servers({.interface = settings.interface, .own_addresses = {own_address(settings)}}, stop);
      std::vector<std::string> servers;
      if (found) {
        for (const auto& server : *found) servers.push_back(fmt::format("{} ({})", server.address, server.mac));
      }
      const std::lock_guard lock(mutex_);
      if (found && servers != foreign_dhcp_) {
        for (const auto& server : servers) log::warning(foreign_dhcp_server, "{} on {}", server, settings.interface);
        foreign_dhcp_ = std::move(servers);
      }
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kProbeEvery, [] { return false; });
  }
}

reconcile::NetbootStatus NetbootService::status() const {
  reconcile::NetbootStatus status;
  const std::map<std::string, std::string> programs = {{"dhcp", "dnsmasq"}, {"nbd", "nbdkit"}, {"nfs", "ganesha"}};
  const std::lock_guard lock(mutex_);
  for (const auto& [name, part] : parts_) {
    if (!part.wanted) continue;
    reconcile::NetbootPart shown{.name = name, .running = !part.error, .message = {}};
    if (part.error) shown.message = part.error->message;
    if (const auto program = programs.find(name); program != programs.end() && !part.error) {
      const auto service = supervisor_.status(program->second);
      shown.running = service && service->state == ServiceState::running;
      if (!shown.running) shown.message = service ? service->last_exit : "not started yet";
    }
    status.parts.push_back(std::move(shown));
  }
  status.foreign_dhcp_servers = foreign_dhcp_;
  return status;
}

Result<std::string> NetbootService::boot_script(const model::Node& node) const { return desk_.preview(node); }

Result<reconcile::NodeImageDiff> NetbootService::diff(const model::NodeImage& from, const model::NodeImage& to) const {
  const auto diff = store_.diff(from.id, to.id);
  if (!diff) return forward(diff);
  return reconcile::NodeImageDiff{.packages = told(*diff, false), .files = told(*diff, true)};
}

}  // namespace bridgehead::provision
