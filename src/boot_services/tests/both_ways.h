// BootServices for tests, in this process and through a socket: the same suite on both.
#pragma once

#include <unistd.h>

#include "base/clock.h"
#include "base/command.h"
#include "base/file.h"
#include "boot_services/boot_services_server.h"
#include "boot_services/local_boot_services.h"
#include "boot_services/remote_boot_services.h"

namespace bridgehead::boot_services {

enum class Way { local, remote };

inline std::string name_of(Way way) { return way == Way::local ? "Local" : "Remote"; }

// What serves, in a directory of its own, and the way to it.
class Site {
 public:
  explicit Site(Way way) : way_(way) {
    require(::chmod(directory_.path().c_str(), 0755) == 0, "the directory");  // for dnsmasq's user
    std::filesystem::create_directories(imports());
    start();
  }

  // Ends what serves; the way to it stays.
  void stop() {
    server_.reset();
    if (way_ == Way::local) services_ = nullptr;
    local_.reset();
  }
  void start() {
    auto opened = LocalBootServices::open(path() / "netboot", tools(), clock_, runner_);
    require(opened.has_value(), opened ? "" : opened.error().describe());
    local_ = std::move(*opened);
    services_ = local_.get();
    if (way_ == Way::local) return;
    auto server =
        BootServicesServer::start({.socket = path() / "run/socket", .group = {}, .callers = {::geteuid()}}, *local_);
    require(server.has_value(), server ? "" : server.error().describe());
    server_ = std::move(*server);
    if (!remote_) remote_ = std::make_unique<RemoteBootServices>(path() / "run/socket");
    services_ = remote_.get();
  }

  BootServices& services() { return *services_; }
  std::filesystem::path path() const { return directory_.path(); }
  std::filesystem::path imports() const { return path() / "import"; }
  std::filesystem::path store() const { return store_directory(path() / "netboot"); }

 private:
  ImageTools tools() const {
    return {.init = path() / "no-init",
            .busybox = path() / "no-busybox",
            .agent_package = path() / "no-agent.deb",
            .recipes = path() / "recipes",
            .import_directories = {imports()}};
  }

  const Way way_;
  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  SystemClock clock_;
  SystemCommandRunner runner_;
  std::unique_ptr<LocalBootServices> local_;
  std::unique_ptr<BootServicesServer> server_;
  std::unique_ptr<RemoteBootServices> remote_;
  BootServices* services_ = nullptr;
};

}  // namespace bridgehead::boot_services
