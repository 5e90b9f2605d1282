#include "prefetch_daemon.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "daemon.h"
#include "deadline.h"
#include "files.h"
#include "http_client.h"
#include "process.h"
#include "reading_list.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::chrono::seconds exchange_limit{10};
constexpr std::chrono::seconds ask_again{1};
constexpr int failures_in_a_row = 5;
// A node that isn't ready by then tells nothing that others should do.
constexpr std::chrono::minutes longest_boot{15};
// So few pages that nobody asked for cost less than another request.
constexpr std::uint64_t joined_gap = 1;
// One request of the NBD device, 128 KiB.
constexpr std::uint64_t pages_at_once = 32;

class Prefetcher {
 public:
  Prefetcher(PrefetchDuty duty, Fd device, std::uint64_t size)
      : duty_(std::move(duty)), device_(std::move(device)), size_(size) {}

  void run() {
    const Deadline end(longest_boot);
    int failures = 0;
    // As of when the node was last known not to be ready: what it reads from then on (libvirt looks at QEMU) nobody
    // waits for.
    std::vector<PageRange> read;
    while (!end.passed() && failures < failures_in_a_row) {
      auto answer = http_exchange("GET", duty_.list, {}, Deadline(exchange_limit));
      if (answer && answer->status == 200) return read_ahead(answer->body);
      if (answer && answer->status == 202) return tell(read);
      if (answer && answer->status != 204) return;  // it wants none
      read = read_so_far();
      failures = answer ? 0 : failures + 1;
      pause_for(ask_again);
    }
  }

 private:
  static void say(std::string_view text) { log_line("bridgehead-prefetch", text, Severity::notice); }

  void read_ahead(std::string_view list) {
    auto ranges = parse_reading_list(list, pages());
    if (!ranges) return say(ranges.error().describe());
    std::uint64_t read = 0;
    for (const auto& range : join_near(*ranges, joined_gap)) {
      // Page cache and block device take many at once, and make the caller wait where there are too many.
      for (std::uint64_t done = 0; done < range.count; done += pages_at_once) {
        const auto count = std::min(pages_at_once, range.count - done);
        ::posix_fadvise(device_.get(), static_cast<off_t>((range.first + done) * reading_page),
                        static_cast<off_t>(count * reading_page), POSIX_FADV_WILLNEED);
      }
      read += range.count * reading_page;
    }
    say(concat(megabytes(read), " of the root in ", ranges->size(), " ranges read ahead"));
  }

  void tell(const std::vector<PageRange>& ranges) {
    if (ranges.empty()) return;
    auto told = http_exchange("POST", duty_.list, format_reading_list(ranges), Deadline(exchange_limit));
    if (told && told->status / 100 == 2) return say(concat("told what was read, ", ranges.size(), " ranges"));
    say(told ? concat("the list of what was read isn't taken: ", trim(told->body)) : told.error().describe());
  }

  // What of the device is in the page cache.
  std::vector<PageRange> read_so_far() const {
    std::vector<unsigned char> resident(pages());
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, device_.get(), 0);
    if (mapped == MAP_FAILED) return {};
    const bool known = ::mincore(mapped, size_, resident.data()) == 0;
    ::munmap(mapped, size_);
    return known ? resident_ranges(resident) : std::vector<PageRange>{};
  }

  std::uint64_t pages() const { return (size_ + reading_page - 1) / reading_page; }

  PrefetchDuty duty_;
  Fd device_;
  std::uint64_t size_;
};

}  // namespace

std::vector<std::string> to_arguments(const PrefetchDuty& duty) {
  return {prefetch_daemon_name, duty.device, duty.list.text()};
}

std::optional<PrefetchDuty> prefetch_duty(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) return std::nullopt;
  const auto url = Url::parse(arguments[2]);
  if (!url) return std::nullopt;
  return PrefetchDuty{arguments[1], *url};
}

Result<pid_t> start_prefetch_daemon(const PrefetchDuty& duty) {
  return start_daemon(to_arguments(duty), concat("it can't open ", duty.device));
}

int run_prefetch_daemon(const std::vector<std::string>& arguments) {
  // Not permanent (daemon.h): nothing depends on it, and locked memory would draw in the whole device where it is
  // mapped.
  ::prctl(PR_SET_NAME, "bh-prefetch");
  ::setsid();
  block_signals();
  const auto duty = prefetch_duty(arguments);
  if (!duty) return 1;
  Fd device(::open(duty->device.c_str(), O_RDONLY | O_CLOEXEC));
  std::uint64_t size = 0;
  if (!device || ::ioctl(device.get(), BLKGETSIZE64, &size) != 0 || size == 0) return 1;
  if (!tell_ready()) return 1;
  Prefetcher(*duty, std::move(device), size).run();
  return 0;
}

}  // namespace bridgehead::init
