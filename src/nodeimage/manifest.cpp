#include "nodeimage/manifest.h"

#include "base/file.h"
#include "nodeimage/digest.h"

namespace bridgehead::nodeimage {

using nlohmann::json;

json to_json(const Manifest& manifest) {
  json files = json::object();
  for (const auto& [name, digest] : manifest.files) {
    files[name] = {{"size", digest.size.count()}, {"sha256", digest.sha256}};
  }
  json packages = json::object();
  json also = json::array();  // rpm may have several versions of one name installed, kernels mostly
  for (const auto& package : manifest.packages) {
    if (packages.contains(package.name)) {
      also.push_back({package.name, package.version});
    } else {
      packages[package.name] = package.version;
    }
  }
  return {{"format", 1},
          {"id", manifest.id.str()},
          {"name", manifest.name},
          {"base", manifest.base},
          {"version", manifest.version},
          {"role", manifest.role},
          {"source", manifest.source},
          {"os", manifest.os},
          {"kernel_version", manifest.kernel_version},
          {"architecture", manifest.architecture},
          {"created", to_rfc3339(manifest.created)},
          {"files", files},
          {"tree_size", manifest.tree_size.count()},
          {"tree_entries", manifest.tree_entries},
          {"has_tree", manifest.has_tree},
          {"packages_from", manifest.packages_from},
          {"packages", packages},
          {"more_packages", also},
          {"notes", manifest.notes},
          {"initramfs", manifest.initramfs}};
}

Result<Manifest> manifest_from_json(const json& value) {
  try {
    if (value.at("format") != 1) {
      return fail_with_hint(ErrorCode::unsupported, "the node image was made by a newer Bridgehead",
                            "Update this program.");
    }
    Manifest manifest;
    manifest.id = model::NodeImageId(value.value("id", ""));
    manifest.name = value.value("name", "");
    manifest.base = value.value("base", "");
    manifest.version = value.value("version", 0u);
    manifest.role = value.value("role", "");
    manifest.source = value.value("source", "");
    manifest.os = value.value("os", "");
    manifest.kernel_version = value.value("kernel_version", "");
    manifest.architecture = value.value("architecture", "");
    const auto created = parse_rfc3339(value.value("created", ""));
    if (!created) return fail(ErrorCode::data_corrupt, "the manifest's time is damaged: {}", created.error().message);
    manifest.created = *created;
    for (const auto& [name, digest] : value.at("files").items()) {
      manifest.files[name] = {Bytes(digest.at("size").get<std::uint64_t>()), digest.at("sha256").get<std::string>()};
      if (name.find('/') != std::string::npos || !is_sha256(manifest.files[name].sha256)) {
        return fail(ErrorCode::data_corrupt, "the manifest's entry for '{}' is damaged", name);
      }
    }
    manifest.tree_size = Bytes(value.value("tree_size", std::uint64_t{0}));
    manifest.tree_entries = value.value("tree_entries", std::uint64_t{0});
    manifest.has_tree = value.value("has_tree", false);
    manifest.packages_from = value.value("packages_from", "");
    for (const auto& [name, version] : value.at("packages").items()) {
      manifest.packages.push_back({name, version.get<std::string>()});
    }
    for (const auto& pair : value.value("more_packages", json::array())) {
      manifest.packages.push_back({pair.at(0).get<std::string>(), pair.at(1).get<std::string>()});
    }
    std::stable_sort(manifest.packages.begin(), manifest.packages.end(),
                     [](const Package& a, const Package& b) { return a.name < b.name; });
    manifest.notes = value.value("notes", std::vector<std::string>{});
    manifest.initramfs = value.value("initramfs", json());
    return manifest;
  } catch (const json::exception& error) {
    return fail(ErrorCode::data_corrupt, "not a node image's manifest: {}", error.what());
  }
}

Result<Manifest> read_manifest(const std::filesystem::path& file) {
  const auto text = read_file(file, 64_MiB);
  if (!text) return forward(text);
  const auto value = json::parse(*text, nullptr, false);
  if (value.is_discarded()) return fail(ErrorCode::data_corrupt, "{} is not JSON", file.native());
  auto manifest = manifest_from_json(value);
  if (!manifest) return fail(manifest.error().code, "{}: {}", file.native(), manifest.error().message);
  return manifest;
}

model::NodeImage to_model(const Manifest& manifest) {
  const auto digest = [&](std::string_view name) {
    const auto found = manifest.files.find(std::string(name));
    return found == manifest.files.end() ? FileDigest{} : found->second;
  };
  model::NodeImage image;
  image.id = manifest.id;
  image.name = manifest.name;
  image.base = manifest.base;
  image.version = manifest.version;
  image.role = manifest.role;
  image.source = manifest.source;
  image.state = model::NodeImageState::ready;
  for (const auto& note : manifest.notes) image.message += (image.message.empty() ? "" : " ") + note;
  image.os = manifest.os;
  image.kernel_version = manifest.kernel_version;
  // The initramfs's report is another module's; what isn't in it is left empty.
  if (const auto drivers = manifest.initramfs.find("nic_drivers");
      manifest.initramfs.is_object() && drivers != manifest.initramfs.end() && drivers->is_array()) {
    for (const auto& name : *drivers) {
      if (name.is_string()) image.nic_drivers.push_back(name.get<std::string>());
    }
  }
  image.transports = {model::RootTransport::nbd, model::RootTransport::ram};
  if (manifest.has_tree) image.transports.push_back(model::RootTransport::nfs);
  image.kernel_size = digest(kKernelFile).size;
  image.initramfs_size = digest(kInitramfsFile).size;
  const auto root = digest(manifest.files.contains(std::string(kOldRootFile)) ? kOldRootFile : kRootFile);
  image.root_size = root.size;
  image.root_sha256 = root.sha256;
  image.created = manifest.created;
  return image;
}

}  // namespace bridgehead::nodeimage
