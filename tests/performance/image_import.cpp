// How quick the copy engine is, beside its peers in one run: fio's sequential direct write (what the disk takes) and
// qemu-img convert. Rounds are interleaved, so that a noisy machine hits all alike; medians are compared.
//
//   image_import [--directory DIR] [--data MIB] [--size MIB] [--rounds N] [--piece KIB] [--buffers N] [--workers N]
//                [--no-io-uring] [--sha256] [--assert]
//
// The source is read cold (evicted from the page cache before each run) and warm (as after an upload). qemu-img is run
// as `convert -m 16 -W -t none -T none`. --assert: exits 1 if ours is below 1.6 times qemu-img in any row, or needs
// more than 128 MiB.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/file.h"
#include "base/random.h"
#include "storage/copy_engine.h"
#include "storage/qcow2_image.h"

namespace {

using namespace bridgehead;
using namespace bridgehead::storage;

constexpr double kWantedRatio = 1.6;
constexpr long kLargestRss = 128 << 10;  // KiB

struct Options {
  std::string directory = "/var/tmp";
  std::uint64_t data = 2048;  // MiB
  std::uint64_t size = 8192;
  int rounds = 5;
  bool assert_figures = false;
  std::vector<std::string> copy_arguments;  // passed on to the copying child
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "image_import: %s\n", why.c_str());
  std::exit(2);
}

template <typename T>
T must(Result<T> result) {
  if (!result) die(result.error().describe());
  return std::move(*result);
}

// The child: one copy; prints its peak memory in KiB.
int copy_one(const std::string& source, const std::string& format, const std::string& target,
             const CopyOptions& options) {
  auto file = must(open_file(source, O_RDONLY));
  const auto image = must(format == "qcow2" ? open_qcow2_image(std::move(file)) : open_raw_image(std::move(file)));
  const auto out = must(open_file(target, O_RDWR | O_CREAT | O_EXCL));
  const auto report = must(copy_image(image, out.get(), options));
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("%ld %d %d %s\n", usage.ru_maxrss, report.used_io_uring, report.used_direct_io, report.sha256.c_str());
  return 0;
}

// `data` MiB of random bytes in runs of 16 MiB, evenly spread over `size` MiB.
void make_raw(const std::string& path, const Options& options) {
  const auto file = must(open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  if (::ftruncate(file.get(), static_cast<off_t>(options.size << 20)) != 0) die("can't size the source");
  const std::uint64_t run = std::min<std::uint64_t>(16, options.data);
  const std::uint64_t step = options.size / (options.data / run);
  SeededRandom random(42);
  std::vector<std::uint8_t> bytes(1 << 20);
  for (std::uint64_t at = 0, left = options.data; left > 0; at += step) {
    for (std::uint64_t i = 0; i < run && left > 0; ++i, --left) {
      random.fill(bytes);
      if (::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>((at + i) << 20)) < 0) die("no space");
    }
  }
  ::fsync(file.get());
}

void warm_or_evict(const std::string& path, bool warm) {
  const auto file = must(open_file(path, O_RDONLY));
  ::fsync(file.get());
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  if (!warm) return;
  std::vector<char> buffer(1 << 20);
  for (off_t at = 0;;) {
    at = ::lseek(file.get(), at, SEEK_DATA);
    if (at < 0) return;
    const ssize_t got = ::pread(file.get(), buffer.data(), buffer.size(), at);
    if (got <= 0) return;
    at += got;
  }
}

struct Run {
  double seconds = 0;
  std::string out;
};

Run timed(Command command) {
  command.timeout = std::chrono::minutes(10);
  SystemCommandRunner runner;
  const auto begin = std::chrono::steady_clock::now();
  auto output = must(runner.run(command));
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), output.out};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

class Benchmark {
 public:
  Benchmark(Options options, std::string self, std::string directory)
      : options_(std::move(options)), self_(std::move(self)), directory_(std::move(directory)) {}

  int run() {
    std::printf("preparing %lu MiB of data in a %lu MiB image\n", options_.data, options_.size);
    make_raw(path("source.raw"), options_);
    timed({.program = "qemu-img",
           .arguments = {"convert", "-f", "raw", "-O", "qcow2", path("source.raw"), path("source.qcow2")}});
    for (int round = 0; round < options_.rounds; ++round) {
      fio();
      for (const std::string format : {"qcow2", "raw"}) {
        for (const bool warm : {false, true}) {
          const std::string name = format + "->raw " + (warm ? "warm" : "cold");
          // Who goes first changes, so that neither always finds the other's traces.
          if (round % 2 == 0) qemu(name, format, warm);
          ours(name, format, warm);
          if (round % 2 != 0) qemu(name, format, warm);
        }
      }
    }
    return print();
  }

 private:
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  void clear_target() const {
    ::unlink(path("target.raw").c_str());
    ::sync();
  }

  void fio() {
    clear_target();
    const auto run = timed({.program = "fio",
                            .arguments = {"--name=write", "--filename=" + path("target.raw"), "--rw=write", "--bs=1M",
                                          fmt::format("--size={}M", options_.data), "--direct=1", "--ioengine=io_uring",
                                          "--iodepth=16", "--end_fsync=1", "--minimal"}});
    // Field 48 of the terse format: write bandwidth in KiB/s.
    std::string_view rest = run.out;
    for (int field = 1; field < 48; ++field) rest.remove_prefix(std::min(rest.size(), rest.find(';') + 1));
    fio_.push_back(std::strtod(std::string(rest.substr(0, 20)).c_str(), nullptr) / 1024);
  }

  void qemu(const std::string& name, const std::string& format, bool warm) {
    clear_target();
    warm_or_evict(path("source." + format), warm);
    const auto run = timed({.program = "qemu-img",
                            .arguments = {"convert", "-m", "16", "-W", "-t", "none", "-T", "none", "-f", format, "-O",
                                          "raw", path("source." + format), path("target.raw")}});
    qemu_[name].push_back(static_cast<double>(options_.data) / run.seconds);
  }

  void ours(const std::string& name, const std::string& format, bool warm) {
    clear_target();
    warm_or_evict(path("source." + format), warm);
    Command command{.program = self_, .arguments = {"--copy", path("source." + format), format, path("target.raw")}};
    command.arguments.insert(command.arguments.end(), options_.copy_arguments.begin(), options_.copy_arguments.end());
    const auto run = timed(command);
    ours_[name].push_back(static_cast<double>(options_.data) / run.seconds);
    rss_ = std::max(rss_, std::strtol(run.out.c_str(), nullptr, 10));
    how_ = run.out;
  }

  int print() const {
    const double disk = median(fio_);
    std::printf("\n%-16s %12s %12s %10s %12s\n", "", "qemu-img", "bridgehead", "ratio", "of fio");
    bool fine = rss_ <= kLargestRss;
    for (const auto& [name, values] : ours_) {
      const double theirs = median(qemu_.at(name));
      const double mine = median(values);
      std::printf("%-16s %8.0f MiB/s %7.0f MiB/s %8.2fx %12.2f\n", name.c_str(), theirs, mine, mine / theirs,
                  mine / disk);
      fine = fine && mine >= kWantedRatio * theirs;
    }
    std::printf("fio sequential direct write: %.0f MiB/s; median of %d rounds each\n", disk, options_.rounds);
    std::printf("peak memory of a copy: %ld MiB; io_uring, direct I/O, digest: %s", rss_ / 1024,
                how_.substr(how_.find(' ') + 1).c_str());
    if (!options_.assert_figures) return 0;
    std::printf("%s\n", fine ? "as wanted: at least 1.6x and at most 128 MiB" : "NOT as wanted: 1.6x and 128 MiB");
    return fine ? 0 : 1;
  }

  const Options options_;
  const std::string self_;
  const std::string directory_;
  std::vector<double> fio_;
  std::map<std::string, std::vector<double>> qemu_;
  std::map<std::string, std::vector<double>> ours_;
  long rss_ = 0;
  std::string how_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CopyOptions copy;
  std::vector<std::string> copy_paths;
  const std::vector<std::string> words(argv + 1, argv + argc);
  std::size_t at = 0;
  auto next = [&] { return at + 1 < words.size() ? words[++at] : (die("a value is missing after " + words[at]), ""); };
  auto number = [&] { return std::strtoull(next().c_str(), nullptr, 10); };
  for (; at < words.size(); ++at) {
    const std::size_t begin = at;
    const std::string& word = words[at];
    bool for_copy = true;
    if (word == "--piece")
      copy.piece = Bytes(number() << 10);
    else if (word == "--buffers")
      copy.buffers = static_cast<unsigned>(number());
    else if (word == "--workers")
      copy.workers = static_cast<unsigned>(number());
    else if (word == "--no-io-uring")
      copy.io_uring = false;
    else if (word == "--sha256")
      copy.sha256 = true;
    else
      for_copy = false;
    if (for_copy)
      options.copy_arguments.insert(options.copy_arguments.end(), words.begin() + begin, words.begin() + at + 1);
    else if (word == "--copy")
      copy_paths = {next(), next(), next()};
    else if (word == "--directory")
      options.directory = next();
    else if (word == "--data")
      options.data = number();
    else if (word == "--size")
      options.size = number();
    else if (word == "--rounds")
      options.rounds = static_cast<int>(number());
    else if (word == "--assert")
      options.assert_figures = true;
    else
      die("unknown option " + word);
  }
  if (!copy_paths.empty()) return copy_one(copy_paths[0], copy_paths[1], copy_paths[2], copy);
  if (options.data == 0 || options.size < options.data || options.rounds < 1) die("sizes make no sense");
  ::setenv("TMPDIR", options.directory.c_str(), 1);
  const auto directory = must(TemporaryDirectory::create("bridgehead-image-import"));
  return Benchmark(options, must(Result<std::string>(std::filesystem::read_symlink("/proc/self/exe").string())),
                   directory.path().string())
      .run();
}
