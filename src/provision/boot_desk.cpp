#include "provision/boot_desk.h"

#include <charconv>

#include "model/codec.h"
#include "model/enum_names.h"
#include "netboot/boot_values.h"
#include "netboot/dnsmasq.h"
#include "nodeimage/bundle.h"
#include "provision/messages.h"
#include "reconcile/commands/netboot.h"

namespace bridgehead::provision {
namespace {

using netboot::BootAnswer;
using netboot::BootRequest;

constexpr std::size_t kOlderVersions = 4;  // in a loader's menu
constexpr std::chrono::seconds kAskAgain{10};
constexpr std::chrono::seconds kProbed{4};  // by then the agent has answered, or doesn't count as connected (AgentDoor)

BootAnswer refuse(const Error& error) {
  int status = 500;
  switch (error.code) {
    case ErrorCode::invalid_argument: status = 400; break;
    case ErrorCode::permission_denied:
    case ErrorCode::failed_precondition: status = 403; break;
    case ErrorCode::not_found: status = 404; break;
    case ErrorCode::conflict: status = 409; break;
    default: break;
  }
  return BootAnswer::text(fmt::format("{}\n{}\n", error.message, error.hint), status);
}

BootAnswer answer_of(const Status& status) { return status ? BootAnswer::none() : refuse(status.error()); }

// How long ago it was that the machine tells; 0 where it doesn't say so.
Result<std::chrono::milliseconds> age_of(const BootRequest& request) {
  constexpr std::int64_t kOldest = 24 * 3'600'000;
  const auto text = request.parameter("age");
  std::int64_t age = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), age);
  const bool number = text.empty() || (error == std::errc() && end == text.data() + text.size());
  if (!number || age < 0 || age > kOldest) {
    return fail(ErrorCode::invalid_argument, "age must be milliseconds, a day at most");
  }
  return std::chrono::milliseconds(age);
}

// From the initramfs; whatever is missing or of another type is left empty.
model::Hardware read_hardware(const nlohmann::json& json) {
  constexpr std::size_t kMost = 64;
  const auto text = [](const nlohmann::json& object, const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? found->get<std::string>().substr(0, 100) : std::string();
  };
  const auto number = [](const nlohmann::json& object, const char* field) -> std::uint64_t {
    const auto found = object.find(field);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  };
  const auto each = [&](const char* field, const auto& line) {
    std::vector<std::string> lines;
    const auto list = json.find(field);
    if (list == json.end() || !list->is_array()) return lines;
    for (const auto& one : *list) {
      if (one.is_object() && lines.size() < kMost) lines.push_back(line(one));
    }
    return lines;
  };
  model::Hardware hardware;
  hardware.vendor = text(json, "vendor");
  hardware.product = text(json, "product");
  hardware.cpus = static_cast<std::uint32_t>(std::min<std::uint64_t>(number(json, "cpus"), 1'000'000));
  hardware.memory = Bytes(number(json, "memory"));
  hardware.nics = each("nics", [&](const nlohmann::json& nic) {
    const auto speed = number(nic, "speed_mbit");
    return fmt::format("{} {} {}{}", text(nic, "name"), text(nic, "mac"), text(nic, "driver"),
                       speed == 0 ? std::string() : fmt::format(" {} Mbit/s", speed));
  });
  hardware.disks = each("disks", [&](const nlohmann::json& disk) {
    return fmt::format("{} {} {}", text(disk, "name"), Bytes(number(disk, "size")).human(), text(disk, "model"));
  });
  return hardware;
}

Error no_image(const model::Node& node) {
  return {ErrorCode::failed_precondition, fmt::format("no node image is assigned to node '{}'", node.name),
          fmt::format("bh node assign {} --image NAME", node.name)};
}

Error refused(const model::Node& node) {
  return {ErrorCode::permission_denied, fmt::format("this machine was refused (node '{}')", node.name),
          fmt::format("bh node approve {} lets it in.", node.name)};
}

// Also where it takes no guests just now.
bool is_connected(const model::Node& node) { return node.state != model::NodeState::unreachable; }

}  // namespace

BootDesk::BootDesk(state::Inventory& inventory, BootBook& book, std::filesystem::path store, AgentDoor agents,
                   std::filesystem::path first_stage, std::filesystem::path reading_lists)
    : inventory_(inventory),
      book_(book),
      store_(std::move(store)),
      agents_(std::move(agents)),
      first_stage_(std::move(first_stage)),
      reading_lists_(std::move(reading_lists)) {}

BootAnswer BootDesk::answer(const BootRequest& request) {
  const std::string_view path = request.path;
  const bool get = request.method == "GET";
  if (get && path == "/boot/v1/ipxe") return script(request);
  if (get && path == "/boot/v1/plan") return plan(request);
  if (get && path == "/boot/v1/bundle") return bundle(request);
  if (get && path.starts_with("/boot/files/")) return image_file(request);
  if (get && path.starts_with(netboot::kFirstStagePath)) return first_stage_file(request);
  if (get && path == "/boot/v1/reads") return reading_list(request);
  if (request.method == "POST" && path == "/boot/v1/progress") return progress(request);
  if (request.method == "POST" && path == "/boot/v1/reads") return take_reading_list(request);
  if (request.method == "POST" && path == "/boot/v1/log") return log(request);
  if (request.method == "POST" && path == "/boot/v1/hardware") return hardware(request);
  return BootAnswer::text("there is nothing here\n", 404);
}

// A machine that boots has no agent. While a node's agent is connected, whoever asks under its MAC is another machine,
// or wants its token. A node that lost power looks the same until its agent is missed, so that one is asked.
Error BootDesk::still_runs(const model::Node& node) const {
  agents_.probe(node.id);
  return {ErrorCode::failed_precondition, fmt::format("node '{}' runs, its agent is connected", node.name),
          "If this machine was just reset, it boots in some seconds; else another one has its MAC."};
}

Result<state::Record<model::Node>> BootDesk::machine(const Request& request) {
  const auto mac = netboot::canonical_mac(request.parameter("mac"));
  if (!mac) return forward(mac);
  return book_.discover({*mac, std::string(request.parameter("uuid")), std::string(request.parameter("serial"))},
                        request.remote_address);
}

Result<state::Record<model::Node>> BootDesk::booting(const Request& request) {
  const auto boot = book_.boot_of(request.parameter("boot"));
  if (!boot) return fail(ErrorCode::not_found, "there is no such boot; a newer one has begun, or the node was deleted");
  auto node = inventory_.find<model::Node>(boot->value.id);
  if (!node || !node->value.netboot) return fail(ErrorCode::not_found, "the node was deleted");
  return node;
}

Result<state::Record<model::NodeImage>> BootDesk::discovery_image() const {
  state::Record<model::NodeImage> newest;
  for (const auto& image : inventory_.all<model::NodeImage>()) {
    if (image->value.state != model::NodeImageState::ready) continue;
    if (!newest || newest->value.created < image->value.created) newest = image;
  }
  if (newest) return newest;
  return fail_with_hint(ErrorCode::failed_precondition, "there is no node image yet", "bh node-image build debian-12");
}

Result<BootOrder> BootDesk::order_for(const model::Node& node, const std::string& wanted) const {
  BootOrder order;
  order.settings = reconcile::netboot_settings(inventory_);
  order.node = node;
  const auto profile = reconcile::find_profile(inventory_, node.netboot->profile);
  if (!profile) return forward(profile);
  order.profile = *profile;
  const auto& name = wanted.empty() ? node.netboot->image : wanted;
  if (name.empty()) return fail(no_image(node));
  const auto image = reconcile::resolve_node_image(inventory_, name);
  if (!image) return forward(image);
  if ((*image)->value.state != model::NodeImageState::ready) {
    return fail(ErrorCode::failed_precondition, "node image '{}' isn't ready", name);
  }
  order.image = (*image)->value;
  if (auto checked = check_order(order); !checked) return forward(checked);
  return order;
}

Result<netboot::BootChoice> BootDesk::choice_for(const BootOrder& order, const std::string& address) const {
  netboot::BootChoice choice;
  choice.server = server_url(order.settings);
  choice.hostname = order.node.name;
  choice.mac = order.node.netboot->mac;
  choice.entries.push_back(
      {.title = order.image.name, .image_id = order.image.id.str(), .command_line = command_line(order, address)});
  std::vector<model::NodeImage> older;
  for (const auto& other : inventory_.all<model::NodeImage>()) {
    const auto& value = other->value;
    if (value.base != order.image.base || value.id == order.image.id) continue;
    if (value.state == model::NodeImageState::ready) older.push_back(value);
  }
  std::sort(older.begin(), older.end(), [](const auto& a, const auto& b) { return a.version > b.version; });
  for (const auto& image : older) {
    if (choice.entries.size() > kOlderVersions) break;
    choice.entries.push_back({.title = image.name, .image_id = image.id.str(), .command_line = {}});
  }
  choice.memtest = std::filesystem::exists(first_stage_ / "memtest.bin");
  return choice;
}

Result<netboot::BootChoice> BootDesk::discovery_choice(const std::string& mac, const std::string& address) const {
  const auto image = discovery_image();
  if (!image) return forward(image);
  const auto settings = reconcile::netboot_settings(inventory_);
  netboot::BootChoice choice;
  choice.server = server_url(settings);
  choice.mac = mac;
  choice.discovery = true;
  choice.entries.push_back({.title = (*image)->value.name,
                            .image_id = (*image)->value.id.str(),
                            .command_line = discovery_command_line(settings, mac, address)});
  return choice;
}

BootAnswer BootDesk::script(const Request& request) {
  const auto settings = reconcile::netboot_settings(inventory_);
  const auto wait = [&](const Error& error, std::chrono::seconds pause = kAskAgain) {
    const auto text = error.hint.empty() ? error.message : fmt::format("{} ({})", error.message, error.hint);
    log::warning(boot_script_refused, "{} at {}: {}", request.parameter("mac"), request.remote_address, text);
    return Answer::text(netboot::ipxe_wait_script(server_url(settings), text, pause));
  };
  const auto found = machine(request);
  if (!found) return wait(found.error());
  const auto& node = (*found)->value;
  const auto& machine = *node.netboot;
  if (machine.approval == model::Approval::refused) return wait(refused(node));
  if (is_connected(node)) return wait(still_runs(node), kProbed);
  // Not yet approved, or nothing assigned: it shows itself, and goes on from there once it may.
  const bool discovery = machine.approval == model::Approval::waiting || machine.image.empty();
  const auto render = [&](const netboot::BootChoice& choice) {
    const auto text = netboot::ipxe_script(choice);
    if (!text) return wait(text.error());
    auto answer = Answer::text(*text);
    answer.begins_boot = true;
    return answer;
  };
  if (discovery) {
    auto choice = discovery_choice(machine.mac, request.remote_address);
    if (!choice) return wait(choice.error());
    const auto token = book_.begin(node.id, choice->entries.front().title, true, model::RootTransport::nbd);
    if (!token) return wait(token.error());
    choice->entries.front().command_line->boot = *token;
    return render(*choice);
  }
  std::string wanted;
  if (const auto id = request.parameter("image"); !id.empty()) {  // chosen in the menu
    const auto image = inventory_.find<model::NodeImage>(model::NodeImageId(std::string(id)));
    if (!image) return wait({ErrorCode::not_found, "that node image was deleted", {}});
    wanted = image->value.name;
  }
  auto order = order_for(node, wanted);
  if (!order) return wait(order.error());
  const auto token = book_.begin(node.id, order->image.name, false, order->profile.root);
  if (!token) return wait(token.error());
  order->token = *token;
  const auto choice = choice_for(*order, request.remote_address);
  return choice ? render(*choice) : wait(choice.error());
}

BootAnswer BootDesk::plan(const Request& request) {
  auto boot = book_.boot_of(request.parameter("boot"));
  const auto found = machine(request);
  if (!found) return refuse(found.error());
  const auto& node = (*found)->value;
  if (boot && boot->value.id != node.id) {
    log::warning(boot_of_another, "{} at {} came with the boot of another machine", request.parameter("mac"),
                 request.remote_address);
    return refuse(
        {ErrorCode::permission_denied, "this boot belongs to another machine", "Power the machine off and on."});
  }
  if (node.netboot->approval == model::Approval::refused) return refuse(refused(node));
  if (is_connected(node)) return refuse(still_runs(node));
  const bool waits = node.netboot->approval == model::Approval::waiting;
  // Its loader read a file instead of asking for a script.
  const auto answered = [begins = !boot](const std::string& text) {
    auto answer = Answer::text(text);
    answer.begins_boot = begins;
    return answer;
  };
  auto token = std::string(request.parameter("boot"));
  const auto begin = [&](const std::string& image, bool discovery, model::RootTransport root) -> Status {
    const auto begun = book_.begin(node.id, image, discovery, root);
    if (!begun) return forward(begun);
    token = *begun;
    boot = book_.boot_of(token);
    return {};
  };
  if (waits) {
    if (!boot) {
      const auto image = discovery_image();
      if (!image) return refuse(image.error());
      if (auto begun = begin((*image)->value.name, true, model::RootTransport::nbd); !begun)
        return refuse(begun.error());
    }
    return answered(discovery_plan(token, node.name));
  }
  // A boot that was chosen at the loader keeps what was chosen; one that began as discovery takes what is assigned.
  const bool chosen = boot && !boot->value.discovery;
  auto order = order_for(node, chosen ? boot->value.image : std::string());
  if (!order) return refuse(order.error());
  if (boot && boot->value.discovery && boot->value.image != order->image.name) {
    return refuse({ErrorCode::conflict, fmt::format("the machine must boot anew, from '{}'", order->image.name), {}});
  }
  if (!boot || boot->value.discovery) {
    if (auto begun = begin(order->image.name, false, order->profile.root); !begun) return refuse(begun.error());
  } else if (auto noted = book_.set_root(node.id, order->profile.root); !noted) {
    return refuse(noted.error());
  }
  order->token = token;
  const auto files = bundle_of(*order);
  if (!files) return refuse(files.error());
  const Bundle bundle =
      files->first.empty()
          ? Bundle{}
          : Bundle{fmt::format("{}/boot/v1/bundle?boot={}", server_url(order->settings), token), files->second};
  const auto join = book_.make_join_token(node.id, fmt::format("{}:{}", own_address(order->settings), agents_.port),
                                          agents_.ca_fingerprint);
  if (!join) return refuse(join.error());
  return answered(plan_text(*order, *join, bundle));
}

Result<std::pair<std::string, std::string>> BootDesk::bundle_of(const BootOrder& order) const {
  const auto& machine = *order.node.netboot;
  auto files = order.profile.files;
  files.insert(files.end(), machine.files.begin(), machine.files.end());
  if (files.empty()) return std::pair<std::string, std::string>{};
  auto bundle = nodeimage::make_bundle(
      files, {.node = order.node.name, .address = machine.address, .mac = machine.mac, .image = order.image.name});
  if (!bundle) return forward(bundle);
  return std::pair(std::move(bundle->tar), std::move(bundle->sha256));
}

BootAnswer BootDesk::bundle(const Request& request) {
  const auto node = booting(request);
  if (!node) return refuse(node.error());
  if ((*node)->value.netboot->approval != model::Approval::approved) return refuse(refused((*node)->value));
  const auto boot = book_.boot_of(request.parameter("boot"));
  const auto order = order_for((*node)->value, boot ? boot->value.image : std::string());
  if (!order) return refuse(order.error());
  auto bundle = bundle_of(*order);
  if (!bundle) return refuse(bundle.error());
  auto answer = Answer::text(std::move(bundle->first));
  answer.content_type = "application/x-tar";
  return answer;
}

BootAnswer BootDesk::progress(const Request& request) {
  const auto node = booting(request);
  if (!node) return refuse(node.error());
  const auto step = model::parse_enum<model::BootStep>(request.parameter("step"));
  if (!step) return refuse(step.error());
  using enum model::BootStep;
  const bool theirs =
      *step == kernel || *step == bridge || *step == root || *step == handover || *step == fallback || *step == failed;
  if (!theirs) return refuse({ErrorCode::invalid_argument, "that step isn't reported by machines", {}});
  const auto age = age_of(request);
  if (!age) return refuse(age.error());
  return answer_of(book_.told((*node)->value.id, *step, std::string(request.parameter("message")), *age));
}

BootAnswer BootDesk::log(const Request& request) {
  const auto node = booting(request);
  if (!node) return refuse(node.error());
  return answer_of(book_.add_log((*node)->value.id, request.body));
}

BootAnswer BootDesk::hardware(const Request& request) {
  const auto node = booting(request);
  if (!node) return refuse(node.error());
  const auto json = nlohmann::json::parse(request.body, nullptr, false);
  if (!json.is_object()) return refuse({ErrorCode::invalid_argument, "the body must be a JSON object", {}});
  return answer_of(book_.set_hardware((*node)->value.id, read_hardware(json)));
}

Result<BootDesk::Reader> BootDesk::reader(const Request& request) {
  const auto node = booting(request);
  if (!node) return forward(node);
  if ((*node)->value.netboot->approval != model::Approval::approved) return fail(refused((*node)->value));
  const auto boot = inventory_.find<model::Boot>((*node)->value.id);
  const auto image = reconcile::resolve_node_image(inventory_, boot ? boot->value.image : std::string());
  if (!image) return forward(image);
  const bool ready = !boot->value.events.empty() && boot->value.events.back().step == model::BootStep::ready;
  return Reader{(*image)->value, ready && boot->value.root == model::RootTransport::nbd};
}

// 200: the list; 204: there is none yet, ask again; 202: tell what was read.
BootAnswer BootDesk::reading_list(const Request& request) {
  const auto by = reader(request);
  if (!by) return refuse(by.error());
  const auto& id = by->image.id;
  if (reading_lists_.has(id)) return Answer::send({.path = reading_lists_.file(id), .content_type = "text/plain"});
  return by->ready ? Answer::text("", 202) : Answer::none();
}

BootAnswer BootDesk::take_reading_list(const Request& request) {
  const auto by = reader(request);
  if (!by) return refuse(by.error());
  if (!by->ready) {
    return refuse(
        {ErrorCode::failed_precondition, "only a node that is ready, with a root by NBD, tells what it read", {}});
  }
  std::vector<model::NodeImageId> images;
  for (const auto& one : inventory_.all<model::NodeImage>()) images.push_back(one->value.id);
  reading_lists_.keep_only(images);
  return answer_of(reading_lists_.keep(by->image, request.body));
}

BootAnswer BootDesk::image_file(const Request& request) {
  std::string_view rest = request.path;
  rest.remove_prefix(std::string_view("/boot/files/").size());
  const auto slash = rest.find('/');
  const auto name = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  const bool root = name == kRootUrlName;
  const bool served = name == nodeimage::kKernelFile || name == nodeimage::kInitramfsFile || root;
  const auto image = inventory_.find<model::NodeImage>(model::NodeImageId(std::string(rest.substr(0, slash))));
  if (!served || !image || image->value.state != model::NodeImageState::ready) {
    return Answer::text("there is no such file of a node image\n", 404);
  }
  // Immutable, so its name is its content.
  const auto directory = nodeimage::image_directory(store_, image->value.id);
  return Answer::send({.path = root ? nodeimage::root_file(directory) : directory / name,
                       .etag = fmt::format("{}-{}", image->value.id, name)});
}

BootAnswer BootDesk::first_stage_file(const Request& request) {
  const auto name = request.path.substr(netboot::kFirstStagePath.size());
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
    return Answer::text("there is no such file\n", 404);
  }
  return Answer::send({.path = first_stage_ / name});
}

Result<netboot::BootChoice> BootDesk::choice_now(const model::Node& node) const {
  if (!node.netboot) return fail(ErrorCode::failed_precondition, "node '{}' doesn't boot over the network", node.name);
  const auto& machine = *node.netboot;
  if (machine.approval == model::Approval::refused) return fail(refused(node));
  if (machine.approval == model::Approval::waiting || machine.image.empty()) {
    return discovery_choice(machine.mac, machine.address);
  }
  const auto order = order_for(node, {});
  if (!order) return forward(order);
  return choice_for(*order, machine.address);
}

Result<std::string> BootDesk::preview(const model::Node& node) const {
  const auto profile = reconcile::find_profile(inventory_, node.netboot ? node.netboot->profile : "");
  if (!profile) return forward(profile);
  if (profile->method != model::BootMethod::ipxe) return loader_file(&node, profile->method);
  const auto choice = choice_now(node);
  if (!choice) return forward(choice);
  return netboot::ipxe_script(*choice);
}

Result<std::string> BootDesk::loader_file(const model::Node* node, model::BootMethod method) const {
  const auto choice = node != nullptr ? choice_now(*node) : discovery_choice({}, {});
  if (!choice) return forward(choice);
  return method == model::BootMethod::shim ? netboot::grub_config(*choice) : netboot::pxelinux_config(*choice);
}

}  // namespace bridgehead::provision
