#include "host_agent/manager/identity.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "pki/certificate.h"

namespace bridgehead::host_agent {
namespace {

Result<nlohmann::json> read_json(const std::filesystem::path& path) {
  const auto text = read_file(path, 1_MiB);
  if (!text) return forward(text);
  auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::data_corrupt, "{} is damaged", path.native());
  return json;
}

}  // namespace

Result<std::optional<Identity>> IdentityFile::load() const {
  const auto json = read_json(file());
  if (!json && json.error().code == ErrorCode::not_found) return std::optional<Identity>();
  if (!json) return forward(json);
  try {
    Identity identity{.manager = json->at("manager").get<std::string>(),
                      .node = model::NodeId(json->at("node").get<std::string>()),
                      .ca_pem = json->at("ca").get<std::string>(),
                      .certificate_pem = json->at("certificate").get<std::string>(),
                      .key_pem = json->at("key").get<std::string>()};
    const auto issued = parse_rfc3339(json->at("issued").get<std::string>());
    if (!issued) return forward(issued);
    identity.issued = *issued;
    if (const auto readable = pki::certificate_expiry(identity.certificate_pem); !readable) {
      return fail_with_hint(
          ErrorCode::data_corrupt,
          fmt::format("the certificate in {} is damaged: {}", file().native(), readable.error().message),
          "Move the file away and join again.");
    }
    return std::optional(std::move(identity));
  } catch (const std::exception& error) {
    return fail_with_hint(ErrorCode::data_corrupt, fmt::format("{} is damaged: {}", file().native(), error.what()),
                          "Move it away and join again.");
  }
}

Status IdentityFile::save(const Identity& identity) const {
  const nlohmann::json json = {{"manager", identity.manager}, {"node", identity.node.str()},
                               {"ca", identity.ca_pem},       {"certificate", identity.certificate_pem},
                               {"key", identity.key_pem},     {"issued", to_rfc3339(identity.issued)}};
  return write_file_atomic(file(), json.dump(2) + "\n", 0600);
}

Result<std::string> IdentityFile::joining_key(const std::string& token_sha256) const {
  if (const auto json = read_json(joining_file()); json) {
    const auto token = json->find("token_sha256");
    const auto key = json->find("key");
    if (token != json->end() && *token == token_sha256 && key != json->end() && key->is_string()) {
      return key->get<std::string>();
    }
  }
  const auto made = pki::make_key_and_request();
  if (!made) return forward(made);
  const nlohmann::json json = {{"token_sha256", token_sha256}, {"key", made->key_pem}};
  if (auto kept = write_file_atomic(joining_file(), json.dump() + "\n", 0600); !kept) return forward(kept);
  return made->key_pem;
}

Status IdentityFile::forget_joining_key() const { return remove_file(joining_file()); }

Result<Timestamp> renewal_time(const Identity& identity) {
  const auto expiry = pki::certificate_expiry(identity.certificate_pem);
  if (!expiry) return forward(expiry);
  return identity.issued + (*expiry - identity.issued) * 2 / 3;
}

}  // namespace bridgehead::host_agent
