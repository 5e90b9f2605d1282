#include "agent_gateway/secret_courier.h"

#include "agent.pb.h"
#include "agent_gateway/messages.h"
#include "pki/tokens.h"
#include "reconcile/desired.h"

namespace bridgehead::agent_gateway {
namespace {

// Of what is kept, not of the content: it says nothing about that, and setting a secret again sends it again.
std::string digest_of(const std::vector<model::SecretFile>& files) {
  if (files.empty()) return {};
  std::string all;
  for (const auto& file : files) all += fmt::format("{}\n{:o}\n{}\n", file.path, file.mode, file.sealed);
  return pki::sha256_hex(all);
}

}  // namespace

void SecretCourier::reported(const model::NodeId& node, std::uint64_t session, const std::string& digest) {
  auto& told = told_[node];
  // What it reports while a set is on its way is older than that.
  if (told.session != session) told = {.session = session, .digest = digest};
  look(node);
}

void SecretCourier::look(const model::NodeId& node) {
  const auto told = told_.find(node);
  const auto session = sessions_.find(node);
  if (box_ == nullptr || told == told_.end() || !session || session->number() != told->second.session) return;
  const auto files = reconcile::secret_files_for_node(inventory_, node);
  const auto digest = digest_of(files);
  if (digest == told->second.digest) return;
  agent::v1::ManagerMessage message;
  auto& set = *message.mutable_secret_files();
  set.set_digest(digest);
  for (const auto& file : files) {
    auto content = box_->unseal(file.sealed, file.path);
    if (!content) {
      log::error(secret_unreadable, "{} of node {}: {}", file.path, node, content.error().describe());
      return;
    }
    auto& one = *set.add_files();
    one.set_path(file.path);
    one.set_mode(file.mode);
    one.set_content(std::move(*content));
  }
  if (!session->send(message)) return;  // it reports anew on its next stream
  told->second.digest = digest;
  log::info(secrets_sent, "node {}: {} file{}", node, files.size(), files.size() == 1 ? "" : "s");
}

}  // namespace bridgehead::agent_gateway
