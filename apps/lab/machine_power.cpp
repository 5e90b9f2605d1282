#include "lab/machine_power.h"

#include <fcntl.h>

#include <thread>

#include "base/file.h"
#include "lab/host.h"
#include "lab/qmp.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::seconds kStartPatience{30};
constexpr std::chrono::seconds kQuitPatience{5};

std::string last_words(const std::filesystem::path& log) {
  auto text = read_file(log).value_or("");
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1).substr(0, 300);
}

Status mark_in_log(const std::filesystem::path& log, std::string_view name) {
  const auto opened = open_file(log, O_WRONLY | O_CREAT | O_APPEND);
  if (!opened) return forward(opened);
  return write_all(
      opened->get(),
      fmt::format("\n--- bridgehead-lab: {} switched on at {} ---\n", name, to_rfc3339(SystemClock().now())),
      log.native());
}

// Until its control socket answers: from then on it can be switched off in an orderly way.
Status wait_until_it_answers(const Places& places, const LabMachine& machine) {
  const auto& name = machine.machine.name;
  const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (Qmp::connect(places.qmp_socket(name))) return {};
    if (!is_on(machine)) {
      return fail(ErrorCode::failed_precondition, "machine {} did not start: {}", name,
                  last_words(places.qemu_log(name)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return fail(ErrorCode::timeout, "QEMU of machine {} did not answer within {} s", name, kStartPatience.count());
}

}  // namespace

bool is_on(const LabMachine& machine) { return is_running(machine.process); }

Result<bool> is_asleep(const Places& places, const LabMachine& machine) {
  if (!is_on(machine)) return false;
  auto qmp = Qmp::connect(places.qmp_socket(machine.machine.name));
  if (!qmp) return forward(qmp);
  const auto status = qmp->execute("query-status");
  if (!status) return forward(status);
  return status->value("status", "") == "suspended";
}

Status switch_on(const Places& places, Accelerator accelerator, LabMachine& machine, const SaveState& save) {
  const auto asleep = is_asleep(places, machine);
  if (!asleep) return forward(asleep);
  if (*asleep) {
    auto qmp = Qmp::connect(places.qmp_socket(machine.machine.name));
    if (!qmp) return forward(qmp);
    const auto woken = qmp->execute("system_wakeup");
    return woken ? Status() : forward(woken);
  }
  if (is_on(machine)) return {};
  const auto& name = machine.machine.name;
  MachineFiles files{.serial_socket = places.serial_socket(name),
                     .serial_log = places.serial_log(name),
                     .qmp_socket = places.qmp_socket(name)};
  if (machine.machine.firmware != Firmware::bios) {
    const auto firmware = find_firmware(machine.machine.firmware);
    if (!firmware) return forward(firmware);
    files.firmware_code = firmware->code;
    files.firmware_variables = places.firmware_variables(name);
  }
  for (const auto& socket : {files.serial_socket, files.qmp_socket}) {
    if (auto removed = remove_file(socket); !removed) return removed;
  }
  if (auto marked = mark_in_log(files.serial_log, name); !marked) return marked;
  const Daemon daemon{.command = qemu_command(machine.machine, files, accelerator),
                      .network_namespace = places.namespace_file(),
                      .log = places.qemu_log(name)};
  const auto started = start_daemon(daemon, [&](const ProcessId& process) {
    machine.process = process;
    return save();
  });
  if (!started) return forward(started);
  return wait_until_it_answers(places, machine);
}

Status switch_off(const Places& places, LabMachine& machine, const SaveState& save) {
  if (is_on(machine)) {
    // QEMU's own end writes out what it holds (the firmware's variables); a hung one is killed.
    auto qmp = Qmp::connect(places.qmp_socket(machine.machine.name), std::chrono::seconds(2));
    if (qmp && qmp->execute("quit")) wait_for_end(machine.process, kQuitPatience);
    if (auto ended = end_process(machine.process, 0, {}); !ended) return ended;
  }
  machine.process = {};
  return save();
}

Status shut_down(const Places& places, LabMachine& machine, std::chrono::seconds patience, const SaveState& save) {
  if (is_on(machine)) {
    {
      auto qmp = Qmp::connect(places.qmp_socket(machine.machine.name));
      if (!qmp) return forward(qmp);
      if (auto pressed = qmp->execute("system_powerdown"); !pressed) return forward(pressed);
    }
    if (!wait_for_end(machine.process, patience)) {
      return fail_with_hint(ErrorCode::timeout,
                            fmt::format("machine {} is still on {} s after its power button was pressed",
                                        machine.machine.name, patience.count()),
                            "Pull the plug: power off without --soft.");
    }
  }
  machine.process = {};
  return save();
}

Status reset(const Places& places, const LabMachine& machine) {
  if (!is_on(machine)) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("machine {} is off", machine.machine.name),
                          fmt::format("Switch it on: bridgehead-lab power {} on.", machine.machine.name));
  }
  auto qmp = Qmp::connect(places.qmp_socket(machine.machine.name));
  if (!qmp) return forward(qmp);
  if (auto done = qmp->execute("system_reset"); !done) return forward(done);
  return {};
}

}  // namespace bridgehead::lab
