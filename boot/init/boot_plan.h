// What the manager wants this machine to boot (docs/boot-protocol.md, section 3). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "address.h"
#include "result.h"

namespace bridgehead::init {

enum class RootKind { none, nbd, nfs, ram };

struct BootPlan {
  std::string boot;
  std::string hostname;
  RootKind root = RootKind::none;
  std::string message;                // with none: why the machine waits
  std::vector<Endpoint> nbd_servers;  // in order of preference
  std::string nbd_export;
  std::chrono::seconds nbd_timeout{10};  // of one request, before the next server is asked
  std::string nbd_reads;                 // URL of what a boot reads; empty: nothing is read ahead
  std::string nfs_source;
  std::string nfs_options = "vers=4.1";
  std::string ram_url;
  std::string ram_sha256;  // lower case
  std::uint64_t ram_size = 0;
  std::string overlay = "50%";
  std::string bundle_url;  // empty: no bundle
  std::string bundle_sha256;
  std::string text;  // as it came, for the agent
};

// Fails where a key that the root needs is missing or unusable; names it.
Result<BootPlan> parse_plan(std::string_view text);

}  // namespace bridgehead::init
