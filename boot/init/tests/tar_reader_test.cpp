#include "tar_reader.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "root_tree.h"
#include "text.h"

namespace bridgehead::init {
namespace {

struct Entry {
  std::string name;
  char type = '0';
  std::string content;
  std::string target;
  std::string prefix;
  std::string mode = "0000644";
};

void put_field(std::string& header, std::size_t at, std::string_view text) { header.replace(at, text.size(), text); }

std::string octal(std::size_t value, int digits) {
  std::string text;
  for (int i = digits - 1; i >= 0; --i) text += static_cast<char>('0' + (value >> (i * 3) & 7));
  return text;
}

std::string member(const Entry& entry) {
  std::string header(512, '\0');
  put_field(header, 0, entry.name);
  put_field(header, 100, entry.mode);
  put_field(header, 108, octal(::getuid(), 7));
  put_field(header, 116, octal(::getgid(), 7));
  put_field(header, 124, octal(entry.content.size(), 11));
  put_field(header, 148, "        ");
  header[156] = entry.type;
  put_field(header, 157, entry.target);
  put_field(header, 257, std::string_view("ustar\00000", 8));
  put_field(header, 345, entry.prefix);
  std::size_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put_field(header, 148, octal(sum, 6) + std::string("\0 ", 2));
  auto content = entry.content;
  content.resize((content.size() + 511) / 512 * 512);
  return header + content;
}

std::string archive(const std::vector<Entry>& entries) {
  std::string bytes;
  for (const auto& entry : entries) bytes += member(entry);
  return bytes + std::string(1024, '\0');
}

TEST(TarReader, ReadsMembers) {
  const auto bytes = archive({{"./etc/", '5', "", "", "", "0000755"},
                              {"./etc/a", '0', "content"},
                              {"name", '0', "x", "", "very/long/prefix"},
                              {"etc/link", '2', "", "../usr/lib/x"},
                              {"etc/mask", '2', "", "/dev/null"},
                              {"etc/hard", '1', "", "./etc/a"}});
  TarReader reader(bytes);
  EXPECT_EQ((*reader.next())->name, "etc");
  const auto file = reader.next();
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ((*file)->name, "etc/a");
  EXPECT_EQ((*file)->content, "content");
  EXPECT_EQ((*file)->mode, 0644U);
  EXPECT_EQ((*reader.next())->name, "very/long/prefix/name");
  EXPECT_EQ((*reader.next())->target, "../usr/lib/x");
  EXPECT_EQ((*reader.next())->target, "/dev/null");
  EXPECT_EQ((*reader.next())->target, "etc/a");
  const auto end = reader.next();
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST(TarReader, RefusesWhatLeadsOutOfTheRoot) {
  for (const auto& bad : std::vector<Entry>{{"/etc/passwd"},
                                            {"../x"},
                                            {"etc/../../x"},
                                            {"."},
                                            {""},
                                            {"etc/link", '2', "", "../../x"},
                                            {"link", '2', "", "a/../../x"},
                                            {"link", '2', "", "/../x"},
                                            {"link", '2', "", ""},
                                            {"link", '1', "", "/etc/passwd"},
                                            {"link", '1', "", "../x"},
                                            {"dev/sda", '4'},
                                            {"pax", 'x', "12 path=../x\n"},
                                            {"mode", '0', "", "", "", "9"}}) {
    const auto bytes = archive({bad});
    EXPECT_FALSE(TarReader(bytes).next()) << bad.name << " -> " << bad.target;
  }
}

TEST(TarReader, RefusesDamagedArchives) {
  auto bytes = archive({{"a", '0', std::string(700, 'x')}});
  EXPECT_FALSE(TarReader(std::string_view(bytes).substr(0, 600)).next()) << "cut in the content";
  EXPECT_FALSE(TarReader(std::string_view(bytes).substr(0, 100)).next()) << "cut in the header";
  bytes[3] = 'y';
  EXPECT_FALSE(TarReader(bytes).next()) << "checksum";
  EXPECT_FALSE(TarReader(std::string(512, 'z')).next()) << "no archive";
}

class Tree : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "init-tree-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    outside_ = pattern;
    root_ = pattern + "/root";
    make_directories(root_ + "/usr/lib");
    make_directories(root_ + "/etc");
    ASSERT_EQ(::symlink("usr/lib", (root_ + "/lib").c_str()), 0);
    ASSERT_EQ(::symlink("/usr/lib", (root_ + "/abs").c_str()), 0);
    ASSERT_EQ(::symlink("../..", (root_ + "/escape").c_str()), 0);
    ASSERT_EQ(::symlink((outside_ + "/victim").c_str(), (root_ + "/etc/resolv.conf").c_str()), 0);
  }
  void TearDown() override {
    const auto command = "rm -rf " + outside_;
    ASSERT_EQ(::system(command.c_str()), 0);  // NOLINT(cert-env33-c): a directory of our own
  }
  std::string outside_;
  std::string root_;
};

TEST_F(Tree, LinksAreFollowedInsideTheRootOnly) {
  auto tree = RootTree::open(root_);
  ASSERT_TRUE(tree);
  const auto done = tree->unpack(
      archive({{"lib/a", '0', "1"}, {"abs/b", '0', "2"}, {"escape/c", '0', "3"}, {"new/deep/d", '0', "4"}}));
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(read_value(root_ + "/usr/lib/a"), "1");
  EXPECT_EQ(read_value(root_ + "/usr/lib/b"), "2");
  EXPECT_EQ(read_value(root_ + "/c"), "3") << "'..' ends at the root";
  EXPECT_EQ(read_value(root_ + "/new/deep/d"), "4");
  EXPECT_FALSE(exists(outside_ + "/c"));
}

TEST_F(Tree, FilesReplaceLinksAndKeepModes) {
  auto tree = RootTree::open(root_);
  ASSERT_TRUE(tree);
  ASSERT_TRUE(tree->write("etc/resolv.conf", "nameserver 10.0.0.1\n", 0644));
  EXPECT_FALSE(exists(outside_ + "/victim"));
  EXPECT_EQ(read_value(root_ + "/etc/resolv.conf"), "nameserver 10.0.0.1");
  const auto done = tree->unpack(archive({{"usr/bin/tool", '0', "#!", "", "", "0004755"},
                                          {"etc/", '5', "", "", "", "0000700"},
                                          {"etc/hard", '1', "", "usr/bin/tool"},
                                          {"etc/soft", '2', "", "/usr/bin/tool"}}));
  ASSERT_TRUE(done) << done.error().describe();
  struct stat status {};
  ASSERT_EQ(::stat((root_ + "/etc/hard").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 04755U);
  ASSERT_EQ(::stat((root_ + "/etc").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755U) << "the image's directories stay as they are";
  EXPECT_TRUE(tree->is_executable("etc/soft")) << "followed inside the root";
  EXPECT_FALSE(tree->is_executable("etc/resolv.conf"));
  EXPECT_EQ(tree->read("etc/soft"), "#!") << "followed inside the root";
  EXPECT_EQ(tree->read("escape") + tree->read("nothing"), "") << "no files";
}

TEST_F(Tree, AHostileArchiveLeavesNothingBehind) {
  auto tree = RootTree::open(root_);
  ASSERT_TRUE(tree);
  EXPECT_FALSE(tree->unpack(archive({{"etc/first", '0', "x"}, {"../x"}})));
  EXPECT_FALSE(exists(root_ + "/etc/first"));
}

}  // namespace
}  // namespace bridgehead::init
