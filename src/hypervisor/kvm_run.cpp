#include "hypervisor/kvm_run.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/fd.h"
#include "base/file.h"

extern "C" const char bridgehead_kvm_payload_start[];
extern "C" const char bridgehead_kvm_payload_end[];

namespace bridgehead::hypervisor {
namespace {

using namespace std::chrono_literals;

// What the payload and its multiboot header rely on (kvm_payload.S).
constexpr std::size_t kMemory = 4 << 20;
constexpr std::size_t kLoadAddress = 0x100000;
constexpr std::size_t kEntryInHeader = 28;
constexpr std::uint16_t kExitPort = 0xf4;
constexpr std::uint8_t kReachedTheEnd = 42;
// Below 4 GiB and outside of the guest's memory: pages that KVM on Intel's processors keeps for real mode.
constexpr std::uint64_t kIdentityMap = 0xfffbc000;
constexpr std::uint64_t kTaskState = 0xfffbd000;
constexpr std::chrono::seconds kKickedFor{5};

// As kvm_cpuid2 is in C; in C++ its flexible array makes it longer, and with it the requests' numbers.
struct ProcessorFeatures {
  std::uint32_t count = 256;
  std::uint32_t padding = 0;
  kvm_cpuid_entry2 entries[256] = {};
};
constexpr std::size_t kFeaturesHead = 8;
constexpr unsigned long kGetFeatures = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, kFeaturesHead);
constexpr unsigned long kSetFeatures = _IOC(_IOC_WRITE, KVMIO, 0x90, kFeaturesHead);
static_assert(offsetof(ProcessorFeatures, entries) == kFeaturesHead);

class Mapping {
 public:
  Mapping(std::size_t size, int flags, int fd)
      : size_(size), place_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0)) {}
  ~Mapping() {
    if (*this) ::munmap(place_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  explicit operator bool() const { return place_ != MAP_FAILED; }
  char* at(std::size_t offset) const { return static_cast<char*>(place_) + offset; }

 private:
  std::size_t size_;
  void* place_;
};

template <typename Argument>
Status control(const UniqueFd& fd, unsigned long request, Argument argument, std::string_view what) {
  if (::ioctl(fd.get(), request, argument) < 0) return fail_errno(errno, fmt::format("KVM: {}", what));
  return {};
}

kvm_segment flat_segment(std::uint8_t type, std::uint16_t selector) {
  return {.base = 0,
          .limit = 0xffffffff,
          .selector = selector,
          .type = type,
          .present = 1,
          .dpl = 0,
          .db = 1,
          .s = 1,
          .l = 0,
          .g = 1,
          .avl = 0,
          .unusable = 0,
          .padding = 0};
}

// As a multiboot loader leaves it: 32-bit protected mode, flat segments.
Status set_registers(const UniqueFd& cpu, std::uint32_t entry) {
  kvm_sregs special{};
  if (auto got = control(cpu, KVM_GET_SREGS, &special, "read the registers"); !got) return got;
  special.cs = flat_segment(11, 8);
  special.ds = special.es = special.fs = special.gs = special.ss = flat_segment(3, 16);
  special.cr0 |= 1;
  if (auto set = control(cpu, KVM_SET_SREGS, &special, "set the segments"); !set) return set;
  kvm_regs registers{};
  registers.rip = entry;
  registers.rflags = 2;
  return control(cpu, KVM_SET_REGS, &registers, "set the registers");
}

Status offer_processor(const UniqueFd& kvm, const UniqueFd& cpu) {
  ProcessorFeatures features;
  if (auto got = control(kvm, kGetFeatures, &features, "read the processor's features"); !got) return got;
  return control(cpu, kSetFeatures, &features, "set the processor's features");
}

Status run_to_end(const UniqueFd& cpu, const kvm_run& run, const std::atomic<bool>& stop) {
  while (!stop) {
    if (::ioctl(cpu.get(), KVM_RUN, 0) < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return fail_errno(errno, "KVM: run the trial guest");
    }
    switch (run.exit_reason) {
      case KVM_EXIT_IO:
        if (run.io.direction == KVM_EXIT_IO_OUT && run.io.port == kExitPort) {
          const auto value = static_cast<std::uint8_t>(reinterpret_cast<const char*>(&run)[run.io.data_offset]);
          if (value == kReachedTheEnd) return {};
          return fail(ErrorCode::io_error, "KVM: the trial guest saw something that should not be");
        }
        break;  // a port that nothing answers at
      case KVM_EXIT_INTR: break;
      case KVM_EXIT_INTERNAL_ERROR:
        return fail(ErrorCode::io_error, "KVM internal error. Suberror: {}", run.internal.suberror);
      case KVM_EXIT_SHUTDOWN: return fail(ErrorCode::io_error, "KVM: the trial guest broke down (triple fault)");
      default: return fail(ErrorCode::io_error, "KVM: the trial guest stopped (exit reason {})", run.exit_reason);
    }
  }
  return fail(ErrorCode::timeout, "KVM: the trial guest hung");
}

// The machine is made, used and closed by one thread, as KVM wants it.
Status make_and_run(const std::filesystem::path& device, const std::atomic<bool>& stop) {
  const auto kvm = open_file(device, O_RDWR | O_CLOEXEC);
  if (!kvm) return forward(kvm);
  if (::ioctl(kvm->get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
    return fail(ErrorCode::unsupported, "{} isn't KVM, or another version of it", device.string());
  }
  const UniqueFd machine(::ioctl(kvm->get(), KVM_CREATE_VM, 0));
  if (!machine) return fail_errno(errno, "KVM: make a machine");
  if (auto set = control(machine, KVM_SET_IDENTITY_MAP_ADDR, &kIdentityMap, "set the identity map"); !set) return set;
  if (auto set = control(machine, KVM_SET_TSS_ADDR, kTaskState, "set the task state"); !set) return set;
  if (auto made = control(machine, KVM_CREATE_IRQCHIP, 0, "make the interrupt controllers"); !made) return made;
  const kvm_pit_config timer{};
  if (auto made = control(machine, KVM_CREATE_PIT2, &timer, "make the timer"); !made) return made;

  const Mapping memory(kMemory, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  if (!memory) return fail_errno(errno, "KVM: memory for the trial guest");
  std::memcpy(memory.at(kLoadAddress), bridgehead_kvm_payload_start,
              static_cast<std::size_t>(bridgehead_kvm_payload_end - bridgehead_kvm_payload_start));
  const kvm_userspace_memory_region region{.slot = 0,
                                           .flags = 0,
                                           .guest_phys_addr = 0,
                                           .memory_size = kMemory,
                                           .userspace_addr = reinterpret_cast<std::uintptr_t>(memory.at(0))};
  if (auto set = control(machine, KVM_SET_USER_MEMORY_REGION, &region, "give the guest memory"); !set) return set;

  const UniqueFd cpu(::ioctl(machine.get(), KVM_CREATE_VCPU, 0));
  if (!cpu) return fail_errno(errno, "KVM: make a virtual CPU");
  const int size = ::ioctl(kvm->get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < static_cast<int>(sizeof(kvm_run))) return fail_errno(errno, "KVM: the virtual CPU's size");
  const Mapping shared(static_cast<std::size_t>(size), MAP_SHARED, cpu.get());
  if (!shared) return fail_errno(errno, "KVM: map the virtual CPU");
  if (auto offered = offer_processor(*kvm, cpu); !offered) return offered;
  std::uint32_t entry = 0;
  std::memcpy(&entry, bridgehead_kvm_payload_start + kEntryInHeader, sizeof entry);
  if (auto set = set_registers(cpu, entry); !set) return set;
  return run_to_end(cpu, *reinterpret_cast<const kvm_run*>(shared.at(0)), stop);
}

bool is_installed(const std::string& program) {
  const char* variable = std::getenv("PATH");
  std::string_view left = variable != nullptr ? variable : "/usr/bin:/bin";
  while (!left.empty()) {
    const auto colon = std::min(left.find(':'), left.size());
    if (::access((std::filesystem::path(left.substr(0, colon)) / program).c_str(), X_OK) == 0) return true;
    left.remove_prefix(std::min(colon + 1, left.size()));
  }
  return false;
}

}  // namespace

Status try_kvm_without_qemu(const KvmTrialOptions& options) {
  if (!is_installed(options.qemu)) return fail(ErrorCode::not_found, "{} isn't installed", options.qemu);
  // Only a signal ends KVM_RUN from outside; one that nothing else uses, whose handler does nothing.
  const int kick = SIGRTMIN + 7;
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  ::sigaction(kick, &nothing, nullptr);
  // Shared with the thread: a KVM that no signal reaches keeps it, and it what it uses.
  struct Trial {
    std::filesystem::path device;
    std::atomic<bool> stop = false;
    std::promise<Status> answer;
  };
  const auto trial = std::make_shared<Trial>();
  trial->device = options.device;
  auto done = trial->answer.get_future();
  std::thread runner;
  try {
    runner = std::thread([trial] { trial->answer.set_value(make_and_run(trial->device, trial->stop)); });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::resource_exhausted, "KVM: no thread for the trial guest: {}", error.what());
  }
  if (done.wait_for(options.timeout) != std::future_status::ready) {
    trial->stop = true;
    const auto given_up = std::chrono::steady_clock::now() + kKickedFor;
    do {
      if (std::chrono::steady_clock::now() > given_up) {
        runner.detach();
        return fail(ErrorCode::timeout, "KVM: the trial guest hung, and can't be ended");
      }
      ::pthread_kill(runner.native_handle(), kick);
    } while (done.wait_for(10ms) != std::future_status::ready);
  }
  runner.join();
  return done.get();
}

}  // namespace bridgehead::hypervisor
