// How much of a download is synced in its staged file, and of what; beside that file. Written whole or not at all.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace bridgehead::storage {

struct DownloadRecord {
  std::string tag;  // the server's, of the whole
  Bytes size;       // likewise
  std::uint64_t done = 0;
  std::string sha256;  // of what is done
};

std::optional<DownloadRecord> read_record(const std::filesystem::path& path);
Status write_record(const std::filesystem::path& path, const DownloadRecord& record);

}  // namespace bridgehead::storage
