#include "model/layout.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace bridgehead::model {
namespace {

std::string described(const LayoutPart& part, bool targets) {
  std::string text = part.stripes == 0             ? "as many stripes as the file system likes"
                     : part.stripes == kAllTargets ? "a stripe on each target"
                     : part.stripes == 1           ? "1 stripe"
                                                   : fmt::format("{} stripes", part.stripes);
  if (part.stripe_size.count() != 0) text += " of " + part.stripe_size.human();
  if (targets && !part.targets.empty()) text += fmt::format(" on {}", fmt::join(part.targets, ", "));
  return text;
}

}  // namespace

std::string FileLayout::describe(bool targets) const {
  std::string text;
  for (const auto& part : parts) {
    if (!text.empty()) text += "; ";
    if (parts.size() > 1) text += part.end == kToTheEnd ? "then " : fmt::format("up to {} ", Bytes(part.end).human());
    text += described(part, targets);
  }
  if (text.empty()) text = "as the file system likes";
  return group.empty() ? text : fmt::format("{}, in {}", text, group);
}

bool lies_on_dead(const FileLayout& layout, const std::vector<StorageTarget>& targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const StorageTarget& target) {
    return target.state != TargetState::up &&
           std::any_of(layout.parts.begin(), layout.parts.end(), [&](const LayoutPart& part) {
             return std::find(part.targets.begin(), part.targets.end(), target.index) != part.targets.end();
           });
  });
}

}  // namespace bridgehead::model
