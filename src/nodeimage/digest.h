// SHA-256 by OpenSSL. Sha256: one digest, fed by one thread. Only reading files can fail.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bridgehead::nodeimage {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  std::string hex();  // ends the digest

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_of(std::string_view bytes);

struct HashedFile {
  std::uint64_t size = 0;
  std::string sha256;
};
// From the descriptor's position to the end.
Result<HashedFile> hash_open_file(int fd, std::string_view what, const std::stop_token& stop = {});
Result<HashedFile> hash_file(const std::filesystem::path& path, const std::stop_token& stop = {});

bool is_sha256(std::string_view text);  // 64 hex digits in lower case

}  // namespace bridgehead::nodeimage
