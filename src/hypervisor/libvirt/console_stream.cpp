#include "hypervisor/libvirt/console_stream.h"

#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace bridgehead::hypervisor {
namespace {

constexpr std::size_t kReadAhead = 256 << 10;  // a reader that is slower than this makes the guest wait
constexpr int kReadable = VIR_STREAM_EVENT_READABLE;
constexpr int kWritable = VIR_STREAM_EVENT_WRITABLE;
constexpr int kEnded = VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;

// Shared with libvirt's event callback, which may still be running when the reader lets go.
class Console : public std::enable_shared_from_this<Console> {
 public:
  explicit Console(StreamPtr stream) : stream_(std::move(stream)) {}

  Status open(virDomainPtr domain, bool take_over) {
    const unsigned flags = take_over ? VIR_DOMAIN_CONSOLE_FORCE : 0;
    if (::virDomainOpenConsole(domain, nullptr, stream_.get(), flags) < 0) {
      if (last_libvirt_message().find("Active console session") != std::string::npos) {
        return fail_with_hint(ErrorCode::conflict, "somebody else is using this guest's console",
                              "Take it over, or wait until it is free.");
      }
      return fail_libvirt("open the console");
    }
    auto* mine = new std::shared_ptr<Console>(shared_from_this());  // freed below, by libvirt
    const auto free = [](void* opaque) { delete static_cast<std::shared_ptr<Console>*>(opaque); };
    if (::virStreamEventAddCallback(stream_.get(), kReadable | kEnded, &Console::on_stream, mine, free) < 0) {
      free(mine);
      return fail_libvirt("listen to the console");
    }
    return {};
  }

  Result<std::string> read() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !received_.empty(); });
    if (received_.empty()) return std::string();
    const bool was_full = received_.size() >= kReadAhead;
    auto bytes = std::exchange(received_, {});
    if (was_full && !closed_) listen();
    return bytes;
  }

  Status write(std::string_view bytes) {
    std::unique_lock lock(mutex_);
    while (!bytes.empty()) {
      if (closed_) return fail(ErrorCode::failed_precondition, "the guest has closed its console");
      const int sent = ::virStreamSend(stream_.get(), bytes.data(), std::min(bytes.size(), std::size_t{64} << 10));
      if (sent == -1) return fail_libvirt("write to the console");
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        continue;
      }
      want_write_ = true;  // its buffer is full
      listen();
      changed_.wait(lock, [this] { return closed_ || !want_write_; });
    }
    return {};
  }

  void close() {
    const std::lock_guard lock(mutex_);
    end();
  }

 private:
  static void on_stream(virStreamPtr, int events, void* opaque) {
    const auto self = *static_cast<std::shared_ptr<Console>*>(opaque);
    self->handle(events);
  }

  void handle(int events) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if ((events & kWritable) != 0) want_write_ = false;
    if ((events & kReadable) != 0) receive();
    if (!closed_ && (events & kEnded) != 0) end();
    if (!closed_) listen();
    changed_.notify_all();
  }

  void receive() {
    std::array<char, 16384> buffer;
    while (received_.size() < kReadAhead) {
      const int got = ::virStreamRecv(stream_.get(), buffer.data(), buffer.size());
      if (got == -2) return;  // no more now
      if (got <= 0) return end();
      received_.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }

  void listen() {
    const int read = received_.size() < kReadAhead ? kReadable : 0;
    ::virStreamEventUpdateCallback(stream_.get(), kEnded | read | (want_write_ ? kWritable : 0));
  }

  void end() {
    if (std::exchange(closed_, true)) return;
    ::virStreamEventRemoveCallback(stream_.get());
    ::virStreamAbort(stream_.get());
    changed_.notify_all();
  }

  StreamPtr stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string received_;
  bool want_write_ = false;
  bool closed_ = false;
};

class LibvirtConsole final : public ConsoleStream {
 public:
  explicit LibvirtConsole(std::shared_ptr<Console> console) : console_(std::move(console)) {}
  ~LibvirtConsole() override { console_->close(); }
  Result<std::string> read() override { return console_->read(); }
  Status write(std::string_view bytes) override { return console_->write(bytes); }
  void close() override { console_->close(); }

 private:
  std::shared_ptr<Console> console_;
};

}  // namespace

Result<std::unique_ptr<ConsoleStream>> open_console_stream(virConnectPtr connection, virDomainPtr domain,
                                                           bool take_over) {
  StreamPtr stream(::virStreamNew(connection, VIR_STREAM_NONBLOCK));
  if (!stream) return fail_libvirt("open a stream");
  auto console = std::make_shared<Console>(std::move(stream));
  if (auto opened = console->open(domain, take_over); !opened) return forward(opened);
  return std::make_unique<LibvirtConsole>(std::move(console));
}

}  // namespace bridgehead::hypervisor
