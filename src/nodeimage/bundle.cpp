#include "nodeimage/bundle.h"

#include <cstring>
#include <map>

#include "nodeimage/digest.h"
#include "nodeimage/recipe.h"

namespace bridgehead::nodeimage {
namespace {

constexpr std::size_t kBlock = 512;

// POSIX.1-1988 "ustar" header (IEEE Std 1003.1, pax, "ustar Interchange Format").
struct UstarHeader {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char device_major[8];
  char device_minor[8];
  char prefix[155];
  char unused[12];
};
static_assert(sizeof(UstarHeader) == kBlock);

template <std::size_t N>
void put_octal(char (&field)[N], std::uint64_t value) {
  const std::string text = fmt::format("{:0{}o}", value, N - 1);
  std::memcpy(field, text.data(), N - 1);
}

// Splits at a "/" so that both parts fit; false where there is no such place.
bool put_name(UstarHeader& header, std::string_view name) {
  if (name.size() <= sizeof header.name) {
    std::memcpy(header.name, name.data(), name.size());
    return true;
  }
  const std::size_t split = name.rfind('/', sizeof header.prefix);
  if (split == std::string_view::npos || name.size() - split - 1 > sizeof header.name) return false;
  std::memcpy(header.prefix, name.data(), split);
  std::memcpy(header.name, name.data() + split + 1, name.size() - split - 1);
  return true;
}

Status append_file(std::string& tar, const std::string& path, std::uint32_t mode, std::string_view content) {
  UstarHeader header{};
  if (!put_name(header, std::string_view(path).substr(1))) {
    return fail(ErrorCode::invalid_argument,
                "{}: the path is too long for a bundle (100 bytes for the name, 155 before it)", path);
  }
  if (content.size() > 64u << 20) {
    return fail(ErrorCode::invalid_argument, "{}: {} bytes are too many for an overlay file", path, content.size());
  }
  put_octal(header.mode, mode);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, content.size());
  put_octal(header.mtime, 0);
  put_octal(header.device_major, 0);
  put_octal(header.device_minor, 0);
  header.type = '0';
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  std::memcpy(header.user, "root", 4);
  std::memcpy(header.group, "root", 4);
  std::memset(header.checksum, ' ', sizeof header.checksum);
  char raw[kBlock];
  std::memcpy(raw, &header, kBlock);
  unsigned sum = 0;
  for (const char byte : raw) sum += static_cast<unsigned char>(byte);
  const std::string digits = fmt::format("{:06o}", sum);
  std::memcpy(raw + offsetof(UstarHeader, checksum), digits.c_str(), 7);
  tar.append(raw, kBlock);
  tar.append(content);
  tar.append((kBlock - content.size() % kBlock) % kBlock, '\0');
  return {};
}

}  // namespace

Result<Bundle> make_bundle(const std::vector<model::OverlayFile>& files, const model::OverlayVariables& variables) {
  std::map<std::string, const model::OverlayFile*> by_path;
  for (const auto& file : files) {
    if (!valid_image_path(file.path) || file.path == "/") {
      return fail(ErrorCode::invalid_argument, "'{}' is not an absolute path without '.' and '..'", file.path);
    }
    if (file.mode > 07777)
      return fail(ErrorCode::invalid_argument, "{}: {:o} is not a file mode", file.path, file.mode);
    by_path[file.path] = &file;
  }
  for (const auto& [path, file] : by_path) {
    if (const auto below = by_path.lower_bound(path + "/");
        below != by_path.end() && below->first.starts_with(path + "/")) {
      return fail(ErrorCode::invalid_argument, "{} can't be a file and hold {}", path, below->first);
    }
  }
  Bundle bundle;
  for (const auto& [path, file] : by_path) {
    const auto content = model::substitute(file->content, variables);
    if (!content) {
      return fail({content.error().code, fmt::format("{}: {}", path, content.error().message), content.error().hint});
    }
    if (auto added = append_file(bundle.tar, path, file->mode, *content); !added) return forward(added);
  }
  bundle.tar.append(2 * kBlock, '\0');
  bundle.sha256 = sha256_of(bundle.tar);
  return bundle;
}

}  // namespace bridgehead::nodeimage
