#include "storage/mount_table.h"

#include <fmt/format.h>

#include "base/file.h"

namespace bridgehead::storage {
namespace {

// "\040" is how the kernel writes a space.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string_view next_part(std::string_view& rest, char end) {
  const auto at = std::min(rest.find(end), rest.size());
  const auto part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

// 36 35 98:0 /root /mnt rw,noatime shared:1 - ext3 /dev/root rw,errors=continue
std::optional<MountEntry> parse_line(std::string_view line) {
  MountEntry entry;
  for (int i = 0; i < 2; ++i) next_part(line, ' ');
  entry.device = next_part(line, ' ');
  entry.root = unescaped(next_part(line, ' '));
  entry.point = unescaped(next_part(line, ' '));
  entry.options = unescaped(next_part(line, ' '));
  while (!line.empty() && next_part(line, ' ') != "-") {
  }
  entry.type = unescaped(next_part(line, ' '));
  entry.source = unescaped(next_part(line, ' '));
  const auto of_file_system = unescaped(next_part(line, ' '));
  if (entry.point.empty() || entry.type.empty()) return {};
  if (!of_file_system.empty()) entry.options += "," + of_file_system;
  return entry;
}

bool contains(const std::filesystem::path& outer, const std::filesystem::path& inner) {
  const auto [end, rest] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return end == outer.end() || (outer == "/" && inner.is_absolute());
}

}  // namespace

bool MountEntry::has(std::string_view option) const {
  std::string_view rest = options;
  while (!rest.empty()) {
    if (next_part(rest, ',') == option) return true;
  }
  return false;
}

std::string MountEntry::file_system() const {
  if (type == "nfs4") return "nfs";
  if (type == "ceph" || type == "fuse.ceph-fuse" || (type == "fuse" && source == "ceph-fuse")) return "cephfs";
  if (type == "fuse.mfs" || (type == "fuse" && source.starts_with("mfs#"))) return "moosefs";
  return type;
}

std::string MountEntry::describe() const { return fmt::format("{} {} {}", type, source, options); }

bool MountEntry::is_same(const MountEntry& other) const {
  return point == other.point && type == other.type && source == other.source && device == other.device &&
         root == other.root;
}

std::vector<MountEntry> parse_mount_table(std::string_view mountinfo) {
  std::vector<MountEntry> table;
  while (!mountinfo.empty()) {
    if (auto entry = parse_line(next_part(mountinfo, '\n'))) table.push_back(std::move(*entry));
  }
  return table;
}

Result<std::vector<MountEntry>> read_mount_table() {
  auto text = read_file("/proc/self/mountinfo");
  if (!text) return forward(text);
  return parse_mount_table(*text);
}

std::optional<MountEntry> mount_at(const std::vector<MountEntry>& table, const std::filesystem::path& point) {
  std::optional<MountEntry> found;
  for (const auto& entry : table) {
    if (entry.point == point) found = entry;
  }
  return found;
}

std::optional<MountEntry> mount_of(const std::vector<MountEntry>& table, const std::filesystem::path& path) {
  std::optional<MountEntry> found;
  for (const auto& entry : table) {
    if (!contains(entry.point, path)) continue;
    if (!found || entry.point.native().size() >= found->point.native().size()) found = entry;
  }
  return found;
}

Result<Place> place_of(const std::filesystem::path& directory) {
  std::error_code failed;
  auto root = std::filesystem::canonical(directory, failed);
  if (failed) return fail_errno(failed.value(), fmt::format("look for {}", directory.native()));
  const auto table = read_mount_table();
  if (!table) return forward(table);
  auto mount = mount_of(*table, root);
  return Place{std::move(root), std::move(mount)};
}

}  // namespace bridgehead::storage
