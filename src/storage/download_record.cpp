#include "storage/download_record.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace bridgehead::storage {

std::optional<DownloadRecord> read_record(const std::filesystem::path& path) {
  const auto text = read_file(path, 64_KiB);
  if (!text) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(*text);
    return DownloadRecord{.tag = json.at("tag").get<std::string>(),
                          .size = Bytes(json.at("size").get<std::uint64_t>()),
                          .done = json.at("done").get<std::uint64_t>(),
                          .sha256 = json.at("sha256").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

Status write_record(const std::filesystem::path& path, const DownloadRecord& record) {
  const nlohmann::json json{
      {"tag", record.tag}, {"size", record.size.count()}, {"done", record.done}, {"sha256", record.sha256}};
  return write_file_atomic(path, json.dump() + "\n");
}

}  // namespace bridgehead::storage
