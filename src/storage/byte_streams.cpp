#include "storage/byte_streams.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "base/text.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kAhead = 8 << 20;
constexpr std::size_t kDownloadPiece = 256 << 10;

// curl's global state: made once, before the first handle, and kept.
void initialise_curl() {
  static const CURLcode done = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  require(done == CURLE_OK, "libcurl can't be initialised");
}

}  // namespace

struct UrlStream::Transfer {
  std::string url;
  FetchLimits limits;
  FetchFrom from;
  std::stop_token stop;
  char message[CURL_ERROR_SIZE] = "";

  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<std::string> ready;
  std::size_t ready_bytes = 0;
  std::uint64_t received = 0;
  std::uint64_t announced = 0;
  FetchAnswer answer;
  bool ended = false;
  std::optional<Error> error;
  std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> headers{nullptr, &::curl_slist_free_all};
  std::stop_source abandoned;
  std::thread thread;

  bool ending() const { return stop.stop_requested() || abandoned.stop_requested(); }

  static std::size_t on_bytes(char* bytes, std::size_t, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->take({bytes, count}) ? count : 0;
  }
  static std::size_t on_header(char* bytes, std::size_t, std::size_t count, void* self) {
    static_cast<Transfer*>(self)->note_header({bytes, count});
    return count;
  }
  // Called by curl about once a second and more often, also while nothing comes.
  static int on_progress(void* self, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::lock_guard lock(transfer.mutex);
    transfer.announced = static_cast<std::uint64_t>(std::max<curl_off_t>(0, total));
    return transfer.ending() || transfer.announced > transfer.limits.largest.count() ? 1 : 0;
  }

  void note_header(std::string_view line) {
    const std::lock_guard lock(mutex);
    if (line.starts_with("HTTP/")) answer = {};  // of a redirect, or what it leads to
    const auto colon = line.find(':');
    if (colon == line.npos) return;
    const auto name = lower_case(std::string(line.substr(0, colon)));
    const auto value = trimmed(line.substr(colon + 1));
    // Weak ones (W/"...") say that it is alike, not that it is the same.
    if (name == "etag" && value.starts_with('"')) answer.tag = value;
    unsigned long long first = 0;
    unsigned long long size = 0;
    if (name == "content-range" && std::sscanf(std::string(value).c_str(), "bytes %llu-%*u/%llu", &first, &size) == 2) {
      answer.position = first;
      answer.size = Bytes(size);
    }
    if (name == "content-length" && answer.size.count() == 0) {
      answer.size = Bytes(std::strtoull(std::string(value).c_str(), nullptr, 10));
    }
  }

  bool take(std::string_view bytes) {
    std::unique_lock lock(mutex);
    received += bytes.size();
    if (received > limits.largest.count()) return false;
    if (ready.empty() || ready.back().size() + bytes.size() > kDownloadPiece) ready.emplace_back();
    ready.back().append(bytes);
    ready_bytes += bytes.size();
    changed.notify_all();
    // Short waits, because two stop tokens are watched.
    while (ready_bytes > kAhead && !ending()) changed.wait_for(lock, std::chrono::milliseconds(100));
    return !ending();
  }

  Error error_of(CURLcode code, long status) {
    const std::string why = message[0] != '\0' ? message : ::curl_easy_strerror(code);
    if (ending()) return {ErrorCode::cancelled, "the download was cancelled", {}};
    if (received > limits.largest.count() || announced > limits.largest.count()) {
      return {ErrorCode::resource_exhausted,
              fmt::format("{} is larger than the {} that may be used", url, limits.largest.human()),
              "Free space in the pool, then try again."};
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) {
      ErrorCode kind = status >= 500 ? ErrorCode::unavailable : ErrorCode::invalid_argument;
      if (status == 404 || status == 410) kind = ErrorCode::not_found;
      if (status == 401 || status == 403) kind = ErrorCode::permission_denied;
      return {kind, fmt::format("{} answered with HTTP status {}", url, status), "Check the address."};
    }
    switch (code) {
      case CURLE_OPERATION_TIMEDOUT: return {ErrorCode::timeout, fmt::format("{}: {}", url, why), {}};
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_URL_MALFORMAT:
        return {ErrorCode::invalid_argument, fmt::format("{}: {}", url, why), "Use an http or https address."};
      case CURLE_PARTIAL_FILE:
        return {ErrorCode::data_corrupt, fmt::format("{} ended too early: {}", url, why), "Try again."};
      default: return {ErrorCode::unavailable, fmt::format("{}: {}", url, why), {}};
    }
  }

  void work() {
    const std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> handle(::curl_easy_init(), &::curl_easy_cleanup);
    std::optional<Error> failure;
    if (!handle) {
      failure = Error{ErrorCode::resource_exhausted, "libcurl has no memory", {}};
    } else {
      configure(handle.get());
      const CURLcode code = ::curl_easy_perform(handle.get());
      long status = 0;
      ::curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
      const std::lock_guard lock(mutex);
      if (code != CURLE_OK) failure = error_of(code, status);
    }
    const std::lock_guard lock(mutex);
    error = failure;
    ended = true;
    changed.notify_all();
  }

  void configure(CURL* handle) {
    ::curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message);
    ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);
    ::curl_easy_setopt(handle, CURLOPT_USERAGENT, "bridgehead");
    ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
    ::curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 10L);
    ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, static_cast<long>(limits.connect.count()));
    ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1024L);
    ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits.stalled.count()));
    ::curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, static_cast<long>(kDownloadPiece));
    ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
    ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, this);
    if (from.position != 0) {
      headers.reset(::curl_slist_append(nullptr, ("If-Range: " + from.tag).c_str()));
      ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
      ::curl_easy_setopt(handle, CURLOPT_RANGE, fmt::format("{}-", from.position).c_str());
    }
    ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_bytes);
    ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
    ::curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    ::curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
    ::curl_easy_setopt(handle, CURLOPT_XFERINFODATA, this);
  }
};

UrlStream::UrlStream(std::unique_ptr<Transfer> transfer) : transfer_(std::move(transfer)) {}

Result<std::unique_ptr<UrlStream>> UrlStream::open(const std::string& url, const FetchLimits& limits,
                                                   std::stop_token stop, FetchFrom from) {
  const std::string scheme = url.substr(0, url.find("://"));
  if ((scheme != "http" && scheme != "https") || url.size() <= scheme.size() + 3) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' is not an address to fetch from", url),
                          "Use an http or https address.");
  }
  initialise_curl();
  auto transfer = std::make_unique<Transfer>();
  transfer->url = url;
  transfer->limits = limits;
  transfer->from = std::move(from);
  transfer->stop = std::move(stop);
  transfer->thread = std::thread([raw = transfer.get()] { raw->work(); });
  return std::unique_ptr<UrlStream>(new UrlStream(std::move(transfer)));
}

UrlStream::~UrlStream() {
  {
    const std::lock_guard lock(transfer_->mutex);
    transfer_->abandoned.request_stop();
    transfer_->changed.notify_all();
  }
  transfer_->thread.join();
}

Result<std::string> UrlStream::read() {
  auto& transfer = *transfer_;
  std::unique_lock lock(transfer.mutex);
  if (!transfer.changed.wait(lock, transfer.stop, [&] { return transfer.ended || !transfer.ready.empty(); })) {
    return fail(ErrorCode::cancelled, "the download was cancelled");
  }
  if (!transfer.ready.empty()) {
    std::string bytes = std::move(transfer.ready.front());
    transfer.ready.pop_front();
    transfer.ready_bytes -= bytes.size();
    transfer.changed.notify_all();
    return bytes;
  }
  if (transfer.error) return fail(*transfer.error);
  return std::string();
}

Result<FetchAnswer> UrlStream::answer() {
  auto& transfer = *transfer_;
  std::unique_lock lock(transfer.mutex);
  if (!transfer.changed.wait(lock, transfer.stop, [&] { return transfer.ended || !transfer.ready.empty(); })) {
    return fail(ErrorCode::cancelled, "the download was cancelled");
  }
  if (transfer.error && transfer.ready.empty()) return fail(*transfer.error);
  return transfer.answer;
}

Bytes UrlStream::announced() const {
  const std::lock_guard lock(transfer_->mutex);
  return Bytes(transfer_->announced);
}

Result<std::string> FileStream::read() {
  std::string bytes(1 << 20, '\0');
  for (;;) {
    const ssize_t got = ::read(file_.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read the image's file");
    bytes.resize(static_cast<std::size_t>(got));
    return bytes;
  }
}

Result<UniqueFd> open_source_file(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe must be refused, not waited for.
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file && errno == ELOOP) return fail(ErrorCode::permission_denied, "{} is a symbolic link", path.native());
  if (!file) return fail_errno(errno, fmt::format("open {}", path.native()));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, fmt::format("stat {}", path.native()));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::invalid_argument, "{} is not a regular file", path.native());
  return file;
}

}  // namespace bridgehead::storage
