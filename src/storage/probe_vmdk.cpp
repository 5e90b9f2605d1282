#include <algorithm>
#include <string>

#include "base/text.h"
#include "storage/byte_order.h"
#include "storage/probe_formats.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kVmdkHeaderLength = 512;
constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kLargestDescriptor = 1 << 20;
constexpr std::uint64_t kDirectoryAtEnd = ~std::uint64_t{0};

std::string without_spaces(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
  return text;
}

bool names_parent(std::string text) {
  return lower_case(std::move(text)).find("parentfilenamehint") != std::string::npos;
}

// Exactly one extent, sparse and in this file; no parent; one of the two self-contained kinds.
Status check_descriptor(const std::string& descriptor) {
  const std::string text = lower_case(descriptor);
  unsigned extents = 0;
  bool kind_known = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const std::string packed = without_spaces(line);
    at = end + 1;
    if (packed.starts_with("parentcid=") && packed != "parentcid=ffffffff") {
      return needs_other_file("vmdk", "has a parent");
    }
    if (packed.starts_with("createtype=")) {
      kind_known = packed == "createtype=\"monolithicsparse\"" || packed == "createtype=\"streamoptimized\"";
      if (!kind_known) return needs_other_file("vmdk", "is of a kind that keeps its data in other files");
    }
    const std::size_t word = std::min(line.find_first_not_of(" \t"), line.size());
    const std::string_view rest = std::string_view(line).substr(word);
    if (rest.starts_with("rw ") || rest.starts_with("rdonly ") || rest.starts_with("noaccess ")) {
      ++extents;
      if (packed.find("sparse\"") == std::string::npos)
        return needs_other_file("vmdk", "has an extent in another file");
    }
  }
  if (!kind_known) return damaged_image("vmdk", "its descriptor doesn't say what kind it is");
  if (extents != 1) return needs_other_file("vmdk", fmt::format("has {} extents instead of one", extents));
  return {};
}

}  // namespace

Result<ProbedImage> probe_vmdk(const ImageBytes& bytes) {
  auto header = bytes.read(0, kVmdkHeaderLength);
  if (!header) return forward(header);
  if (header->size() < kVmdkHeaderLength) return damaged_image("vmdk", "it is cut off");
  const auto version = read_le<std::uint32_t>(*header, 4);
  if (version < 1 || version > 3) return fail(ErrorCode::unsupported, "vmdk version {} is not supported", version);
  const auto capacity = read_le<std::uint64_t>(*header, 12);
  const auto grain = read_le<std::uint64_t>(*header, 20);
  const auto descriptor_at = read_le<std::uint64_t>(*header, 28);
  const auto descriptor_sectors = read_le<std::uint64_t>(*header, 36);
  const auto entries = read_le<std::uint32_t>(*header, 44);
  const auto directory_at = read_le<std::uint64_t>(*header, 56);
  // A capacity of zero makes readers look for extents in the descriptor instead.
  if (capacity == 0) return needs_other_file("vmdk", "keeps its data in other files");
  if (capacity > (std::uint64_t{1} << 40)) return damaged_image("vmdk", "it claims an absurd size");
  if (auto fine = check_virtual_size("vmdk", Bytes(capacity * kSector)); !fine) return forward(fine);
  if (grain < 8 || grain > 4096 || (grain & (grain - 1)) != 0) return damaged_image("vmdk", "its grain size is absurd");
  if (entries == 0 || entries > 4096) return damaged_image("vmdk", "its grain tables are absurd");
  const std::uint64_t sectors = bytes.size / kSector;
  if (directory_at != kDirectoryAtEnd && directory_at >= sectors) {
    return damaged_image("vmdk", "its grain directory lies past the end of the file (is it cut off?)");
  }
  if (descriptor_at == 0 || descriptor_sectors == 0) return damaged_image("vmdk", "it has no descriptor");
  if (descriptor_at >= sectors || descriptor_sectors > kLargestDescriptor / kSector ||
      descriptor_sectors > sectors - descriptor_at) {
    return damaged_image("vmdk", "its descriptor lies past the end of the file");
  }
  // QEMU looks for a parent in the 20 sectors after the header, whatever the header says.
  auto fixed = bytes.read(kSector, 20 * kSector);
  if (!fixed) return forward(fixed);
  if (names_parent({fixed->begin(), fixed->end()})) return needs_other_file("vmdk", "names a parent file");
  auto text = bytes.read(descriptor_at * kSector, descriptor_sectors * kSector);
  if (!text) return forward(text);
  std::string descriptor(text->begin(), text->end());
  if (names_parent(descriptor)) return needs_other_file("vmdk", "names a parent file");
  descriptor.resize(std::min(descriptor.size(), descriptor.find('\0')));
  if (auto fine = check_descriptor(descriptor); !fine) return forward(fine);
  return ProbedImage{model::ImageFormat::vmdk, Bytes(capacity * kSector)};
}

}  // namespace bridgehead::storage
