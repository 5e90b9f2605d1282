// The fields files and secret_files of a profile's and a node's body. For the bodies' .cpp files.
#pragma once

#include <optional>
#include <vector>

#include "control_api/json/object_reader.h"
#include "model/netboot.h"
#include "pki/secret_box.h"

namespace bridgehead::control_api {

// What isn't given stays unset. A secret's content is sealed at once; `box` may be null (see read_profile).
void read_overlay(ObjectReader& reader, std::optional<std::vector<model::OverlayFile>>& files,
                  std::optional<std::vector<model::SecretFile>>& secret_files, const pki::SecretBox* box);

}  // namespace bridgehead::control_api
