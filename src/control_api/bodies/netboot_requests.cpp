#include "control_api/bodies/read_body.h"
#include "control_api/bodies/requests.h"

namespace bridgehead::control_api {
namespace {

// "0644": up to five octal digits, as chmod takes them.
std::optional<std::uint32_t> octal(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint32_t>(c - '0');
  }
  return value;
}

void read_overlay_file(ObjectReader& reader, model::OverlayFile& file) {
  reader.text("path", file.path);
  reader.require("path");
  reader.text("content", file.content, kLongestUserData);
  reader.require("content");
  std::optional<std::string> mode;
  reader.text("mode", mode, 64);
  if (!mode) return;
  const auto bits = octal(*mode);
  if (!bits) return reader.wrong("mode", "must be octal digits in a string, like \"0644\"");
  file.mode = *bits;
}

}  // namespace

Result<reconcile::EnableNetboot> read_enable_netboot(std::string_view body) {
  return read_body<reconcile::EnableNetboot>(body, [](ObjectReader& reader, reconcile::EnableNetboot& request) {
    reader.choice("mode", request.mode);
    reader.text("interface", request.interface, 64);
    reader.require("interface");
    reader.text("address", request.address, 64);
    reader.text("range", request.range, 64);
    reader.number("http_port", request.http_port);
    reader.number("nbd_port", request.nbd_port);
    reader.texts("nbd_servers", request.nbd_servers);
    reader.flag("auto_approve", request.auto_approve);
  });
}

Result<reconcile::ApproveNodes> read_approve_nodes(std::string_view body) {
  return read_body<reconcile::ApproveNodes>(body, [](ObjectReader& reader, reconcile::ApproveNodes& request) {
    reader.texts("nodes", request.select.nodes);
    reader.require("nodes");
    bool refuse = false;
    reader.flag("refuse", refuse);
    request.approval = refuse ? model::Approval::refused : model::Approval::approved;
  });
}

Result<reconcile::AssignNodes> read_assign_nodes(std::string_view body) {
  return read_body<reconcile::AssignNodes>(body, [](ObjectReader& reader, reconcile::AssignNodes& request) {
    reader.texts("nodes", request.select.nodes);
    reader.require("nodes");
    reader.text("image", request.image);
    reader.text("profile", request.profile);
    reader.text("address", request.address, 64);
  });
}

Result<reconcile::ProfileRequest> read_profile(std::string_view body) {
  return read_body<reconcile::ProfileRequest>(body, [](ObjectReader& reader, reconcile::ProfileRequest& request) {
    reader.choice("root", request.root);
    reader.choice("method", request.method);
    reader.choice("on_failure", request.on_failure);
    reader.text("bridge", request.bridge, 64);
    reader.number("vlan", request.vlan);
    reader.text("bond_mode", request.bond_mode, 64);
    reader.text("overlay", request.overlay, 64);
    reader.texts("arguments", request.arguments);
    std::vector<model::OverlayFile> files;
    const bool given =
        reader.objects("files", [&](ObjectReader& file) { read_overlay_file(file, files.emplace_back()); });
    if (given) request.files = std::move(files);
  });
}

Result<NodeImageRequest> read_node_image(std::string_view body) {
  return read_body<NodeImageRequest>(body, [](ObjectReader& reader, NodeImageRequest& request) {
    reader.text("base", request.base);
    reader.require("base");
    reader.text("path", request.path);
    reader.text("role", request.role);
  });
}

}  // namespace bridgehead::control_api
