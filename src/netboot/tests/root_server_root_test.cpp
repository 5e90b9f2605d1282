// nbdkit and NFS-Ganesha for real, in a network namespace of their own.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/file.h"
#include "base/random.h"
#include "netboot/dnsmasq.h"
#include "netboot/nbd_server.h"
#include "netboot/nfs_server.h"
#include "netboot/tests/segment.h"

namespace bridgehead::netboot {
namespace {

class RootServerTest : public ::testing::Test {
 protected:
  TemporaryDirectory temporary = *TemporaryDirectory::create();
  Segment segment{"10.20.0.1/22"};
  SystemClock clock;
  SystemCommandRunner runner;
  Supervisor supervisor{clock};
};

TEST_F(RootServerTest, NbdkitServesImagesByName) {
  std::string content(3 << 20, '\0');
  SeededRandom random(5);
  random.fill({reinterpret_cast<std::uint8_t*>(content.data()), content.size()});
  // As images lie: in directories that only root may enter.
  ASSERT_TRUE(write_file_atomic(temporary.path() / "root.squashfs", content, 0600));
  const auto exports = temporary.path() / "exports";
  ASSERT_TRUE(make_directories(exports));
  ASSERT_TRUE(supervisor.start(*nbd_service({.address = "10.20.0.1", .exports = exports})));
  ASSERT_TRUE(publish_nbd_export(exports, "debian-12.3", temporary.path() / "root.squashfs")) << "while it runs";
  const auto copy = temporary.path() / "copy";
  const auto fetch = [&](const std::string& name) {
    return runner.run(
        {.program = "qemu-img",
         .arguments = {"convert", "-f", "raw", "-O", "raw", "nbd://10.20.0.1:10809/" + name, copy.string()}});
  };
  ASSERT_TRUE(eventually([&] { return fetch("debian-12.3").has_value(); })) << supervisor.status("nbdkit")->last_line;
  EXPECT_TRUE(read_file(copy).value_or("") == content);
  EXPECT_FALSE(fetch("missing"));
  ::kill(supervisor.status("nbdkit")->pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return fetch("debian-12.3").has_value(); }));
  ASSERT_TRUE(withdraw_nbd_export(exports, "debian-12.3"));
  EXPECT_FALSE(fetch("debian-12.3"));
}

UniqueFd connected(const std::string& server, std::uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval patience{2, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, server.c_str(), &address.sin_addr);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) socket.reset();
  return socket;
}

// NFSPROC4_NULL over TCP (RFC 5531): does an NFS 4 server answer?
bool nfs_answers(const std::string& server) {
  const auto socket = connected(server, 2049);
  if (!socket) return false;
  // Record mark; xid, call, RPC 2, program NFS, version 4, procedure 0, no credentials, no verifier.
  const std::uint32_t call[] = {htonl(0x80000000u | 40), htonl(7), 0, htonl(2), htonl(100003), htonl(4), 0, 0, 0, 0, 0};
  if (::send(socket.get(), call, sizeof call, MSG_NOSIGNAL) != sizeof call) return false;
  std::uint32_t reply[7] = {};
  if (::recv(socket.get(), reply, sizeof reply, MSG_WAITALL) != sizeof reply) return false;
  return reply[1] == htonl(7) && reply[2] == htonl(1) && reply[3] == 0 && reply[6] == 0;
}

TEST_F(RootServerTest, GaneshaServesTreesAndReadsNewExports) {
  const auto tree = temporary.path() / "tree";
  ASSERT_TRUE(make_directories(tree));
  ASSERT_TRUE(write_file_atomic(tree / "file", "hello from the tree\n", 0644));
  NfsServerPlan plan{.address = "10.20.0.1", .directory = temporary.path() / "nfs"};
  plan.exports = {{.id = 1, .path = tree, .pseudo = "/images/a"}};
  const auto installed = install_nfs(plan);
  ASSERT_TRUE(installed) << installed.error().describe();
  EXPECT_TRUE(*installed);
  EXPECT_FALSE(*install_nfs(plan));
  for (const auto& service : nfs_services(plan)) {
    const auto started = supervisor.start(service);
    ASSERT_TRUE(started) << started.error().describe();
  }
  ASSERT_TRUE(eventually([&] { return nfs_answers("10.20.0.1"); })) << supervisor.status("ganesha")->last_exit;
  const auto read = [&](const std::string& path) {
    // A port below 1024 isn't asked for.
    return runner.run({.program = "nfs-cat", .arguments = {"nfs://10.20.0.1" + path + "?version=4"}});
  };
  EXPECT_TRUE(std::filesystem::exists(plan.directory / "state" / "ganesha")) << "state of its own";
  ASSERT_TRUE(eventually([&] { return read("/images/a/file").has_value(); }));
  EXPECT_EQ(read("/images/a/file")->out, "hello from the tree\n");
  const auto listed = runner.run({.program = "nfs-ls", .arguments = {"nfs://10.20.0.1/images/a?version=4"}});
  ASSERT_TRUE(listed) << listed.error().describe();
  EXPECT_EQ(listed->out.find("65534"), std::string::npos) << "root's file must stay root's: " << listed->out;
  plan.exports.push_back({.id = 2, .path = tree, .pseudo = "/images/b"});
  ASSERT_TRUE(*install_nfs(plan));
  ASSERT_TRUE(supervisor.signal("ganesha", SIGHUP));
  EXPECT_TRUE(eventually([&] { return read("/images/b/file").has_value(); }));
  ::kill(supervisor.status("ganesha")->pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return supervisor.status("ganesha")->restarts == 1 && nfs_answers("10.20.0.1"); },
                         std::chrono::seconds(30)));
  supervisor.stop_all();
}

// dnsmasq, nbdkit and Ganesha each change something about their rights at their start, by which the kernel could forget
// that they should die with us.
TEST_F(RootServerTest, AllDieWithUsWhenWeAreKilled) {
  ::chmod(temporary.path().c_str(), 0755);
  DnsmasqPlan dhcp;
  dhcp.mode = model::NetbootMode::full;
  dhcp.interface = "prov0";
  dhcp.address = "10.20.0.1/22";
  dhcp.range_first = "10.20.1.0";
  dhcp.range_last = "10.20.3.250";
  dhcp.tftp_root = temporary.path() / "tftp";
  dhcp.directory = temporary.path() / "dnsmasq";
  ASSERT_TRUE(install_dnsmasq(dhcp, {}, runner));
  NfsServerPlan nfs{.address = "10.20.0.1", .directory = temporary.path() / "nfs"};
  ASSERT_TRUE(install_nfs(nfs));
  ASSERT_TRUE(make_directories(temporary.path() / "exports"));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Supervisor mine(clock);
    std::array<int, 3> pids{};
    bool good = mine.start(dnsmasq_service(dhcp)).has_value();
    good = good && mine.start(*nbd_service({.address = "10.20.0.1", .exports = temporary.path() / "exports"}));
    good = good && mine.start(nfs_services(nfs).back());
    eventually([&] { return nfs_answers("10.20.0.1"); });
    if (good) pids = {mine.status("dnsmasq")->pid, mine.status("nbdkit")->pid, mine.status("ganesha")->pid};
    if (::write(ends[1], pids.data(), sizeof pids) != sizeof pids) ::_exit(1);
    for (;;) ::pause();
  }
  std::array<int, 3> pids{};
  ASSERT_EQ(::read(ends[0], pids.data(), sizeof pids), static_cast<ssize_t>(sizeof pids));
  ::close(ends[0]);
  ::close(ends[1]);
  for (const int pid : pids) EXPECT_TRUE(pid > 0 && ::kill(pid, 0) == 0) << pid;
  // A node that reads its root: for it nbdkit would stay.
  UniqueFd node;
  ASSERT_TRUE(eventually([&] { return static_cast<bool>(node = connected("10.20.0.1", 10809)); }));
  char greeting[8] = {};
  ASSERT_EQ(::recv(node.get(), greeting, sizeof greeting, MSG_WAITALL), static_cast<ssize_t>(sizeof greeting));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int pid : pids) {
    EXPECT_TRUE(eventually([&] {
      const auto stat = read_file(fmt::format("/proc/{}/stat", pid));
      return !stat || stat->find(") Z ") != std::string::npos;
    })) << pid;
  }
}

}  // namespace
}  // namespace bridgehead::netboot
