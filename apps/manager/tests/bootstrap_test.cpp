#include "manager/bootstrap.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/testing/manual_clock.h"
#include "pki/tokens.h"
#include "state/memory_store.h"

namespace bridgehead::manager {
namespace {

class Bootstrap : public ::testing::Test {
 protected:
  TemporaryDirectory directory_ = std::move(TemporaryDirectory::create().value());
  testing::ManualClock clock_;
  SystemRandom random_;
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = state::Inventory::open(*store_, clock_).value();
};

TEST_F(Bootstrap, FirstStartMakesOneAdminToken) {
  const auto made = ensure_admin_token(*inventory_, clock_, random_, directory_.path());
  ASSERT_TRUE(made) << made.error().describe();
  ASSERT_TRUE(*made);
  struct stat status {};
  ASSERT_EQ(::stat((*made)->c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);

  auto text = read_file(**made).value();
  ASSERT_EQ(text.back(), '\n');
  text.pop_back();
  const auto parsed = pki::parse_access_token(text);
  ASSERT_TRUE(parsed);
  const auto token = inventory_->find<model::Token>(parsed->id);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->value.role, model::Role::admin);
  EXPECT_TRUE(pki::secret_matches(parsed->secret, token->value.secret_sha256));

  const auto again = ensure_admin_token(*inventory_, clock_, random_, directory_.path());
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again);
  EXPECT_EQ(inventory_->all<model::Token>().size(), 1U);
}

// Killed between the file and the record: the file is of no use yet, the next start makes both anew.
TEST_F(Bootstrap, HalfAFirstStartIsFinished) {
  ASSERT_TRUE(write_file_atomic(directory_.path() / "admin.token", "bh_lost\n"));
  const auto made = ensure_admin_token(*inventory_, clock_, random_, directory_.path());
  ASSERT_TRUE(made && *made);
  EXPECT_NE(read_file(**made).value(), "bh_lost\n");
  EXPECT_EQ(inventory_->all<model::Token>().size(), 1U);
}

TEST_F(Bootstrap, OtherTokensDontReplaceAnAdmin) {
  ASSERT_TRUE(create_token(*inventory_, clock_, random_, "admin", model::Role::viewer));
  const auto made = ensure_admin_token(*inventory_, clock_, random_, directory_.path());
  ASSERT_TRUE(made && *made);
  EXPECT_EQ(inventory_->all<model::Token>().size(), 2U);
}

TEST_F(Bootstrap, TokensMadeOfflineWork) {
  const auto text = create_token(*inventory_, clock_, random_, "rescue", model::Role::admin);
  ASSERT_TRUE(text);
  const auto parsed = pki::parse_access_token(*text).value();
  EXPECT_TRUE(pki::secret_matches(parsed.secret, inventory_->find<model::Token>(parsed.id)->value.secret_sha256));
  EXPECT_EQ(create_token(*inventory_, clock_, random_, "rescue", model::Role::admin).error().code,
            ErrorCode::already_exists);
  EXPECT_EQ(create_token(*inventory_, clock_, random_, "no good", model::Role::admin).error().code,
            ErrorCode::invalid_argument);
}

TEST_F(Bootstrap, StateDirectoryIsPrivate) {
  const auto path = directory_.path() / "a" / "manager";
  ASSERT_TRUE(prepare_state_directory(path));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
  ASSERT_TRUE(prepare_state_directory(path));
  ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  EXPECT_EQ(prepare_state_directory(path).error().code, ErrorCode::failed_precondition);
  const auto file = directory_.path() / "file";
  ASSERT_TRUE(write_file_atomic(file, ""));
  EXPECT_FALSE(prepare_state_directory(file));
  EXPECT_FALSE(prepare_state_directory(file / "below"));
}

TEST(ClusterId, FollowsFromTheCa) {
  const auto id = cluster_id_of(std::string(64, 'a'));
  EXPECT_TRUE(is_uuid(id));
  EXPECT_EQ(id, cluster_id_of(std::string(64, 'a')));
  EXPECT_NE(id, cluster_id_of(std::string(64, 'b')));
}

}  // namespace
}  // namespace bridgehead::manager
