// Loads kernel modules from the initramfs, without kmod where the initramfs is ours. In dracut's, which has no list of
// ours, kmod's modprobe loads what is asked for by name, and udev what devices need. One thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "journal.h"
#include "module_list.h"

namespace bridgehead::init {

class ModuleLoader {
 public:
  // `parameters`: per module, from the kernel command line.
  ModuleLoader(Journal& journal, std::map<std::string, std::string> parameters);

  void load_always();
  // With what it needs. A name that the list doesn't have is built in, or was left out by the image's builder: what
  // needs it fails then, with its own reason. True where something new was loaded.
  bool load(std::string_view name);
  bool load_for(std::string_view modalias);
  // For every device that there is now, until nothing new appears: buses bring devices.
  void load_for_devices();

 private:
  bool insert(const std::string& name);
  void ask_modprobe(const std::string& name);

  Journal& journal_;
  std::map<std::string, std::string> parameters_;
  std::string directory_;
  ModuleList list_;
  bool by_kmod_ = false;
  std::set<std::string> tried_;
};

// What the kernel itself asks for ("crypto-crc32c"): it runs /sbin/modprobe, which is this program.
int run_as_modprobe(int count, char** arguments);

}  // namespace bridgehead::init
