#include "performance/bridgehead_user.h"

namespace bridgehead::performance {

BridgeheadUser::BridgeheadUser(const cli::Connection& connection) : api_(connection), events_(connection) {
  const auto now = api_.get("/events?limit=0");
  require(now.has_value(), now ? "" : now.error().describe());
  since_ = now->at("revision").get<std::uint64_t>();
  listener_ = std::thread([this] { listen(); });
}

BridgeheadUser::~BridgeheadUser() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  // The stream ends with the next event: this makes one.
  if (const auto token = api_.post("/tokens", {{"name", "vm-create-ends"}, {"role", "viewer"}}))
    (void)api_.remove("/tokens/vm-create-ends");
  listener_.join();
}

void BridgeheadUser::listen() {
  const auto handler = [this](const cli::StreamEvent& event) {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    if (event.kind == "operation.finished") ended_.emplace(event.data.value("object", std::string()), now);
    changed_.notify_all();
    return !stopping_;
  };
  // From a revision on, so that nothing is missed while the stream is being opened.
  (void)events_.stream("/events/stream", std::to_string(since_), handler);
}

Result<std::vector<CreatedGuest>> BridgeheadUser::create(const nlohmann::json& body) {
  const auto answer = api_.post("/vms", body);
  if (!answer) return forward(answer);
  std::vector<CreatedGuest> guests;
  for (std::size_t n = 0; n < answer->at("vms").size(); ++n) {
    const auto id = answer->at("vms")[n].at("id").get<std::string>();
    guests.push_back({.id = id, .domain = "bh-" + id, .operation = answer->at("operations")[n].at("id")});
  }
  return guests;
}

Result<BridgeheadUser::Moment> BridgeheadUser::wait_end(const std::string& operation) {
  Moment when;
  {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::minutes(2), [&] { return ended_.contains(operation); }))
      return fail(ErrorCode::timeout, "operation {} did not end within two minutes", operation);
    when = ended_.at(operation);
  }
  const auto record = api_.get("/operations/" + operation);
  if (!record) return forward(record);
  if (record->value("state", std::string()) != "succeeded")
    return fail(ErrorCode::internal, "an operation failed: {}", record->dump());
  return when;
}

Status BridgeheadUser::remove(const std::vector<CreatedGuest>& guests) {
  std::vector<std::string> operations;
  for (const auto& guest : guests) {
    const auto answer = api_.remove("/vms/" + guest.id);
    if (!answer) return forward(answer);
    operations.push_back(answer->at("operation").at("id").get<std::string>());
  }
  for (const auto& operation : operations) {
    if (const auto ended = wait_end(operation); !ended) return forward(ended);
  }
  return {};
}

Result<std::string> BridgeheadUser::show(const std::string& path, const std::string& pointer) {
  const auto answer = api_.get(path);
  if (!answer) return forward(answer);
  const nlohmann::json::json_pointer where(pointer);
  if (!answer->contains(where) || !answer->at(where).is_string())
    return fail(ErrorCode::data_corrupt, "{} has no {}", path, pointer);
  return answer->at(where).get<std::string>();
}

}  // namespace bridgehead::performance
