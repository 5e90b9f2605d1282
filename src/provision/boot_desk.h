// BootDesk: answers what machines ask the boot server (docs/boot-protocol.md), and what the API asks about them.
// Thread-safe; an answer takes the time of one commit. What is refused gets a status and one line for people.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "netboot/boot_server.h"
#include "nodeimage/store.h"
#include "provision/boot_book.h"
#include "provision/boot_plan.h"
#include "provision/reading_lists.h"

namespace bridgehead::provision {

// How agents reach this manager, and how it finds out that one has gone.
struct AgentDoor {
  std::uint16_t port = 7444;  // at the manager's address on the provisioning network
  std::string ca_fingerprint;
  // The node's agent has to give a sign of life within some seconds, or doesn't count as connected any more. Doesn't
  // block.
  std::function<void(const model::NodeId&)> probe = [](const model::NodeId&) {};
};

class BootDesk final : public netboot::BootSite {
 public:
  // `store`: the directory of the node images' store; `first_stage`: the one behind kFirstStagePath; `reading_lists`:
  // one of this manager's own, made when it is needed.
  BootDesk(state::Inventory& inventory, BootBook& book, std::filesystem::path store, AgentDoor agents,
           std::filesystem::path first_stage, std::filesystem::path reading_lists);

  netboot::BootAnswer answer(const netboot::BootRequest& request) override;

  // What the loader of `node` would get now; changes nothing, so its boot's token is left out.
  Result<std::string> preview(const model::Node& node) const;
  // For loaders that read files instead of asking (pxelinux, GRUB): the same; null = a machine that nobody knows.
  Result<std::string> loader_file(const model::Node* node, model::BootMethod method) const;

 private:
  using Answer = netboot::BootAnswer;
  using Request = netboot::BootRequest;

  Answer script(const Request& request);
  Answer plan(const Request& request);
  Answer progress(const Request& request);
  Answer log(const Request& request);
  Answer hardware(const Request& request);
  Answer bundle(const Request& request);
  Answer reading_list(const Request& request);
  Answer take_reading_list(const Request& request);
  Answer image_file(const Request& request);
  Answer first_stage_file(const Request& request);

  Result<state::Record<model::Node>> machine(const Request& request);
  Error still_runs(const model::Node& node) const;
  // The node whose boot the request's token is of.
  Result<state::Record<model::Node>> booting(const Request& request);
  struct Reader {
    model::NodeImage image;
    bool ready = false;  // its node, with a root by NBD
  };
  // Who may have the image's reading list.
  Result<Reader> reader(const Request& request);
  // What this node boots: its assigned image, or `image` if that is given. `token` is left empty.
  Result<BootOrder> order_for(const model::Node& node, const std::string& image) const;
  Result<netboot::BootChoice> choice_for(const BootOrder& order, const std::string& address) const;
  Result<netboot::BootChoice> discovery_choice(const std::string& mac, const std::string& address) const;
  Result<netboot::BootChoice> choice_now(const model::Node& node) const;
  Result<state::Record<model::NodeImage>> discovery_image() const;
  Result<std::pair<std::string, std::string>> bundle_of(const BootOrder& order) const;  // tar, sha256

  state::Inventory& inventory_;
  BootBook& book_;
  const std::filesystem::path store_;
  const AgentDoor agents_;
  const std::filesystem::path first_stage_;
  ReadingLists reading_lists_;
};

}  // namespace bridgehead::provision
