// What people (or --json) get to see.
#pragma once

#include "base/progress.h"
#include "base/result.h"
#include "nodeimage/store.h"

namespace bridgehead::node_image {

int complain(const Error& error);
// A line on the terminal; in a file, one line a phase.
ProgressSink progress_line();
void show_image(const nodeimage::Manifest& manifest, const std::filesystem::path& directory, double seconds, bool json);
void show_diff(const nodeimage::ImageDiff& diff, bool json);

}  // namespace bridgehead::node_image
