// Conversions by qemu-img, for the formats that we don't read ourselves and for exports. The command is a value; the
// program runs with limits of its own (prlimit) and is watched: progress, space used, stop requests.
#pragma once

#include <filesystem>
#include <stop_token>

#include "base/command.h"
#include "base/progress.h"
#include "model/image.h"

namespace bridgehead::storage {

// From a probed, self-contained image to a new raw file. The format is given, and that there is no backing file.
Command convert_command(const std::filesystem::path& source, model::ImageFormat format,
                        const std::filesystem::path& target, Bytes virtual_size, bool direct_io);

// From one of our own disks (which may have its golden image as backing file) to a new file.
Command export_command(const std::filesystem::path& source, model::ImageFormat format,
                       const std::filesystem::path& target, model::ImageFormat target_format, Bytes virtual_size);

// Ends with 0 when both hold the same content, with 1 when they differ.
Command compare_command(const std::filesystem::path& one, model::ImageFormat format, const std::filesystem::path& other,
                        model::ImageFormat other_format, Bytes virtual_size);

// One of our own qcow2 disks takes in what it has of its golden image, in its place.
Command flatten_command(const std::filesystem::path& disk, Bytes virtual_size);

// Runs it. The target, if anything of it was made, is the caller's to remove. Errors: resource_exhausted (no space, or
// more than `limit` used), data_corrupt (qemu-img can't read the source), timeout, cancelled, not_found (no qemu-img).
Status convert_image(CommandRunner& runner, const Command& command, const std::filesystem::path& target, Bytes limit,
                     const ProgressSink& progress, std::stop_token stop);

}  // namespace bridgehead::storage
