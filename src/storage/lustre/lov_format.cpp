#include "storage/lustre/lov_format.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "storage/byte_order.h"

namespace bridgehead::storage::lustre {
namespace {

constexpr std::uint32_t kMagicV1 = 0x0BD10BD0;
constexpr std::uint32_t kMagicV3 = 0x0BD30BD0;
constexpr std::uint32_t kMagicSpecific = 0x0BD50BD0;
constexpr std::uint32_t kMagicComposite = 0x0BD60BD0;

constexpr std::uint32_t kRaid0 = 0x001;
constexpr std::uint32_t kOnMdt = 0x100;
constexpr std::uint32_t kOverstriped = 0x200;
constexpr std::uint32_t kReleased = 0x80000000;

constexpr std::uint16_t kAll = 0xffff;
constexpr std::uint16_t kAnywhere = 0xffff;
constexpr std::size_t kPoolName = 16;  // with its zero

constexpr std::size_t kLengthV1 = 32;
constexpr std::size_t kLengthV3 = kLengthV1 + kPoolName;
constexpr std::size_t kLengthObject = 24;
constexpr std::size_t kIndexInObject = 20;
constexpr std::size_t kLengthHeader = 32;
constexpr std::size_t kLengthEntry = 48;
constexpr std::size_t kMostParts = 64;
constexpr std::uint32_t kMirrorBits = 0x7fff0000;  // of an entry's id

template <typename T>
void put(std::string& bytes, std::size_t at, T value) {
  write_host({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}, at, value);
}

template <typename T>
T get(std::string_view bytes, std::size_t at) {
  return read_host<T>({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, at);
}

template <typename... Args>
tl::unexpected<Error> refused(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::invalid_argument, "no Lustre layout: {}", fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
tl::unexpected<Error> damaged(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::data_corrupt, "a Lustre layout can't be read: {}",
              fmt::format(format, std::forward<Args>(args)...));
}

bool is_pool_name(std::string_view name) {
  return !name.empty() && name.size() < kPoolName && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.';
  });
}

Status check_part(const LayoutPart& part) {
  const auto size = part.stripe_size.count();
  if (size % kStripeUnit != 0 || size >= (std::uint64_t{1} << 32)) {
    return refused("a stripe size of {} is no multiple of 64 KiB below 4 GiB", Bytes(size).human());
  }
  if (part.stripes > kMostStripes && part.stripes != kAllTargets) {
    return refused("{} stripes are more than {}", part.stripes, kMostStripes);
  }
  if (part.targets.empty()) return {};
  if (part.targets.size() != part.stripes) {
    return refused("{} stripes on {} named OSTs", part.stripes, part.targets.size());
  }
  if (std::set(part.targets.begin(), part.targets.end()).size() != part.targets.size()) {
    return refused("an OST is named twice");
  }
  if (*std::max_element(part.targets.begin(), part.targets.end()) >= kAnywhere) return refused("there is no such OST");
  return {};
}

std::string encode_part(const LayoutPart& part, const std::string& pool) {
  const bool named = !part.targets.empty();
  const bool v3 = named || !pool.empty();
  std::string bytes((v3 ? kLengthV3 : kLengthV1) + part.targets.size() * kLengthObject, '\0');
  put(bytes, 0, named ? kMagicSpecific : v3 ? kMagicV3 : kMagicV1);
  put(bytes, 4, kRaid0);
  put(bytes, 24, static_cast<std::uint32_t>(part.stripe_size.count()));
  put(bytes, 28, part.stripes == kAllTargets ? kAll : static_cast<std::uint16_t>(part.stripes));
  put(bytes, 30, named ? static_cast<std::uint16_t>(part.targets.front()) : kAnywhere);
  if (!pool.empty()) std::memcpy(bytes.data() + kLengthV1, pool.data(), pool.size());
  for (std::size_t i = 0; i < part.targets.size(); ++i) {
    put(bytes, kLengthV3 + i * kLengthObject + kIndexInObject, part.targets[i]);
  }
  return bytes;
}

struct DecodedPart {
  LayoutPart part;
  std::string pool;
};

Result<DecodedPart> decode_part(std::string_view bytes) {
  if (bytes.size() < kLengthV1) return damaged("{} bytes are too few", bytes.size());
  const auto magic = get<std::uint32_t>(bytes, 0);
  if (magic != kMagicV1 && magic != kMagicV3 && magic != kMagicSpecific) return damaged("its magic is {:#x}", magic);
  const std::size_t length = magic == kMagicV1 ? kLengthV1 : kLengthV3;
  if (bytes.size() < length) return damaged("{} bytes are too few", bytes.size());
  const auto pattern = get<std::uint32_t>(bytes, 4) & ~(kReleased | kOverstriped);
  if (pattern != kRaid0 && pattern != kOnMdt && pattern != 0) return damaged("its pattern is {:#x}", pattern);

  DecodedPart decoded;
  const auto count = get<std::uint16_t>(bytes, 28);
  if (count != kAll && count > kMostStripes) return damaged("it has {} stripes", count);
  decoded.part.stripes = pattern == kOnMdt ? 0 : count == kAll ? kAllTargets : count;
  decoded.part.stripe_size = Bytes(get<std::uint32_t>(bytes, 24));
  if (decoded.part.stripe_size.count() % kStripeUnit != 0) {
    return damaged("its stripe size is {}", decoded.part.stripe_size.count());
  }
  if (length == kLengthV3) {
    const auto name = bytes.substr(kLengthV1, kPoolName);
    const auto end = name.find('\0');
    if (end == name.npos) return damaged("its pool's name doesn't end");
    decoded.pool = std::string(name.substr(0, end));
    if (!decoded.pool.empty() && !is_pool_name(decoded.pool)) return damaged("its pool's name is no name");
  }
  const auto objects = bytes.substr(length);
  // A part that isn't instantiated yet has none; what wasn't asked for in a directory's default neither.
  if (objects.empty() || decoded.part.stripes == kAllTargets) return decoded;
  if (objects.size() < decoded.part.stripes * kLengthObject) {
    return damaged("{} stripes in {} bytes", decoded.part.stripes, bytes.size());
  }
  for (std::uint32_t i = 0; i < decoded.part.stripes; ++i) {
    const auto index = get<std::uint32_t>(objects, i * kLengthObject + kIndexInObject);
    if (index >= kAnywhere) return damaged("it names OST {}", index);
    decoded.part.targets.push_back(index);
  }
  return decoded;
}

Result<FileLayout> decode_composite(std::string_view bytes) {
  if (bytes.size() < kLengthHeader) return damaged("{} bytes are too few", bytes.size());
  const auto count = get<std::uint16_t>(bytes, 14);
  if (get<std::uint32_t>(bytes, 4) > bytes.size()) return damaged("it is cut off");
  if (count == 0 || count > kMostParts) return damaged("it has {} parts", count);
  if (bytes.size() < kLengthHeader + count * kLengthEntry) return damaged("{} parts in {} bytes", count, bytes.size());

  FileLayout layout;
  std::uint32_t first_mirror = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto entry = bytes.substr(kLengthHeader + i * kLengthEntry, kLengthEntry);
    const auto mirror = get<std::uint32_t>(entry, 0) & kMirrorBits;
    if (i == 0) first_mirror = mirror;
    if (mirror != first_mirror) continue;
    const std::uint64_t offset = get<std::uint32_t>(entry, 24);
    const std::uint64_t size = get<std::uint32_t>(entry, 28);
    if (offset > bytes.size() || size > bytes.size() - offset) return damaged("part {} lies outside of it", i + 1);
    auto decoded = decode_part(bytes.substr(offset, size));
    if (!decoded) return forward(decoded);
    const auto begin = get<std::uint64_t>(entry, 8);
    decoded->part.end = get<std::uint64_t>(entry, 16);
    if (begin != (layout.parts.empty() ? 0 : layout.parts.back().end) || decoded->part.end <= begin) {
      return damaged("part {} doesn't follow the one before", i + 1);
    }
    if (layout.group.empty()) layout.group = decoded->pool;
    layout.parts.push_back(std::move(decoded->part));
  }
  return layout;
}

std::string told(std::uint32_t stripes) { return stripes == kAllTargets ? "all" : std::to_string(stripes); }

}  // namespace

Result<std::string> encode_layout(const FileLayout& layout) {
  if (layout.parts.empty()) return refused("it has no parts");
  if (layout.parts.size() > kMostParts) return refused("{} parts are more than {}", layout.parts.size(), kMostParts);
  if (!layout.group.empty() && !is_pool_name(layout.group)) return refused("'{}' is no pool's name", layout.group);
  std::uint64_t begin = 0;
  for (const auto& part : layout.parts) {
    if (auto fine = check_part(part); !fine) return forward(fine);
    const bool last = &part == &layout.parts.back();
    if (last != (part.end == kToTheEnd)) return refused("the last part, and only it, goes to the end");
    if (!last && (part.end <= begin || part.end % kStripeUnit != 0)) {
      return refused("a part ends at {} after one at {}", part.end, begin);
    }
    begin = part.end;
  }
  if (layout.parts.size() == 1) return encode_part(layout.parts.front(), layout.group);

  std::string bytes(kLengthHeader + layout.parts.size() * kLengthEntry, '\0');
  begin = 0;
  for (std::size_t i = 0; i < layout.parts.size(); ++i) {
    const auto blob = encode_part(layout.parts[i], layout.group);
    const std::size_t entry = kLengthHeader + i * kLengthEntry;
    put(bytes, entry + 8, begin);
    put(bytes, entry + 16, layout.parts[i].end);
    put(bytes, entry + 24, static_cast<std::uint32_t>(bytes.size()));
    put(bytes, entry + 28, static_cast<std::uint32_t>(blob.size()));
    begin = layout.parts[i].end;
    bytes += blob;
  }
  put(bytes, 0, kMagicComposite);
  put(bytes, 4, static_cast<std::uint32_t>(bytes.size()));
  put(bytes, 14, static_cast<std::uint16_t>(layout.parts.size()));
  return bytes;
}

Result<FileLayout> decode_layout(std::string_view bytes) {
  if (bytes.size() < sizeof(std::uint32_t)) return damaged("{} bytes are too few", bytes.size());
  if (get<std::uint32_t>(bytes, 0) == kMagicComposite) return decode_composite(bytes);
  auto decoded = decode_part(bytes);
  if (!decoded) return forward(decoded);
  return FileLayout{.group = std::move(decoded->pool), .parts = {std::move(decoded->part)}};
}

Status check_same(const FileLayout& asked, const FileLayout& got) {
  const auto differs = [](const std::string& what) {
    return fail(ErrorCode::failed_precondition, "Lustre gave a new file another layout than asked for: {}", what);
  };
  if (asked.group != got.group) return differs(fmt::format("pool '{}' instead of '{}'", got.group, asked.group));
  if (asked.parts.size() != got.parts.size()) {
    return differs(fmt::format("{} parts instead of {}", got.parts.size(), asked.parts.size()));
  }
  for (std::size_t i = 0; i < asked.parts.size(); ++i) {
    const auto& want = asked.parts[i];
    const auto& have = got.parts[i];
    if (want.end != have.end) return differs(fmt::format("a part ends at {} instead of {}", have.end, want.end));
    if (want.stripe_size.count() != 0 && want.stripe_size != have.stripe_size) {
      return differs(fmt::format("stripes of {} instead of {}", have.stripe_size.human(), want.stripe_size.human()));
    }
    const bool enough =
        want.stripes == have.stripes || (want.fewer_do && have.stripes != 0 && have.stripes < want.stripes);
    if (want.stripes != 0 && want.stripes != kAllTargets && !enough) {
      return differs(fmt::format("{} stripes instead of {}", told(have.stripes), want.stripes));
    }
    // Parts further back get their OSTs when they are first written to.
    if (!want.targets.empty() && !have.targets.empty() && want.targets != have.targets) {
      return differs(fmt::format("OSTs {} instead of {}", fmt::join(have.targets, ","), fmt::join(want.targets, ",")));
    }
  }
  return {};
}

}  // namespace bridgehead::storage::lustre
