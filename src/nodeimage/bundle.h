// The bundle of docs/boot-protocol.md: overlay files of a profile and a node as one tar (ustar), the same bytes for the
// same input. Pure functions; thread-safe.
// Errors: invalid_argument (unknown variable, bad path or mode, a name that ustar can't hold; the message has the
// path).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/netboot.h"

namespace bridgehead::nodeimage {

// What ${node}, ${address}, ${mac} and ${image} become. "$$" is a plain "$".
struct BundleVariables {
  std::string node;
  std::string address;
  std::string mac;
  std::string image;
};

struct Bundle {
  std::string tar;
  std::string sha256;  // hex, of the tar
};

// Later files replace earlier ones of the same path (profile first, then the node's own). Owner root, mtime 0, sorted
// by path, no entries for directories: those that exist keep their modes.
Result<Bundle> make_bundle(const std::vector<model::OverlayFile>& files, const BundleVariables& variables);

// "$" followed by anything but "{" or "$" is itself.
Result<std::string> substitute(std::string_view text, const BundleVariables& variables);

// For the API, when a profile is saved: all that make_bundle() would refuse, whatever the node.
Status check_overlay(const std::vector<model::OverlayFile>& files);

}  // namespace bridgehead::nodeimage
