// Archives for tests, hostile ones too: written by hand, because good programs refuse to.
#pragma once

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "nodeimage/digest.h"

namespace bridgehead::nodeimage::testing {

class TarMaker {
 public:
  TarMaker& file(const std::string& name, const std::string& content, unsigned mode = 0644) {
    header(name, '0', content.size(), "", mode);
    tar_ += content;
    tar_.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }
  TarMaker& directory(const std::string& name) { return header(name, '5', 0, "", 0755); }
  TarMaker& symlink(const std::string& name, const std::string& target) { return header(name, '2', 0, target, 0777); }
  TarMaker& hard_link(const std::string& name, const std::string& target) { return header(name, '1', 0, target, 0644); }
  std::string bytes() const { return tar_ + std::string(1024, '\0'); }

 private:
  TarMaker& header(const std::string& name, char type, std::size_t size, const std::string& link, unsigned mode) {
    std::string raw(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { raw.replace(at, text.size(), text); };
    put(0, name);
    put(100, fmt::format("{:07o}", mode));
    put(108, fmt::format("{:07o}", ::getuid()));
    put(116, fmt::format("{:07o}", ::getgid()));
    put(124, fmt::format("{:011o}", size));
    put(136, fmt::format("{:011o}", 1'700'000'000));
    put(148, std::string(8, ' '));
    put(156, std::string(1, type));
    put(157, link);
    put(257, std::string("ustar\00000", 8));
    unsigned sum = 0;
    for (const char byte : raw) sum += static_cast<unsigned char>(byte);
    put(148, fmt::format("{:06o}", sum) + std::string(1, '\0'));
    tar_ += raw;
    return *this;
  }

  std::string tar_;
};

inline void write(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// An OCI image layout with one image of these layers (uncompressed tars, or whatever the caller compressed).
class LayoutMaker {
 public:
  explicit LayoutMaker(std::filesystem::path directory) : directory_(std::move(directory)) {
    write(directory_ / "oci-layout", R"({"imageLayoutVersion": "1.0.0"})");
  }

  nlohmann::json blob(const std::string& content, const std::string& type) {
    const std::string digest = sha256_of(content);
    write(directory_ / "blobs/sha256" / digest, content);
    return {{"mediaType", type}, {"digest", "sha256:" + digest}, {"size", content.size()}};
  }
  void image(const std::vector<std::string>& layers, const std::string& reference = {},
             const std::string& architecture = "amd64",
             const std::string& layer_type = "application/vnd.oci.image.layer.v1.tar") {
    nlohmann::json manifest{{"schemaVersion", 2}, {"layers", nlohmann::json::array()}};
    manifest["config"] = blob("{}", "application/vnd.oci.image.config.v1+json");
    for (const auto& layer : layers) manifest["layers"].push_back(blob(layer, layer_type));
    auto descriptor = blob(manifest.dump(), "application/vnd.oci.image.manifest.v1+json");
    descriptor["platform"] = {{"os", "linux"}, {"architecture", architecture}};
    if (!reference.empty()) descriptor["annotations"] = {{"org.opencontainers.image.ref.name", reference}};
    index_["manifests"].push_back(descriptor);
    write(directory_ / "index.json", index_.dump());
  }

 private:
  std::filesystem::path directory_;
  nlohmann::json index_{{"schemaVersion", 2}, {"manifests", nlohmann::json::array()}};
};

}  // namespace bridgehead::nodeimage::testing
