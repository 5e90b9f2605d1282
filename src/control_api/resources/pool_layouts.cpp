// Over which storage targets images are spread, as a node that sees the pool tells it.
#include <set>

#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/pool_nodes.h"
#include "control_api/resources/tunnel_bridge.h"
#include "model/codec.h"
#include "model/enum_names.h"
#include "scheduler/pool_balance.h"

namespace bridgehead::control_api {
namespace {

constexpr std::size_t kLongestTargets = 1 << 20;  // of a survey's text
constexpr std::size_t kLongestImage = 32 << 10;   // one on 2,000 targets takes half of it
constexpr std::size_t kMostTargets = 4096;
constexpr Bytes kLargest = 1024_TiB;  // of anything that is told; sums of it fit

// What an agent says isn't trusted: only what was asked for is kept, once each, and nothing that would take long to
// work on.
Result<model::PoolSurvey> cleared(model::PoolSurvey survey, const std::set<model::ImageId>& asked) {
  const auto no_survey = [] { return fail(ErrorCode::internal, "the node's answer is no survey of this pool"); };
  if (survey.targets.size() > kMostTargets) return no_survey();
  std::set<std::uint32_t> indices;
  for (auto& target : survey.targets) {
    if (!indices.insert(target.index).second) return no_survey();
    target.total = std::min(target.total, kLargest);
    target.available = std::min(target.available, target.total);
  }
  std::set<model::ImageId> seen;
  std::erase_if(survey.images,
                [&](const auto& image) { return !asked.contains(image.image) || !seen.insert(image.image).second; });
  for (auto& image : survey.images) {
    image.allocated = std::min(image.allocated, kLargest);
    for (const auto& part : image.layout.parts) {
      if (part.targets.size() > kMostTargets) return no_survey();
    }
  }
  return survey;
}

// Collects a survey of some images and answers with what is made of it.
class SurveyBridge final : public TunnelBridge {
 public:
  using Answer = std::function<nlohmann::json(const model::PoolSurvey&)>;
  SurveyBridge(std::shared_ptr<Call> call, const std::vector<model::Image>& images, Answer answer)
      : TunnelBridge(std::move(call)), answer_(std::move(answer)) {
    for (const auto& image : images) asked_.insert(image.id);
  }

 protected:
  void on_open() override { resume(); }
  void on_data(std::string bytes) override {
    // Cut off it can't be read, and is refused below.
    if (text_.size() < kLongestTargets + asked_.size() * kLongestImage) text_ += bytes;
    resume();
  }
  void on_closed(Status result) override {
    if (!result) return refuse(result.error());
    auto told = model::decode<model::PoolSurvey>(text_);
    if (!told) return refuse({ErrorCode::internal, "the node's answer can't be read: " + told.error().message, {}});
    const auto survey = cleared(std::move(*told), asked_);
    if (!survey) return refuse(survey.error());
    exchange().respond(json_answer(200, answer_(*survey)));
  }

 private:
  std::set<model::ImageId> asked_;
  const Answer answer_;
  std::string text_;
};

nlohmann::json view_of_layout(const model::FileLayout& layout) {
  auto parts = nlohmann::json::array();
  for (const auto& part : layout.parts) {
    parts.push_back({{"end", part.end == model::kToTheEnd ? nlohmann::json() : nlohmann::json(part.end)},
                     {"stripes", part.stripes == model::kAllTargets ? nlohmann::json() : nlohmann::json(part.stripes)},
                     {"stripe_size", part.stripe_size.count()},
                     {"targets", part.targets}});
  }
  return {{"group", layout.group}, {"parts", std::move(parts)}, {"description", layout.describe()}};
}

nlohmann::json view_of_balance(const scheduler::PoolBalance& balance, const state::Inventory& inventory) {
  nlohmann::json json{{"spread", balance.spread},
                      {"spread_after", balance.spread_after},
                      {"targets", nlohmann::json::array()},
                      {"layouts", nlohmann::json::array()},
                      {"moves", nlohmann::json::array()}};
  for (const auto& use : balance.targets) {
    json["targets"].push_back({{"index", use.target.index},
                               {"name", use.target.name},
                               {"state", std::string(model::to_string(use.target.state))},
                               {"total", use.target.total.count()},
                               {"available", use.target.available.count()},
                               {"used", use.used},
                               {"images", use.images.count()}});
  }
  for (const auto& layout : balance.layouts) {
    json["layouts"].push_back(
        {{"layout", layout.layout}, {"images", layout.images}, {"allocated", layout.allocated.count()}});
  }
  for (const auto& move : balance.moves) {
    const auto image = inventory.find<model::Image>(move.image);
    json["moves"].push_back({{"image", move.image.str()},
                             {"image_name", image ? image->value.name : ""},
                             {"bytes", move.bytes.count()},
                             {"from", move.from},
                             {"to", move.to}});
  }
  return json;
}

}  // namespace

void get_image_layout(Services& services, const std::shared_ptr<Call>& call) {
  const auto refuse = [&](const Error& error) { call->exchange->respond(problem(error, call->request().target.path)); };
  const auto record = reconcile::resolve<model::Image>(services.inventory(), call->parameters[0]);
  if (!record) return refuse(record.error());
  const auto& image = (*record)->value;
  if (image.state != model::ImageState::ready) {
    return refuse({ErrorCode::failed_precondition,
                   fmt::format("image '{}' is {}", image.name, model::to_string(image.state)),
                   {}});
  }
  const auto pool = services.inventory().find<model::Pool>(image.pool);
  if (!pool) return refuse({ErrorCode::failed_precondition, "its pool is gone", {}});
  const auto node = node_with(services, image, pool->value);
  if (!node) return refuse(node.error());
  auto bridge = std::make_shared<SurveyBridge>(
      call, std::vector{image}, [image, pool_name = pool->value.name](const model::PoolSurvey& survey) {
        nlohmann::json json{{"image", image.id.str()},
                            {"image_name", image.name},
                            {"pool_name", pool_name},
                            {"wish", std::string(model::to_string(image.layout))},
                            {"allocated", image.allocated.count()},
                            {"layout", nullptr},
                            {"targets", nlohmann::json::object()}};
        if (survey.images.empty()) return json;
        const auto& placement = survey.images.front();
        json["allocated"] = placement.allocated.count();
        json["layout"] = view_of_layout(placement.layout);
        for (const auto& target : survey.targets) json["targets"][std::to_string(target.index)] = target.name;
        return json;
      });
  bridge->start(services.tunnels, *node,
                {.kind = reconcile::TunnelKind::pool_survey, .pool = pool->value, .images = {image}});
}

void get_pool_balance(Services& services, const std::shared_ptr<Call>& call) {
  const auto refuse = [&](const Error& error) { call->exchange->respond(problem(error, call->request().target.path)); };
  const auto record = reconcile::resolve<model::Pool>(services.inventory(), call->parameters[0]);
  if (!record) return refuse(record.error());
  const auto& pool = (*record)->value;
  const auto node = node_with(services, pool);
  if (!node) return refuse(node.error());
  std::vector<model::Image> images;
  for (const auto& image : services.inventory().all<model::Image>()) {
    const bool there = image->value.pool == pool.id && image->value.state == model::ImageState::ready;
    if (there && (image->value.node.empty() || image->value.node == *node)) images.push_back(image->value);
  }
  auto bridge =
      std::make_shared<SurveyBridge>(call, images, [&services, pool, node = *node](const model::PoolSurvey& survey) {
        auto json = view_of_balance(scheduler::balance_pool(survey), services.inventory());
        const auto told_by = services.inventory().find<model::Node>(node);
        json["pool"] = pool.id.str();
        json["pool_name"] = pool.name;
        json["node_name"] = told_by ? told_by->value.name : "";
        json["layouts_known"] = survey.layouts;
        return json;
      });
  bridge->start(services.tunnels, *node,
                {.kind = reconcile::TunnelKind::pool_survey, .pool = pool, .images = std::move(images)});
}

}  // namespace bridgehead::control_api
