#include "host_agent/upgrade/upgrade_record.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace bridgehead::host_agent {
namespace {

constexpr Bytes kLongestRecord = 64_KiB;
constexpr char kRecord[] = "state.json";
constexpr char kWell[] = "well";

}  // namespace

Result<std::optional<UpgradeRecord>> UpgradeFiles::record() const {
  const auto text = read_file(directory_ / kRecord, kLongestRecord);
  if (!text && text.error().code == ErrorCode::not_found) return std::nullopt;
  if (!text) return forward(text);
  const auto answer = model::upgrade_answer_from(*text);
  if (!answer) return forward(answer);
  const auto json = nlohmann::json::parse(*text);  // it could be read before
  const auto word = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return UpgradeRecord{.operation = model::OperationId(word("operation")),
                       .version = word("version"),
                       .before = word("before"),
                       .state = answer->state,
                       .message = answer->message};
}

Status UpgradeFiles::write(const UpgradeRecord& record) const {
  auto json = nlohmann::json::parse(text_of(model::UpgradeAnswer{.state = record.state, .message = record.message}));
  json["operation"] = record.operation.str();
  json["version"] = record.version;
  json["before"] = record.before;
  return write_file_atomic(directory_ / kRecord, json.dump());
}

void UpgradeFiles::remove_packages() const {
  for (const auto& path : {package(), before()}) (void)remove_file(path);
}

Status UpgradeFiles::say_well(const std::string& version) const {
  return write_file_atomic(directory_ / kWell, version);
}

std::string UpgradeFiles::well() const { return read_file(directory_ / kWell, kLongestRecord).value_or(""); }

Status UpgradeFiles::forget_well() const { return remove_file(directory_ / kWell); }

}  // namespace bridgehead::host_agent
