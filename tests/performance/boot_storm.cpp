// A thousand machines are switched on at once: DHCP from the real dnsmasq, the first script by TFTP, then script,
// kernel, initramfs, plan and root from the real boot server, and the steps of their boots.
// tests/performance/run_boot_storm makes network and manager and starts it; alone:
//   boot_storm --interface IF --server ADDRESS:PORT --first-address A --machines N [--discover]
//              [--image DIRECTORY [--most BYTES] [--root-most BYTES]] [--manager PID] [--assert]
// --discover: machines that nobody knows, at the addresses that they will boot with.
// --most: only so much of kernel and initramfs, by ranges; --root-most: of the root. 0 = all.
// Exit code 1 unless each of them got what it should and the manager's memory stays flat; --assert: also where a script
// took too long.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdio>

#include "base/file.h"
#include "performance/storm_crowd.h"

namespace bridgehead::performance {
namespace {

constexpr double kLongestScript = 10;      // seconds; a loader's own patience is longer
constexpr long kLargestGrowth = 32 << 10;  // KiB of the manager's memory, during the storm

struct StormOptions {
  StormPlan plan;
  std::uint32_t first_address = 0;
  std::size_t machines = 1000;
  std::string image;
  std::size_t most = 0;
  std::size_t root_most = 0;
  std::string manager;  // its process id
  bool assert_figures = false;
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "boot_storm: %s\n", why.c_str());
  std::exit(2);
}

std::uint32_t parse_address(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) die("'" + text + "' is no address");
  return ntohl(address.s_addr);
}

StormOptions parse(int argc, char** argv) {
  StormOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      return i + 1 < argc ? std::string(argv[++i]) : (die(name + " needs a value"), std::string());
    };
    if (name == "--interface") {
      options.plan.interface = value();
    } else if (name == "--server") {
      const auto text = value();
      const auto colon = text.find(':');
      if (colon == std::string::npos) die("--server is ADDRESS:PORT");
      options.plan.server.sin_family = AF_INET;
      options.plan.server.sin_addr.s_addr = htonl(parse_address(text.substr(0, colon)));
      options.plan.server.sin_port = htons(static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1))));
    } else if (name == "--first-address") {
      options.first_address = parse_address(value());
    } else if (name == "--machines") {
      options.machines = std::stoull(value());
    } else if (name == "--discover") {
      options.plan.discovered = true;
    } else if (name == "--image") {
      options.image = value();
    } else if (name == "--most") {
      options.most = std::stoull(value());
    } else if (name == "--root-most") {
      options.root_most = std::stoull(value());
    } else if (name == "--manager") {
      options.manager = value();
    } else if (name == "--assert") {
      options.assert_figures = true;
    } else {
      die("unknown option " + name);
    }
  }
  return options;
}

// For as long as we run.
StormFile map_file(const std::string& path, std::size_t most) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) die("can't read " + path);
  const auto size = static_cast<std::size_t>(info.st_size);
  void* bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (bytes == MAP_FAILED) die("can't map " + path);
  const bool part = most > 0 && most < size;
  return {.bytes = {static_cast<const char*>(bytes), part ? most : size}, .part = part};
}

// In no order of their addresses, so that none comes right by chance.
std::vector<StormIdentity> identities(const StormOptions& options) {
  std::vector<StormIdentity> result;
  for (std::size_t i = 0; i < options.machines; ++i) {
    const auto place = (i * 7919 + 13) % options.machines;
    result.push_back({.mac = fmt::format("52:54:01:00:{:02x}:{:02x}", i >> 8, i & 255),
                      .address = options.first_address + static_cast<std::uint32_t>(place)});
  }
  return result;
}

// KiB, of /proc/<pid>/status.
long memory(const std::string& process, std::string_view field) {
  const auto status = read_file(fmt::format("/proc/{}/status", process)).value_or("");
  const auto at = status.find(field);
  return at == std::string::npos ? 0 : std::strtol(status.c_str() + at + field.size(), nullptr, 10);
}

// The peak counts from now on.
void reset_peak(const std::string& process) {
  const UniqueFd file(::open(fmt::format("/proc/{}/clear_refs", process).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), "5", 1) != 1) die("can't watch the memory of process " + process);
}

void print(const StormOutcome& outcome, std::size_t machines) {
  std::printf("%zu of %zu machines served in %.1f s: %.0f MB, %.0f MB/s\n", outcome.served, machines, outcome.seconds,
              static_cast<double>(outcome.bytes) / 1e6, static_cast<double>(outcome.bytes) / 1e6 / outcome.seconds);
  if (outcome.all_loaded > 0) {
    std::printf("address and first script: first %.2f s, all %.2f s, %zu questions repeated\n", outcome.first_loaded,
                outcome.all_loaded, outcome.repeated);
  }
  for (auto [what, seconds] : outcome.answers) {
    std::sort(seconds.begin(), seconds.end());
    std::printf("%-10s %6zu answers: median %6.0f ms, 99 %% within %6.0f, longest %6.0f\n", what.c_str(),
                seconds.size(), seconds[seconds.size() / 2] * 1000, seconds[seconds.size() * 99 / 100] * 1000,
                seconds.back() * 1000);
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(outcome.problems.size(), 10); ++i) {
    std::printf("not served: %s\n", outcome.problems[i].c_str());
  }
}

int run(StormOptions options) {
  auto& plan = options.plan;
  plan.machines = identities(options);
  if (!plan.discovered) {
    if (options.image.empty()) die("--image is missing: the directory of the files that must come");
    plan.files = {.kernel = map_file(options.image + "/vmlinuz", options.most),
                  .initramfs = map_file(options.image + "/initramfs.img", options.most),
                  .root = map_file(options.image + "/root.squashfs", options.root_most)};
  }
  long before = 0;
  if (!options.manager.empty()) {
    reset_peak(options.manager);
    before = memory(options.manager, "VmRSS:");
  }
  auto outcome = StormCrowd(plan).run();
  if (!outcome) die(outcome.error().describe());
  print(*outcome, options.machines);
  bool good = outcome->served == options.machines;
  if (!options.manager.empty()) {
    const long growth = memory(options.manager, "VmHWM:") - before;
    std::printf("manager: %ld KiB resident before, %ld more at most\n", before, growth);
    if (growth > kLargestGrowth) {
      std::printf("that is more than %ld KiB\n", kLargestGrowth);
      good = false;
    }
  }
  const auto& scripts = outcome->answers["script"];
  const double longest = scripts.empty() ? 0 : *std::max_element(scripts.begin(), scripts.end());
  if (options.assert_figures && longest > kLongestScript) {
    std::printf("a script took more than %.0f s\n", kLongestScript);
    good = false;
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace bridgehead::performance

int main(int argc, char** argv) { return bridgehead::performance::run(bridgehead::performance::parse(argc, argv)); }
