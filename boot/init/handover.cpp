#include "handover.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "files.h"
#include "http_client.h"
#include "process.h"
#include "root_tree.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr auto writable_directory = "/run/bridgehead/writable";
constexpr auto bundle_file = "/run/bridgehead/bundle.tar";
constexpr std::array<const char*, 4> kernel_file_systems{"dev", "proc", "sys", "run"};
constexpr std::uint64_t largest_bundle = 64 * 1024 * 1024;
constexpr std::array<const char*, 6> usual_inits{
    "/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/usr/sbin/init", "/etc/init", "/bin/init"};

// Deletes what is on the same file system as `directory`; the rest is mounted elsewhere and isn't the initramfs.
void empty_directory(int directory, dev_t device) {
  DIR* entries = ::fdopendir(directory);
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string name = entry->d_name;
    struct stat status {};
    if (name == "." || name == ".." || ::fstatat(::dirfd(entries), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        status.st_dev != device) {
      continue;
    }
    if (S_ISDIR(status.st_mode)) {
      const int below = ::openat(::dirfd(entries), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below >= 0) empty_directory(below, device);
    }
    ::unlinkat(::dirfd(entries), name.c_str(), S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
  }
  ::closedir(entries);
}

Failure cannot_switch(std::string why) { return {"hand over to the root", std::move(why), "the machine restarts"}; }

}  // namespace

Status mount_overlay(const BootPlan& plan, RootContext& context) {
  context.loader.load("overlay");
  auto room = mount_guarded(context.holdings, "make the writable layer", "writable", writable_directory, "tmpfs", 0,
                            concat("mode=0755,size=", plan.overlay));
  if (!room) return room;
  const auto upper = concat(writable_directory, "/upper");
  const auto work = concat(writable_directory, "/work");
  make_directories(upper);
  make_directories(work);
  auto mounted =
      mount_guarded(context.holdings, "lay the writable layer over the root", "bridgehead", new_root, "overlay", 0,
                    concat("lowerdir=", lower_directory, ",upperdir=", upper, ",workdir=", work));
  if (mounted) return {};
  return fail(mounted.error().what, mounted.error().why, "is the module 'overlay' in the initramfs?");
}

Status lay_bundle(const BootPlan& plan, RootContext& context) {
  if (plan.bundle_url.empty()) return {};
  auto url = context.manager.resolve(plan.bundle_url);
  if (!url) return fail(url.error());
  if (auto done = download({*url, largest_bundle, plan.bundle_sha256, {}}, bundle_file); !done) return done;
  auto archive = read_file(bundle_file);
  ::unlink(bundle_file);
  if (!archive) return fail(archive.error());
  auto tree = RootTree::open(new_root);
  if (!tree) return fail(tree.error());
  return tree->unpack(*archive);
}

std::vector<HandoverFile> handover_files(const BootPlan& plan, const Uplink& uplink, const CommandLine& line,
                                         const RootHoldings& root) {
  std::string names = uplink.interface;
  std::string keyfile = concat("interface-name:", uplink.interface);
  for (const auto& name : uplink.below) {
    names += concat(" ", name);
    keyfile += concat(";interface-name:", name);
  }
  const std::string why = "# Carries this node's root; made by Bridgehead's initramfs.\n";
  auto plan_text = plan.text;
  if (!plan_text.empty() && !plan_text.ends_with('\n')) plan_text += '\n';
  plan_text += concat("server=", line.server, "\nmac=", uplink.mac.text(), "\ninterface=", uplink.interface,
                      "\naddress=", uplink.lease.address.text(), "\n");
  if (uplink.lease.gateway) plan_text += concat("gateway=", uplink.lease.gateway->text(), "\n");
  if (uplink.fallback) plan_text += concat("fallback=", uplink.fallback->describe(), "\n");
  std::vector<HandoverFile> files{
      {"/run/systemd/network/00-bridgehead.network",
       concat(why, "[Match]\nName=", names, "\n\n[Link]\nUnmanaged=yes\nRequiredForOnline=no\n")},
      // Else udev would give the NIC another name, and the bridge another address, under the running root.
      {"/run/systemd/network/00-bridgehead.link",
       concat(why, "[Match]\nOriginalName=", names, "\n\n[Link]\nNamePolicy=\nMACAddressPolicy=none\n")},
      {"/run/NetworkManager/conf.d/bridgehead.conf", concat(why, "[keyfile]\nunmanaged-devices+=", keyfile, "\n")},
      {"/run/bridgehead/boot", plan_text, 0600},
  };
  if (root.nbd_connected) {
    // Else udev looks at both ends of both devices for file systems, RAIDs and partitions: a megabyte that each boot
    // would fetch.
    files.push_back({"/run/udev/rules.d/00-bridgehead.rules",
                     concat(why, "KERNEL==\"nbd", root.nbd_index, "|loop", root.loop,
                            "\", ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}=\"1\"\n")});
  }
  return files;
}

std::string hosts_with(std::string hosts, const std::string& name, const std::string& address) {
  for (const auto line : split(hosts, '\n')) {
    const auto found = words(line.substr(0, line.find('#')));
    if (std::find(found.begin(), found.end(), name) != found.end()) return hosts;
  }
  if (hosts.empty()) hosts = "127.0.0.1 localhost\n::1 localhost\n";
  if (!hosts.ends_with('\n')) hosts += '\n';
  return hosts + concat(address, " ", name, "\n");
}

Status write_handover(const BootPlan& plan, const Uplink& uplink, const CommandLine& line, const RootHoldings& root) {
  for (const auto& file : handover_files(plan, uplink, line, root)) {
    if (auto written = write_file(file.path, file.content, file.mode); !written) return written;
  }
  auto tree = RootTree::open(new_root);
  if (!tree) return fail(tree.error());
  if (!plan.hostname.empty()) {
    // systemd takes the image's /etc/hostname before what the kernel has.
    if (auto written = tree->write("etc/hostname", concat(plan.hostname, "\n"), 0644); !written) return written;
    // libvirt asks for it at each start of a guest and six times in a migration; where no DNS server answers each of
    // these takes seconds.
    const auto hosts = hosts_with(tree->read("etc/hosts"), plan.hostname, uplink.lease.address.address.text());
    if (auto written = tree->write("etc/hosts", hosts, 0644); !written) return written;
  }
  if (const auto resolv = resolv_conf(uplink.lease); uplink.by_dhcp && !resolv.empty()) {
    if (auto written = tree->write("etc/resolv.conf", resolv, 0644); !written) return written;
  }
  return {};
}

Result<std::string> find_init(const std::string& wanted) {
  auto tree = RootTree::open(new_root);
  if (!tree) return fail(tree.error());
  if (!wanted.empty() && tree->is_executable(wanted)) return wanted;
  if (!wanted.empty())
    return fail("find the root's init", concat("the root has no ", wanted), "correct init= in the profile");
  for (const std::string path : usual_inits) {
    if (tree->is_executable(path)) return path;
  }
  return fail("find the root's init", "neither /sbin/init nor systemd is in the root", "is the image a whole system?");
}

void make_mount_points() {
  auto tree = RootTree::open(new_root);
  if (!tree) return;
  for (const std::string name : kernel_file_systems) static_cast<void>(tree->make_directory(name));
}

Failure switch_root(const std::string& init, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment) {
  struct stat old_root {};
  ::stat("/", &old_root);
  for (const std::string name : kernel_file_systems) {
    const auto target = concat(new_root, "/", name);
    if (::mount(concat("/", name).c_str(), target.c_str(), nullptr, MS_MOVE, nullptr) != 0) {
      return cannot_switch(fail_errno(concat("move /", name)).value().why);
    }
  }
  const int root = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (::chdir(new_root) != 0 || root < 0) return cannot_switch("the root can't be entered");
  empty_directory(root, old_root.st_dev);
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0) {
    return cannot_switch(fail_errno("become /").value().why);
  }
  const Fd console(::open("/dev/console", O_RDWR | O_CLOEXEC));
  for (int fd = 0; console && fd < 3; ++fd) ::dup2(console.get(), fd);
  restore_signals();
  std::vector<std::string> all{init};
  all.insert(all.end(), arguments.begin(), arguments.end());
  execute(init, all, environment);
  return cannot_switch(concat(init, ": ", fail_errno("execute").value().why));
}

}  // namespace bridgehead::init
