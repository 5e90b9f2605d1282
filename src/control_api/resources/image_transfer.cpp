// The bytes of images: export to a client, upload from one. They pass through piece by piece; nothing is kept here.
#include "control_api/events/event_hub.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/download_bridge.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/pool_nodes.h"
#include "control_api/sessions.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {
namespace {

// An upload that comes before its operation has reached a node waits for so long.
constexpr auto kPlacing = std::chrono::seconds(30);

class UploadBridge final : public TunnelBridge {
 public:
  UploadBridge(std::shared_ptr<Call> call, Services& services, model::OperationId operation)
      : TunnelBridge(std::move(call)), services_(services), operation_(std::move(operation)) {}

 protected:
  void on_open() override { read_next(); }
  void on_data(std::string) override {}  // an agent sends nothing back here

  void on_closed(Status result) override {
    if (!result) return refuse(result.error());
    const auto record = services_.inventory().find<model::Operation>(operation_);
    if (!record) return refuse({ErrorCode::not_found, "the operation has been removed meanwhile", {}});
    exchange().respond(
        json_answer(200, nlohmann::json{{"operation", view_of(with_progress(record->value, services_.progress))}}));
  }

 private:
  void read_next() {
    exchange().read_piece([self = shared_from_this(), this](Result<std::string> piece) {
      const auto agent = tunnel();
      if (!agent) return;  // it has given up and said why
      if (!piece) {
        agent->close(piece.error().message);
        // In vain if the client has gone away, but a wrong chunk has a sender that listens.
        return refuse(piece.error());
      }
      if (piece->empty()) return agent->finish();
      agent->write(std::move(*piece), [self, this] { read_next(); });
    });
  }

  Services& services_;
  const model::OperationId operation_;
};

Result<model::ImageSource> upload_source(const model::Operation& operation) {
  const auto source = operation.parameters.find("source");
  const auto kind = source != operation.parameters.end() && source->is_object() ? source->value("kind", "") : "";
  if (operation.kind != model::operation_kind::image_import ||
      kind != model::to_string(model::ImageSourceKind::upload)) {
    return fail(ErrorCode::failed_precondition, "operation '{}' takes no upload", operation.id);
  }
  model::ImageSource found;
  if (source->contains("size") && (*source)["size"].is_number_unsigned()) {
    found.size = Bytes((*source)["size"].get<std::uint64_t>());
  }
  return found;
}

bool placed(const model::Operation& operation) {
  return operation.terminal() || (operation.state == model::OperationState::running && !operation.node.empty());
}

void begin_upload(Services& services, const std::shared_ptr<Call>& call, const model::Operation& operation,
                  std::shared_ptr<void> claim) {
  const auto refuse = [&](const Error& error) { call->exchange->respond(problem(error, call->request().target.path)); };
  if (operation.terminal()) {
    return refuse(operation.error.value_or(Error{
        ErrorCode::failed_precondition, fmt::format("the operation has already {}", model::to_string(operation.state)),
        "Import the image anew."}));
  }
  if (!placed(operation)) {
    return refuse({ErrorCode::unavailable, "no node has taken on this import yet",
                   "Its operation says what it waits for; send the upload again later."});
  }
  auto bridge = std::make_shared<UploadBridge>(call, services, operation.id);
  bridge->hold(std::move(claim));
  bridge->start(services.tunnels, operation.node,
                {.kind = reconcile::TunnelKind::image_upload, .operation = operation.id});
}

Status check_exportable(const Services& services, const model::Image& image) {
  if (image.state != model::ImageState::ready) {
    return fail(ErrorCode::failed_precondition, "image '{}' is {}", image.name, model::to_string(image.state));
  }
  if (image.vm.empty()) return {};
  const auto vm = services.inventory().find<model::Vm>(image.vm);
  if (!vm || vm->value.status.phase == model::VmPhase::stopped) return {};
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("'{}' is a disk of '{}', which is not stopped", image.name, vm->value.name),
                        "Stop the guest first.");
}

}  // namespace

void export_image(Services& services, const std::shared_ptr<Call>& call) {
  const auto refuse = [&](const Error& error) { call->exchange->respond(problem(error, call->request().target.path)); };
  const std::string format = call->request().query("format").value_or("raw");
  if (format != "raw" && format != "qcow2") {
    return refuse(
        {ErrorCode::invalid_argument, fmt::format("format: '{}' can't be exported", format), "Use raw or qcow2."});
  }
  const auto record = reconcile::resolve<model::Image>(services.inventory(), call->parameters[0]);
  if (!record) return refuse(record.error());
  const auto& image = (*record)->value;
  if (const auto exportable = check_exportable(services, image); !exportable) return refuse(exportable.error());
  const auto pool = services.inventory().find<model::Pool>(image.pool);
  if (!pool)
    return refuse({ErrorCode::failed_precondition, fmt::format("the pool of image '{}' is gone", image.name), {}});
  const auto node = node_with(services, image, pool->value);
  if (!node) return refuse(node.error());
  http::Response head;
  head.with("Content-Type", "application/octet-stream")
      .with("Content-Disposition", fmt::format("attachment; filename=\"{}.{}\"", image.name, format));
  auto bridge = std::make_shared<DownloadBridge>(call, std::move(head));
  bridge->start(services.tunnels, *node,
                {.kind = reconcile::TunnelKind::image_download, .image = image, .pool = pool->value, .format = format});
}

void put_upload(Services& services, const std::shared_ptr<Call>& call) {
  const auto refuse = [&](const Error& error, unsigned status = 0) {
    call->exchange->respond(problem(error, call->request().target.path, status));
  };
  const model::OperationId id(call->parameters[0]);
  const auto record = services.inventory().find<model::Operation>(id);
  if (!record) return refuse({ErrorCode::not_found, fmt::format("there is no operation '{}'", id), {}});
  const auto source = upload_source(record->value);
  if (!source) return refuse(source.error());
  const auto length = call->request().content_length;
  if (length && source->size.count() != 0 && *length != source->size.count()) {
    return refuse(
        {ErrorCode::invalid_argument,
         fmt::format("{} bytes were announced for this upload, but {} are sent", source->size.count(), *length),
         {}});
  }
  auto claim = services.sessions.claim("upload/" + id.str(), false, [] {});
  if (!claim) return refuse({ErrorCode::conflict, "an upload for this operation is already running", {}});
  const auto now = with_progress(record->value, services.progress);
  if (placed(now)) return begin_upload(services, call, now, std::move(claim));
  services.events.wait_for(
      id, std::chrono::steady_clock::now() + kPlacing, placed,
      [&services, call, claim](const std::optional<model::Operation>& operation) {
        if (operation) return begin_upload(services, call, *operation, claim);
        call->exchange->respond(problem({ErrorCode::not_found, "the operation has been removed meanwhile", {}},
                                        call->request().target.path));
      });
}

}  // namespace bridgehead::control_api
