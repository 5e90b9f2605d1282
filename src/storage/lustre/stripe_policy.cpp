#include "storage/lustre/stripe_policy.h"

#include <algorithm>

#include "storage/mount_plan.h"

namespace bridgehead::storage::lustre {
namespace {

constexpr Bytes kDiskStripe = 1_MiB;
constexpr Bytes kGoldenStripe = 4_MiB;  // imports write, and hosts read, in large pieces
constexpr Bytes kDiskPerOst = 256_GiB;
constexpr std::size_t kMostNamed = 160;  // what every Lustre can keep of a layout

std::uint32_t number_of(const std::string& text) {
  return text.empty() ? 0 : static_cast<std::uint32_t>(std::stoul(text));
}

std::vector<std::uint32_t> rotated(std::vector<StorageTarget> targets, std::size_t count, std::uint32_t turn) {
  std::sort(targets.begin(), targets.end(), [](const auto& a, const auto& b) {
    return a.available != b.available ? a.available > b.available : a.index < b.index;
  });
  const auto emptiest = targets.front().available.count();
  const auto roomy = std::count_if(targets.begin(), targets.end(),
                                   [&](const auto& target) { return target.available.count() >= emptiest / 2; });
  const auto candidates = std::max(count, static_cast<std::size_t>(roomy));
  std::vector<std::uint32_t> chosen;
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(targets[(turn + i) % candidates].index);
  return chosen;
}

}  // namespace

StripePolicy StripePolicy::of(const model::Pool& pool) {
  StripePolicy policy{.ost_pool = option_or(pool, "ost_pool", ""),
                      .disk_stripes = number_of(option_or(pool, "disk_stripes", "")),
                      .golden_stripes = number_of(option_or(pool, "golden_stripes", ""))};
  if (const auto size = parse_bytes(option_or(pool, "stripe_size", ""))) policy.stripe_size = *size;
  return policy;
}

Result<FileLayout> choose_layout(const StripePolicy& policy, const LayoutNeed& need,
                                 const std::vector<StorageTarget>& targets, std::uint32_t turn) {
  std::vector<StorageTarget> up;
  for (const auto& target : targets) {
    if (target.state == TargetState::up) up.push_back(target);
  }
  if (up.empty() && !targets.empty()) {
    return fail_with_hint(ErrorCode::resource_exhausted, "no OST of this Lustre takes new files",
                          "See which are down: bh pool show.");
  }
  const bool golden = need.role == model::ImageRole::golden;
  LayoutPart part{.stripe_size = golden ? kGoldenStripe : kDiskStripe};
  if (policy.stripe_size.count() != 0) part.stripe_size = policy.stripe_size;
  if (need.wish != model::LayoutWish::automatic) {
    part.stripes = need.wish == model::LayoutWish::wide ? kAllTargets : 1;
  } else if (golden) {
    part.stripes = policy.golden_stripes == 0 ? kAllTargets : policy.golden_stripes;
  } else {
    const auto by_size = (need.size.count() + kDiskPerOst.count() - 1) / kDiskPerOst.count();
    part.stripes = policy.disk_stripes != 0 ? policy.disk_stripes
                                            : static_cast<std::uint32_t>(std::clamp<std::uint64_t>(by_size, 1, 64));
    part.fewer_do = policy.disk_stripes == 0;
  }
  // More than there are would be clipped.
  if (!up.empty() && part.stripes != kAllTargets)
    part.stripes = std::min<std::uint32_t>(part.stripes, static_cast<std::uint32_t>(up.size()));
  // Which OSTs are in a pool only Lustre knows; there what lands on one that is down is made again.
  if (up.size() != targets.size() && policy.ost_pool.empty()) {
    const auto count = std::min<std::size_t>({part.stripes, up.size(), kMostNamed});
    part.targets = rotated(std::move(up), count, turn);
    part.stripes = static_cast<std::uint32_t>(count);
  }
  return FileLayout{.group = policy.ost_pool, .parts = {std::move(part)}};
}

}  // namespace bridgehead::storage::lustre
