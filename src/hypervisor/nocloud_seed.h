// The NoCloud seed: a small ISO image with label "cidata" from which cloud-init takes host name, users, keys, user-data
// and network configuration (format: cloud-init's documentation, "NoCloud" datasource). Pure functions, except
// ensure_seed.
//
// The user's own user-data wins: it is passed on byte for byte as user-data, and our fields (user, password, keys)
// become vendor-data that cloud-init merges under it. instance-id is "<vm id>-<hash of the content>": cloud-init runs
// its per-instance modules again exactly when the content changes.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "model/vm.h"

namespace bridgehead::hypervisor {

struct SeedFiles {
  std::string user_data;
  std::string vendor_data;  // "" = none
  std::string meta_data;
  std::string network_config;
};

// Errors: invalid_argument for a MAC, host name or user name that can't be one.
Result<SeedFiles> render_seed(const model::Vm& vm);

// The same files always give the same bytes.
std::string seed_iso(const SeedFiles& files);

// Writes the ISO (mode 0600, atomically) unless its content is there already; true = it was written.
Result<bool> ensure_seed(const model::Vm& vm, const std::filesystem::path& path);

}  // namespace bridgehead::hypervisor
