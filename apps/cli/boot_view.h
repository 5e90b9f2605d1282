// How machines that boot over the network are told to a person: one word for a node, and the board of `bh node watch`.
// Made from the manager's answers and events; no I/O. Not thread-safe. Nothing here fails: what is missing stays empty.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "model/netboot.h"

namespace bridgehead::cli {

// "ready", "not_ready", "unreachable"; of a node that boots over the network also "waiting" (for approval), "refused",
// "unassigned", "not booted", "booting: kernel", "failed: boot".
std::string node_state(const nlohmann::json& node);
// What to add to that: why it isn't ready, how far its boot is, what a waiting machine is.
std::string node_message(const nlohmann::json& node);
// The reserved address, or the first IPv4 address of its NICs or of the bridges they are ports of; "" = unknown.
std::string node_address(const nlohmann::json& node);

// "4.2 s", "3 min 5 s"; "" when either isn't known.
std::string elapsed(const std::optional<Timestamp>& from, const std::optional<Timestamp>& to);

struct BootProgress {
  std::string step;  // a model::BootStep's text
  std::string message;
};
// A node.boot event's message: "root: nbd 10.20.0.1", "kernel". None when it isn't one.
std::optional<BootProgress> parse_boot_message(const std::string& message);

class BootBoard {
 public:
  struct Row {
    std::string name;
    std::string step;  // of its boot, or a word of node_state
    std::string message;
    std::optional<Timestamp> started, since;
    bool expected = false;  // approved, and has an image: it should become ready
  };

  // Only these nodes (ids or names); none = all that boot over the network.
  explicit BootBoard(std::vector<std::string> wanted) : wanted_(std::move(wanted)) {}

  // GET /nodes: forgets what was known before.
  void take_list(const nlohmann::json& answer);
  // GET /nodes/{id} after something changed there; null = it was deleted. A boot that is under way is left to its
  // events.
  void take_node(const std::string& id, const nlohmann::json* node);
  // A node.boot event. The changed row; null when it isn't watched.
  const Row* take_event(const nlohmann::json& event);

  bool watches(const std::string& id, const std::string& name) const;
  // At least one machine is expected to be ready, and all of those are.
  bool all_ready() const;
  const std::map<std::string, Row>& rows() const { return rows_; }  // by id
  // A table in name order of at most `lines` lines (0 = all; the ready ones are left out first) and `width` columns.
  std::string render(std::size_t width, std::size_t lines) const;

 private:
  std::vector<std::string> wanted_;
  std::map<std::string, Row> rows_;
};

}  // namespace bridgehead::cli
