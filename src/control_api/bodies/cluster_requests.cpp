#include "control_api/bodies/overlay_files.h"
#include "control_api/bodies/read_body.h"
#include "control_api/bodies/requests.h"

namespace bridgehead::control_api {

using reconcile::AddPool;
using reconcile::CreateNetwork;
using reconcile::CreateToken;
using reconcile::ImportImage;
using reconcile::UpdateNode;

Result<ImportImage> read_import_image(std::string_view body) {
  return read_body<ImportImage>(body, [](ObjectReader& reader, ImportImage& request) {
    reader.text("name", request.name);
    reader.require("name");
    reader.text("pool", request.pool);
    reader.text("node", request.node);
    reader.choice("layout", request.layout);
    reader.number("most_nodes", request.most_nodes);
    reader.texts("nodes", request.nodes);
    reader.require("source");
    reader.object("source", [&](ObjectReader& source) {
      source.choice("kind", request.source.kind);
      source.require("kind");
      source.text("location", request.source.location);
      std::string image;
      source.text("image", image);
      // An id or a name; the command looks a name up that stands in `location`.
      if (is_uuid(image)) {
        request.source.image = model::ImageId(image);
      } else if (!image.empty()) {
        request.source.location = image;
      }
      source.text("sha256", request.source.sha256, 64);
      source.size("size", request.source.size);
    });
  });
}

Result<std::string> read_migrate_image(std::string_view body) {
  return read_body<std::string>(body, [](ObjectReader& reader, std::string& pool) {
    reader.text("pool", pool);
    reader.require("pool");
  });
}

Result<AddPool> read_add_pool(std::string_view body) {
  return read_body<AddPool>(body, [](ObjectReader& reader, AddPool& request) {
    reader.text("name", request.name);
    reader.require("name");
    reader.choice("driver", request.driver);
    reader.text("source", request.source);
    reader.text("path", request.path);
    reader.labels("options", request.options);
    reader.texts("nodes", request.nodes);
  });
}

Result<CreateNetwork> read_create_network(std::string_view body) {
  return read_body<CreateNetwork>(body, [](ObjectReader& reader, CreateNetwork& request) {
    reader.text("name", request.name);
    reader.require("name");
    reader.choice("kind", request.kind);
    reader.require("kind");
    reader.text("bridge", request.bridge);
    reader.number("vlan", request.vlan);
    reader.text("subnet", request.subnet);
  });
}

Result<UpdateNode> read_update_node(std::string_view body, const pki::SecretBox* secrets) {
  return read_body<UpdateNode>(body, [secrets](ObjectReader& reader, UpdateNode& request) {
    reader.text("name", request.name);
    reader.flag("schedulable", request.schedulable);
    reader.text("rack", request.rack);
    reader.text("power_feed", request.power_feed);
    read_overlay(reader, request.files, request.secret_files, secrets);
  });
}

Result<CreateToken> read_create_token(std::string_view body) {
  return read_body<CreateToken>(body, [](ObjectReader& reader, CreateToken& request) {
    reader.text("name", request.name);
    reader.require("name");
    reader.choice("role", request.role);
    reader.require("role");
    reader.number("expires_in_seconds", request.expires_in_seconds);
  });
}

Result<std::string> read_session_token(std::string_view body) {
  return read_body<std::string>(body, [](ObjectReader& reader, std::string& token) {
    reader.text("token", token, 256);
    reader.require("token");
  });
}

Result<JoinTokenRequest> read_create_join_token(std::string_view body) {
  return read_body<JoinTokenRequest>(body, [](ObjectReader& reader, JoinTokenRequest& request) {
    reader.text("node_name", request.command.node_name);
    reader.number("ttl_seconds", request.command.ttl_seconds);
    reader.text("address", request.address, 300);
  });
}

}  // namespace bridgehead::control_api
