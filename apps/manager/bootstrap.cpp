#include "manager/bootstrap.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "model/names.h"
#include "pki/tokens.h"

namespace bridgehead::manager {
namespace {

struct NewToken {
  model::Token record;
  std::string text;
};

NewToken make_token(const Clock& clock, RandomSource& random, const std::string& name, model::Role role) {
  const auto secret = pki::make_secret(random);
  NewToken token;
  token.record.id = make_id<model::TokenId>(random);
  token.record.name = name;
  token.record.role = role;
  token.record.secret_sha256 = pki::sha256_hex(secret);
  token.record.created = clock.now();
  token.text = pki::format_access_token(token.record.id, secret);
  return token;
}

Status commit_token(state::Inventory& inventory, const model::Token& token) {
  auto edit = inventory.edit();
  edit.create(token);
  edit.event({.kind = "token.created",
              .object_kind = "token",
              .object = token.id.str(),
              .object_name = token.name,
              .message = fmt::format("Token {} was made on the manager's machine.", token.name),
              .actor = "manager"});
  const auto committed = inventory.commit(std::move(edit));
  if (!committed) return forward(committed);
  return {};
}

}  // namespace

Status prepare_state_directory(const std::filesystem::path& directory) {
  const auto hint =
      fmt::format("Make it writable for the manager's user: install -d -m 700 -o bridgehead {}.", directory.string());
  // Parents stay as the system makes them; ours holds secrets.
  if (directory.has_parent_path()) {
    if (auto made = make_directories(directory.parent_path()); !made) {
      return fail_with_hint(made.error().code,
                            fmt::format("the state directory can't be made: {}", made.error().message), hint);
    }
  }
  if (auto made = make_directories(directory, 0700); !made) {
    return fail_with_hint(made.error().code, fmt::format("the state directory can't be made: {}", made.error().message),
                          hint);
  }
  if (::access(directory.c_str(), R_OK | W_OK | X_OK) != 0) {
    return fail_with_hint(ErrorCode::permission_denied,
                          fmt::format("the state directory {} is not writable for this user", directory.string()),
                          hint);
  }
  struct stat status {};
  if (::stat(directory.c_str(), &status) == 0 && (status.st_mode & S_IRWXO) != 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("the state directory {} is open to all users", directory.string()),
                          fmt::format("It holds keys: chmod 700 {}.", directory.string()));
  }
  return {};
}

std::string cluster_id_of(const std::string& ca_fingerprint) {
  auto hex = pki::sha256_hex("bridgehead cluster " + ca_fingerprint).substr(0, 32);
  hex[12] = '8';  // RFC 9562: version 8, our own way to fill it
  hex[16] = "89ab"[static_cast<std::size_t>(hex[16]) % 4];
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

Result<std::optional<std::filesystem::path>> ensure_admin_token(state::Inventory& inventory, const Clock& clock,
                                                                RandomSource& random,
                                                                const std::filesystem::path& directory) {
  const auto tokens = inventory.all<model::Token>();
  if (std::ranges::any_of(tokens, [](const auto& token) { return token->value.role == model::Role::admin; })) {
    return std::nullopt;
  }
  auto token = make_token(clock, random, "admin", model::Role::admin);
  while (inventory.find_by_name<model::Token>(token.record.name)) token.record.name += "-2";
  // The file first: a token that nobody knows would lock everybody out.
  const auto path = directory / "admin.token";
  if (auto written = write_file_atomic(path, token.text + "\n", 0600); !written) return forward(written);
  if (auto committed = commit_token(inventory, token.record); !committed) return forward(committed);
  return path;
}

Result<std::string> create_token(state::Inventory& inventory, const Clock& clock, RandomSource& random,
                                 const std::string& name, model::Role role) {
  if (auto checked = model::check_name("token", name); !checked) return forward(checked);
  const auto token = make_token(clock, random, name, role);
  if (auto committed = commit_token(inventory, token.record); !committed) return forward(committed);
  return token.text;
}

}  // namespace bridgehead::manager
