// Peers of bh bench create and migrate: what virt-install, virt-clone and virsh take for the same, run on the node
// itself by `bh bench peer`, which is reached as bench run reaches its hosts. Their guests are libvirt's alone: named
// bridgehead-bench-NAME, with their disk in a folder of that name in the pool. Blocking; not thread-safe.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/result.h"

namespace bridgehead::cli {

struct PeerOrder {
  enum class Action {
    look,    // at a guest of Bridgehead's, for what the peer's guest must have as well
    create,  // a guest, timed until it runs, and remove it again
    begin,   // a guest that runs, and stays
    move,    // that guest to another node, timed
    end      // remove whatever there is of it here
  } action = Action::look;
  std::string name;            // of the benchmark
  std::string kind;            // create: virt-install, virt-clone
  std::string domain;          // look: Bridgehead's guest, in libvirt
  std::filesystem::path pool;  // where the node has it
  std::string golden;          // id of the image
  std::uint64_t memory_mib = 0;
  std::string type;              // "kvm" or "qemu"
  std::string cache;             // QEMU's cache mode for disks
  std::string uri, migrate_uri;  // move: of the other node's libvirtd; where its QEMU is ("" = as libvirt says)
};

struct PeerAnswer {
  double seconds = 0;          // create, move
  std::filesystem::path pool;  // look
  std::string type, cache;     // look
};

std::string write_peer_order(const PeerOrder& order);
Result<PeerOrder> read_peer_order(std::string_view text);
std::string write_peer_answer(const Result<PeerAnswer>& answer);

// On the node. Errors: invalid_argument, unsupported (a program isn't installed), those of the programs.
Result<PeerAnswer> carry_out_peer(const PeerOrder& order, CommandRunner& runner, const std::stop_token& stop = {});

// Where a node is reached: `via` as in bench run; `program` is bh there.
struct PeerWay {
  std::string via = "ssh {}";
  std::string program = "bh";
};
Result<PeerAnswer> ask_peer(const PeerWay& way, const std::string& node, const PeerOrder& order,
                            const std::stop_token& stop = {});

// "ssh {}" for host1 -> ssh host1. By words; no shell.
std::vector<std::string> words_for(const std::string& via, const std::string& host);

}  // namespace bridgehead::cli
