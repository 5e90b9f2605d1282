// The bundle of docs/boot-protocol.md: overlay files of a profile and a node as one tar (ustar), the same bytes for the
// same input. Pure functions; thread-safe.
// Errors: invalid_argument (unknown variable, bad path or mode, a name that ustar can't hold; the message has the
// path).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/overlay.h"

namespace bridgehead::nodeimage {

struct Bundle {
  std::string tar;
  std::string sha256;  // hex, of the tar
};

// Later files replace earlier ones of the same path (profile first, then the node's own). Owner root, mtime 0, sorted
// by path, no entries for directories: those that exist keep their modes.
Result<Bundle> make_bundle(const std::vector<model::OverlayFile>& files, const model::OverlayVariables& variables);

}  // namespace bridgehead::nodeimage
