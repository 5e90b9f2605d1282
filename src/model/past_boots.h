// PastBoots: a node's boots before its newest one, so that what went wrong then can still be read. A record of its own,
// written once a boot: the newest one's is written at each of its steps. Few look at it, so its codec is here, too.
#pragma once

#include "model/codec.h"

namespace bridgehead::model {

struct PastBoots {
  NodeId id;
  std::vector<Boot> boots;  // newest first, without their tokens
  bool operator==(const PastBoots&) const = default;
};

void to_json(nlohmann::json& json, const PastBoots& value);
void from_json(const nlohmann::json& json, PastBoots& value);

template <>
struct RecordTraits<PastBoots> {
  static constexpr std::string_view kind = "past_boots";
  static constexpr int version = 1;
};
extern template Result<PastBoots> decode<PastBoots>(std::string_view);
extern template std::string encode<PastBoots>(const PastBoots&);

}  // namespace bridgehead::model
