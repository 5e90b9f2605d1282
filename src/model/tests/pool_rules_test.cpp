#include "model/pool_rules.h"

#include <gtest/gtest.h>

namespace bridgehead::model {
namespace {

// The field that is named as wrong; "" = accepted.
std::string refused(PoolDriver driver, std::string_view source, std::string_view path,
                    const std::map<std::string, std::string>& options = {}) {
  const auto checked = check_pool_place(driver, source, path, options);
  if (checked) return "";
  EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
  return checked.error().message.substr(0, checked.error().message.find(':'));
}

TEST(PoolRules, EachDriverTakesItsOwnFormOfSource) {
  EXPECT_EQ(refused(PoolDriver::local, "", "/var/pool"), "");
  EXPECT_EQ(refused(PoolDriver::posix, "", "/mnt/shared/vm"), "");
  EXPECT_EQ(refused(PoolDriver::nfs, "10.0.0.5:/export/vm", ""), "");
  EXPECT_EQ(refused(PoolDriver::nfs, "[fd77::1]:/", "vm"), "");
  EXPECT_EQ(refused(PoolDriver::moosefs, "10.77.0.10", "vm"), "");
  EXPECT_EQ(refused(PoolDriver::moosefs, "mfsmaster:9421:/site", "vm"), "");
  EXPECT_EQ(refused(PoolDriver::cephfs, "10.0.0.5:6789,10.0.0.6:/volumes/vm", ""), "");
  EXPECT_EQ(refused(PoolDriver::lustre, "10.0.0.5@tcp:/scratch", "vm"), "");
  EXPECT_EQ(refused(PoolDriver::lustre, "10.0.0.5@o2ib,10.1.0.5@tcp:10.0.0.6@o2ib:/scratch/vm", ""), "");
}

TEST(PoolRules, AMissingOrWrongSourceIsRefusedWithTheFormThatIsNeeded) {
  const auto missing = check_pool_place(PoolDriver::lustre, "", "vm", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message,
            "source: is missing; a lustre pool needs MGS[:MGS...]:/FILESYSTEM[/FOLDER], like 10.0.0.5@tcp:/scratch");
  EXPECT_EQ(refused(PoolDriver::local, "10.0.0.5:/x", "/var/pool"), "source");
  EXPECT_EQ(refused(PoolDriver::posix, "10.0.0.5:/x", "/var/pool"), "source");
  for (const std::string source :
       {"server", ":/export", "-o:/x", "a b:/x", "a:/x/../y", "a:/x//y", "a\n:/x", "a;b:/x"}) {
    EXPECT_EQ(refused(PoolDriver::nfs, source, ""), "source") << source;
  }
  EXPECT_EQ(refused(PoolDriver::nfs, "10.0.0.5@tcp:/x", ""), "source");
  EXPECT_EQ(refused(PoolDriver::lustre, "10.0.0.5@tcp", ""), "source");
  EXPECT_EQ(refused(PoolDriver::lustre, "10.0.0.5@tcp:/", ""), "source");
  EXPECT_EQ(refused(PoolDriver::moosefs, "host/folder", ""), "source");
  // mfsmount takes master and folder among its options.
  for (const std::string source : {"m,suid", "m:9421,dev", "m:/site,suid"}) {
    EXPECT_EQ(refused(PoolDriver::moosefs, source, ""), "source") << source;
  }
  EXPECT_EQ(refused(PoolDriver::nfs, "a,b:/x", ""), "source");
  EXPECT_EQ(refused(PoolDriver::nfs, "a:/x,suid", ""), "source");
  EXPECT_EQ(refused(PoolDriver::cephfs, "h:/x,suid", ""), "source");
  EXPECT_EQ(refused(PoolDriver::lustre, "h@tcp:/x,suid", ""), "source");
}

TEST(PoolRules, ThePathIsAbsoluteOnNodesAndRelativeInsideASource) {
  for (const std::string path : {"", "relative", "/", "/a/", "/a/../b", "/a//b", "/etc/x", "/a\tb"}) {
    EXPECT_EQ(refused(PoolDriver::local, "", path), "path") << path;
    EXPECT_EQ(refused(PoolDriver::posix, "", path), "path") << path;
  }
  for (const std::string path : {"/vm", "vm/", "..", "../x", "a/../b", "a//b", ".", "a\nb"}) {
    EXPECT_EQ(refused(PoolDriver::nfs, "h:/x", path), "path") << path;
  }
}

TEST(PoolRules, OptionsAreThoseOfTheDriverAndCantSmuggleOthersIn) {
  EXPECT_EQ(refused(PoolDriver::nfs, "h:/x", "", {{"version", "4.1"}, {"connections", "8"}, {"port", "12049"}}), "");
  EXPECT_EQ(refused(PoolDriver::cephfs, "h", "", {{"client", "fuse"}, {"keyring", "/etc/ceph/key"}}), "");
  EXPECT_EQ(refused(PoolDriver::lustre, "h@tcp:/x", "", {{"stripe_size", "4MiB"}, {"ost_pool", "flash"}}), "");
  EXPECT_EQ(refused(PoolDriver::nfs, "h:/x", "", {{"version", "3"}}), "options.version");
  EXPECT_EQ(refused(PoolDriver::nfs, "h:/x", "", {{"version", "4|4.1"}}), "options.version");
  EXPECT_EQ(refused(PoolDriver::nfs, "h:/x", "", {{"connections", "4,soft"}}), "options.connections");
  EXPECT_EQ(refused(PoolDriver::cephfs, "h", "", {{"user", "a,b"}}), "options.user");
  EXPECT_EQ(refused(PoolDriver::cephfs, "h", "", {{"user", "-x"}}), "options.user");
  EXPECT_EQ(refused(PoolDriver::cephfs, "h", "", {{"keyring", "key"}}), "options.keyring");
  EXPECT_EQ(refused(PoolDriver::lustre, "h@tcp:/x", "", {{"stripe_size", "100KiB"}}), "options.stripe_size");
  EXPECT_EQ(refused(PoolDriver::local, "", "/var/pool", {{"version", "4"}}), "options.version");
  const std::map<std::string, std::string> key{{"evict_key", "/etc/key"}};
  const auto evicts = [&](const std::string& by) {
    auto options = key;
    options["evict_by"] = by;
    return refused(PoolDriver::lustre, "h@tcp:/x", "", options);
  };
  EXPECT_EQ(evicts("root@10.0.0.5:lctl@oss-1.site"), "");
  for (const auto* bad :
       {"root", "@h", "root@", "root@-oProxyCommand", "-o@h", "root@h:", ":root@h", "root@h;reboot", "a@b@c"}) {
    EXPECT_EQ(evicts(bad), "options.evict_by") << bad;
  }
  const auto unknown = check_pool_place(PoolDriver::moosefs, "h", "", {{"soft", "1"}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "options.soft: a moosefs pool has only these: password_file, storage_class");
}

TEST(PoolRules, LocksOfADeadNodeCanBeFreedWhereAccessWasGiven) {
  const auto can = [](PoolDriver driver, std::map<std::string, std::string> options) {
    return can_free_locks({.driver = driver, .options = std::move(options)});
  };
  EXPECT_TRUE(can(PoolDriver::moosefs, {}));
  EXPECT_FALSE(can(PoolDriver::nfs, {}));
  EXPECT_FALSE(can(PoolDriver::cephfs, {}));
  EXPECT_TRUE(can(PoolDriver::cephfs, {{"evict_keyring", "/k"}}));
  EXPECT_FALSE(can(PoolDriver::lustre, {{"evict_by", "root@h"}}));
  EXPECT_TRUE(can(PoolDriver::lustre, {{"evict_by", "root@h"}, {"evict_key", "/k"}}));
}

}  // namespace
}  // namespace bridgehead::model
