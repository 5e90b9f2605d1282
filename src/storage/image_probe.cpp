#include "storage/image_probe.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "model/enum_names.h"
#include "storage/probe_formats.h"
#include "storage/qcow2_header.h"

namespace bridgehead::storage {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view magic;
  std::size_t offset;
  std::string_view name;
};

// Formats and wrappers that are recognised in order to say what they are.
constexpr std::array kForeignWrappers{
    Signature{"BZh", 0, "a bzip2 stream"},
    Signature{"PK\x03\x04", 0, "a zip archive"},
    Signature{"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive"},
    Signature{"\x04\x22\x4d\x18", 0, "an lz4 stream"},
    Signature{"Rar!\x1a\x07", 0, "a RAR archive"},
    Signature{"ustar", 257, "a tar archive (OVA files are such archives)"},
};
constexpr std::array kForeignFormats{
    Signature{"QED\0"sv, 0, "a QED image"},
    Signature{"conectix", 0, "a VHD (Virtual PC) image"},
    Signature{"WithoutFreeSpace", 0, "a Parallels image"},
    Signature{"WithouFreSpacExt", 0, "a Parallels image"},
    Signature{"Bochs Virtual HD Image", 0, "a Bochs image"},
    Signature{"COWD", 0, "a VMware ESX (COWD) extent"},
};
constexpr std::array kTextPages{"<!doctype"sv, "<html"sv, "<?xml"sv};

constexpr std::string_view kQcow2 = "QFI\xfb";
constexpr std::string_view kVmdk = "KDMV";
constexpr std::string_view kVmdkDescriptor = "# Disk DescriptorFile";
constexpr std::string_view kVdi = "\x7f\x10\xda\xbe";
constexpr std::size_t kVdiMagicOffset = 64;
constexpr std::string_view kVhdx = "vhdxfile";

bool has(std::span<const std::uint8_t> bytes, std::string_view magic, std::size_t offset = 0) {
  return bytes.size() >= offset + magic.size() && std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

bool is_text_page(std::span<const std::uint8_t> start) {
  std::string head;
  for (const std::uint8_t byte : start.first(std::min<std::size_t>(start.size(), 64))) {
    head += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : static_cast<char>(byte);
  }
  head.erase(0, std::min(head.find_first_not_of(" \t\r\n"), head.size()));
  return std::any_of(kTextPages.begin(), kTextPages.end(), [&](std::string_view tag) { return head.starts_with(tag); });
}

// qemu accepts comments and blank lines before the line that makes a descriptor.
bool is_vmdk_descriptor(std::span<const std::uint8_t> start) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), std::min<std::size_t>(start.size(), 4096));
  if (text.starts_with(kVmdkDescriptor)) return true;
  if (!text.starts_with('#')) return false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.starts_with("version=")) return true;
    if (!line.empty() && line.front() != '#' && line.find_first_not_of(' ') != std::string_view::npos) return false;
    at = end + 1;
  }
  return false;
}

Result<ProbedImage> probe_qcow2(std::span<const std::uint8_t> start, std::uint64_t size) {
  auto header = parse_qcow2_header(start, size);
  if (!header) return forward(header);
  return ProbedImage{model::ImageFormat::qcow2, header->virtual_size};
}

}  // namespace

tl::unexpected<Error> damaged_image(std::string_view format, std::string_view what) {
  return fail_with_hint(ErrorCode::data_corrupt, fmt::format("the {} image is damaged: {}", format, what),
                        "Check the image where it came from and send it again.");
}

tl::unexpected<Error> needs_other_file(std::string_view format, std::string_view what) {
  return fail_with_hint(
      ErrorCode::permission_denied,
      fmt::format("the {} image {}; that is refused because it could read any file of this node", format, what),
      "Make a self-contained image with 'qemu-img convert' on the machine that has the other file.");
}

Status check_virtual_size(std::string_view format, Bytes size) {
  if (size.count() == 0) return damaged_image(format, "it has no size");
  if (size > kLargestVirtualSize) return damaged_image(format, fmt::format("it claims a size of {}", size.human()));
  return {};
}

ImageBytes bytes_of_file(int fd, std::uint64_t size) {
  return {size, [fd](std::uint64_t offset, std::size_t length) -> Result<std::vector<std::uint8_t>> {
            std::vector<std::uint8_t> bytes(length);
            std::size_t done = 0;
            while (done < length) {
              const ssize_t got = ::pread(fd, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
              if (got < 0 && errno == EINTR) continue;
              if (got < 0) return fail_errno(errno, "read the image's header");
              if (got == 0) break;
              done += static_cast<std::size_t>(got);
            }
            bytes.resize(done);
            return bytes;
          }};
}

ImageBytes bytes_of_memory(std::span<const std::uint8_t> memory) {
  return {memory.size(), [memory](std::uint64_t offset, std::size_t length) -> Result<std::vector<std::uint8_t>> {
            if (offset >= memory.size()) return std::vector<std::uint8_t>{};
            const auto part = memory.subspan(offset, std::min<std::size_t>(length, memory.size() - offset));
            return std::vector<std::uint8_t>(part.begin(), part.end());
          }};
}

Result<Compression> probe_compression(std::span<const std::uint8_t> start) {
  if (has(start, "\x1f\x8b\x08")) return Compression::gzip;
  if (has(start, "\xfd\x37\x7a\x58\x5a\x00"sv)) return Compression::xz;
  if (has(start, "\x28\xb5\x2f\xfd")) return Compression::zstd;
  // A zstd stream may begin with a skippable frame: 0x184D2A50 to 0x184D2A5F.
  if (start.size() >= 4 && (start[0] & 0xf0) == 0x50 && has(start, "\x2a\x4d\x18", 1)) return Compression::zstd;
  for (const auto& [magic, offset, name] : kForeignWrappers) {
    if (!has(start, magic, offset)) continue;
    return fail_with_hint(ErrorCode::unsupported, fmt::format("this is {}, not a disk image", name),
                          "Unpack it and import the disk image in it (raw, qcow2, vmdk, vdi or vhdx; bare or as .gz, "
                          ".xz or .zst).");
  }
  return Compression::none;
}

Result<ProbedImage> probe_image(const ImageBytes& bytes) {
  auto start = bytes.read(0, kProbeLength);
  if (!start) return forward(start);
  if (has(*start, kQcow2)) return probe_qcow2(*start, bytes.size);
  if (has(*start, kVmdk)) return probe_vmdk(bytes);
  if (is_vmdk_descriptor(*start)) return needs_other_file("vmdk", "is a text descriptor that names other files");
  if (has(*start, kVdi, kVdiMagicOffset)) return probe_vdi(bytes);
  if (has(*start, kVhdx)) return probe_vhdx(bytes);
  for (const auto& [magic, offset, name] : kForeignFormats) {
    if (!has(*start, magic, offset)) continue;
    return fail_with_hint(ErrorCode::unsupported, fmt::format("this is {}, which is not supported", name),
                          "Convert it with 'qemu-img convert -O qcow2' first.");
  }
  if (is_text_page(*start)) {
    return fail_with_hint(ErrorCode::data_corrupt, "this is a web page or XML text, not a disk image",
                          "Check the address: it may be a page that describes the image, or an error page.");
  }
  auto compression = probe_compression(*start);
  if (!compression) return forward(compression);
  if (*compression != Compression::none) {
    return fail_with_hint(ErrorCode::unsupported, "the image is compressed more than once",
                          "Unpack it and import the disk image in it.");
  }
  if (bytes.size < 512) return damaged_image("raw", fmt::format("{} bytes are less than one sector", bytes.size));
  if (auto fine = check_virtual_size("raw", Bytes(bytes.size)); !fine) return forward(fine);
  return ProbedImage{model::ImageFormat::raw, Bytes(bytes.size)};
}

Status check_plain_content(const ImageBytes& bytes) {
  const auto probed = probe_image(bytes);
  if (probed && probed->format == model::ImageFormat::raw) return {};
  return fail_with_hint(ErrorCode::permission_denied,
                        fmt::format("the disk inside the image is itself not a plain disk ({})",
                                    probed ? fmt::format("it holds a {} image", model::to_string(probed->format))
                                           : probed.error().message),
                        "An image in an image is refused, because a program that guesses formats would follow the "
                        "names in it. Import the "
                        "inner image.");
}

}  // namespace bridgehead::storage
