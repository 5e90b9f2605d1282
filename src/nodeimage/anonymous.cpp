// What an image must not carry: the identity of one machine, and what only a disk needs.
#include <dirent.h>

#include <algorithm>

#include "base/file.h"
#include "nodeimage/debian_tree.h"

namespace bridgehead::nodeimage {
namespace {

constexpr std::string_view kJoinUnit = R"([Unit]
Description=Bridgehead: joins the cluster by the token of this boot
Documentation=man:bh(1)
ConditionPathExists=/run/bridgehead/boot
After=network.target
# The agent's unit looks for its identity once; each attempt to join asks for it anew.
Wants=bridgehead-agent.service
Before=bridgehead-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/bridgehead-agent join-boot
Restart=on-failure
RestartSec=5
# Nobody can log in to a node that hasn't joined: why it can't is told where a person looks.
StandardError=journal+console

[Install]
WantedBy=multi-user.target
)";

// Names in a directory of the tree that begin and end so.
std::vector<std::string> names_in(const Tree& tree, std::string_view directory, std::string_view begin,
                                  std::string_view end) {
  std::vector<std::string> found;
  auto fd = tree.open_directory(directory);
  if (!fd) return found;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(::fdopendir(fd->release()), ::closedir);
  while (const dirent* entry = ::readdir(list.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name.starts_with(begin) && name.ends_with(end)) found.emplace_back(name);
  }
  return found;
}

Status remove_names(const Tree& tree, const std::string& directory, std::string_view begin, std::string_view end) {
  for (const auto& name : names_in(tree, directory, begin, end)) {
    if (auto removed = tree.remove(directory + "/" + name); !removed) return removed;
  }
  return {};
}

// A line that mounts something other than what the kernel makes.
bool mounts_a_disk(std::string_view fstab) {
  std::size_t start = 0;
  while (start < fstab.size()) {
    const std::size_t end = std::min(fstab.find('\n', start), fstab.size());
    std::string_view line = fstab.substr(start, end - start);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.starts_with("UUID=") || line.starts_with("LABEL=") || line.starts_with("PARTUUID=") ||
        line.starts_with("PARTLABEL=") || line.starts_with("/dev/")) {
      return true;
    }
    start = end + 1;
  }
  return false;
}

}  // namespace

Status make_anonymous(const Tree& tree, std::vector<std::string>& notes) {
  // Empty, not missing: systemd makes a new one at each boot, and the file is there to put it into.
  if (auto done = tree.put_file("/etc/machine-id", 0444, ""); !done) return done;
  for (const auto* path : {"/var/lib/dbus/machine-id", "/etc/hostname", "/etc/mailname", "/etc/resolv.conf",
                           "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/.dockerenv",
                           "/etc/.pwd.lock", "/var/cache/ldconfig/aux-cache"}) {
    if (auto done = tree.remove(path); !done) return done;
  }
  if (auto done = tree.put_file("/etc/resolv.conf", 0644, ""); !done) return done;
  if (tree.exists("/var/lib/dbus")) {
    if (auto done = tree.put_link("/var/lib/dbus/machine-id", "/etc/machine-id"); !done) return done;
  }
  if (auto done = remove_names(tree, "/etc/ssh", "ssh_host_", ""); !done) return done;
  for (const auto& [directory, begin, end] :
       {std::tuple{"/var/log/apt", "", ""}, std::tuple{"/var/log/journal", "", ""}, std::tuple{"/var/log", "", ".log"},
        std::tuple{"/var/cache/apt", "", ".bin"}, std::tuple{"/var/cache/apt/archives", "", ".deb"},
        std::tuple{"/var/lib/apt/lists", "", ""}, std::tuple{"/var/cache/debconf", "", "-old"},
        std::tuple{"/var/lib/dpkg", "", "-old"}, std::tuple{"/run", "", ""}, std::tuple{"/tmp", "", ""},
        std::tuple{"/boot", "initrd.img-", ""}, std::tuple{"/boot", "initramfs-", ".img"},
        std::tuple{"/dev", "", ""}}) {
    if (auto done = remove_names(tree, directory, begin, end); !done) return done;
  }
  const auto fstab = tree.read("/etc/fstab", 1_MiB);
  if (fstab && mounts_a_disk(*fstab)) {
    if (auto done = tree.put_file("/etc/fstab", 0644, ""); !done) return done;
    notes.push_back("/etc/fstab mounted disks of another machine; it was emptied.");
  }
  // With these, systemd doesn't think at every boot that /usr is newer than what was derived from it.
  for (const auto* stamp : {"/etc/.updated", "/var/.updated"}) {
    if (auto done = tree.put_file(stamp, 0644, ""); !done) return done;
  }
  for (const auto* directory : {"/proc", "/sys", "/dev", "/run", "/tmp"}) {
    if (const auto made = tree.place(fmt::format("{}/x", directory), true); !made) return forward(made);
  }
  return {};
}

Status add_join_unit(const Tree& tree) {
  constexpr std::string_view kName = "bridgehead-netboot-join.service";
  if (!tree.exists("/usr/bin/bridgehead-agent")) return {};
  if (auto done = tree.put_file(fmt::format("/etc/systemd/system/{}", kName), 0644, kJoinUnit); !done) return done;
  return tree.put_link(fmt::format("/etc/systemd/system/multi-user.target.wants/{}", kName),
                       fmt::format("/etc/systemd/system/{}", kName));
}

}  // namespace bridgehead::nodeimage
