#include "performance/storm_machine.h"

#include "netboot/boot_values.h"

namespace bridgehead::performance {
namespace {

// What stands between `before` and the next of `ends`.
std::string after(const std::string& text, std::string_view before, std::string_view ends = " \n") {
  const auto at = text.find(before);
  if (at == std::string::npos) return {};
  const auto begin = at + before.size();
  return text.substr(begin, text.find_first_of(ends, begin) - begin);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::string_view step_name(StormMachine::Step step) {
  using enum StormMachine::Step;
  switch (step) {
    case script: return "script";
    case kernel: return "kernel";
    case initramfs: return "initramfs";
    case plan: return "plan";
    case root: return "root";
    case hardware: return "hardware";
    case told_discovery:
    case told_kernel:
    case told_bridge:
    case told_root:
    case told_handover: return "step told";
    case ended: break;
  }
  return "ended";
}

HttpQuestion StormMachine::question(const StormFiles& files) const {
  const auto identity = fmt::format("mac={}&uuid=storm-{}&serial=", mac_, address_);
  const auto tell = [&](std::string_view step) {
    return HttpQuestion{.method = "POST",
                        .target = fmt::format("/boot/v1/progress?boot={}&mac={}&step={}&message=", boot_, mac_, step)};
  };
  const auto file = [&](std::string_view name, const StormFile& wanted) {
    return HttpQuestion{.target = fmt::format("{}/{}", image_, name), .file = wanted.bytes, .part = wanted.part};
  };
  switch (step_) {
    case Step::script: return {.target = "/boot/v1/ipxe?" + identity + "&arch=i386"};
    case Step::kernel: return file("vmlinuz", files.kernel);
    case Step::initramfs: return file("initramfs.img", files.initramfs);
    case Step::told_discovery:
    case Step::told_kernel: return tell("kernel");
    case Step::plan: return {.target = fmt::format("/boot/v1/plan?{}&boot={}", identity, boot_)};
    case Step::told_bridge: return tell("bridge");
    case Step::root: return file("root", files.root);
    case Step::told_root: return tell("root");
    case Step::told_handover: return tell("handover");
    case Step::hardware:
      return {.method = "POST",
              .target = fmt::format("/boot/v1/hardware?boot={}&mac={}", boot_, mac_),
              .body = R"({"cpus":16,"memory":68719476736,"vendor":"Storm","product":"S1","nics":[],"disks":[]})"};
    case Step::ended: break;
  }
  return {};
}

std::string StormMachine::take(int status, const std::string& body) {
  const bool told = step_name(step_) == "step told" || step_ == Step::hardware;
  const bool file = step_ == Step::kernel || step_ == Step::initramfs || step_ == Step::root;
  if (status != (told ? 204 : 200) && !(file && status == 206)) {
    return fmt::format("{}: {} {}", step_name(step_), status, first_line(body));
  }
  std::string problem;
  if (step_ == Step::script) problem = take_script(body);
  if (step_ == Step::plan) problem = take_plan(body);
  if (!problem.empty()) return problem + ": " + body.substr(0, 300);
  const bool waits = discovered_ && step_ == Step::plan;
  if (step_ == Step::script && discovered_) {
    step_ = Step::told_discovery;
  } else if (step_ == Step::hardware) {
    step_ = Step::plan;
  } else if (waits || step_ == Step::told_handover) {
    step_ = Step::ended;
  } else {
    step_ = static_cast<Step>(static_cast<int>(step_) + 1);
  }
  return {};
}

std::string StormMachine::take_script(const std::string& body) {
  boot_ = after(body, "bh.boot=");
  if (boot_.size() != 64) return "its script names no boot";
  if (after(body, "bh.mac=") != mac_) return "the script is of another machine";
  if (!after(body, "bh.address=").starts_with(netboot::ipv4_text(address_) + "/"))
    return "the script has another address";
  const auto id = after(body, "/boot/files/", "/ \n");
  if (id.empty()) return "the script names no image";
  image_ = "/boot/files/" + id;
  return {};
}

std::string StormMachine::take_plan(const std::string& body) {
  if (after(body, "boot=") != boot_) return "the plan is of another boot";
  if (discovered_) return after(body, "root=") == "none" ? "" : "it doesn't wait";
  if (after(body, "root=") != "ram") return "its root isn't ram";
  if (!after(body, "ram.url=").ends_with(image_ + "/root")) return "the root is of another image";
  if (after(body, "join=").empty()) return "it can't join";
  return {};
}

}  // namespace bridgehead::performance
