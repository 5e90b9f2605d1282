#include "root_mount.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "files.h"
#include "http_client.h"
#include "nbd_daemon.h"
#include "nbd_kernel.h"
#include "prefetch_daemon.h"
#include "process.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr auto image_directory = "/run/bridgehead/image";
constexpr std::chrono::seconds mount_limit{60};
constexpr std::uint32_t nbd_devices = 16;
// Beside the image the system itself needs some memory to come up.
constexpr std::uint64_t memory_beside_image = 96 * 1024 * 1024;

std::uint64_t available_memory() {
  auto text = read_file("/proc/meminfo");
  if (!text) return 0;
  for (const auto line : split(*text, '\n')) {
    const auto fields = words(line);
    if (fields.size() >= 2 && fields[0] == "MemAvailable:") return parse_number(fields[1]).value_or(0) * 1024;
  }
  return 0;
}

// A loop device over the file or device, read-only.
Result<std::string> attach_loop(const std::string& path, RootHoldings& holdings) {
  const std::string what = "make a loop device of the image";
  const std::string hint = "is the module 'loop' in the initramfs?";
  const Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  const int number = control ? ::ioctl(control.get(), LOOP_CTL_GET_FREE) : -1;
  if (number < 0) return fail_errno(what, hint);
  auto device = concat("/dev/loop", number);
  const Fd loop(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file.get());
  config.block_size = 4096;
  config.info.lo_flags = LO_FLAGS_READ_ONLY;
  if (!loop || !file || ::ioctl(loop.get(), LOOP_CONFIGURE, &config) != 0) return fail_errno(what, hint);
  holdings.loop = number;
  return device;
}

// The image in a file or on a device. squashfs gets either through a loop device: it keeps next to nothing of what it
// reads of inodes and directories, and over a network would read that several times; what the loop device reads stays
// in the page cache.
Status mount_image(const std::string& path, RootContext& context) {
  for (const auto module : {"loop", "squashfs"}) context.loader.load(module);
  auto device = attach_loop(path, context.holdings);
  if (!device) return fail(device.error());
  auto mounted = mount_guarded(context.holdings, "mount the root", *device, lower_directory, "squashfs", MS_RDONLY, "");
  if (!mounted) {
    return fail(concat(mounted.error().what, " from ", path), mounted.error().why,
                "is it a squashfs image that this kernel can read, and the module 'squashfs' in the initramfs?");
  }
  return {};
}

// A page at a time, for which squashfs reads one block: what is read around it is mostly not wanted, and is what a rack
// waits for.
void read_no_more_than_asked(const std::string& device) {
  write_value(concat("/sys/block/", device, "/queue/read_ahead_kb"), "4");
}

// The first server that gives the export; the reasons of the others are shown.
Result<NbdConnection> first_connection(const BootPlan& plan, RootContext& context, NbdDuty& duty) {
  const Deadline deadline(context.wait);
  Failure last;
  do {
    for (duty.current = 0; duty.current < plan.nbd_servers.size(); ++duty.current) {
      auto connection = connect_nbd(plan.nbd_servers[duty.current], plan.nbd_export, Deadline(std::chrono::seconds(5)));
      if (connection) return connection;
      context.journal.complain(last = connection.error());
    }
    pause_for(deadline.at_most(std::chrono::seconds(1)).left());
  } while (!deadline.passed());
  if (last.hint.empty()) last.hint = "is the NBD server running, and does it serve this image?";
  return fail(last);
}

// The root works without it.
void start_prefetch(const BootPlan& plan, const std::string& device, RootContext& context) {
  if (plan.nbd_reads.empty()) return;
  auto url = context.manager.resolve(plan.nbd_reads);
  auto daemon = url ? start_prefetch_daemon({device, *url}) : Result<pid_t>(fail(url.error()));
  if (!daemon) return context.journal.complain(daemon.error());
  context.holdings.prefetch_daemon = *daemon;
}

Status mount_nbd(const BootPlan& plan, RootContext& context) {
  context.loader.load("nbd");
  static std::uint32_t next_index = 0;  // a device that a failed attempt has left may still be closing
  NbdDuty duty{.index = next_index++ % nbd_devices, .export_name = plan.nbd_export, .servers = plan.nbd_servers};
  auto connection = first_connection(plan, context, duty);
  if (!connection) return fail(connection.error());
  duty.size = connection->info.size;
  auto kernel = NbdKernel::open();
  if (!kernel) return fail(kernel.error());
  auto daemon = start_nbd_daemon(duty);
  if (!daemon) return fail(daemon.error());
  context.holdings.nbd_daemon = *daemon;
  if (auto done = kernel->connect(duty.index, *connection, plan.nbd_timeout); !done) return done;
  context.holdings.nbd_connected = true;
  context.holdings.nbd_index = duty.index;
  const auto nbd = concat("nbd", duty.index);
  read_no_more_than_asked(nbd);
  // There is no disk whose order of sectors a scheduler could spare.
  write_value(concat("/sys/block/", nbd, "/queue/scheduler"), "none");
  context.journal.say(concat("root: '", plan.nbd_export, "' of ", duty.servers[duty.current].text(), ", ",
                             megabytes(duty.size), ", ", duty.servers.size(), " server(s)"));
  start_prefetch(plan, concat("/dev/", nbd), context);
  if (auto done = mount_image(concat("/dev/", nbd), context); !done) return done;
  read_no_more_than_asked(concat("loop", context.holdings.loop));
  return {};
}

Status mount_nfs(const BootPlan& plan, RootContext& context) {
  for (const auto module : {"nfs", "nfsv4", "nfsv3"}) context.loader.load(module);
  const auto server = Ipv4::parse(std::string_view(plan.nfs_source).substr(0, plan.nfs_source.find(':')));
  const auto data = nfs_mount_data(plan.nfs_options, server.value_or(Ipv4{}), context.address);
  context.journal.say(concat("root: ", plan.nfs_source, " (", data, ")"));
  auto mounted = mount_guarded(context.holdings, concat("mount the root from ", plan.nfs_source), plan.nfs_source,
                               lower_directory, "nfs", MS_RDONLY, data);
  if (!mounted) {
    return fail(mounted.error().what, mounted.error().why,
                "is the NFS server running, does it export this path to this machine, and is the module 'nfsv4' in the "
                "initramfs?");
  }
  return {};
}

Status mount_ram(const BootPlan& plan, RootContext& context) {
  auto url = context.manager.resolve(plan.ram_url);
  if (!url) return fail(url.error());
  if (const auto memory = available_memory(); plan.ram_size + memory_beside_image > memory) {
    return fail("load the root into memory",
                concat("the image has ", megabytes(plan.ram_size), ", of memory ", megabytes(memory), " are free"),
                "give the machine more memory, or use root nbd in its profile");
  }
  const auto size = concat("size=", (plan.ram_size / 4096 + 17) * 4096, ",mode=0700");
  make_directories(image_directory);
  if (auto done = mount_guarded(context.holdings, "make room for the root", "image", image_directory, "tmpfs", 0, size);
      !done) {
    return done;
  }
  context.journal.say(concat("root: ", url->text(), ", ", megabytes(plan.ram_size), " into memory"));
  const auto path = concat(image_directory, "/root.squashfs");
  Download wanted{*url, plan.ram_size, plan.ram_sha256, [&](std::uint64_t received, std::uint64_t total) {
                    context.journal.say(concat("root: ", megabytes(received), " of ", megabytes(total)));
                  }};
  if (auto done = download(wanted, path); !done) return done;
  return mount_image(path, context);
}

}  // namespace

void RootHoldings::release() {
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) ::umount2(mount->c_str(), MNT_DETACH);
  mounts.clear();
  if (loop >= 0) {
    const Fd device(::open(concat("/dev/loop", loop).c_str(), O_RDONLY | O_CLOEXEC));
    if (device) ::ioctl(device.get(), LOOP_CLR_FD, 0);
    loop = -1;
  }
  if (prefetch_daemon > 0) ::kill(prefetch_daemon, SIGKILL);
  prefetch_daemon = 0;
  if (nbd_daemon > 0) ::kill(nbd_daemon, SIGKILL);
  nbd_daemon = 0;
  if (nbd_connected) {
    if (auto kernel = NbdKernel::open()) static_cast<void>(kernel->disconnect(nbd_index));
    nbd_connected = false;
  }
}

Status mount_root(const BootPlan& plan, RootContext& context) {
  switch (plan.root) {
    case RootKind::nbd: return mount_nbd(plan, context);
    case RootKind::nfs: return mount_nfs(plan, context);
    case RootKind::ram: return mount_ram(plan, context);
    case RootKind::none: break;
  }
  return fail("mount the root", "the plan has none");
}

Status mount_guarded(RootHoldings& holdings, const std::string& what, const std::string& source,
                     const std::string& target, const std::string& type, unsigned long flags, const std::string& data) {
  make_directories(target);
  auto mounted = guarded(what, "", Deadline(mount_limit), [&] {
    return ::mount(source.c_str(), target.c_str(), type.c_str(), flags, data.c_str()) == 0;
  });
  if (mounted) holdings.mounts.push_back(target);
  return mounted;
}

std::string nfs_mount_data(const std::string& options, const Ipv4& server, const Ipv4& ours) {
  std::string data;
  bool version = false;
  bool version3 = false;
  for (const auto option : split(options, ',')) {
    // The addresses are ours to know; "ro" is a flag of the mount.
    if (option.empty() || option == "ro" || option == "rw" || option.starts_with("addr=") ||
        option.starts_with("clientaddr=")) {
      continue;
    }
    version |= option.starts_with("vers=") || option.starts_with("nfsvers=");
    version3 |= option == "vers=3" || option == "nfsvers=3";
    data += concat(data.empty() ? "" : ",", option);
  }
  if (!version) data += concat(data.empty() ? "" : ",", "vers=4.1");
  data += concat(",addr=", server.text());
  // Version 3 locks by a daemon that isn't there, and mounts by a protocol of its own.
  data += version3 ? concat(",nolock,proto=tcp,mountproto=tcp,mountaddr=", server.text())
                   : concat(",clientaddr=", ours.text());
  return data;
}

}  // namespace bridgehead::init
