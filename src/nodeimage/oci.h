// An OCI image layout (opencontainers/image-spec v1.1): index.json -> manifest -> layers, each blob checked against its
// SHA-256 and size before a byte of it is used. Internal to this module.
// Errors: data_corrupt (digests, missing or damaged blobs), not_found (no image of that name or for this machine),
// unsupported (encrypted or foreign layers).
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {

struct OciOptions {
  std::string reference;  // org.opencontainers.image.ref.name; "" = the only image
  Bytes limit;            // of what the layers unpack to, together; 0 = none
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // compressed bytes of layers
};

bool is_oci_layout(const Tree& directory);
Status unpack_oci(const Tree& layout, const Tree& into, const OciOptions& options, std::stop_token stop = {});

}  // namespace bridgehead::nodeimage
