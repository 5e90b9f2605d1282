// Streams a stored image out, as raw (holes as zeros) or qcow2. Constant memory. What has to be converted first goes
// through a staged file, which is removed again.
#pragma once

#include "base/command.h"
#include "storage/image_pool.h"

namespace bridgehead::storage {

Status export_stored_image(CommandRunner& runner, const StoredImage& image, model::ImageFormat format,
                           const std::filesystem::path& staging, const std::function<bool(std::string_view)>& sink,
                           const ProgressSink& progress, std::stop_token stop);

}  // namespace bridgehead::storage
