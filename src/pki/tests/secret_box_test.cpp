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
    EXPECT_EQ(from_base64(sealed)->find("kkkkkkkk"), std::string::npos);
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
  auto raw = *from_base64(sealed);
  for (std::size_t at = 0; at < raw.size(); ++at) {
    raw[at] = static_cast<char>(raw[at] ^ 1);
    EXPECT_TRUE(refused(to_base64(raw), "/etc/key")) << at;
    raw[at] = static_cast<char>(raw[at] ^ 1);
  }
  EXPECT_TRUE(refused(to_base64(raw.substr(0, raw.size() - 1)), "/etc/key"));
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

}  // namespace
}  // namespace bridgehead::pki
