// SecretFiles: the files that the manager sends over the agent's stream because they must be seen nowhere else (keys,
// keytabs, passwords). Writes whole sets: each file atomically, with its mode, owned by root; those of the set before
// that aren't in this one are removed. No symbolic link is followed anywhere on the way: whoever may write in a
// directory of the path can't lead a secret elsewhere. Nothing is written below the agent's state directory or where
// model::check_secret_path says. The journal keeps digest and paths, no content; what could not be written is kept in
// memory and tried again. Thread-safe; apply and retry take turns and block in the file system. Fails by its report,
// and by logging.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host_agent/journal.h"
#include "model/assignment.h"

namespace bridgehead::host_agent {

struct SecretFile {
  std::string path;
  std::uint32_t mode = 0600;
  std::string content;
};

struct SecretSet {
  std::string digest;
  std::vector<SecretFile> files;
};

class SecretFiles {
 public:
  // Paths are below `root`; `journal` must outlive it.
  SecretFiles(Journal& journal, std::filesystem::path root, std::filesystem::path state_dir);

  void apply(SecretSet set);
  // The newest set, where it isn't there yet. True: it was tried.
  bool retry();
  model::SecretsOnNode report() const;

 private:
  Status write(const SecretSet& set);
  Status write_file(int root, const SecretFile& file) const;
  Status check(const std::string& path) const;
  void try_again();  // pending_

  Journal& journal_;
  const std::filesystem::path root_;
  const std::filesystem::path state_dir_;
  std::mutex applying_;  // before mutex_
  std::optional<SecretSet> pending_;
  mutable std::mutex mutex_;
  model::SecretsOnNode report_;
};

}  // namespace bridgehead::host_agent
