#include "hypervisor/kvm_trial.h"

#include <fcntl.h>

#include <cerrno>
#include <string_view>

#include "base/file.h"

extern "C" const char bridgehead_kvm_payload_start[];
extern "C" const char bridgehead_kvm_payload_end[];

namespace bridgehead::hypervisor {
namespace {

using model::Virtualization;

constexpr int kSuccess = 85;  // isa-debug-exit: (42 << 1) | 1

Command trial_command(const KvmTrialOptions& options, const std::filesystem::path& payload, bool kvm) {
  return Command{
      .program = options.qemu,
      // The machine and CPU that real guests get: a host CPU that KVM can't set up fails here too.
      .arguments = {"-accel", kvm ? "kvm" : "tcg", "-machine", "q35", "-cpu", kvm ? "host" : "max", "-m", "64",
                    "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-device",
                    "isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", payload.string()},
      .timeout = options.timeout,
      .success_codes = {kSuccess},
  };
}

std::string why_no_device(const std::filesystem::path& device) {
  const auto opened = open_file(device, O_RDWR | O_CLOEXEC);
  if (opened) return {};
  if (opened.error().code == ErrorCode::not_found) {
    return fmt::format(
        "this node has no {}: guests are emulated, which is slow. Turn on virtualization (VT-x, AMD-V, or "
        "nested virtualization of the hypervisor below) and load the module kvm_intel or kvm_amd",
        device.string());
  }
  return fmt::format("{} can't be opened: guests are emulated, which is slow ({})", device.string(),
                     opened.error().message);
}

// The last line that QEMU said, which names the reason.
std::string reason(const Error& error) {
  if (error.code == ErrorCode::timeout) return "the trial guest hung";
  std::string_view text = error.message;
  while (text.ends_with('\n')) text.remove_suffix(1);
  const auto line = text.substr(text.rfind('\n') + 1);
  return std::string(line.substr(0, 200));
}

}  // namespace

KvmTrialResult try_kvm(CommandRunner& commands, const KvmTrialOptions& options) {
  const auto directory = TemporaryDirectory::create("bridgehead-kvm-trial");
  if (!directory) return {Virtualization::none, directory.error().describe()};
  const auto payload = directory->path() / "payload";
  const std::string_view bytes(bridgehead_kvm_payload_start,
                               static_cast<std::size_t>(bridgehead_kvm_payload_end - bridgehead_kvm_payload_start));
  if (const auto written = write_file_atomic(payload, bytes); !written) {
    return {Virtualization::none, written.error().describe()};
  }
  auto message = why_no_device(options.device);
  if (message.empty()) {
    const auto with_kvm = commands.run(trial_command(options, payload, true));
    if (with_kvm) return {Virtualization::kvm, ""};
    if (with_kvm.error().code == ErrorCode::not_found) {
      return {Virtualization::none, fmt::format("{} isn't installed: install qemu-system-x86", options.qemu)};
    }
    message = fmt::format("{} is there but a trial guest did not run on it ({}): guests are emulated, which is slow",
                          options.device.string(), reason(with_kvm.error()));
  }
  const auto emulated = commands.run(trial_command(options, payload, false));
  if (emulated) return {Virtualization::tcg, message};
  if (emulated.error().code == ErrorCode::not_found) {
    return {Virtualization::none, fmt::format("{} isn't installed: install qemu-system-x86", options.qemu)};
  }
  return {Virtualization::none, fmt::format("{} can't run any guest: {}", options.qemu, reason(emulated.error()))};
}

}  // namespace bridgehead::hypervisor
