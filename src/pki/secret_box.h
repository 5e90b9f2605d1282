// SecretBox: what the manager must keep but nobody may read in its store: sealed with AES-256-GCM (NIST SP 800-38D)
// under a key of its own, <state dir>/secrets.key (0600). It protects copies of the store without the key (backups,
// dumps), not against who reads the whole state directory. Immutable after opening, thread-safe but for the
// RandomSource.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"

namespace bridgehead::pki {

class SecretBox {
 public:
  // Loads the key, or makes it when there is none. data_corrupt for a damaged one: that is never replaced silently,
  // since nothing sealed could be opened again. `random` must be fit for secrets, and outlive it.
  static Result<std::unique_ptr<SecretBox>> open(const std::filesystem::path& key_file, RandomSource& random);
  ~SecretBox();
  SecretBox(const SecretBox&) = delete;
  SecretBox& operator=(const SecretBox&) = delete;

  // Never the same text twice. `label` says what it is (a path): it opens under the same label only.
  std::string seal(std::string_view content, std::string_view label) const;
  // data_corrupt when it was changed, or sealed under another key or label.
  Result<std::string> unseal(std::string_view sealed, std::string_view label) const;

 private:
  SecretBox(std::string key, RandomSource& random) : key_(std::move(key)), random_(random) {}

  std::string key_;
  RandomSource& random_;
};

}  // namespace bridgehead::pki
