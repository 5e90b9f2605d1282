// A client of a storage benchmark whose work a guest of the node does, on a disk of its own: fio is started in it, held
// and let go by the guest's agent, so that neither network nor keys are needed. Blocking; thread-safe. What the guest
// says is read with limits; all that is known of its CPUs is looked at from outside.
#pragma once

#include <functional>
#include <stop_token>

#include "load/client.h"

namespace bridgehead::load {

struct Guest {
  // One command to its agent (QEMU's guest agent protocol), and the answer. Errors: unavailable (no agent has its
  // channel open), timeout, others with what the agent said.
  std::function<Result<std::string>(const std::string& command, std::chrono::seconds patience)> ask;
  int process = 0;  // its QEMU; 0 = unknown
  bool emulated = false;
};

// Errors: those of carry_out; unavailable and timeout also of a guest that hasn't come up yet; unsupported where it
// lacks fio or may not be told to run programs.
Result<ClientAnswer> carry_out_in_guest(const ClientOrder& order, const Guest& guest, const Clock& clock,
                                        std::stop_token stop = {}, const std::filesystem::path& root = "/");

}  // namespace bridgehead::load
