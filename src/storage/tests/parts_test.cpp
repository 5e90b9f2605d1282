// Imports that are made in parts: by one process that is cut off, and by several that share the work.
#include <gtest/gtest.h>

#include <thread>

#include "storage/import.h"
#include "storage/part_crew.h"
#include "storage/testing/http_file_server.h"
#include "storage/testing/test_images.h"

namespace bridgehead::storage::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr Bytes kPart = 2_MiB;

// Asks for a stop once so much is done.
ProgressSink stop_at(std::uint64_t done, std::stop_source& stop) {
  return [done, &stop](const Progress& progress) {
    if (progress.done >= done) stop.request_stop();
  };
}

// One node of a cluster whose shared pool is a directory.
struct PoolNode {
  PoolNode(RandomSource& random, const fs::path& root)
      : id(make_id<model::NodeId>(random)), layout(root, id.str()), runner() {
    fs::create_directories(layout.tmp());
  }

  ImportEnvironment environment() {
    return {.layout = layout,
            .runner = runner,
            .abilities = {.direct_io = true},
            .create =
                [this](const fs::path& file, Bytes) {
                  ++created;
                  return open_file(file, O_RDWR | O_CREAT | O_EXCL);
                },
            .order = order,
            .part = part};
  }

  model::NodeId id;
  PoolLayout layout;
  SystemCommandRunner runner;
  int created = 0;
  CopyOrder order;
  Bytes part = kPart;
};

class PartsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-parts");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
    for (const char* part : {"golden", "disks", "leases", "tmp"}) fs::create_directories(root() / part);
    source_ = make_varied_raw(file("source.raw"));
    expected_ = content_of(source_);
    for (int i = 0; i < 3; ++i) nodes_.push_back(std::make_unique<PoolNode>(random_, root()));
    request_ = import_of(random_, model::ImageSourceKind::image);
    request_.source_path = source_;
  }
  fs::path file(const std::string& name) const { return directory_->path() / name; }
  fs::path root() const { return file("pool"); }
  PoolNode& leader() { return *nodes_.front(); }
  fs::path staged() { return leader().layout.staging(request_.operation.str(), "raw"); }
  fs::path record() { return leader().layout.staging(request_.operation.str(), "parts"); }

  Result<StoredImage> import(const ProgressSink& progress = {}, std::stop_token stop = {}) {
    return import_image(leader().environment(), request_, progress, std::move(stop));
  }
  Status help(PoolNode& node, std::stop_token stop = {}) {
    const HelpRequest request{.operation = request_.operation,
                              .leader = leader().id,
                              .image = request_.image,
                              .source_path = source_,
                              .patience = 20s};
    return help_import(node.environment(), request, {}, std::move(stop));
  }
  // Ended by its agent's end when so many bytes are done.
  void cut_off(std::uint64_t after) {
    std::stop_source stop;
    request_.leaving = [] { return true; };
    const auto cut = import(stop_at(after, stop), stop.get_token());
    ASSERT_FALSE(cut);
    ASSERT_EQ(cut.error().code, ErrorCode::cancelled) << cut.error().describe();
    request_.leaving = [] { return false; };
  }
  void expect_published(const Result<StoredImage>& stored) {
    ASSERT_TRUE(stored) << stored.error().describe();
    EXPECT_TRUE(content_of(stored->path) == expected_);
    EXPECT_LT(stored->allocated, 8_MiB) << "its holes are kept";
    expect_nothing_staged();
  }
  void expect_nothing_staged() {
    for (const auto& node : nodes_) EXPECT_TRUE(files_in(node->layout.tmp()).empty());
  }
  void expect_refused(const Result<StoredImage>& result, ErrorCode code) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().describe();
    expect_nothing_staged();
    EXPECT_TRUE(files_in(root() / "golden").empty());
  }
  std::size_t parts_done() {
    PartBook book(record(), leader().id.str());
    const auto plan = book.plan();
    if (!plan) return 0;
    const auto parts = book.read(*plan);
    if (!parts) return 0;
    return static_cast<std::size_t>(
        std::count_if(parts->begin(), parts->end(), [](const auto& part) { return !part.writers.empty(); }));
  }

  // A staged file with its record, as the leader makes them, for crews that a test runs by itself.
  PartPlan begin(std::vector<std::string> participants) {
    auto target = open_file(file("target.raw"), O_RDWR | O_CREAT | O_TRUNC);
    require(target && ::ftruncate(target->get(), static_cast<off_t>(expected_.size())) == 0, "no target");
    struct stat status {};
    ::fstat(target->get(), &status);
    auto opened = open_file(source_, O_RDONLY);
    PartPlan plan{.source = *source_identity(opened->get()),
                  .size = expected_.size(),
                  .part = kPart.count(),
                  .inode = status.st_ino,
                  .participants = std::move(participants)};
    PartBook book(file("record"), plan.participants.front());
    require(book.begin(plan).has_value(), "no record");
    return plan;
  }
  PartWork work(PartBook& book, const PartPlan& plan, const std::string& self) {
    return {.book = book,
            .plan = plan,
            .self = self,
            .file = file("target.raw"),
            .open_source = [this]() -> Result<ReadableImage> { return open_raw_image(*open_file(source_, O_RDONLY)); },
            .options = {},
            .look = 10ms};
  }

  SeededRandom random_{7};
  std::optional<TemporaryDirectory> directory_;
  fs::path source_;
  std::string expected_;
  std::vector<std::unique_ptr<PoolNode>> nodes_;
  ImportRequest request_;
};

TEST_F(PartsTest, AnImportInPartsArrivesByteForByte) {
  expect_published(import());
  expect_published(import());  // again: as it is
}

TEST_F(PartsTest, OneThatWasCutOffGoesOnWithWhatWasDone) {
  for (const bool qcow2 : {false, true}) {
    request_ = import_of(random_, model::ImageSourceKind::path);
    request_.source_path = qcow2 ? convert(source_, file("source.qcow2"), "qcow2") : source_;
    leader().created = 0;
    cut_off(10 << 20);
    const auto done = parts_done();
    EXPECT_GT(done, 0U);
    // What a crash in the middle of a line leaves.
    std::ofstream(record() / leader().id.str(), std::ios::app) << "done 1";
    std::atomic<std::uint64_t> least = ~0ULL;
    expect_published(import([&](const Progress& progress) {
      if (progress.phase == "copy" && progress.done < least) least = progress.done;
    }));
    EXPECT_GE(least, done * kPart.count()) << "it began again";
    EXPECT_EQ(leader().created, 1);
  }
}

TEST_F(PartsTest, ADownloadThatWasCutOffGoesOnWhereItsServerHasTheSame) {
  for (const bool qcow2 : {false, true}) {
    const auto sent = qcow2 ? content_of(convert(source_, file("sent.qcow2"), "qcow2")) : expected_;
    HttpFileServer server(sent);
    for (const std::string tag : {"\"1\"", "\"2\"", ""}) {
      request_ = import_of(random_, model::ImageSourceKind::url);
      request_.source.location = server.url("/file");
      request_.source.sha256 = sha256_of(sent);
      server.set_tag("\"1\"");
      cut_off(3 << 20);
      ASSERT_EQ(server.last_position(), 0U);
      server.set_tag(tag);
      const auto stored = import();
      expect_published(stored);
      EXPECT_EQ(server.last_position(), tag == "\"1\"" ? kPart.count() : 0);
    }
  }
}

TEST_F(PartsTest, AServerThatGivesNoTagIsAskedForAllAgain) {
  HttpFileServer server(expected_);
  server.set_tag("W/\"weak\"");
  request_ = import_of(random_, model::ImageSourceKind::url);
  request_.source.location = server.url("/file");
  cut_off(3 << 20);
  expect_nothing_staged();
  expect_published(import());
}

TEST_F(PartsTest, WhatWasDownloadedAndReadsBackOtherwiseIsNotPublished) {
  HttpFileServer server(expected_);
  request_ = import_of(random_, model::ImageSourceKind::url);
  request_.source.location = server.url("/file");
  cut_off(3 << 20);
  auto staging = open_file(leader().layout.staging(request_.operation.str(), "staged"), O_RDWR);
  ASSERT_TRUE(staging);
  ASSERT_EQ(::pwrite(staging->get(), "?", 1, 1 << 20), 1);
  staging->reset();
  expect_refused(import(), ErrorCode::data_corrupt);
}

TEST_F(PartsTest, WhatReadsBackOtherwiseIsNotPublished) {
  cut_off(10 << 20);
  PartBook book(record(), "x");
  const auto parts = book.read(*book.plan());
  const auto first = std::find_if(parts->begin(), parts->end(), [](const auto& part) { return !part.writers.empty(); });
  const auto offset = static_cast<std::uint64_t>(first - parts->begin()) * kPart.count();
  auto raw = open_file(staged(), O_RDWR);
  const char wrong = static_cast<char>(expected_[offset] ^ 1);
  ASSERT_EQ(::pwrite(raw->get(), &wrong, 1, static_cast<off_t>(offset)), 1);
  raw->reset();
  expect_refused(import(), ErrorCode::data_corrupt);
}

TEST_F(PartsTest, AnotherSourceIsBegunAnew) {
  cut_off(10 << 20);
  fs::remove(source_);
  source_ = make_varied_raw(file("source.raw"), 77);
  fs::last_write_time(source_, fs::last_write_time(source_) - 100s);
  expected_ = content_of(source_);
  expect_published(import());
  EXPECT_EQ(leader().created, 2);
}

TEST_F(PartsTest, ACancelForGoodLeavesNothing) {
  std::stop_source stop;
  expect_refused(import(stop_at(10 << 20, stop), stop.get_token()), ErrorCode::cancelled);
  // Also of what an agent before this one has done.
  cut_off(10 << 20);
  expect_refused(import({}, stop.get_token()), ErrorCode::cancelled);
}

TEST_F(PartsTest, GarbageCollectionTakesTheRecordToo) {
  const model::Pool pool{.id = make_id<model::PoolId>(random_), .name = "p", .path = file("local").native()};
  const auto images = open_pool(pool);
  ASSERT_TRUE((*images)->attach().ready);
  PartBook book(file("local") / "tmp" / (request_.operation.str() + ".parts"), "this");
  ASSERT_TRUE(book.begin({.source = "x", .size = 1, .part = 1, .participants = {"this"}}));
  ASSERT_TRUE((*images)->collect_garbage([](const auto&) { return true; }));
  EXPECT_TRUE(book.plan());
  ASSERT_TRUE((*images)->collect_garbage([](const auto&) { return false; }));
  EXPECT_TRUE(files_in(file("local") / "tmp").empty());
}

TEST_F(PartsTest, SeveralNodesShareAnImport) {
  for (std::size_t i = 1; i < nodes_.size(); ++i) request_.helpers.push_back(nodes_[i]->id);
  std::vector<std::thread> helpers;
  std::atomic<int> helped = 0;
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    helpers.emplace_back([&, i] { helped += help(*nodes_[i]).has_value() ? 1 : 0; });
  }
  const auto stored = import();
  for (auto& helper : helpers) helper.join();
  EXPECT_EQ(helped, 2);
  expect_published(stored);
}

TEST_F(PartsTest, HelpersEndWithACancelledImport) {
  request_.helpers = {nodes_[1]->id};
  std::stop_source stop;
  std::stop_source helper_stop;
  std::thread helper([&] { (void)help(*nodes_[1], helper_stop.get_token()); });
  expect_refused(import([&](const Progress&) { stop.request_stop(); }, stop.get_token()), ErrorCode::cancelled);
  helper_stop.request_stop();  // as the manager does
  helper.join();
  expect_nothing_staged();
}

TEST_F(PartsTest, EveryPartIsReadBackByOneWhoDidNotWriteIt) {
  const auto plan = begin({"leader", "second", "third"});
  const auto run = [&](const std::string& name, const ProgressSink& progress = {}, std::stop_token stop = {}) {
    PartBook book(file("record"), name);
    return work_on_parts(work(book, plan, name), progress, std::move(stop));
  };
  std::stop_source enough;
  EXPECT_FALSE(run("second", stop_at(4 << 20, enough), enough.get_token()));
  bool third_did_well = false;
  std::thread third([&] { third_did_well = run("third").has_value(); });
  EXPECT_TRUE(run("leader"));
  third.join();
  EXPECT_TRUE(third_did_well);
  EXPECT_TRUE(content_of(file("target.raw")) == expected_);
  PartBook book(file("record"), "leader");
  std::set<std::string> writers;
  const auto parts = book.read(plan);
  ASSERT_TRUE(parts);
  for (const auto& part : *parts) {
    EXPECT_EQ(part.writers.size(), 1U) << "claims keep two from writing one part";
    writers.insert(part.writers.begin(), part.writers.end());
    EXPECT_TRUE(part.writers.contains("leader") ||
                std::any_of(part.checkers.begin(), part.checkers.end(),
                            [&](const auto& checker) { return !part.writers.contains(checker); }));
  }
  EXPECT_TRUE(writers.contains("second"));
}

TEST_F(PartsTest, OthersTakeThePartsOfOneWhoIsGone) {
  const auto plan = begin({"leader", "gone"});
  auto gone = std::make_unique<PartBook>(file("record"), "gone");
  for (std::size_t i = 0; i < plan.count(); ++i) ASSERT_TRUE(gone->claim(i));
  PartBook book(file("record"), "leader");
  EXPECT_FALSE(book.claim(0));
  auto mine = work(book, plan, "leader");
  std::atomic<bool> looked = false;
  std::thread dies([&] {
    while (!looked) std::this_thread::yield();
    gone.reset();
  });
  EXPECT_TRUE(work_on_parts(mine, [&](const Progress&) { looked = true; }, {}));
  dies.join();
  EXPECT_TRUE(content_of(file("target.raw")) == expected_);
}

TEST_F(PartsTest, AClaimThatIsNeverLetGoIsOverriddenByTheLeaderAlone) {
  const auto plan = begin({"leader", "hangs", "helper"});
  PartBook hangs(file("record"), "hangs");
  ASSERT_TRUE(hangs.claim(3));
  PartBook helper(file("record"), "helper");
  std::stop_source stop;
  auto helping = work(helper, plan, "helper");
  helping.patience = 1ms;
  std::thread helps([&] { (void)work_on_parts(helping, {}, stop.get_token()); });
  PartBook book(file("record"), "leader");
  auto mine = work(book, plan, "leader");
  mine.patience = 300ms;
  EXPECT_TRUE(work_on_parts(mine, {}, {}));
  stop.request_stop();
  helps.join();
  EXPECT_TRUE((*book.read(plan))[3].writers.contains("leader"));
  EXPECT_TRUE(content_of(file("target.raw")) == expected_);
}

TEST_F(PartsTest, TheClaimsOfAHostThatIsGoneAreWaitedForOnce) {
  const auto plan = begin({"leader", "hangs"});
  PartBook hangs(file("record"), "hangs");
  for (std::size_t i = 0; i < 5; ++i) ASSERT_TRUE(hangs.claim(i));
  PartBook book(file("record"), "leader");
  auto mine = work(book, plan, "leader");
  mine.patience = 3s;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(work_on_parts(mine, {}, {}));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 3 * mine.patience);
  EXPECT_TRUE(content_of(file("target.raw")) == expected_);
}

TEST_F(PartsTest, WhatOneNotesWhoDoesNotKnowOfTheNewPlanCountsForNothing) {
  const auto plan = begin({"leader", "late"});
  PartBook late(file("record"), "late");
  PartBook too_late(file("record"), "late");
  ASSERT_TRUE(late.join(plan));
  auto next = plan;
  ++next.inode;
  PartBook book(file("record"), "leader");
  ASSERT_TRUE(book.begin(next));
  (void)late.note_done(1, std::string(64, 'a'));
  EXPECT_EQ(too_late.join(plan).error().code, ErrorCode::not_found);
  const auto parts = book.read(next);
  ASSERT_TRUE(parts);
  for (const auto& part : *parts) EXPECT_TRUE(part.writers.empty());
}

// NFS would keep them, under other names, and with them the directory.
TEST_F(PartsTest, WhatIsOpenIsClosedBeforeTheRecordIsRemoved) {
  const auto plan = begin({"leader"});
  PartBook book(file("record"), "leader");
  ASSERT_TRUE(book.join(plan));
  ASSERT_TRUE(book.claim(0));
  ASSERT_TRUE(book.remove());
  for (const auto& fd : fs::directory_iterator("/proc/self/fd")) {
    std::error_code closed;
    EXPECT_EQ(fs::read_symlink(fd, closed).native().find(file("record").native()), std::string::npos);
  }
}

// On MooseFS one needs many streams to use all servers, several together don't; and each is to have its share.
TEST_F(PartsTest, SeveralNodesHaveSmallerParts) {
  make_raw(source_, Bytes(2_GiB).count(), {{0, expected_}});
  leader().order = {.stretch = 64_MiB, .lanes = 8};
  leader().part = {};
  const auto part_with = [&](std::vector<model::NodeId> helpers) {
    request_ = import_of(random_, model::ImageSourceKind::image);
    request_.source_path = source_;
    request_.helpers = std::move(helpers);
    cut_off(0);
    return PartBook(record(), leader().id.str()).plan()->part;
  };
  EXPECT_EQ(part_with({}), Bytes(512_MiB).count());
  EXPECT_EQ(part_with({nodes_[1]->id}), Bytes(256_MiB).count());
  EXPECT_EQ(part_with({nodes_[1]->id, nodes_[2]->id}), Bytes(128_MiB).count());
  leader().order.lanes = 10;  // five servers
  EXPECT_EQ(part_with({}), Bytes(640_MiB).count());
  EXPECT_EQ(part_with({nodes_[1]->id, nodes_[2]->id}), Bytes(128_MiB).count());
}

TEST_F(PartsTest, AWrongDigestEndsIt) {
  const auto plan = begin({"leader", "liar"});
  PartBook liar(file("record"), "liar");
  ASSERT_TRUE(liar.note_done(2, std::string(64, 'a')));
  PartBook book(file("record"), "leader");
  const auto ended = work_on_parts(work(book, plan, "leader"), {}, {});
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::data_corrupt);
}

TEST_F(PartsTest, TwoWhoDisagreeEndIt) {
  const auto plan = begin({"leader", "liar"});
  PartBook liar(file("record"), "liar");
  PartBook book(file("record"), "leader");
  ASSERT_TRUE(liar.note_done(2, std::string(64, 'a')));
  ASSERT_TRUE(book.note_done(2, std::string(64, 'b')));
  EXPECT_EQ(book.read(plan).error().code, ErrorCode::data_corrupt);
}

TEST_F(PartsTest, ASourceThatChangesMeanwhileEndsIt) {
  const auto plan = begin({"leader"});
  fs::last_write_time(source_, fs::last_write_time(source_) - 100s);
  PartBook book(file("record"), "leader");
  EXPECT_EQ(work_on_parts(work(book, plan, "leader"), {}, {}).error().code, ErrorCode::data_corrupt);
}

TEST_F(PartsTest, TheDigestTellsContentNotHoles) {
  const auto stored = make_raw(file("stored.raw"), expected_.size(), {{0, expected_}});  // no hole in it
  const auto whole = ContentPart{0, expected_.size()};
  const auto digest = [&](const fs::path& path, const ContentPart& part) {
    return *digest_of_part(*open_raw_image(*open_file(path, O_RDONLY)), part, {});
  };
  EXPECT_EQ(digest(source_, whole), digest(stored, whole));
  EXPECT_EQ(digest(source_, {2 << 20, 4 << 20}), digest(stored, {2 << 20, 4 << 20}));
  EXPECT_NE(digest(source_, {0, 2 << 20}), digest(source_, {2 << 20, 4 << 20}));
  auto changed = expected_;
  changed[9 << 20] = static_cast<char>(changed[9 << 20] ^ 1);
  const auto other = make_raw(file("other.raw"), changed.size(), {{0, changed}});
  EXPECT_NE(digest(source_, whole), digest(other, whole));
  EXPECT_EQ(digest(source_, {0, 8 << 20}), digest(other, {0, 8 << 20}));
}

}  // namespace
}  // namespace bridgehead::storage::testing
