#include "cli/commands/bench_peers.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "load/client.h"

namespace bridgehead::cli {
namespace {

using Action = PeerOrder::Action;

constexpr std::array kActions{std::pair{Action::look, "look"}, std::pair{Action::create, "create"},
                              std::pair{Action::begin, "begin"}, std::pair{Action::move, "move"},
                              std::pair{Action::end, "end"}};
constexpr std::chrono::minutes kPatience{15};

bool is_plain(const std::string& name) {
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
}

// The value of the first `name='...'` behind `mark`; "" = not there.
std::string attribute(const std::string& xml, const std::string& mark, const std::string& name) {
  auto at = xml.find(mark);
  if (at == std::string::npos) return {};
  at = xml.find(name + "='", at);
  if (at == std::string::npos) return {};
  at += name.size() + 2;
  return xml.substr(at, xml.find('\'', at) - at);
}

double since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

class Peer {
 public:
  Peer(const PeerOrder& order, CommandRunner& runner, std::stop_token stop)
      : order_(order),
        runner_(runner),
        stop_(std::move(stop)),
        domain_(std::string(load::kDirectoryPrefix) + order.name),
        directory_(order.pool / domain_) {}

  Result<PeerAnswer> look() {
    const auto xml = virsh({"dumpxml", order_.domain});
    if (!xml) return forward(xml);
    // "<disk ...><source file='POOL/disks/ID.qcow2' ...", the first one that isn't a CD.
    const auto disk = xml->find("device='disk'");
    const std::filesystem::path file = disk == std::string::npos ? "" : attribute(xml->substr(disk), "<source", "file");
    if (file.parent_path().filename() != "disks") {
      return fail(ErrorCode::failed_precondition, "{} has no disk in a pool's folder", order_.domain);
    }
    const auto cache = attribute(xml->substr(disk), "<driver", "cache");
    return PeerAnswer{.pool = file.parent_path().parent_path(),
                      .type = attribute(*xml, "<domain", "type"),
                      .cache = cache.empty() ? "default" : cache};
  }

  // Whatever comes of it, nothing is left.
  Result<PeerAnswer> create() {
    auto made = order_.kind == "virt-clone" ? clone() : install();
    const auto ended = end();
    if (made && !ended) return forward(ended);
    return made;
  }

  Result<PeerAnswer> begin() {
    auto made = install();
    if (!made) (void)end();
    return made;
  }

  // An emulated guest stands still meanwhile, as Bridgehead's does (docs/decisions/0014). libvirt doesn't know all
  // shared file systems; Bridgehead has made sure that the pool is one.
  Result<PeerAnswer> move() {
    std::vector<std::string> words{"migrate", "--p2p", "--unsafe", "--persistent", "--undefinesource"};
    if (order_.type == "kvm") words.emplace_back("--live");
    words.push_back(domain_);
    words.push_back(order_.uri);
    if (!order_.migrate_uri.empty()) words.insert(words.end(), {"--migrateuri", order_.migrate_uri});
    const auto begun = std::chrono::steady_clock::now();
    const auto moved = virsh(words);
    if (!moved) return forward(moved);
    return PeerAnswer{.seconds = since(begun)};
  }

  Result<PeerAnswer> end() {
    const auto domains = list("list", "--all");
    if (!domains) return forward(domains);
    for (const auto& name : {domain_, original()}) {
      if (!domains->contains(name)) continue;
      (void)virsh_to_the_end({"destroy", name});  // it may be off already
      (void)virsh_to_the_end({"undefine", name, "--nvram"});
    }
    // virt-install and virt-clone make storage pools of the folders that they find disks in.
    const auto pools = list("pool-list", "--all");
    for (const auto& name : pools ? *pools : std::set<std::string>()) {
      const auto xml = virsh_to_the_end({"pool-dumpxml", name});
      if (!xml || xml->find("<path>" + directory_.native() + "</path>") == std::string::npos) continue;
      (void)virsh_to_the_end({"pool-destroy", name});
      (void)virsh_to_the_end({"pool-undefine", name});
    }
    const auto left = list("list", "--all");
    if (!left) return forward(left);
    if (left->contains(domain_) || left->contains(original())) {
      return fail(ErrorCode::failed_precondition, "libvirt keeps {}: remove it by virsh undefine", domain_);
    }
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
    if (error) return fail(ErrorCode::io_error, "remove {}: {}", directory_.native(), error.message());
    return PeerAnswer{};
  }

 private:
  std::string original() const { return domain_ + "-original"; }

  Result<std::string> run(const std::string& program, std::vector<std::string> arguments, std::stop_token stop) {
    auto output =
        runner_.run({.program = program, .arguments = std::move(arguments), .timeout = kPatience}, std::move(stop));
    if (!output && output.error().code == ErrorCode::not_found) {
      return fail_with_hint(ErrorCode::unsupported, fmt::format("{} isn't installed", program),
                            "Install it on the node, or name other peers.");
    }
    if (!output) return forward(output);
    return output->out;
  }
  Result<std::string> virsh(std::vector<std::string> words) {
    words.insert(words.begin(), {"-q", "-c", "qemu:///system"});
    return run("virsh", std::move(words), stop_);
  }
  // Cleaning up goes on though the rest was stopped.
  Result<std::string> virsh_to_the_end(std::vector<std::string> words) {
    words.insert(words.begin(), {"-q", "-c", "qemu:///system"});
    return run("virsh", std::move(words), {});
  }
  Result<std::set<std::string>> list(const std::string& what, const std::string& which) {
    const auto text = virsh_to_the_end({what, which, "--name"});
    if (!text) return forward(text);
    std::set<std::string> names;
    std::istringstream words(*text);
    for (std::string name; words >> name;) names.insert(name);
    return names;
  }

  std::vector<std::string> install_words(const std::string& name, const std::string& disk) const {
    return {"--connect",   "qemu:///system",
            "--name",      name,
            "--memory",    std::to_string(order_.memory_mib),
            "--vcpus",     "1",
            "--virt-type", order_.type,
            "--import",    "--noautoconsole",
            "--disk",      disk,
            "--network",   "none",
            "--osinfo",    "detect=off,require=off",
            "--graphics",  "none"};
  }

  // An overlay on the golden image and its guest, as a person would.
  Result<PeerAnswer> install() {
    if (auto made = make_directories(directory_, 0755); !made) return forward(made);
    const auto disk = directory_ / "disk.qcow2";
    const auto begun = std::chrono::steady_clock::now();
    if (const auto overlay = run("qemu-img", {"create", "-q", "-f", "qcow2", "-F", "raw", "-b", golden(), disk}, stop_);
        !overlay) {
      return forward(overlay);
    }
    const auto installed =
        run("virt-install",
            install_words(domain_, fmt::format("path={},format=qcow2,cache={}", disk.native(), order_.cache)), stop_);
    if (!installed) return forward(installed);
    return PeerAnswer{.seconds = since(begun)};
  }

  // A full copy of a guest that is off and has the golden image for its disk.
  Result<PeerAnswer> clone() {
    if (auto made = make_directories(directory_, 0755); !made) return forward(made);
    // By a name in the benchmark's folder, so that libvirt makes no storage pool of the golden images'.
    const auto source = directory_ / "golden.raw";
    std::error_code error;
    std::filesystem::create_symlink(golden(), source, error);
    if (error) return fail(ErrorCode::io_error, "make {}: {}", source.native(), error.message());
    auto words = install_words(original(), fmt::format("path={},format=raw", source.native()));
    words.insert(words.end(), {"--print-xml", "1"});
    const auto xml = run("virt-install", words, stop_);
    if (!xml) return forward(xml);
    const auto file = directory_ / "original.xml";
    if (auto written = write_file_atomic(file, *xml); !written) return forward(written);
    if (const auto defined = virsh({"define", file}); !defined) return forward(defined);
    const auto begun = std::chrono::steady_clock::now();
    const auto cloned = run(
        "virt-clone",
        {"--connect", "qemu:///system", "--original", original(), "--name", domain_, "--file", directory_ / "disk.raw"},
        stop_);
    if (!cloned) return forward(cloned);
    if (const auto started = virsh({"start", domain_}); !started) return forward(started);
    return PeerAnswer{.seconds = since(begun)};
  }

  std::filesystem::path golden() const { return order_.pool / "golden" / (order_.golden + ".raw"); }

  const PeerOrder& order_;
  CommandRunner& runner_;
  const std::stop_token stop_;
  const std::string domain_;
  const std::filesystem::path directory_;
};

Status check(const PeerOrder& order) {
  if (!is_plain(order.name)) return fail(ErrorCode::invalid_argument, "'{}' can't be a benchmark's name", order.name);
  if (order.action == Action::look) {
    if (is_plain(order.domain)) return {};
    return fail(ErrorCode::invalid_argument, "'{}' can't be a guest's name", order.domain);
  }
  if (order.action == Action::move) {
    if (!order.uri.empty() && !order.uri.starts_with('-') && !order.migrate_uri.starts_with('-')) return {};
    return fail(ErrorCode::invalid_argument, "'{}' can't be where a guest moves to", order.uri);
  }
  if (!order.pool.is_absolute() || order.pool.lexically_normal() != order.pool || order.pool.native().size() < 2) {
    return fail(ErrorCode::invalid_argument, "'{}' can't be a pool's folder", order.pool.native());
  }
  if (order.action == Action::end) return {};
  if (!is_plain(order.golden) || order.memory_mib == 0 || (order.type != "kvm" && order.type != "qemu") ||
      !is_plain(order.cache)) {
    return fail(ErrorCode::invalid_argument, "this guest can't be made");
  }
  if (order.action == Action::create && order.kind != "virt-install" && order.kind != "virt-clone") {
    return fail(ErrorCode::invalid_argument, "'{}' is no peer: virt-install, virt-clone", order.kind);
  }
  return {};
}

Result<PeerAnswer> read_answer(const std::string& text) {
  try {
    const auto object = nlohmann::json::parse(text);
    if (const auto error = object.find("error"); error != object.end()) {
      return fail({error_code_from_string(error->at("code").get<std::string>()),
                   error->at("message").get<std::string>(), error->at("hint").get<std::string>()});
    }
    return PeerAnswer{.seconds = object.at("seconds").get<double>(),
                      .pool = object.at("pool").get<std::string>(),
                      .type = object.at("type").get<std::string>(),
                      .cache = object.at("cache").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::data_corrupt, "its answer can't be read: {}",
                text.empty() ? "it said nothing" : text.substr(0, 200));
  }
}

}  // namespace

std::string write_peer_order(const PeerOrder& order) {
  const auto* word =
      std::find_if(kActions.begin(), kActions.end(), [&](const auto& one) { return one.first == order.action; });
  return nlohmann::json{{"action", word->second},
                        {"name", order.name},
                        {"kind", order.kind},
                        {"domain", order.domain},
                        {"pool", order.pool.native()},
                        {"golden", order.golden},
                        {"memory_mib", order.memory_mib},
                        {"type", order.type},
                        {"cache", order.cache},
                        {"uri", order.uri},
                        {"migrate_uri", order.migrate_uri}}
             .dump() +
         "\n";
}

Result<PeerOrder> read_peer_order(std::string_view text) {
  try {
    const auto object = nlohmann::json::parse(text);
    PeerOrder order;
    const auto word = object.at("action").get<std::string>();
    const auto* known =
        std::find_if(kActions.begin(), kActions.end(), [&](const auto& one) { return one.second == word; });
    if (known == kActions.end()) return fail(ErrorCode::invalid_argument, "there is no action '{}'", word);
    order.action = known->first;
    order.name = object.at("name").get<std::string>();
    order.kind = object.at("kind").get<std::string>();
    order.domain = object.at("domain").get<std::string>();
    order.pool = object.at("pool").get<std::string>();
    order.golden = object.at("golden").get<std::string>();
    order.memory_mib = object.at("memory_mib").get<std::uint64_t>();
    order.type = object.at("type").get<std::string>();
    order.cache = object.at("cache").get<std::string>();
    order.uri = object.at("uri").get<std::string>();
    order.migrate_uri = object.at("migrate_uri").get<std::string>();
    return order;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::invalid_argument, "this isn't an order for a peer: {}", error.what());
  }
}

Result<PeerAnswer> carry_out_peer(const PeerOrder& order, CommandRunner& runner, const std::stop_token& stop) {
  if (auto sound = check(order); !sound) return forward(sound);
  Peer peer(order, runner, stop);
  switch (order.action) {
    case Action::look: return peer.look();
    case Action::create: return peer.create();
    case Action::begin: return peer.begin();
    case Action::move: return peer.move();
    case Action::end: return peer.end();
  }
  return fail(ErrorCode::internal, "no such action");
}

std::string write_peer_answer(const Result<PeerAnswer>& answer) {
  if (!answer) {
    const auto& error = answer.error();
    return nlohmann::json{
               {"error", {{"code", to_string(error.code)}, {"message", error.message}, {"hint", error.hint}}}}
               .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
           "\n";
  }
  return nlohmann::json{{"seconds", answer->seconds},
                        {"pool", answer->pool.native()},
                        {"type", answer->type},
                        {"cache", answer->cache}}
             .dump() +
         "\n";
}

std::vector<std::string> words_for(const std::string& via, const std::string& host) {
  std::vector<std::string> words;
  std::istringstream stream(via);
  for (std::string word; stream >> word;) {
    if (const auto place = word.find("{}"); place != std::string::npos) word.replace(place, 2, host);
    words.push_back(std::move(word));
  }
  return words;
}

Result<PeerAnswer> ask_peer(const PeerWay& way, const std::string& node, const PeerOrder& order,
                            const std::stop_token& stop) {
  auto words = words_for(way.via, node);
  for (const char* word : {way.program.c_str(), "bench", "peer"}) words.emplace_back(word);
  Command command{.program = words.front(), .arguments = {words.begin() + 1, words.end()}};
  command.input = write_peer_order(order);
  command.timeout = 3 * kPatience;
  command.input_ends = SystemClock().now() + command.timeout;  // that it ends earlier tells that we are gone
  SystemCommandRunner runner;
  const auto output = runner.run(command, stop);
  if (!output) return forward(output);
  return read_answer(output->out);
}

}  // namespace bridgehead::cli
