// BenchNote: what a `bh bench` that measures by itself may leave, in a file of this user: folders on hosts, guests,
// nodes that are off. Held by a lock for as long as that process lives, so that the next one finds the notes of those
// that were killed. Not thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::cli {

// Whom to ask to remove which folders, and by which way.
struct BenchRest {
  std::vector<std::string> hosts;  // none: this one
  std::string via;
  std::string program;
  std::vector<std::filesystem::path> directories;
  std::string server;              // the manager's that has the guests or nodes
  std::string guests;              // their label's value; "" = it isn't about guests
  std::vector<std::string> nodes;  // that may have been left switched off
};

class BenchNote {
 public:
  static Result<BenchNote> make(const std::string& name, const BenchRest& rest);
  // Those of runs that were killed; they are held from now on.
  static std::vector<BenchNote> forsaken();

  const BenchRest& rest() const { return rest_; }
  Status forget();  // nothing is left

 private:
  BenchNote(std::filesystem::path path, UniqueFd lock, BenchRest rest)
      : path_(std::move(path)), lock_(std::move(lock)), rest_(std::move(rest)) {}

  std::filesystem::path path_;
  UniqueFd lock_;
  BenchRest rest_;
};

}  // namespace bridgehead::cli
