// What an administrator may set about reconciling, with the defaults.
#pragma once

#include <chrono>
#include <cstddef>

#include "scheduler/scheduler.h"

namespace bridgehead::reconcile {

struct Options {
  scheduler::Limits limits;
  std::chrono::milliseconds heartbeat{std::chrono::seconds(5)};  // what agents were told; three missed = unreachable
  std::size_t vm_operations_per_node = 32;                       // at once
  std::size_t image_operations_per_node = 2;                     // at once; they are bound by the disk
  std::size_t nodes_per_import = 4;                              // at once, where several can and it pays:
  Bytes spread_import_from = 4_GiB;                              // of data
  std::size_t migrations_per_node = 4;                           // at once, to it and from it; bound by the network
  std::chrono::milliseconds upload_patience{std::chrono::minutes(10)};  // without a byte, then an upload is given up
  std::chrono::milliseconds placement_patience{
      std::chrono::minutes(2)};  // for a node to get ready, then a create fails
  // For a node that goes away in the middle of a migration, then it ends without it.
  std::chrono::milliseconds lost_node_patience{std::chrono::minutes(2)};
  std::chrono::milliseconds sweep{std::chrono::seconds(30)};  // everything is looked at again
};

}  // namespace bridgehead::reconcile
