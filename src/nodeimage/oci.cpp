#include "nodeimage/oci.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/file.h"
#include "nodeimage/digest.h"
#include "nodeimage/tar_import.h"

namespace bridgehead::nodeimage {
namespace {

using nlohmann::json;

constexpr int kDeepestIndex = 4;
constexpr std::string_view kReferenceName = "org.opencontainers.image.ref.name";

struct Descriptor {
  std::string media_type;
  std::string sha256;
  std::uint64_t size = 0;
};

Result<Descriptor> descriptor_of(const json& value) {
  Descriptor descriptor;
  descriptor.media_type = value.value("mediaType", "");
  const auto digest = value.at("digest").get<std::string>();
  if (!digest.starts_with("sha256:") || !is_sha256(std::string_view(digest).substr(7))) {
    return fail(ErrorCode::unsupported, "the digest '{}' is not a SHA-256", digest.substr(0, 100));
  }
  descriptor.sha256 = digest.substr(7);
  descriptor.size = value.at("size").get<std::uint64_t>();
  return descriptor;
}

// The blob, checked, at its beginning.
Result<UniqueFd> open_blob(const Tree& layout, const Descriptor& descriptor, const std::stop_token& stop) {
  auto fd = layout.open_file("blobs/sha256/" + descriptor.sha256);
  if (!fd) {
    return fail(ErrorCode::data_corrupt, "the blob {} is missing in the layout: {}", descriptor.sha256,
                fd.error().message);
  }
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return fail_errno(errno, "look at a blob");
  if (static_cast<std::uint64_t>(status.st_size) != descriptor.size) {
    return fail(ErrorCode::data_corrupt, "the blob {} has {} bytes instead of {}", descriptor.sha256, status.st_size,
                descriptor.size);
  }
  const auto hashed = hash_open_file(fd->get(), descriptor.sha256, stop);
  if (!hashed) return forward(hashed);
  if (hashed->sha256 != descriptor.sha256) {
    return fail(ErrorCode::data_corrupt, "the blob {} has other content: its SHA-256 is {}", descriptor.sha256,
                hashed->sha256);
  }
  if (::lseek(fd->get(), 0, SEEK_SET) != 0) return fail_errno(errno, "seek");
  return fd;
}

Result<json> read_json(const std::string& text, std::string_view what) {
  auto value = json::parse(text, nullptr, false);
  if (!value.is_object()) return fail(ErrorCode::data_corrupt, "{} is not a JSON object", what);
  return value;
}

Result<json> read_json_blob(const Tree& layout, const Descriptor& descriptor, const std::stop_token& stop) {
  if (descriptor.size > 4 << 20) return fail(ErrorCode::data_corrupt, "the blob {} is too large", descriptor.sha256);
  const auto fd = open_blob(layout, descriptor, stop);
  if (!fd) return forward(fd);
  const auto text = read_file(fmt::format("/proc/self/fd/{}", fd->get()), 4_MiB);
  if (!text) return forward(text);
  return read_json(*text, descriptor.sha256);
}

bool is_index(const Descriptor& descriptor) {
  return descriptor.media_type == "application/vnd.oci.image.index.v1+json" ||
         descriptor.media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

bool fits_machine(const json& entry) {
  if (!entry.contains("platform")) return true;
  const auto& platform = entry.at("platform");
  return platform.value("os", "linux") == "linux" && platform.value("architecture", "amd64") == "amd64";
}

// The one manifest that an index leads to.
Result<json> choose_manifest(const Tree& layout, const json& index, const std::string& reference, int depth,
                             const std::stop_token& stop) {
  if (depth > kDeepestIndex) return fail(ErrorCode::data_corrupt, "indexes lie too deep in each other");
  std::vector<Descriptor> fitting;
  std::string names;
  for (const auto& entry : index.at("manifests")) {
    std::string name;
    if (entry.contains("annotations")) name = entry.at("annotations").value(std::string(kReferenceName), "");
    if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
    if (!reference.empty() && depth == 0 && name != reference) continue;
    if (!fits_machine(entry)) continue;
    auto descriptor = descriptor_of(entry);
    if (!descriptor) return forward(descriptor);
    fitting.push_back(std::move(*descriptor));
  }
  if (fitting.empty()) {
    return fail_with_hint(ErrorCode::not_found,
                          reference.empty() ? "the layout has no image for linux/amd64"
                                            : fmt::format("the layout has no image '{}' for linux/amd64", reference),
                          names.empty() ? "" : fmt::format("It has: {}.", names));
  }
  if (fitting.size() > 1) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("the layout has {} images", fitting.size()),
                          names.empty() ? "Copy the wanted one alone, by skopeo for example."
                                        : fmt::format("Name one of them: {}.", names));
  }
  auto value = read_json_blob(layout, fitting.front(), stop);
  if (!value) return value;
  if (is_index(fitting.front()) || value->contains("manifests")) {
    return choose_manifest(layout, *value, reference, depth + 1, stop);
  }
  return value;
}

Status unpack_layers(const Tree& layout, const Tree& into, const json& manifest, const OciOptions& options,
                     const std::stop_token& stop) {
  std::vector<Descriptor> layers;
  std::uint64_t total = 0;
  for (const auto& entry : manifest.at("layers")) {
    auto layer = descriptor_of(entry);
    if (!layer) return forward(layer);
    if (layer->media_type.find("encrypted") != std::string::npos ||
        layer->media_type.find(".tar") == std::string::npos) {
      return fail(ErrorCode::unsupported, "a layer of the type '{}' can't be unpacked",
                  layer->media_type.substr(0, 100));
    }
    total += layer->size;
    layers.push_back(std::move(*layer));
  }
  if (layers.empty()) return fail(ErrorCode::data_corrupt, "the image has no layers");
  std::uint64_t before = 0;
  Bytes left = options.limit;
  for (const auto& layer : layers) {
    const auto fd = open_blob(layout, layer, stop);
    if (!fd) return forward(fd);
    TarOptions tar{.limit = left, .whiteouts = true};
    if (options.progress) tar.read_so_far = [&](std::uint64_t done) { options.progress(before + done, total); };
    const auto unpacked = unpack_tar(fd->get(), "layer " + layer.sha256.substr(0, 12), into, tar, stop);
    if (!unpacked) return forward(unpacked);
    // A limit of 0 would mean none.
    if (left.count() != 0) left = Bytes(std::max<std::uint64_t>(1, left.count() - unpacked->unpacked.count()));
    before += layer.size;
  }
  return {};
}

}  // namespace

bool is_oci_layout(const Tree& directory) { return directory.exists("oci-layout") && directory.exists("index.json"); }

Status unpack_oci(const Tree& layout, const Tree& into, const OciOptions& options, std::stop_token stop) {
  try {
    const auto marker = layout.read("oci-layout", 1_MiB);
    const auto version = marker ? read_json(*marker, "oci-layout") : Result<json>(forward(marker));
    if (!version) return forward(version);
    if (version->value("imageLayoutVersion", "") != "1.0.0") {
      return fail(ErrorCode::unsupported, "an OCI layout of the version '{}'",
                  version->value("imageLayoutVersion", ""));
    }
    const auto text = layout.read("index.json", 4_MiB);
    const auto index = text ? read_json(*text, "index.json") : Result<json>(forward(text));
    if (!index) return forward(index);
    const auto manifest = choose_manifest(layout, *index, options.reference, 0, stop);
    if (!manifest) return forward(manifest);
    return unpack_layers(layout, into, *manifest, options, stop);
  } catch (const json::exception& error) {
    return fail(ErrorCode::data_corrupt, "the OCI layout is damaged: {}", error.what());
  }
}

}  // namespace bridgehead::nodeimage
