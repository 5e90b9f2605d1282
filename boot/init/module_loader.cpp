#include "module_loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "command_line.h"
#include "files.h"
#include "process.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::chrono::seconds modprobe_limit{30};

// Modaliases of all devices below, each once.
void collect_modaliases(const std::string& directory, std::set<std::string>& found) {
  for (const auto& name : list_directory(directory)) {
    const auto path = concat(directory, "/", name);
    if (name == "modalias") {
      if (auto alias = read_value(path); !alias.empty()) found.insert(std::move(alias));
      continue;
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) collect_modaliases(path, found);
  }
}

}  // namespace

ModuleLoader::ModuleLoader(Journal& journal, std::map<std::string, std::string> parameters)
    : journal_(journal), parameters_(std::move(parameters)) {
  utsname kernel{};
  ::uname(&kernel);
  directory_ = concat("/lib/modules/", kernel.release, "/");
  if (auto text = read_file("/lib/modules.bridgehead")) {
    list_ = ModuleList::parse(*text);
  } else {
    by_kmod_ = link_base_name("/sbin/modprobe") == "kmod";  // else it is us
  }
}

bool ModuleLoader::insert(const std::string& name) {
  if (!tried_.insert(name).second) return false;
  const auto path = directory_ + list_.path(name);
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto parameters = parameters_.find(name);
  const char* values = parameters == parameters_.end() ? "" : parameters->second.c_str();
  if (file && ::syscall(SYS_finit_module, file.get(), values, 0) == 0) return true;
  if (errno == EEXIST) return false;
  // No such device: a driver that has nothing to drive here.
  if (errno != ENODEV) {
    journal_.say(concat("load the module ", name, ": ", std::strerror(errno),
                        file ? "" : "; is the initramfs made for this kernel?"));
  }
  return false;
}

void ModuleLoader::load_always() {
  for (const auto& name : list_.always()) load(name);
}

void ModuleLoader::ask_modprobe(const std::string& name) {
  if (!tried_.insert(name).second) return;
  auto child = start(Command{"/sbin/modprobe", {"modprobe", "-q", name}});
  if (!child) return journal_.complain(child.error());
  wait_for(*child, Deadline(modprobe_limit));
}

bool ModuleLoader::load(std::string_view name) {
  if (by_kmod_) ask_modprobe(std::string(name));
  bool loaded = false;
  for (const auto& module : list_.load_order(name)) loaded |= insert(module);
  return loaded;
}

bool ModuleLoader::load_for(std::string_view modalias) {
  bool loaded = false;
  for (const auto& module : list_.matching(modalias)) loaded |= load(module);
  return loaded;
}

void ModuleLoader::load_for_devices() {
  std::set<std::string> done;
  for (bool loaded = true; loaded;) {
    loaded = false;
    std::set<std::string> present;
    collect_modaliases("/sys/devices", present);
    for (const auto& alias : present) {
      if (done.insert(alias).second) loaded |= load_for(alias);
    }
  }
}

int run_as_modprobe(int count, char** arguments) {
  const Fd log(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  Journal journal(log.get());
  ModuleLoader loader(journal, {});
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name.starts_with('-')) continue;
    loader.load(name);
    loader.load_for(name);
  }
  return 0;
}

}  // namespace bridgehead::init
