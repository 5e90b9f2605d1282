#include "provision/reading_lists.h"

#include "provision/tests/provision_fixture.h"

namespace bridgehead::provision {
namespace {

TEST(ReadingListCheck, OnlyRangesOfTheRootMayStandInIt) {
  const Bytes ten_pages(10 * 4096 - 1);  // the last one isn't full
  for (const auto* good : {"0 10\n", "0 2\n3 1\n9 1\n", "9 1"})
    EXPECT_TRUE(check_reading_list(good, ten_pages)) << good;
  for (const auto* bad : {"", "\n", "1\n", "1 0\n", "a 1\n", "1 b\n", "-1 2\n", "1 2 3\n", " 1 2\n", "10 1\n", "9 2\n",
                          "5 1\n3 1\n", "3 3\n5 1\n", "3 2\n5 1\n", "0 1\n\n", "0 18446744073709551615\n",
                          "18446744073709551615 18446744073709551615\n", "99999999999999999999 1\n"}) {
    const auto checked = check_reading_list(bad, ten_pages);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
  }
}

TEST(ReadingListCheck, NoMoreThanABootMayCost) {
  EXPECT_TRUE(check_reading_list("0 16384\n", 1_GiB));
  EXPECT_FALSE(check_reading_list("0 16385\n", 1_GiB));
  EXPECT_FALSE(check_reading_list("0 16384\n20000 1\n", 1_GiB));
}

class ReadingListTest : public ProvisionTest {
 protected:
  // A boot of the image; its token.
  std::string boot(const std::string& image) {
    get("/boot/v1/ipxe", {{"mac", kMac}});
    approve_and_assign(image);
    const auto token = value_of(get("/boot/v1/ipxe", {{"mac", kMac}}).body, "bh.boot");
    const auto told = plan(token).body;
    EXPECT_EQ(value_of(told, "nbd.reads"), "http://10.77.0.1:7480/boot/v1/reads?boot=" + token) << told;
    return token;
  }
  netboot::BootAnswer ask_list(const std::string& token) { return get("/boot/v1/reads", {{"boot", token}}); }
  int tell(const std::string& token, const std::string& list) {
    return post("/boot/v1/reads", {{"boot", token}}, list).status;
  }
};

TEST_F(ReadingListTest, TheFirstNodeThatIsReadyTellsAndItsListStays) {
  const auto image = add_image("debian-12:1");
  const auto token = boot("debian-12:1");
  EXPECT_EQ(ask_list(token).status, 204);
  EXPECT_EQ(tell(token, "0 1\n"), 403);  // not ready yet
  EXPECT_EQ(ask_list(token).status, 204);
  ASSERT_TRUE(book_->note(node().id, model::BootStep::agent));
  ASSERT_TRUE(book_->note(node().id, model::BootStep::ready));
  EXPECT_EQ(ask_list(token).status, 202);
  EXPECT_EQ(tell(token, "0 999999999\n"), 400);
  EXPECT_EQ(ask_list(token).status, 202);
  EXPECT_EQ(tell(token, "0 2\n7 1\n"), 204);
  EXPECT_EQ(tell(token, "100 1\n"), 204);
  restart();
  const auto answer = ask_list(token);
  ASSERT_TRUE(answer.file);
  EXPECT_EQ(*read_file(answer.file->path, 1_MiB), "0 2\n7 1\n");
  EXPECT_EQ(answer.file->path.filename(), image.id.str());
}

TEST_F(ReadingListTest, NobodyElseTells) {
  add_image("debian-12:1");
  const auto token = boot("debian-12:1");
  ASSERT_TRUE(book_->set_root(node().id, model::RootTransport::nfs));
  ASSERT_TRUE(book_->note(node().id, model::BootStep::ready));
  EXPECT_EQ(tell(token, "0 1\n"), 403);
  EXPECT_EQ(tell(std::string(64, 'f'), "0 1\n"), 404);
  EXPECT_EQ(ask_list(std::string(64, 'f')).status, 404);
}

TEST_F(ReadingListTest, GoesWithItsImage) {
  const auto old = add_image("debian-12:1");
  ReadingLists lists(directory_->path() / "reads");
  ASSERT_TRUE(lists.keep(old, "0 1\n"));
  ASSERT_TRUE(lists.has(old.id));
  const auto kept = add_image("debian-12:2");
  ASSERT_TRUE(lists.keep(kept, "0 1\n"));
  lists.keep_only({kept.id});
  EXPECT_FALSE(lists.has(old.id));
  EXPECT_TRUE(lists.has(kept.id));
}

}  // namespace
}  // namespace bridgehead::provision
