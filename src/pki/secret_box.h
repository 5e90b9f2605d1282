// SecretBox: what the manager must keep but nobody may read in its store: sealed with AES-256-GCM (NIST SP 800-38D)
// under keys of its own, <state dir>/secrets.key (0600). It protects copies of the store without the keys (backups,
// dumps), not against who reads the whole state directory. Thread-safe but for the RandomSource, which is used by seal
// and rotate.
//
// The file has a key a line, 32 bytes in base64: the first seals, the others only open what they sealed. Sealed text is
// "1:<key>:<base64 of nonce, content and tag>", where <key> is eight hex digits of the key's SHA-256; version, key and
// label are authenticated with the content. Without a version, as it was written at first, it is the base64 alone.
#pragma once

#include <filesystem>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"

namespace bridgehead::pki {

class SecretBox {
 public:
  // Loads the keys, or makes one when there is no file. data_corrupt for a damaged file: that is never replaced
  // silently, since nothing sealed could be opened again; failed_precondition for one that others may read. `random`
  // must be fit for secrets, and outlive it.
  static Result<std::unique_ptr<SecretBox>> open(const std::filesystem::path& key_file, RandomSource& random);
  ~SecretBox();
  SecretBox(const SecretBox&) = delete;
  SecretBox& operator=(const SecretBox&) = delete;

  // Never the same text twice. `label` says whose it is and what (record_label, a path): it opens under the same label
  // only.
  std::string seal(std::string_view content, std::string_view label) const;
  // data_corrupt when it was changed, or sealed under a key that isn't here, or under another label.
  Result<std::string> unseal(std::string_view sealed, std::string_view label) const;

  // Another key seals from now on; what was sealed before still opens. Whoever holds sealed texts then seals those anew
  // that needs_resealing names, and calls forget_old_keys when none is left.
  Status rotate();
  bool needs_resealing(std::string_view sealed) const;
  // What is still sealed under them is lost.
  Status forget_old_keys();

 private:
  struct Key {
    std::string id;
    std::string bytes;
  };
  SecretBox(std::filesystem::path key_file, std::vector<std::string> keys, RandomSource& random);
  Status write(const std::vector<std::string>& keys) const;
  void use(std::vector<std::string> keys);

  const std::filesystem::path key_file_;
  RandomSource& random_;
  mutable std::shared_mutex mutex_;
  std::vector<Key> keys_;  // the first seals
};

// The label of a field of a record: moved to another record, or another field, its sealed text is refused.
std::string record_label(std::string_view kind, std::string_view id, std::string_view field);

}  // namespace bridgehead::pki
