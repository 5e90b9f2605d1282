// ipmi_sim (Debian's openipmi) as BMC of a machine that is files, reached by the real ipmitool.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/fd.h"
#include "power/ipmi_driver.h"
#include "power/testing/bmc_rig.h"

extern char** environ;

namespace bridgehead::power::testing {

class IpmiRig final : public BmcRig {
 public:
  IpmiRig() : port_(free_port()) {
    const auto control = machine_.write_script("control",
                                               "shift; op=$1; shift\n"
                                               "while [ $# -gt 0 ]; do\n"
                                               "  case $op-$1 in\n"
                                               "  get-power) [ $(get) = on ] && echo power:1 || echo power:0 ;;\n"
                                               "  get-*) echo $1:0 ;;\n"
                                               "  set-power) [ $2 = 1 ] && switch on || switch off; shift ;;\n"
                                               "  set-*) shift ;;\n"
                                               "  esac\n"
                                               "  shift\n"
                                               "done\n");
    const auto directory = machine_.path();
    write("lan.conf",
          fmt::format("name \"rig\"\nset_working_mc 0x20\nstartlan 1\naddr 127.0.0.1 {}\npriv_limit admin\n"
                      "allowed_auths_user md5\nallowed_auths_operator md5\nallowed_auths_admin md5\n"
                      "guid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"{} 0x20\"\nsol \"{}\" 115200\n"
                      "user 2 true \"operator\" \"{}\" admin 10 md5\nuser 3 true \"looker\" \"{}\" user 10 md5\n",
                      port_, control.native(), ::ptsname(serial_.get()), kPassword, kPassword));
    write("sim.emu",
          "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n"
          "sel_enable 0x20 1000 0x0a\nmc_enable 0x20\n");
    require(make_directories(directory / "state").has_value(), "no directory for the BMC");
    start();
    // It is there when it answers.
    const auto first = driver();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!first->read({.timeout = std::chrono::seconds(5)}) && std::chrono::steady_clock::now() < until) {
    }
  }
  ~IpmiRig() override {
    ::kill(-process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  std::unique_ptr<PowerDriver> driver(const std::string& password) override { return driver_for("operator", password); }
  std::unique_ptr<PowerDriver> driver() { return driver(kPassword); }
  std::unique_ptr<PowerDriver> driver_for(const std::string& user, const std::string& password,
                                          const std::string& cipher = "3", const std::string& privilege = "OPERATOR") {
    return std::make_unique<IpmiDriver>(IpmiConfig{.address = "127.0.0.1",
                                                   .port = port_,
                                                   .user = user,
                                                   .password = password,
                                                   .cipher = cipher,
                                                   .privilege = privilege},
                                        runner_);
  }
  bool is_on() override { return machine_.is_on(); }
  void set_on(bool on) override { machine_.set_on(on); }
  unsigned times_off() override { return machine_.times_off(); }
  void set_trouble(Trouble trouble) override {
    if (trouble == Trouble::dead) {
      ::kill(process_, SIGSTOP);
    } else {
      machine_.set_trouble(trouble);
    }
  }
  std::uint16_t port() const { return port_; }
  int serial() const { return serial_.get(); }  // the machine's end of its serial line

 private:
  static std::uint16_t free_port() {
    const UniqueFd probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    require(::bind(probe.get(), generic, length) == 0 && ::getsockname(probe.get(), generic, &length) == 0,
            "no free port for the BMC");
    return ntohs(address.sin_port);
  }
  void write(const char* name, const std::string& text) {
    require(write_file_atomic(machine_.path() / name, text).has_value(), "the BMC's configuration can't be written");
  }
  void start() {
    std::vector<std::string> words{"ipmi_sim",
                                   "-c",
                                   (machine_.path() / "lan.conf").native(),
                                   "-f",
                                   (machine_.path() / "sim.emu").native(),
                                   "-s",
                                   (machine_.path() / "state").native(),
                                   "-n"};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // with the scripts that it runs
    posix_spawnattr_setpgroup(&attributes, 0);
    const int failed = posix_spawnp(&process_, "ipmi_sim", &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    require(failed == 0, "ipmi_sim isn't there: tools/install-packages test");
  }

  static UniqueFd open_line() {
    UniqueFd line(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios modes{};
    require(line && ::grantpt(line.get()) == 0 && ::unlockpt(line.get()) == 0 && ::tcgetattr(line.get(), &modes) == 0,
            "no serial line");
    ::cfmakeraw(&modes);
    ::tcsetattr(line.get(), TCSANOW, &modes);
    return line;
  }

  MachineFiles machine_;
  SystemCommandRunner runner_;
  const UniqueFd serial_ = open_line();
  const std::uint16_t port_;
  pid_t process_ = -1;
};

}  // namespace bridgehead::power::testing
