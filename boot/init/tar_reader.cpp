#include "tar_reader.h"

#include <algorithm>

#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::size_t block_size = 512;

tl::unexpected<Failure> bad_tar(std::string why) {
  return fail("unpack the bundle", std::move(why), "look at the profile's and the node's files");
}

std::string_view text_field(std::string_view header, std::size_t offset, std::size_t size) {
  const auto field = header.substr(offset, size);
  return field.substr(0, field.find('\0'));
}

std::optional<std::uint64_t> octal_field(std::string_view header, std::size_t offset, std::size_t size) {
  std::uint64_t value = 0;
  const auto digits = trim(text_field(header, offset, size));
  if (digits.empty()) return 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool checksum_fits(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block_size; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  }
  const auto stored = octal_field(header, 148, 8);
  return stored && *stored == sum;
}

// A member's name without "." and doubled slashes; nothing where it leads out of the root.
std::optional<std::string> clean_name(std::string_view name) {
  std::string clean;
  if (name.starts_with('/')) return std::nullopt;
  for (const auto part : split(name, '/')) {
    if (part == "..") return std::nullopt;
    if (part.empty() || part == ".") continue;
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  return clean;
}

// Whether a relative target, from the link's directory, climbs above the root. An absolute one means the node's own
// root, as in every unit that is enabled or masked; it is read there only after chroot.
bool climbs_out(std::string_view link, std::string_view target) {
  auto depth = target.starts_with('/') ? 0 : static_cast<int>(std::count(link.begin(), link.end(), '/'));
  for (const auto part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    depth += part == ".." ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

std::optional<MemberType> member_type(char flag) {
  switch (flag) {
    case '0':
    case '\0': return MemberType::file;
    case '1': return MemberType::hardlink;
    case '2': return MemberType::symlink;
    case '5': return MemberType::directory;
    default: return std::nullopt;
  }
}

Result<TarMember> read_member(std::string_view header) {
  TarMember member;
  const auto prefix = text_field(header, 345, 155);
  const auto name = concat(prefix, prefix.empty() ? "" : "/", text_field(header, 0, 100));
  const auto type = member_type(header[156]);
  if (!type) return bad_tar(concat("'", name, "' is neither file, directory nor link"));
  const auto clean = clean_name(name);
  if (!clean || (clean->empty() && *type != MemberType::directory)) {
    return bad_tar(concat("the name '", name, "' leads out of the root"));
  }
  const auto mode = octal_field(header, 100, 8);
  const auto uid = octal_field(header, 108, 8);
  const auto gid = octal_field(header, 116, 8);
  if (!mode || !uid || !gid) return bad_tar(concat("the header of '", name, "' is damaged"));
  member.type = *type;
  member.name = *clean;
  member.mode = static_cast<std::uint32_t>(*mode & 07777);
  member.uid = static_cast<std::uint32_t>(*uid);
  member.gid = static_cast<std::uint32_t>(*gid);
  member.target = text_field(header, 157, 100);
  if (member.type == MemberType::symlink && (member.target.empty() || climbs_out(member.name, member.target))) {
    return bad_tar(concat("the link '", name, "' leads out of the root, to '", member.target, "'"));
  }
  if (member.type == MemberType::hardlink) {
    const auto target = clean_name(member.target);
    if (!target || target->empty()) return bad_tar(concat("the hard link '", name, "' leads out of the root"));
    member.target = *target;
  }
  return member;
}

}  // namespace

Result<std::optional<TarMember>> TarReader::next() {
  if (rest_.empty()) return std::optional<TarMember>();
  if (rest_.size() < block_size) return bad_tar("it ends in the middle of a header");
  const auto header = rest_.substr(0, block_size);
  if (header.find_first_not_of('\0') == std::string_view::npos) return std::optional<TarMember>();
  if (header.substr(257, 5) != "ustar" || !checksum_fits(header)) return bad_tar("it isn't a ustar archive");
  auto member = read_member(header);
  if (!member) return fail(member.error());
  rest_.remove_prefix(block_size);
  const auto size = octal_field(header, 124, 12);
  if (!size || *size > rest_.size()) return bad_tar(concat("'", member->name, "' is cut off"));
  if (member->type == MemberType::file) {
    member->content = rest_.substr(0, static_cast<std::size_t>(*size));
    const auto blocks = (*size + block_size - 1) / block_size * block_size;
    rest_.remove_prefix(static_cast<std::size_t>(std::min<std::uint64_t>(blocks, rest_.size())));
  }
  return std::optional<TarMember>(std::move(*member));
}

}  // namespace bridgehead::init
