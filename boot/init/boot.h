// The whole boot, from the command line to the root's init, with what happens when a step fails. The program's only
// thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "command_line.h"
#include "journal.h"
#include "manager.h"
#include "module_loader.h"
#include "network.h"
#include "root_mount.h"

namespace bridgehead::init {

struct Arguments {
  std::vector<std::string> init;         // that the kernel passed to us: for the root's init
  std::vector<std::string> environment;  // the same
};

class Boot {
 public:
  Boot(Journal& journal, CommandLine line, OnFailure policy);
  Boot(const Boot&) = delete;  // its parts refer to each other
  // Ends when the root is ready at new_root, for its init, whose path it returns.
  std::string prepare_root();
  // Process 1 becomes the root's init.
  [[noreturn]] void hand_over(const std::string& init, const Arguments& arguments);

 private:
  Result<std::string> attempt();
  Status connect();
  void keep_lease();
  Result<BootPlan> wait_for_plan();
  Result<std::string> make_root(const BootPlan& plan);
  void report_arrival();
  void after(const Failure& failure);

  Journal& journal_;
  CommandLine line_;
  OnFailure policy_;
  ModuleLoader loader_;
  Manager manager_;
  Network network_;
  std::optional<Uplink> uplink_;
  pid_t lease_daemon_ = 0;
  RootHoldings holdings_;
  std::string arrival_reported_for_;  // the boot's id
  int unanswered_ = 0;                // failures in a row to get a plan
};

// Says why, waits so that it can be read, and restarts the machine.
[[noreturn]] void restart(Journal& journal, std::string_view why, std::chrono::seconds after);
// A shell on the console, until it is left.
void run_shell(Journal& journal);

}  // namespace bridgehead::init
