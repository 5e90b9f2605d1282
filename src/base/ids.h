// Strong identifiers: an Id<VmTag> can't be passed where an Id<NodeTag> is wanted. Plain values.
// The text is a UUID (RFC 9562) in lower case; libvirt uses a VM's as its domain UUID.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace bridgehead {

class RandomSource;

template <typename Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string text) : text_(std::move(text)) {}

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string text_;
};

// A random UUID, version 4.
std::string make_uuid(RandomSource& random);
bool is_uuid(std::string_view text);

template <typename IdType>
IdType make_id(RandomSource& random) {
  return IdType(make_uuid(random));
}

}  // namespace bridgehead

template <typename Tag>
struct std::hash<bridgehead::Id<Tag>> {
  std::size_t operator()(const bridgehead::Id<Tag>& id) const noexcept { return std::hash<std::string>{}(id.str()); }
};

template <typename Tag>
struct fmt::formatter<bridgehead::Id<Tag>> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(const bridgehead::Id<Tag>& id, Context& context) const {
    return fmt::formatter<std::string_view>::format(id.str(), context);
  }
};
