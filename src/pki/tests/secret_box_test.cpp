#include "pki/secret_box.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/file.h"

namespace bridgehead::pki {
namespace {

class SecretBoxTest : public ::testing::Test {
 protected:
  std::unique_ptr<SecretBox> open(const std::string& name = "secrets.key") {
    return std::move(*SecretBox::open(directory_.path() / name, random_));
  }

  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  SystemRandom random_;
};

TEST_F(SecretBoxTest, OpensWhatItSealed) {
  std::string every_byte;
  for (int c = 0; c < 256; ++c) every_byte += static_cast<char>(c);
  const auto box = open();
  for (const auto& content : {std::string(), std::string("x"), every_byte, std::string(64 << 10, 'k')}) {
    const auto sealed = box->seal(content, "/etc/key");
    EXPECT_EQ(sealed.find(to_base64("kkkkkkkkk")), std::string::npos);
    EXPECT_TRUE(sealed.starts_with("1:")) << "versioned";
    EXPECT_EQ(open()->unseal(sealed, "/etc/key").value(), content) << "by the key of the file";
    EXPECT_NE(box->seal(content, "/etc/key"), sealed) << "no two are the same";
  }
}

TEST_F(SecretBoxTest, RefusesWhatWasChanged) {
  const auto box = open();
  const auto sealed = box->seal("content", "/etc/key");
  const auto refused = [&](const std::string& text, const std::string& label) {
    const auto opened = box->unseal(text, label);
    return !opened && opened.error().code == ErrorCode::data_corrupt;
  };
  EXPECT_TRUE(refused(sealed, "/etc/other"));
  EXPECT_TRUE(refused("", "/etc/key"));
  EXPECT_TRUE(refused("no base64!", "/etc/key"));
  const auto head = sealed.substr(0, sealed.rfind(':') + 1);
  auto raw = *from_base64(sealed.substr(head.size()));
  for (std::size_t at = 0; at < raw.size(); ++at) {
    raw[at] = static_cast<char>(raw[at] ^ 1);
    EXPECT_TRUE(refused(head + to_base64(raw), "/etc/key")) << at;
    raw[at] = static_cast<char>(raw[at] ^ 1);
  }
  EXPECT_TRUE(refused(head + to_base64(raw.substr(0, raw.size() - 1)), "/etc/key"));
  EXPECT_TRUE(refused(to_base64(raw), "/etc/key")) << "as if it were of the time without versions";
  EXPECT_TRUE(refused("2" + sealed.substr(1), "/etc/key")) << "of a version to come";
  const auto other = open("other.key")->unseal(sealed, "/etc/key");
  EXPECT_FALSE(other) << "another key";
}

TEST_F(SecretBoxTest, TheKeyIsItsOwnersAndNeverReplaced) {
  open();
  const auto path = directory_.path() / "secrets.key";
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  ASSERT_TRUE(write_file_atomic(path, "short\n", 0600));
  const auto damaged = SecretBox::open(path, random_);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::data_corrupt);
  EXPECT_EQ(read_file(path).value(), "short\n");
}

TEST_F(SecretBoxTest, RefusesTheTextOfAnotherRecord) {
  const auto box = open();
  const auto sealed = box->seal("hush", record_label("node", "n1", "bmc"));
  EXPECT_EQ(box->unseal(sealed, record_label("node", "n1", "bmc")).value(), "hush");
  EXPECT_FALSE(box->unseal(sealed, record_label("node", "n2", "bmc")));
  EXPECT_FALSE(box->unseal(sealed, record_label("node", "n1", "console")));
}

TEST_F(SecretBoxTest, OpensWhatWasSealedBeforeThereWereVersions) {
  // By the key of 32 bytes of 'k', nonce of 12 bytes of 'n', label "/etc/key"; made with Python's cryptography.
  ASSERT_TRUE(write_file_atomic(directory_.path() / "secrets.key", to_base64(std::string(32, 'k')) + "\n", 0600));
  const std::string sealed = "bm5ubm5ubm5ubm5u+1SJxHTa8fDiLzFzh1dbjFgwSV34tg4=";
  const auto box = open();
  EXPECT_EQ(box->unseal(sealed, "/etc/key").value(), "content");
  EXPECT_TRUE(box->needs_resealing(sealed));
  ASSERT_TRUE(box->rotate());
  EXPECT_EQ(box->unseal(sealed, "/etc/key").value(), "content");
}

TEST_F(SecretBoxTest, RotatesItsKeys) {
  const auto box = open();
  const auto old = box->seal("content", "label");
  EXPECT_FALSE(box->needs_resealing(old));
  ASSERT_TRUE(box->rotate());
  EXPECT_TRUE(box->needs_resealing(old));
  EXPECT_EQ(box->unseal(old, "label").value(), "content");
  const auto fresh = box->seal("content", "label");
  EXPECT_FALSE(box->needs_resealing(fresh));
  EXPECT_EQ(open()->unseal(old, "label").value(), "content") << "after a restart in between";
  EXPECT_EQ(open()->unseal(fresh, "label").value(), "content");
  ASSERT_TRUE(box->forget_old_keys());
  EXPECT_FALSE(box->unseal(old, "label"));
  EXPECT_EQ(open()->unseal(fresh, "label").value(), "content");
  EXPECT_FALSE(open()->unseal(old, "label"));
}

TEST_F(SecretBoxTest, RefusesAKeyThatOthersMayRead) {
  open();
  const auto path = directory_.path() / "secrets.key";
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto refused = SecretBox::open(path, random_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
}

}  // namespace
}  // namespace bridgehead::pki
