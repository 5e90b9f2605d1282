#include "boot_services/serving.h"

#include <csignal>
#include <set>

#include "base/file.h"
#include "base/ids.h"
#include "boot_services/messages.h"
#include "netboot/boot_files.h"
#include "netboot/boot_values.h"
#include "netboot/dhcp_probe.h"
#include "netboot/nbd_server.h"
#include "netboot/nfs_server.h"

namespace bridgehead::boot_services {
namespace {

// Of the cluster, and of the strangers that the manager keeps a record of.
constexpr std::size_t kMostMachines = 65'536;
constexpr std::size_t kMostImages = 1000;
constexpr std::size_t kLongestLoaderFile = 64 * 1024;

// The program behind a part.
constexpr std::pair<std::string_view, std::string_view> kPrograms[] = {
    {"dhcp", "dnsmasq"}, {"nbd", "nbdkit"}, {"nfs", "ganesha"}};

// Of steps that don't need each other: all are done, and the first error is told.
class FirstError {
 public:
  void note(const Status& status) {
    if (first_ && !status) first_ = status;
  }
  const Status& status() const { return first_; }

 private:
  Status first_;
};

}  // namespace

Status check_plan(const model::ServingPlan& plan) {
  if (plan.mode == model::NetbootMode::off) return {};
  if (auto good = netboot::check_interface(plan.interface); !good) return good;
  if (auto good = netboot::check_network(plan.address); !good) return good;
  if (plan.http_port == 0 || plan.nbd_port == 0) return fail(ErrorCode::invalid_argument, "a port may not be 0");
  if (plan.reservations.size() > kMostMachines || plan.loader_files.size() > kMostMachines + 2 ||
      plan.images.size() > kMostImages) {
    return fail(ErrorCode::invalid_argument, "more than {} machines or {} images can't be served", kMostMachines,
                kMostImages);
  }
  for (const auto& file : plan.loader_files) {
    if (file.text.size() > kLongestLoaderFile) {
      return fail(ErrorCode::invalid_argument, "a boot loader's file has more than {} bytes", kLongestLoaderFile);
    }
  }
  for (const auto& image : plan.images) {
    if (!is_uuid(image.id.str())) {
      return fail(ErrorCode::invalid_argument, "'{}' is not a node image's id", netboot::printable(image.id.str()));
    }
  }
  return {};
}

Serving::Serving(const Clock& clock, CommandRunner& runner, const nodeimage::ImageStore& images,
                 std::filesystem::path directory)
    : runner_(runner), images_(images), directory_(std::move(directory)), supervisor_(clock) {}

Serving::~Serving() { supervisor_.stop_all(); }

void Serving::listen(BootServices::Listener listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

void Serving::set_part(const std::string& name, const Status& status) {
  const std::lock_guard lock(mutex_);
  auto& error = parts_[name];
  if (!status && (!error || error->message != status.error().message)) {
    log::error(netboot_part_failed, "{}: {}", name, status.error().describe());
  }
  error = status ? std::nullopt : std::optional(status.error());
}

void Serving::drop_part(const std::string& name) {
  const std::lock_guard lock(mutex_);
  parts_.erase(name);
}

Result<model::ServingStatus> Serving::apply(const model::ServingPlan& plan, const std::stop_token& stop) {
  if (auto good = check_plan(plan); !good) return forward(good);
  const std::lock_guard applying(applying_);
  if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the plan was given up before its turn came");
  {
    const std::lock_guard lock(mutex_);
    plan_ = plan;
  }
  if (plan.mode == model::NetbootMode::off) {
    supervisor_.stop_all();
    advertises_on_.clear();
    for (const auto& [part, program] : kPrograms) drop_part(std::string(part));
    return status();
  }
  set_part("nbd", sync_nbd(plan));
  if (plan.nfs) {
    set_part("nfs", sync_nfs(plan));
  } else {
    supervisor_.stop("ganesha");
    drop_part("nfs");
  }
  auto dhcp = sync_dhcp(plan);
  if (dhcp) dhcp = sync_loaders(plan);
  // Some machines boot all the same.
  if (dhcp && !missing_loaders_.empty()) dhcp = fail(ErrorCode::failed_precondition, "{}", missing_loaders_);
  set_part("dhcp", dhcp);
  return status();
}

model::ServingStatus Serving::status() const {
  model::ServingStatus result;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, error] : parts_) {
    model::ServingPart part{.name = name};
    if (error) {
      part.message = error->describe();
    } else {
      const auto* program =
          std::find_if(std::begin(kPrograms), std::end(kPrograms), [&](const auto& one) { return one.first == name; });
      const auto service = supervisor_.status(program->second);
      part.running = service && service->state == ServiceState::running;
      if (!part.running) part.message = service ? service->last_exit : "not started yet";
    }
    result.parts.push_back(std::move(part));
  }
  return result;
}

netboot::DnsmasqPlan Serving::dnsmasq_plan(const model::ServingPlan& plan) const {
  netboot::DnsmasqPlan result;
  static_cast<model::BootSegment&>(result) = plan;
  result.tftp_root = directory_ / "tftp";
  result.directory = directory_ / "dhcp";
  return result;
}

void Serving::advertise(const netboot::DnsmasqPlan& plan) {
  if (plan.mode != model::NetbootMode::full || advertises_on_ == plan.interface) return;
  const auto added = runner_.run(netboot::advertised_address_command(plan));
  if (added) advertises_on_ = plan.interface;
  const auto trouble = added ? "" : fmt::format("{}: {}", plan.interface, added.error().message);
  if (trouble != std::exchange(advertising_trouble_, trouble) && !added) {
    log::info(no_router_advertisements, "{}", trouble);
  }
}

// Each time: packages are installed, removed and upgraded while we serve.
Status Serving::collect_loaders(const model::ServingPlan& plan, const netboot::DnsmasqPlan& wanted) {
  const auto files = netboot::collect_boot_files(wanted.tftp_root, directory_ / "first", wanted.boot_url());
  if (!files) return forward(files);
  bool all = files->can(plan.strangers);
  for (const auto& machine : plan.reservations) all = all && files->can(machine.method);
  missing_loaders_ = all ? "" : files->explain_missing();
  return {};
}

Status Serving::sync_dhcp(const model::ServingPlan& plan) {
  const auto wanted = dnsmasq_plan(plan);
  if (auto collected = collect_loaders(plan, wanted); !collected) return collected;
  advertise(wanted);
  const auto change = netboot::install_dnsmasq(wanted, plan.reservations, runner_);
  if (!change) return forward(change);
  auto spec = netboot::dnsmasq_service(wanted);
  spec.on_line = [this](std::string_view line) { heard(line); };
  const bool was_there = supervisor_.status("dnsmasq").has_value();
  if (auto started = supervisor_.start(std::move(spec)); !started) return started;
  if (!was_there || *change == netboot::DnsmasqChange::none) return {};
  if (*change == netboot::DnsmasqChange::restart) return supervisor_.restart("dnsmasq");
  // Where it isn't running just now it reads its files when it starts.
  (void)supervisor_.signal("dnsmasq", SIGHUP);
  return {};
}

// pxelinux and GRUB read files by TFTP. What is wrong with one image or machine keeps no other from booting.
Status Serving::sync_loaders(const model::ServingPlan& plan) {
  const auto root = directory_ / "tftp";
  FirstError error;
  std::set<std::string> images;
  for (const auto& image : plan.images) {
    images.insert(image.id.str());
    error.note(netboot::publish_tftp_image(root, image.id.str(), images_.path(image.id)));
  }
  std::set<std::pair<model::BootMethod, std::string>> files;
  for (const auto& file : plan.loader_files) {
    files.emplace(file.method, file.mac);
    error.note(netboot::publish_loader_config(root, file.method, file.mac, file.text));
  }
  for (const auto& [method, mac] : netboot::loader_configs(root)) {
    if (!files.contains({method, mac})) error.note(netboot::publish_loader_config(root, method, mac, ""));
  }
  for (const auto& old : netboot::tftp_images(root)) {
    if (!images.contains(old)) error.note(netboot::withdraw_tftp_image(root, old));
  }
  return error.status();
}

Status Serving::sync_nbd(const model::ServingPlan& plan) {
  const auto directory = directory_ / "nbd";
  if (auto made = make_directories(directory); !made) return made;
  FirstError error;
  std::set<std::string> wanted;
  for (const auto& image : plan.images) {
    wanted.insert(image.id.str());
    error.note(netboot::publish_nbd_export(directory, image.id.str(), nodeimage::root_file(images_.path(image.id))));
  }
  for (const auto& old : netboot::nbd_exports(directory)) {
    if (!wanted.contains(old)) error.note(netboot::withdraw_nbd_export(directory, old));
  }
  const auto spec = netboot::nbd_service({.address = plan.own_address(), .port = plan.nbd_port, .exports = directory});
  if (!spec) return forward(spec);
  error.note(supervisor_.start(*spec));
  return error.status();
}

Status Serving::sync_nfs(const model::ServingPlan& plan) {
  netboot::NfsServerPlan wanted;
  wanted.address = plan.own_address();
  wanted.directory = directory_ / "nfs";
  std::set<std::uint32_t> taken;
  for (const auto& image : plan.images) {
    if (!image.by_nfs) continue;
    // The id is part of clients' file handles, so it comes from the image and not from its place in the list.
    auto id = static_cast<std::uint32_t>(std::stoul(image.id.str().substr(0, 4), nullptr, 16) % 65'535) + 1;
    while (!taken.insert(id).second) id = id % 65'535 + 1;
    wanted.exports.push_back({.id = static_cast<std::uint16_t>(id),
                              .path = images_.file(image.id, nodeimage::kTreeDirectory),
                              .pseudo = fmt::format("/images/{}", image.id)});
  }
  const auto changed = netboot::install_nfs(wanted);
  if (!changed) return forward(changed);
  const bool was_there = supervisor_.status("ganesha").has_value();
  for (const auto& spec : netboot::nfs_services(wanted)) {
    if (auto started = supervisor_.start(spec); !started) return started;
  }
  if (*changed && was_there) (void)supervisor_.signal("ganesha", SIGHUP);
  return {};
}

void Serving::heard(std::string_view line) {
  const std::lock_guard lock(mutex_);
  const auto sighting = sightings_.read(line);
  if (!sighting || sighting->mac.empty() || sighting->kind != netboot::SightingKind::ack) return;
  if (!listener_.address_given) return;
  listener_.address_given({.mac = sighting->mac, .address = sighting->address, .asker = sighting->asker});
}

Result<model::ForeignDhcpServers> Serving::foreign_dhcp_servers(std::stop_token stop) const {
  netboot::DhcpProbe probe;
  {
    const std::lock_guard lock(mutex_);
    if (plan_.mode != model::NetbootMode::full) return model::ForeignDhcpServers{};
    probe.interface = plan_.interface;
    probe.own_addresses = {plan_.own_address()};
  }
  const auto found = netboot::find_dhcp_servers(probe, std::move(stop));
  if (!found) return forward(found);
  model::ForeignDhcpServers result;
  for (const auto& server : *found) result.servers.push_back(fmt::format("{} ({})", server.address, server.mac));
  return result;
}

}  // namespace bridgehead::boot_services
