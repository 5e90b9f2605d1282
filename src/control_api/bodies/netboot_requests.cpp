#include "control_api/bodies/overlay_files.h"
#include "control_api/bodies/read_body.h"
#include "control_api/bodies/requests.h"

namespace bridgehead::control_api {

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

Result<reconcile::ProfileRequest> read_profile(std::string_view body, const pki::SecretBox* secrets) {
  return read_body<reconcile::ProfileRequest>(body,
                                              [secrets](ObjectReader& reader, reconcile::ProfileRequest& request) {
                                                reader.choice("root", request.root);
                                                reader.choice("method", request.method);
                                                reader.choice("on_failure", request.on_failure);
                                                reader.text("bridge", request.bridge, 64);
                                                reader.number("vlan", request.vlan);
                                                reader.text("bond_mode", request.bond_mode, 64);
                                                reader.text("overlay", request.overlay, 64);
                                                reader.texts("arguments", request.arguments);
                                                read_overlay(reader, request.files, request.secret_files, secrets);
                                              });
}

Result<NodeImageRequest> read_node_image(std::string_view body) {
  return read_body<NodeImageRequest>(body, [](ObjectReader& reader, NodeImageRequest& request) {
    reader.text("base", request.base);
    reader.require("base");
    reader.text("path", request.path);
    reader.text("role", request.role);
    reader.text("initramfs", request.initramfs);
    reader.text("nic_drivers", request.nic_drivers);
  });
}

}  // namespace bridgehead::control_api
