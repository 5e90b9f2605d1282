#include "storage/sparse_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "storage/copy_engine.h"
#include "storage/qcow2_header.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kSparseBlock = 65536;

std::span<const std::uint8_t> as_bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Status SparseWriter::write(std::string_view bytes) {
  if (size() + Bytes(bytes.size()) > kLargestVirtualSize) {
    return fail(ErrorCode::resource_exhausted, "the image is larger than {}", kLargestVirtualSize.human());
  }
  if (!pending_.empty()) {
    const std::size_t part = std::min(bytes.size(), kSparseBlock - pending_.size());
    pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<long>(part));
    bytes.remove_prefix(part);
    if (pending_.size() < kSparseBlock) return {};
    if (auto stored = store({pending_.data(), pending_.size()}); !stored) return stored;
    pending_.clear();
  }
  for (; bytes.size() >= kSparseBlock; bytes.remove_prefix(kSparseBlock)) {
    if (auto stored = store(bytes.substr(0, kSparseBlock)); !stored) return stored;
  }
  pending_.assign(bytes.begin(), bytes.end());
  return {};
}

Status SparseWriter::store(std::string_view block) {
  const std::uint64_t begin = position_;
  position_ += block.size();
  if (all_zero(as_bytes_of(block))) return {};
  stored_ += block.size();
  if (stored_ > limit_.count()) {
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("the image needs more than the {} that may be used", limit_.human()),
                          "Free space in the pool, then try again.");
  }
  for (std::size_t done = 0; done < block.size();) {
    const ssize_t put = ::pwrite(file_, block.data() + done, block.size() - done, static_cast<off_t>(begin + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      auto failure = fail_errno(errno, "write the image into the pool");
      if (errno == ENOSPC || errno == EDQUOT) failure.value().hint = "Free space in the pool, then try again.";
      return failure;
    }
    done += static_cast<std::size_t>(put);
  }
  constexpr std::uint64_t kWriteBack = 8 << 20;
  if (begin / kWriteBack != position_ / kWriteBack) {
    const std::uint64_t from = begin / kWriteBack * kWriteBack;
    ::sync_file_range(file_, static_cast<off_t>(from), kWriteBack, SYNC_FILE_RANGE_WRITE);
  }
  return {};
}

Status SparseWriter::finish() {
  if (!pending_.empty()) {
    if (auto stored = store({pending_.data(), pending_.size()}); !stored) return stored;
    pending_.clear();
  }
  if (::ftruncate(file_, static_cast<off_t>(position_)) != 0) return fail_errno(errno, "size the staged image");
  return {};
}

}  // namespace bridgehead::storage
