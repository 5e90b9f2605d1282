// Programs of ours that outlive the initramfs: started by our init or, in dracut's initramfs, by `bridgehead-init
// mount-root`, alive as long as the node, logging to the kernel's log. Their names begin with '@': systemd leaves such
// processes alone when it ends the initramfs' others.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "result.h"

namespace bridgehead::init {

// Runs this program again by the name `arguments[0]`. Returns when it has told that it is ready; `idle`: what is wrong
// with one that never does.
Result<pid_t> start_daemon(const std::vector<std::string>& arguments, const std::string& idle);

// In the daemon: what must not happen to a process that the root depends on is prevented: to be paged out, killed for
// memory, or ended by a signal. `name` is what `ps` shows, 15 characters at most.
void become_permanent(const char* name);
// Tells start_daemon that it works now; false where nobody listens.
bool tell_ready();

// As the kernel counts them (syslog(3)); from `error` on a line is shown on a quiet console, too.
enum class Severity { error = 3, warning = 4, notice = 5 };
// "bridgehead-nbd: text" into the kernel's log.
void log_line(std::string_view daemon, std::string_view text, Severity severity);

}  // namespace bridgehead::init
