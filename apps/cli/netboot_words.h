// What the commands about node images and profiles decide by themselves. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace bridgehead::cli {

// A node image's name after the file it is imported from: "/srv/rocky9.tar.gz" -> "rocky9".
std::string image_base_of(const std::string& path);

// Names of the node images that nobody would miss: failed ones, and ready ones beyond the newest `keep` of their base;
// none that a node is assigned to or booted last. From GET /node-images and GET /nodes, in their order.
std::vector<std::string> superfluous_images(const nlohmann::json& images, const nlohmann::json& nodes,
                                            std::size_t keep);

// Why a machine will not come up with this image's initramfs: "its NIC ... needs the driver ice, ..."; "" where nothing
// speaks against it, or too little is known. From GET /nodes/... and GET /node-images/....
std::string missing_driver(const nlohmann::json& node, const nlohmann::json& image);

struct OverlaySpec {
  std::string local;
  std::string remote;               // absolute
  std::optional<std::string> mode;  // octal digits
};
// "LOCAL:REMOTE[:MODE]", as `flag` takes it. Errors: invalid_argument.
Result<OverlaySpec> parse_overlay_spec(std::string_view flag, const std::string& text);

}  // namespace bridgehead::cli
