// What Bridgehead is compared with: libvirt's own define and create over one persistent connection, and the moments at
// which any guest's domain is defined and begins to run, seen in the same way for everybody: by the lifecycle events
// on that connection. Thread-safe. A guest is known by its domain's name. Errors: libvirt's words.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace bridgehead::performance {

using Moment = std::chrono::steady_clock::time_point;

struct DomainMoments {
  Moment defined{};
  Moment running{};  // RESUMED or STARTED, whichever comes first: its virtual CPUs run
};

class LibvirtPeer {
 public:
  LibvirtPeer();
  ~LibvirtPeer();
  LibvirtPeer(const LibvirtPeer&) = delete;
  LibvirtPeer& operator=(const LibvirtPeer&) = delete;

  // Waits until it runs; timeout after a minute.
  Result<DomainMoments> wait_running(const std::string& name);

  // The stored definition of a domain.
  Result<std::string> definition(const std::string& name);
  Status define(const std::string& xml);
  Status define_and_create(const std::string& xml);
  Status create(const std::string& name);
  // Powers it off and forgets it; what isn't there is fine.
  Status remove(const std::string& name);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A guest like one that Bridgehead made: its definition, and copies of its overlay and seed as they were before its
// start.
class GuestTemplate {
 public:
  // `xml`: the stored definition of a stopped guest. Its files are copied into `directory`.
  static Result<GuestTemplate> take(const std::string& xml, std::filesystem::path directory);

  // Copies the files for the guest `name` and gives its definition: another name, UUID, MAC and paths, nothing else but
  // Bridgehead's metadata is different.
  Result<std::string> make_ready(const std::string& name) const;
  std::filesystem::path first_disk(const std::string& name) const;
  std::string first_disk_format() const { return format_; }
  std::string virt_type() const { return virt_type_; }  // "kvm" or "qemu"
  void remove_files(const std::string& name) const;

 private:
  std::filesystem::path file_of(const std::string& name, const std::string& target) const;

  std::string xml_;
  std::filesystem::path directory_;
  std::vector<std::string> targets_;  // of the disks with a file, the first is the boot disk
  std::string format_;
  std::string virt_type_;
};

}  // namespace bridgehead::performance
