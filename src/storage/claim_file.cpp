#include "storage/claim_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "base/random.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kBlock = 4096;  // what every file system takes for O_DIRECT
constexpr std::size_t kBlocks = 16;   // a claim that is removed very late may meet another one in one case of so many

using Buffer = std::unique_ptr<char, decltype(&std::free)>;

Result<Buffer> make_buffer(std::size_t size) {
  Buffer buffer(static_cast<char*>(std::aligned_alloc(kBlock, size)), &std::free);
  if (!buffer) return fail(ErrorCode::resource_exhausted, "no memory for a node's claims");
  std::memset(buffer.get(), 0, size);
  return buffer;
}

Result<UniqueFd> open_uncached(const std::filesystem::path& path, const model::NodeId& node) {
  if (!is_uuid(node.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a node's id", node.str());
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644));
  if (file.get() >= 0) return file;
  if (errno == EINVAL) return fail(ErrorCode::unsupported, "the pool's file system can't do without its cache");
  return fail_errno(errno, "open a node's claims");
}

}  // namespace

Status ClaimFile::write(const model::NodeId& node, std::uint64_t claim, std::uint64_t value) {
  const auto file = open_uncached(path_, node);
  if (!file) return forward(file);
  const auto buffer = make_buffer(kBlock);
  if (!buffer) return forward(buffer);
  std::memcpy(buffer->get(), &value, sizeof value);
  const auto offset = static_cast<off_t>(claim % kBlocks * kBlock);
  if (::pwrite(file->get(), buffer->get(), kBlock, offset) != static_cast<ssize_t>(kBlock)) {
    return fail_errno(errno, "write a claim against a node");
  }
  if (::fdatasync(file->get()) != 0) return fail_errno(errno, "write a claim against a node");
  return {};
}

Result<std::vector<std::uint64_t>> ClaimFile::read(const model::NodeId& node) const {
  const auto file = open_uncached(path_, node);
  if (!file) return forward(file);
  const auto buffer = make_buffer(kBlock * kBlocks);
  if (!buffer) return forward(buffer);
  const auto got = ::pread(file->get(), buffer->get(), kBlock * kBlocks, 0);
  if (got < 0) return fail_errno(errno, "read the claims against a node");
  std::vector<std::uint64_t> claims;
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= static_cast<std::size_t>(got); at += kBlock) {
    std::uint64_t claim = 0;
    std::memcpy(&claim, buffer->get() + at, sizeof claim);
    if (claim != 0) claims.push_back(claim);
  }
  return claims;
}

}  // namespace bridgehead::storage
