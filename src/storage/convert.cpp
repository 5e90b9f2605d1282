#include "storage/convert.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "model/enum_names.h"
#include "storage/file_space.h"

namespace bridgehead::storage {
namespace {

constexpr Bytes kMemory = 4_GiB;    // address space; qemu-img's threads reserve much and use little
constexpr Bytes kSlowest = 20_MiB;  // per second
constexpr std::chrono::minutes kAtLeast{10};
constexpr std::chrono::milliseconds kWatchInterval{200};

Command limited(std::vector<std::string> arguments, Bytes virtual_size) {
  const auto seconds = std::chrono::seconds(virtual_size.count() / kSlowest.count());
  Command command{.program = "prlimit",
                  .arguments = {fmt::format("--as={}", kMemory.count()), "--core=0", "--nofile=128",
                                // Metadata of a qcow2 target comes on top of the content.
                                fmt::format("--fsize={}", virtual_size.count() + virtual_size.count() / 8 + (64 << 20)),
                                "qemu-img"},
                  .timeout = kAtLeast + seconds};
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  return command;
}

std::string node_of(const std::filesystem::path& path, model::ImageFormat format, bool without_backing) {
  nlohmann::json node{{"driver", model::to_string(format)},
                      {"file", {{"driver", "file"}, {"filename", path.native()}}}};
  if (without_backing) node["backing"] = nullptr;
  return "json:" + node.dump();
}

std::uint64_t allocated(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0;
}

// Looks at the growing target now and then; asks for the stop when it takes too much or the caller wants it.
class Watcher {
 public:
  Watcher(std::filesystem::path target, Bytes limit, const ProgressSink& progress, const std::stop_token& outer)
      : target_(std::move(target)),
        limit_(limit),
        progress_(progress),
        on_outer_stop_(outer, [this] { inner_.request_stop(); }),
        thread_([this](const std::stop_token& ended) { watch(ended); }) {}

  std::stop_token token() const { return inner_.get_token(); }
  void end() {
    thread_.request_stop();
    thread_.join();
  }
  bool too_large() const { return too_large_; }

 private:
  void watch(const std::stop_token& ended) {
    std::unique_lock lock(mutex_);
    while (!ended.stop_requested()) {
      wake_.wait_for(lock, ended, kWatchInterval, [] { return false; });
      const std::uint64_t used = allocated(target_);
      if (progress_) progress_({.phase = "convert", .done = used, .total = 0});
      if (used > limit_.count()) {
        too_large_ = true;
        inner_.request_stop();
      }
    }
  }

  const std::filesystem::path target_;
  const Bytes limit_;
  const ProgressSink& progress_;
  std::stop_source inner_;
  std::stop_callback<std::function<void()>> on_outer_stop_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::atomic<bool> too_large_ = false;
  std::jthread thread_;
};

}  // namespace

Command convert_command(const std::filesystem::path& source, model::ImageFormat format,
                        const std::filesystem::path& target, Bytes virtual_size, bool direct_io) {
  // vdi and vhdx know no backing files; QEMU refuses the option for them.
  return limited({"convert", "-q", "-m", "8", "-W", "-t", direct_io ? "none" : "writeback", "-O", "raw",
                  node_of(source, format, format == model::ImageFormat::vmdk), target.native()},
                 virtual_size);
}

Command export_command(const std::filesystem::path& source, model::ImageFormat format,
                       const std::filesystem::path& target, model::ImageFormat target_format, Bytes virtual_size) {
  return limited({"convert", "-q", "-m", "8", "-W", "-O", std::string(model::to_string(target_format)),
                  node_of(source, format, false), target.native()},
                 virtual_size);
}

Command compare_command(const std::filesystem::path& one, model::ImageFormat format, const std::filesystem::path& other,
                        model::ImageFormat other_format, Bytes virtual_size) {
  auto command =
      limited({"compare", "-q", node_of(one, format, false), node_of(other, other_format, false)}, virtual_size);
  command.success_codes = {0, 1};
  return command;
}

Command flatten_command(const std::filesystem::path& disk, Bytes virtual_size) {
  return limited({"rebase", "-q", "-f", "qcow2", "-F", "raw", "-b", "", disk.native()}, virtual_size);
}

Status convert_image(CommandRunner& runner, const Command& command, const std::filesystem::path& target, Bytes limit,
                     const ProgressSink& progress, std::stop_token stop) {
  Watcher watcher(target, limit, progress, stop);
  auto done = runner.run(command, watcher.token());
  watcher.end();
  if (watcher.too_large() || (!done && done.error().message.find("No space left") != std::string::npos)) {
    return fail_with_hint(ErrorCode::resource_exhausted, "the converted image needs more space than there is",
                          "Free space in the pool, then try again.");
  }
  if (!done && done.error().code == ErrorCode::io_error) {
    if (done.error().message.find("lock") != std::string::npos) {
      return fail_with_hint(ErrorCode::failed_precondition, "the image is in use by a running guest",
                            "Stop the guest first.");
    }
    return fail(ErrorCode::data_corrupt, "qemu-img can't convert the image: {}", done.error().message);
  }
  if (!done) return forward(done);
  auto file = open_file(target, O_RDWR);
  if (!file) return forward(file);
  if (::fsync(file->get()) != 0) return fail_space(errno, "sync the converted image");
  return {};
}

}  // namespace bridgehead::storage
