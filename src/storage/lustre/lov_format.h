// Lustre's layout structures as they go through LOV_SETSTRIPE and the attribute "lustre.lov": plain (v1, v3), on chosen
// OSTs ("specific") and progressive (composite, PFL). Host byte order, packed; the same as lov_user_md and
// lov_comp_md_v1 in Lustre's lustre_user.h. Pure functions; nothing of Lustre is linked.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/layout.h"

namespace bridgehead::storage::lustre {

inline constexpr std::uint64_t kStripeUnit = 64 << 10;  // stripe sizes and the ends of parts are multiples of it
inline constexpr std::uint32_t kMostStripes = 2000;

// invalid_argument for what Lustre wouldn't take, or would silently change: a stripe size that isn't a multiple of
// 64 KiB, a pool name of more than 15 characters, parts that don't follow each other, chosen OSTs that are named twice.
Result<std::string> encode_layout(const FileLayout& layout);

// data_corrupt for anything that isn't a layout; every length and offset in it is checked. Of a mirrored file the first
// mirror is told.
Result<FileLayout> decode_layout(std::string_view bytes);

// Lustre clips and ignores silently: is what was asked for what the file has? failed_precondition saying the
// difference. Fewer stripes pass where that was said to do.
Status check_same(const FileLayout& asked, const FileLayout& got);

}  // namespace bridgehead::storage::lustre
