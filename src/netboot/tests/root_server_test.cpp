#include <gtest/gtest.h>

#include "base/file.h"
#include "netboot/nbd_server.h"
#include "netboot/nfs_server.h"
#include "netboot/tests/golden_file.h"

namespace bridgehead::netboot {
namespace {

TEST(NbdServer, CommandAndExports) {
  const auto service = nbd_service({.address = "10.20.0.1", .exports = "/srv/exports"});
  ASSERT_TRUE(service);
  EXPECT_EQ(service->command.describe(),
            "nbdkit --foreground --readonly --newstyle --log=stderr --tls=off --ipaddr=10.20.0.1 --port=10809 "
            "--threads=16 file dir=/srv/exports");
  EXPECT_FALSE(nbd_service({.address = "10.20.0", .exports = "/srv/exports"}));
  EXPECT_FALSE(nbd_service({.address = "10.20.0.1", .exports = "srv"}));
  const auto temporary = *TemporaryDirectory::create();
  const auto exports = temporary.path() / "exports";
  ASSERT_TRUE(write_file_atomic(temporary.path() / "a", "1"));
  ASSERT_TRUE(write_file_atomic(temporary.path() / "b", "2"));
  ASSERT_TRUE(publish_nbd_export(exports, "debian-12:3", temporary.path() / "a"));
  ASSERT_TRUE(publish_nbd_export(exports, "debian-12:3", temporary.path() / "b"));
  EXPECT_EQ(read_file(exports / "debian-12:3").value_or(""), "2");
  EXPECT_FALSE(publish_nbd_export(exports, "../x", temporary.path() / "b"));
  EXPECT_FALSE(publish_nbd_export(exports, "x", temporary.path() / "missing"));
  ASSERT_TRUE(withdraw_nbd_export(exports, "debian-12:3"));
  ASSERT_TRUE(withdraw_nbd_export(exports, "debian-12:3"));
}

TEST(NfsServer, Configuration) {
  NfsServerPlan plan{.address = "10.20.0.1", .directory = "/var/lib/bridgehead/nfs"};
  plan.exports = {{.id = 1, .path = "/srv/images/a/root", .pseudo = "/images/a"},
                  {.id = 7,
                   .path = "/srv/nodes/n1",
                   .pseudo = "/nodes/n1",
                   .clients = {"10.20.0.101", "10.20.4.0/22"},
                   .writable = true}};
  const auto config = nfs_config(plan);
  ASSERT_TRUE(config) << config.error().describe();
  expect_golden("ganesha.conf", *config);
  const auto refused = [&](const std::function<void(NfsServerPlan&)>& change) {
    auto changed = plan;
    change(changed);
    return !nfs_config(changed);
  };
  EXPECT_TRUE(refused([](auto& bad) { bad.address = "x"; }));
  EXPECT_TRUE(refused([](auto& bad) { bad.exports[1].id = 1; }));
  EXPECT_TRUE(refused([](auto& bad) { bad.exports[1].id = 0; }));
  EXPECT_TRUE(refused([](auto& bad) { bad.exports[1].pseudo = "/images/a"; }));
  EXPECT_TRUE(refused([](auto& bad) { bad.exports[0].path = "/a\"; FSAL"; }));
  EXPECT_TRUE(refused([](auto& bad) { bad.exports[0].pseudo = "/"; }));
  EXPECT_TRUE(refused([](auto& bad) { bad.exports[1].clients = {"*"}; }));
  EXPECT_TRUE(refused([](auto& bad) { bad.exports[1].clients = {"10.0.0.0/99"}; }));
}

}  // namespace
}  // namespace bridgehead::netboot
