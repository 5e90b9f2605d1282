#include "storage/moosefs/moosefs_tools.h"

namespace bridgehead::storage::moosefs {

Command snapshot_command(const std::filesystem::path& source, const std::filesystem::path& target) {
  return {.program = "mfsmakesnapshot", .arguments = {source.native(), target.native()}};
}

Command set_class_command(const std::string& storage_class, const std::filesystem::path& file) {
  return {.program = "mfssetsclass", .arguments = {storage_class, file.native()}};
}

Command get_class_command(const std::filesystem::path& file) {
  return {.program = "mfsgetsclass", .arguments = {file.native()}};
}

std::string parse_class(std::string_view output) {
  const auto line = output.substr(0, output.find('\n'));
  const auto at = line.rfind(": ");
  if (at == line.npos) return "";
  const auto name = line.substr(at + 2);
  // Quoted by newer tools: 'fast'
  const bool quoted = name.size() > 2 && name.front() == '\'' && name.back() == '\'';
  return std::string(quoted ? name.substr(1, name.size() - 2) : name);
}

}  // namespace bridgehead::storage::moosefs
