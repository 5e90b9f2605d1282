// Parts of a VM's spec, made from requests: disks with their image records, NICs with their MACs. Internal to commands.
#pragma once

#include <vector>

#include "reconcile/commands/draft.h"

namespace bridgehead::reconcile::parts {

inline constexpr std::size_t kMostDisks = 16;
inline constexpr std::size_t kMostNics = 16;

// With the field's name in front of a not_found.
template <typename T>
Result<state::Record<T>> in_field(const state::Inventory& inventory, std::string_view field,
                                  const std::string& reference);

// A golden image that can be cloned now.
Result<model::Image> golden_image(const state::Inventory& inventory, std::string_view field,
                                  const std::string& reference);

struct NewDisk {
  model::DiskSpec spec;
  model::Image image;
};

// `golden` null = blank; `pool` is a blank disk's. The image's record is to be created with the VM's change.
Result<NewDisk> disk(Draft& draft, std::string_view field, const model::Vm& vm, const std::string& name,
                     const DiskRequest& request, const model::Image* golden, const model::PoolId& pool);

// A pool whose files can't be spread is asked for no layout.
Status check_layout(std::string_view field, model::LayoutWish wish, const model::Pool& pool);

// The pool for a blank disk: the one asked for, otherwise the only one.
Result<model::PoolId> pool_for(const state::Inventory& inventory, const std::string& reference);

Result<model::NicSpec> nic(Draft& draft, std::string_view field, const std::string& name, const NicRequest& request);

// "disk0", "disk1", ...: the first that isn't taken.
template <typename Spec>
std::string free_name(std::string_view stem, const std::vector<Spec>& taken) {
  for (std::size_t n = 0;; ++n) {
    auto name = fmt::format("{}{}", stem, n);
    bool free = true;
    for (const auto& one : taken) free = free && one.name != name;
    if (free) return name;
  }
}

}  // namespace bridgehead::reconcile::parts
