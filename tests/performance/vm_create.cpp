// How long a guest takes from the request until its virtual CPUs run, beside its peers in one run, one at a time and
// many at once. Needs a libvirtd, a manager and an agent with an image: tests/performance/run_vm_create starts all of
// that in a sandbox and then this program.
//
//   vm_create --image NAME --directory DIR [--clone-source RAW-FILE] [--rounds N] [--batches N] [--batch N]
//             [--clones N] [--memory MIB] [--no-virt-install] [-o table|json] [--assert]
//
// Bridgehead: POST /vms over a TLS connection that is kept open (count=N for many at once); the ends of operations come
// by the event stream. libvirt: define and create of the very definition that Bridgehead gave its guest, over one
// persistent connection (many at once: as many threads), on overlay and seed made beforehand. virt-install: --import of
// such an overlay. virt-clone: a full copy of RAW-FILE, then a start. Everybody's virtual CPUs run when libvirt says so
// by its RESUMED or STARTED event. Rounds are interleaved and who goes first changes, so that a noisy machine hits all
// alike. Guests are removed outside of the measured times.
// --assert: exits 1 unless Bridgehead's p50 is at most 1.25 times libvirt's, one at a time and many at once, and
// virt-install's is at least 4 times Bridgehead's.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/command.h"
#include "base/file.h"
#include "performance/bridgehead_user.h"
#include "performance/libvirt_peers.h"
#include "performance/process_cpu.h"
#include "performance/vm_create_figures.h"

namespace bridgehead::performance {
namespace {

struct Options {
  std::string image;
  std::filesystem::path directory;
  std::filesystem::path clone_source;
  std::size_t rounds = 20;
  std::size_t batches = 5;
  std::size_t batch = 20;
  std::size_t clones = 3;
  std::size_t memory = 64;  // MiB
  bool virt_install = true;
  bool json = false;
  bool assert_limits = false;
};

[[noreturn]] void die(const std::string& why) {
  fmt::print(stderr, "vm_create: {}\n", why);
  std::exit(2);
}

template <typename T>
T must(Result<T> result) {
  if (!result) die(result.error().describe());
  return std::move(*result);
}
void must(const Status& status) {
  if (!status) die(status.error().describe());
}

double milliseconds(Moment from, Moment to) { return std::chrono::duration<double, std::milli>(to - from).count(); }

class Benchmark {
 public:
  explicit Benchmark(Options options)
      : options_(std::move(options)), user_(must(cli::Connection::load(cli::Connection::default_file()))) {
    figures_.batch = options_.batch;
  }

  int run() {
    say("making a guest as the model for the others");
    take_template();
    one_bridgehead(nullptr);  // everything is warm once
    one_libvirt(nullptr);
    one_at_a_time();
    for (std::size_t n = 0; n < options_.batches; ++n) {
      say(fmt::format("{} at once, round {} of {}", options_.batch, n + 1, options_.batches));
      const bool first = n % 2 == 0;
      if (first) many_bridgehead();
      many_libvirt();
      if (!first) many_bridgehead();
    }
    if (options_.json) {
      figures_.print_json();
    } else {
      figures_.print_table();
    }
    if (!options_.assert_limits) return 0;
    say(figures_.within_limits() ? "as wanted" : "NOT as wanted");
    return figures_.within_limits() ? 0 : 1;
  }

 private:
  void say(const std::string& what) const { fmt::print(stderr, "{}\n", what); }

  std::string next_name(std::string_view kind) { return fmt::format("{}-{}", kind, ++names_); }

  nlohmann::json request(const std::string& name, std::size_t count) const {
    return {{"name", name},
            {"image", options_.image},
            {"cpus", 1},
            {"memory", fmt::format("{}MiB", options_.memory)},
            {"count", count}};
  }

  // Stopped, so that its files are as they are before the first start.
  void take_template() {
    auto body = request("model", 1);
    body["power"] = "stopped";
    const auto guests = must(user_.create(body));
    must(user_.wait_end(guests.front().operation));
    template_ = must(GuestTemplate::take(must(libvirt_.definition(guests.front().domain)), options_.directory));
    must(user_.remove(guests));
  }

  void one_at_a_time() {
    std::vector<std::function<void()>> peers{[this] { one_bridgehead(&figures_.one); },
                                             [this] { one_libvirt(&figures_.one_libvirt); }};
    if (options_.virt_install) peers.emplace_back([this] { one_virt_install(); });
    for (std::size_t n = 0; n < options_.rounds; ++n) {
      if (n % 5 == 0) say(fmt::format("one at a time, round {} of {}", n + 1, options_.rounds));
      for (std::size_t i = 0; i < peers.size(); ++i) peers[(n + i) % peers.size()]();
      if (n < options_.clones && !options_.clone_source.empty()) one_virt_clone();
    }
  }

  void one_bridgehead(Times* times) {
    const auto body = request(next_name("guest"), 1);
    const auto begin = std::chrono::steady_clock::now();
    const auto guests = must(user_.create(body));
    const auto answered = std::chrono::steady_clock::now();
    const auto seen = must(libvirt_.wait_running(guests.front().domain));
    const auto ended = must(user_.wait_end(guests.front().operation));
    if (times != nullptr) {
      times->answered.push_back(milliseconds(begin, answered));
      times->defined.push_back(milliseconds(begin, seen.defined));
      times->running.push_back(milliseconds(begin, seen.running));
      times->ended.push_back(milliseconds(begin, ended));
    }
    must(user_.remove(guests));
  }

  void one_libvirt(Times* times) {
    const auto name = next_name("libvirt");
    const auto xml = must(template_.make_ready(name));
    const auto begin = std::chrono::steady_clock::now();
    must(libvirt_.define_and_create(xml));
    const auto ended = std::chrono::steady_clock::now();
    const auto seen = must(libvirt_.wait_running(name));
    if (times != nullptr) {
      times->defined.push_back(milliseconds(begin, seen.defined));
      times->running.push_back(milliseconds(begin, seen.running));
      times->ended.push_back(milliseconds(begin, ended));
    }
    remove(name);
  }

  void remove(const std::string& name) {
    must(libvirt_.remove(name));
    template_.remove_files(name);
  }

  Command virt_install(const std::string& name, const std::string& disk) const {
    return {.program = "virt-install",
            .arguments = {"--connect",   "qemu:///system",
                          "--name",      name,
                          "--memory",    std::to_string(options_.memory),
                          "--vcpus",     "1",
                          "--virt-type", template_.virt_type(),
                          "--import",    "--noautoconsole",
                          "--disk",      disk,
                          "--network",   "network=" + network_,
                          "--osinfo",    "linux2022",
                          "--graphics",  "vnc"},
            .timeout = std::chrono::minutes(3)};
  }

  void one_virt_install() {
    const auto name = next_name("install");
    must(template_.make_ready(name));
    const auto command = virt_install(
        name, fmt::format("path={},format={}", template_.first_disk(name).native(), template_.first_disk_format()));
    const auto begin = std::chrono::steady_clock::now();
    must(runner_.run(command));
    const auto ended = std::chrono::steady_clock::now();
    const auto seen = must(libvirt_.wait_running(name));
    figures_.install.defined.push_back(milliseconds(begin, seen.defined));
    figures_.install.running.push_back(milliseconds(begin, seen.running));
    figures_.install.ended.push_back(milliseconds(begin, ended));
    remove(name);
  }

  // The original is a guest that is shut off, as virt-clone wants it.
  void one_virt_clone() {
    const auto name = next_name("clone");
    const auto copy = options_.directory / (name + ".raw");
    if (clone_original_.empty()) {
      clone_original_ = next_name("original");
      auto define = virt_install(clone_original_, fmt::format("path={},format=raw", options_.clone_source.native()));
      define.arguments.insert(define.arguments.end(), {"--print-xml", "1"});
      must(libvirt_.define(must(runner_.run(define)).out));
    }
    const Command clone{.program = "virt-clone",
                        .arguments = {"--connect", "qemu:///system", "--original", clone_original_, "--name", name,
                                      "--file", copy.native()},
                        .timeout = std::chrono::minutes(10)};
    const auto begin = std::chrono::steady_clock::now();
    must(runner_.run(clone));
    must(libvirt_.create(name));
    const auto seen = must(libvirt_.wait_running(name));
    figures_.clone.defined.push_back(milliseconds(begin, seen.defined));
    figures_.clone.running.push_back(milliseconds(begin, seen.running));
    must(libvirt_.remove(name));
    must(remove_file(copy));
  }

  void many_bridgehead() {
    const auto body = request(next_name("many"), options_.batch);
    const auto cpu = process_cpu();
    const auto begin = std::chrono::steady_clock::now();
    const auto guests = must(user_.create(body));
    const auto answered = std::chrono::steady_clock::now();
    double last = 0;
    for (const auto& guest : guests) {
      const auto seen = must(libvirt_.wait_running(guest.domain));
      figures_.many.defined.push_back(milliseconds(begin, seen.defined));
      figures_.many.running.push_back(milliseconds(begin, seen.running));
      last = std::max(last, figures_.many.running.back());
    }
    note_cpu(cpu, figures_.many);
    for (const auto& guest : guests)
      figures_.many.ended.push_back(milliseconds(begin, must(user_.wait_end(guest.operation))));
    figures_.many.answered.push_back(milliseconds(begin, answered));
    figures_.many.total.push_back(last);
    must(user_.remove(guests));
  }

  void many_libvirt() {
    std::vector<std::string> names(options_.batch);
    std::vector<std::string> xml(options_.batch);
    for (std::size_t n = 0; n < options_.batch; ++n) {
      names[n] = next_name("libvirt");
      xml[n] = must(template_.make_ready(names[n]));
    }
    double last = 0;
    const auto cpu = process_cpu();
    {
      std::vector<std::jthread> threads;
      const auto begin = std::chrono::steady_clock::now();
      for (const auto& one : xml) threads.emplace_back([this, &one] { must(libvirt_.define_and_create(one)); });
      for (const auto& name : names) {
        const auto seen = must(libvirt_.wait_running(name));
        figures_.many_libvirt.defined.push_back(milliseconds(begin, seen.defined));
        figures_.many_libvirt.running.push_back(milliseconds(begin, seen.running));
        last = std::max(last, figures_.many_libvirt.running.back());
      }
    }
    note_cpu(cpu, figures_.many_libvirt);
    figures_.many_libvirt.total.push_back(last);
    for (const auto& name : names) remove(name);
  }

  // What the daemons have used since `before`, and the guests that run now (their QEMU's start and their BIOS).
  void note_cpu(const std::map<std::string, double>& before, Times& times) const {
    const auto now = process_cpu();
    for (const auto& [label, process] : kProcesses) {
      const auto was = before.find(std::string(process));
      const auto is = now.find(std::string(process));
      const double used = (is == now.end() ? 0 : is->second) - (was == before.end() ? 0 : was->second);
      times.cpu[std::string(label)].push_back(used / static_cast<double>(options_.batch));
    }
  }

  const Options options_;
  SystemCommandRunner runner_;
  LibvirtPeer libvirt_;
  BridgeheadUser user_;
  const std::string network_ = "bh-" + must(user_.show("/networks/default", "/id"));  // what it is called in libvirt
  GuestTemplate template_;
  std::size_t names_ = 0;
  std::string clone_original_;
  Figures figures_;
};

}  // namespace
}  // namespace bridgehead::performance

int main(int argc, char** argv) {
  bridgehead::performance::Options options;
  const std::vector<std::string> words(argv + 1, argv + argc);
  bool known = true;
  for (std::size_t n = 0; n < words.size(); ++n) {
    const auto& word = words[n];
    const auto value = [&] { return n + 1 < words.size() ? words[++n] : std::string(); };
    const auto number = [&] { return std::strtoul(value().c_str(), nullptr, 10); };
    if (word == "--image")
      options.image = value();
    else if (word == "--directory")
      options.directory = value();
    else if (word == "--clone-source")
      options.clone_source = value();
    else if (word == "--rounds")
      options.rounds = number();
    else if (word == "--batches")
      options.batches = number();
    else if (word == "--batch")
      options.batch = number();
    else if (word == "--clones")
      options.clones = number();
    else if (word == "--memory")
      options.memory = number();
    else if (word == "--no-virt-install")
      options.virt_install = false;
    else if (word == "-o")
      options.json = value() == "json";
    else if (word == "--assert")
      options.assert_limits = true;
    else
      known = false;
  }
  if (!known || options.image.empty() || options.directory.empty() || options.batch == 0) {
    fmt::print(stderr, "usage: see the head of tests/performance/vm_create.cpp; run it by run_vm_create\n");
    return 2;
  }
  return bridgehead::performance::Benchmark(std::move(options)).run();
}
