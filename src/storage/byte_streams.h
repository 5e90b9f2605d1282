// Where an import's bytes come from: an HTTP(S) address, a file, or an upload. All are ByteStreams (image_pool.h): one
// reader, blocking, empty = the end.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>

#include "base/fd.h"
#include "base/units.h"
#include "storage/image_pool.h"

namespace bridgehead::storage {

struct FetchLimits {
  Bytes largest{~std::uint64_t{0}};  // more announced or sent: resource_exhausted
  std::chrono::seconds connect{30};
  std::chrono::seconds stalled{60};  // less than 1 KiB/s for so long: timeout
};

// Where in its content a fetch begins, if what the server has is still the same: by its strong entity tag.
struct FetchFrom {
  std::uint64_t position = 0;
  std::string tag;
};

// What a server says of what it sends.
struct FetchAnswer {
  std::uint64_t position = 0;  // where what comes begins: the one that was asked for, or 0
  Bytes size;                  // of the whole; 0 = it doesn't say
  std::string tag;             // empty: none by which it could be told to be the same later
};

// Fetches by http or https, in a thread of its own and at most 8 MiB ahead. At most 10 redirects, to http and https
// only. `stop` ends it soon. Errors: invalid_argument (other schemes), not_found (404), permission_denied (401, 403),
// unavailable, timeout, resource_exhausted, cancelled.
class UrlStream final : public ByteStream {
 public:
  static Result<std::unique_ptr<UrlStream>> open(const std::string& url, const FetchLimits& limits,
                                                 std::stop_token stop, FetchFrom from = {});
  ~UrlStream() override;
  Result<std::string> read() override;
  Result<FetchAnswer> answer();  // waits for the first bytes
  Bytes announced() const;       // of what is sent; 0 = the server didn't say

 private:
  struct Transfer;
  explicit UrlStream(std::unique_ptr<Transfer> transfer);
  std::unique_ptr<Transfer> transfer_;
};

class FileStream final : public ByteStream {
 public:
  explicit FileStream(UniqueFd file) : file_(std::move(file)) {}
  Result<std::string> read() override;

 private:
  UniqueFd file_;
};

// Opens an import's source file: a regular file (no pipe, no device), no symbolic link as its last part.
Result<UniqueFd> open_source_file(const std::filesystem::path& path);

}  // namespace bridgehead::storage
