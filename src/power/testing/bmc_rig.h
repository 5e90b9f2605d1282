// A BMC for tests that may be told to misbehave, and the machine behind it.
#pragma once

#include <csignal>

#include "base/file.h"
#include "power/power_driver.h"

namespace bridgehead::power::testing {

enum class Trouble {
  none,
  dead,      // nobody answers
  slow,      // answers after half a minute
  ignoring,  // takes requests and does nothing
  lying,     // as before, and says off
};

inline constexpr char kPassword[] = "pw-7f3a9c-unique";  // found by search in what everybody may read

class BmcRig {
 public:
  virtual ~BmcRig() = default;
  virtual std::unique_ptr<PowerDriver> driver(const std::string& password = kPassword) = 0;
  virtual bool is_on() = 0;  // the machine, whatever its BMC says
  virtual void set_on(bool on) = 0;
  virtual unsigned times_off() = 0;  // how often it was switched off
  virtual void set_trouble(Trouble trouble) = 0;
  virtual bool checks_password() const { return true; }
};

// A machine whose state are files, for rigs whose BMC is a shell script: `power` says on or off, `trouble` what the
// script is to do wrong, `log` has a line for each change.
class MachineFiles {
 public:
  MachineFiles() {
    ::signal(SIGPIPE, SIG_IGN);  // as all our programs do: a script may end before it has read
    set_on(false);
    set_trouble(Trouble::none);
  }
  const std::filesystem::path& path() const { return directory_.path(); }
  bool is_on() const { return read_file(path() / "power").value() == "on"; }
  void set_on(bool on) { write("power", on ? "on" : "off"); }
  unsigned times_off() const {
    const auto log = read_file(path() / "log").value_or("");
    return static_cast<unsigned>(std::count(log.begin(), log.end(), '\n'));
  }
  void set_trouble(Trouble trouble) {
    constexpr const char* kNames[] = {"none", "dead", "slow", "ignoring", "lying"};
    write("trouble", kNames[static_cast<int>(trouble)]);
  }
  std::filesystem::path write_script(const std::string& name, const std::string& body) {
    const auto script = path() / name;
    const auto text = fmt::format("#!/bin/sh\ncd '{}'\n{}{}", path().native(), kFunctions, body);
    require(write_file_atomic(script, text, 0755).has_value(), "the rig's script can't be written");
    return script;
  }

 private:
  // get prints on or off as the BMC sees it; switch changes the machine.
  static constexpr char kFunctions[] =
      "trouble=$(cat trouble)\n"
      "case $trouble in dead|slow) sleep 30 ;; esac\n"
      "get() { [ $trouble = lying ] && echo off || cat power; }\n"
      "switch() {\n"
      "  case $trouble in ignoring|lying) return ;; esac\n"
      "  [ $1 = off ] && [ $(cat power) = on ] && echo off >>log\n"
      "  printf $1 >power.new; mv power.new power\n"
      "}\n";
  void write(const char* name, std::string_view text) {
    require(write_file_atomic(path() / name, text).has_value(), "the rig's file can't be written");
  }
  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create("bridgehead-bmc"));
};

}  // namespace bridgehead::power::testing
