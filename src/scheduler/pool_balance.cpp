#include "scheduler/pool_balance.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace bridgehead::scheduler {
namespace {

std::set<std::uint32_t> targets_of(const model::FileLayout& layout) {
  std::set<std::uint32_t> found;
  for (const auto& part : layout.parts) found.insert(part.targets.begin(), part.targets.end());
  return found;
}

double used_part(const model::StorageTarget& target, std::int64_t more = 0) {
  const double used = static_cast<double>(target.total.count() - std::min(target.available, target.total).count());
  return (used + static_cast<double>(more)) / static_cast<double>(target.total.count());
}

// The targets that take files, with what moves have changed so far; and the images on them.
class Spreading {
 public:
  explicit Spreading(const model::PoolSurvey& survey) {
    for (const auto& target : survey.targets) {
      if (target.state == model::TargetState::up && target.total.count() != 0) up_.push_back({.target = &target});
    }
    for (const auto& image : survey.images) {
      const auto on = targets_of(image.layout);
      if (on.empty()) continue;
      // Stripes are filled alike; of a progressive file that isn't full this is an estimate.
      const Bytes share(image.allocated.count() / on.size());
      if (share.count() != 0) images_.push_back({.id = image.image, .share = share, .on = on});
    }
    for (const auto& each : up_) mean_ += each.used() / static_cast<double>(up_.size());
  }

  double spread() const {
    if (up_.empty()) return 0;
    const auto [least, most] = std::minmax_element(up_.begin(), up_.end(), less);
    return most->used() - least->used();
  }

  // The move off the fullest target that evens out most, never at the price of a larger spread; nothing if none does.
  std::optional<TargetMove> step() {
    if (up_.size() < 2) return {};
    auto& fullest = *std::max_element(up_.begin(), up_.end(), less);
    const double widest = spread();
    double least = -1e-9;  // change of the squared distances from the mean; lower is better
    Image* image = nullptr;
    Target* destination = nullptr;
    for (auto& each : images_) {
      if (!each.on.contains(fullest.target->index)) continue;
      for (auto& other : up_) {
        if (each.on.contains(other.target->index)) continue;
        const double before = unevenness(fullest) + unevenness(other);
        shift(fullest, other, each.share);
        const double change = unevenness(fullest) + unevenness(other) - before;
        if (change < least) {
          least = change;
          image = &each;
          destination = &other;
        }
        shift(other, fullest, each.share);
      }
    }
    if (image == nullptr) return {};
    shift(fullest, *destination, image->share);
    if (spread() > widest) {
      shift(*destination, fullest, image->share);
      return {};
    }
    image->on.erase(fullest.target->index);
    image->on.insert(destination->target->index);
    return TargetMove{
        .image = image->id, .from = fullest.target->index, .to = destination->target->index, .bytes = image->share};
  }

 private:
  struct Target {
    const model::StorageTarget* target = nullptr;
    std::int64_t moved = 0;  // bytes
    double used() const { return used_part(*target, moved); }
  };
  struct Image {
    model::ImageId id;
    Bytes share;
    std::set<std::uint32_t> on;
  };
  static bool less(const Target& a, const Target& b) { return a.used() < b.used(); }
  static void shift(Target& from, Target& to, Bytes share) {
    from.moved -= static_cast<std::int64_t>(share.count());
    to.moved += static_cast<std::int64_t>(share.count());
  }
  double unevenness(const Target& target) const { return (target.used() - mean_) * (target.used() - mean_); }

  double mean_ = 0;
  std::vector<Target> up_;
  std::vector<Image> images_;
};

std::vector<LayoutInUse> layouts_in_use(const model::PoolSurvey& survey) {
  std::map<std::string, LayoutInUse> by_text;
  for (const auto& image : survey.images) {
    const auto text = image.layout.describe(false);
    auto& one = by_text[text];
    one.layout = text;
    ++one.images;
    one.allocated = one.allocated + image.allocated;
  }
  std::vector<LayoutInUse> all;
  for (auto& [text, one] : by_text) all.push_back(std::move(one));
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.images > b.images; });
  return all;
}

}  // namespace

PoolBalance balance_pool(const model::PoolSurvey& survey, const BalanceLimits& limits) {
  PoolBalance balance{.layouts = layouts_in_use(survey)};
  std::map<std::uint32_t, Bytes> of_images;  // by target
  for (const auto& image : survey.images) {
    const auto on = targets_of(image.layout);
    for (const auto target : on) of_images[target] += Bytes(image.allocated.count() / on.size());
  }
  for (const auto& target : survey.targets) {
    TargetUse use{.target = target, .images = of_images[target.index]};
    if (target.total.count() != 0) use.used = used_part(target);
    balance.targets.push_back(std::move(use));
  }
  Spreading spreading(survey);
  balance.spread = spreading.spread();
  while (balance.moves.size() < limits.most_moves && spreading.spread() > limits.tolerated) {
    auto move = spreading.step();
    if (!move) break;
    balance.moves.push_back(std::move(*move));
  }
  balance.spread_after = spreading.spread();
  return balance;
}

}  // namespace bridgehead::scheduler
