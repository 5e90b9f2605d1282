#include "storage/stage_stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "storage/digest.h"
#include "storage/image_probe.h"
#include "storage/sparse_writer.h"
#include "storage/stream_decoder.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kHead = 4096;  // enough to tell formats and wrappers apart

std::span<const std::uint8_t> bytes_in(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// True unless the head is of a format that will be converted (whose digest as a container says nothing).
bool looks_raw(const std::string& head) {
  const auto probed = probe_image(bytes_of_memory(bytes_in(head)));
  return probed && probed->format == model::ImageFormat::raw;
}

class Stager {
 public:
  Stager(ByteStream& stream, const StageRequest& request, const ProgressSink& progress, std::stop_token stop)
      : stream_(stream),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        writer_(request.target, request.limit, request.from),
        received_(request.from) {}

  Result<Staged> run() {
    if (auto began = begin(); !began) return forward(began);
    bool more = true;
    if (auto fed = feed(std::exchange(head_, {})); !fed) return forward(fed);
    while (more) {
      auto bytes = next();
      if (!bytes) return forward(bytes);
      more = !bytes->empty();
      if (!more) break;
      if (auto fed = feed(std::move(*bytes)); !fed) return forward(fed);
    }
    return end();
  }

 private:
  Result<std::string> next() {
    if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    auto bytes = stream_.read();
    if (!bytes) return bytes;
    received_ += bytes->size();
    if (request_.exact_size.count() != 0 && received_ > request_.exact_size.count()) {
      return fail(ErrorCode::data_corrupt, "more than the announced {} bytes came", request_.exact_size.count());
    }
    if (progress_) {
      const Bytes total = request_.total ? request_.total() : Bytes();
      progress_({.phase = request_.phase, .done = received_, .total = total.count()});
    }
    return bytes;
  }

  // Enough of the start to know what it is.
  Status begin() {
    if (request_.from != 0) return begin_again();
    while (head_.size() < kHead) {
      auto bytes = next();
      if (!bytes) return forward(bytes);
      if (bytes->empty()) break;
      head_ += *bytes;
    }
    if (head_.empty()) return fail(ErrorCode::data_corrupt, "the image is empty: no bytes came");
    auto compression = probe_compression(bytes_in(head_));
    if (!compression) return forward(compression);
    compressed_ = *compression != Compression::none;
    auto decoder = make_decoder(*compression);
    if (!decoder) return forward(decoder);
    decoder_ = std::move(*decoder);
    // Not compressed: one digest serves as both.
    sent_is_content_ = !compressed_ && looks_raw(head_);
    if (!request_.expected_sha256.empty() || sent_is_content_ || saves()) sent_.emplace();
    return {};
  }

  // What is in the target is read back: for the digest of the whole, and because it was written before a crash.
  Status begin_again() {
    auto decoder = make_decoder(Compression::none);
    if (!decoder) return forward(decoder);
    decoder_ = std::move(*decoder);
    sent_.emplace();
    std::string head;
    while (fed_ < request_.from) {
      if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
      auto bytes = std::make_shared<std::string>(std::min<std::uint64_t>(1 << 20, request_.from - fed_), '\0');
      const ssize_t got = ::pread(request_.target, bytes->data(), bytes->size(), static_cast<off_t>(fed_));
      if (got < 0) return fail_errno(errno, "read what was received before");
      if (got == 0) return fail(ErrorCode::data_corrupt, "what was received before is gone");
      bytes->resize(static_cast<std::size_t>(got));
      if (fed_ == 0) head = bytes->substr(0, kHead);
      fed_ += bytes->size();
      sent_->update(std::move(bytes));
    }
    sent_is_content_ = looks_raw(head);
    if (sent_->hex_so_far() == request_.sha256_before) return {};
    return fail_with_hint(ErrorCode::data_corrupt, "what was received before a crash reads back otherwise",
                          "Import it again.");
  }

  bool saves() const { return request_.checkpoint && !compressed_; }

  Status save() {
    const auto digest = sent_->hex_so_far();
    if (::fdatasync(request_.target) != 0) return fail_errno(errno, "sync the image");
    return request_.checkpoint(fed_, digest);
  }

  Status feed(std::string bytes) {
    const auto left = request_.step.count() - fed_ % request_.step.count();
    if (!saves() || bytes.size() < left) return feed_whole(std::move(bytes));
    auto rest = bytes.substr(left);
    bytes.resize(left);
    if (auto fed = feed_whole(std::move(bytes)); !fed) return fed;
    if (auto saved = save(); !saved) return saved;
    return feed(std::move(rest));
  }

  Status feed_whole(std::string bytes) {
    fed_ += bytes.size();
    const auto shared = std::make_shared<const std::string>(std::move(bytes));
    if (sent_) sent_->update(shared);
    return decoder_->feed(*shared, [this](std::string_view plain) { return take(plain); });
  }

  Status take(std::string_view plain) {
    if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    if (compressed_) hash_content(plain);
    return writer_.write(plain);
  }

  void hash_content(std::string_view plain) {
    if (content_decided_) {
      if (content_) content_->update(std::make_shared<const std::string>(plain));
      return;
    }
    content_head_ += plain;
    if (content_head_.size() < kHead) return;
    decide_content();
  }

  void decide_content() {
    content_decided_ = true;
    if (!looks_raw(content_head_)) return;
    content_.emplace();
    content_->update(std::make_shared<const std::string>(std::exchange(content_head_, {})));
  }

  Result<Staged> end() {
    if (auto whole = decoder_->finish(); !whole) return forward(whole);
    if (request_.exact_size.count() != 0 && received_ != request_.exact_size.count()) {
      return fail_with_hint(ErrorCode::data_corrupt,
                            fmt::format("{} of the announced {} bytes came", received_, request_.exact_size.count()),
                            "Send the image again.");
    }
    if (auto written = writer_.finish(); !written) return forward(written);
    Staged staged;
    if (sent_) {
      const std::string digest = sent_->hex();
      if (auto same = check_sha256(request_.expected_sha256, digest); !same) return forward(same);
      if (sent_is_content_ && writer_.size().count() % 512 == 0) staged.content_sha256 = digest;
    }
    if (compressed_ && !content_decided_) decide_content();
    if (content_ && writer_.size().count() % 512 == 0) staged.content_sha256 = content_->hex();
    return staged;
  }

  ByteStream& stream_;
  const StageRequest& request_;
  const ProgressSink& progress_;
  std::stop_token stop_;
  SparseWriter writer_;
  std::unique_ptr<StreamDecoder> decoder_;
  std::string head_;
  std::string content_head_;
  std::optional<HashThread> sent_;
  std::optional<HashThread> content_;
  std::uint64_t received_;
  std::uint64_t fed_ = 0;  // to the digest and the writer
  bool compressed_ = false;
  bool sent_is_content_ = false;
  bool content_decided_ = false;
};

}  // namespace

Result<Staged> stage_stream(ByteStream& stream, const StageRequest& request, const ProgressSink& progress,
                            std::stop_token stop) {
  return Stager(stream, request, progress, std::move(stop)).run();
}

Status check_sha256(const std::string& expected, const std::string& found) {
  if (expected.empty() || lower_case(expected) == found) return {};
  return fail_with_hint(ErrorCode::data_corrupt,
                        fmt::format("the checksum is {} instead of {}", found, lower_case(expected)),
                        "Compare it with the one that the image's publisher gives; then send the image again.");
}

Status check_sha256_form(const std::string& expected) {
  if (expected.empty()) return {};
  if (expected.size() == 64 && expected.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos) return {};
  return fail(ErrorCode::invalid_argument, "'{}' is not a SHA-256 checksum of 64 hex digits", expected.substr(0, 100));
}

}  // namespace bridgehead::storage
