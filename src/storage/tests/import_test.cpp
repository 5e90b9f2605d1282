#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "storage/byte_order.h"
#include "storage/image_pool.h"
#include "storage/testing/http_file_server.h"
#include "storage/testing/test_images.h"

namespace bridgehead::storage::testing {
namespace {

class ImportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-import");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
    record_ = {.id = make_id<model::PoolId>(random_), .name = "p", .path = file("pool").native()};
    auto pool = open_pool(record_);
    ASSERT_TRUE(pool);
    pool_ = std::move(*pool);
    ASSERT_TRUE(pool_->attach().ready);
    raw_ = make_varied_raw(file("source.raw"));
    expected_ = content_of(raw_);
  }
  std::filesystem::path file(const std::string& name) const { return directory_->path() / name; }

  ImportRequest request(model::ImageSourceKind kind) { return import_of(random_, kind); }
  ImportRequest from_path(const std::filesystem::path& path) {
    auto made = request(model::ImageSourceKind::path);
    made.source_path = path;
    return made;
  }
  ImportRequest from_url(const std::string& url) {
    auto made = request(model::ImageSourceKind::url);
    made.source.location = url;
    return made;
  }
  Result<StoredImage> run(const ImportRequest& request, std::stop_token stop = {}) {
    return pool_->import_golden(request, {}, std::move(stop));
  }
  Result<StoredImage> upload(MemoryStream& stream, const std::string& sha256 = "", Bytes size = Bytes()) {
    auto made = request(model::ImageSourceKind::upload);
    made.upload = &stream;
    made.source.sha256 = sha256;
    made.source.size = size;
    return run(made);
  }
  Result<StoredImage> upload(const std::string& bytes) {
    MemoryStream stream(bytes);
    return upload(stream);
  }
  void expect_published(const Result<StoredImage>& stored, const std::string& what) {
    ASSERT_TRUE(stored) << what << ": " << stored.error().describe();
    EXPECT_TRUE(content_of(stored->path) == expected_) << what;
    EXPECT_LT(stored->allocated, 8_MiB) << what;
    if (!stored->sha256.empty()) {
      EXPECT_EQ(stored->sha256, sha256_of(expected_)) << what;
    }
    EXPECT_TRUE(nothing_staged()) << what;
  }
  void expect_refused(const Result<StoredImage>& result, ErrorCode code, const std::string& what) {
    ASSERT_FALSE(result) << what;
    EXPECT_EQ(result.error().code, code) << what << ": " << result.error().describe();
    EXPECT_TRUE(nothing_staged()) << what;
    EXPECT_TRUE(files_in(file("pool") / "golden").empty()) << what;
  }
  bool nothing_staged() const { return files_in(file("pool") / "tmp").empty(); }

  // The source in every format and wrapper that users send.
  std::vector<std::filesystem::path> every_kind() {
    std::vector<std::filesystem::path> all{raw_,
                                           convert(raw_, file("a.qcow2"), "qcow2"),
                                           convert(raw_, file("b.qcow2"), "qcow2", {"-c"}),
                                           convert(raw_, file("a.vmdk"), "vmdk"),
                                           convert(raw_, file("s.vmdk"), "vmdk", {"-o", "subformat=streamOptimized"}),
                                           convert(raw_, file("a.vdi"), "vdi"),
                                           convert(raw_, file("a.vhdx"), "vhdx")};
    for (const std::string source : {"source.raw", "a.qcow2"}) {
      run_tool("gzip", {"-k", file(source).native()});
      run_tool("xz", {"-k", "-0", file(source).native()});
      run_tool("zstd", {"-q", "-k", file(source).native()});
      for (const std::string suffix : {".gz", ".xz", ".zst"}) all.push_back(file(source + suffix));
    }
    return all;
  }

  SeededRandom random_{5};
  std::optional<TemporaryDirectory> directory_;
  model::Pool record_;
  std::unique_ptr<ImagePool> pool_;
  std::filesystem::path raw_;
  std::string expected_;
};

TEST_F(ImportTest, EveryKindArrivesByteForByteFromAFileAndAsAnUpload) {
  for (const auto& path : every_kind()) {
    const bool misnamed = path.filename() == "a.qcow2.gz";
    const auto source = misnamed ? file("really-a-gz.raw") : path;
    if (misnamed) std::filesystem::rename(path, source);
    expect_published(run(from_path(source)), source.filename().native() + " from a file");
    expect_published(upload(content_of(source)), source.filename().native() + " uploaded");
  }
}

TEST_F(ImportTest, TheDigestOfTheContentIsKeptWhereItComesForFree) {
  EXPECT_EQ(upload(expected_)->sha256, sha256_of(expected_));
  run_tool("gzip", {"-k", raw_.native()});
  EXPECT_EQ(upload(content_of(file("source.raw.gz")))->sha256, sha256_of(expected_));
  auto checked = from_path(raw_);
  checked.source.sha256 = sha256_of(expected_);
  const auto stored = run(checked);
  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_EQ(stored->sha256, sha256_of(expected_));
  // To another pool of this node the digest goes along.
  record_.id = make_id<model::PoolId>(random_);
  record_.path = file("other").native();
  auto other = open_pool(record_);
  ASSERT_TRUE((*other)->attach().ready);
  auto moved = request(model::ImageSourceKind::image);
  moved.source_path = stored->path;
  const auto there = (*other)->import_golden(moved, {}, {});
  ASSERT_TRUE(there) << there.error().describe();
  EXPECT_EQ(there->sha256, stored->sha256);
  EXPECT_TRUE(content_of(there->path) == expected_);
}

TEST_F(ImportTest, OddSizesArePaddedToWholeSectors) {
  const auto stored = upload(random_bytes(100'001, 4));
  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_EQ(stored->virtual_size, Bytes(100'352));
  EXPECT_TRUE(stored->sha256.empty());
  EXPECT_EQ(content_of(stored->path), random_bytes(100'001, 4) + std::string(351, '\0'));
}

TEST_F(ImportTest, ChecksumsAreOfTheBytesAsSentAndDecide) {
  const auto image = convert(raw_, file("a.qcow2"), "qcow2");
  run_tool("gzip", {"-k", image.native()});
  const std::string sent = content_of(file("a.qcow2.gz"));
  std::string upper = sha256_of(sent);
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  MemoryStream right(sent);
  expect_published(upload(right, upper, Bytes(sent.size())), "the right checksum");
  ASSERT_TRUE(pool_->remove({.id = model::ImageId(files_in(file("pool") / "golden").front().substr(0, 36))}));
  MemoryStream wrong(sent);
  expect_refused(upload(wrong, sha256_of(expected_)), ErrorCode::data_corrupt, "a wrong checksum");
  MemoryStream senseless(sent);
  expect_refused(upload(senseless, "abc"), ErrorCode::invalid_argument, "no checksum at all");
  for (const auto& path : {image, raw_, file("a.qcow2.gz")}) {
    auto file_wrong = from_path(path);
    file_wrong.source.sha256 = std::string(64, 'a');
    expect_refused(run(file_wrong), ErrorCode::data_corrupt, path.native());
  }
}

TEST_F(ImportTest, WhatIsCutOffBrokenOrTooLongIsRefused) {
  const std::string image = content_of(convert(raw_, file("a.qcow2"), "qcow2"));
  MemoryStream dies(image);
  dies.break_after(1 << 20);
  expect_refused(upload(dies), ErrorCode::unavailable, "the sender goes away");
  MemoryStream less(image);
  expect_refused(upload(less, "", Bytes(image.size() + 1)), ErrorCode::data_corrupt, "less than announced");
  MemoryStream more(image);
  expect_refused(upload(more, "", Bytes(image.size() - 1)), ErrorCode::data_corrupt, "more than announced");
  expect_refused(upload(image.substr(0, image.size() / 2)), ErrorCode::data_corrupt, "half a qcow2");
  expect_refused(upload(""), ErrorCode::data_corrupt, "nothing");
  for (const std::string tool : {"gzip", "xz", "zstd"}) {
    run_tool(tool, {"-k", "-q", raw_.native()});
    const std::string suffix = tool == "gzip" ? ".gz" : tool == "xz" ? ".xz" : ".zst";
    std::string sent = content_of(raw_.native() + suffix);
    expect_refused(upload(sent.substr(0, sent.size() - 1000)), ErrorCode::data_corrupt, tool + " cut off");
    for (std::size_t at = sent.size() / 2; at < sent.size() / 2 + 2000; ++at) sent[at] = static_cast<char>(~sent[at]);
    expect_refused(upload(sent), ErrorCode::data_corrupt, tool + " damaged");
  }
}

TEST_F(ImportTest, HostileImagesAreRefusedWhateverTheyAreWrappedIn) {
  const auto overlay = file("overlay.qcow2");
  run_tool("qemu-img", {"create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", overlay.native()});
  expect_refused(run(from_path(overlay)), ErrorCode::permission_denied, "a backing file");
  run_tool("gzip", {"-k", overlay.native()});
  expect_refused(upload(content_of(file("overlay.qcow2.gz"))), ErrorCode::permission_denied, "a backing file in gzip");
  // A raw disk whose content is such an image, and the same inside a harmless qcow2.
  const auto nested = convert(overlay, file("nested.qcow2"), "qcow2");
  expect_refused(run(from_path(nested)), ErrorCode::permission_denied, "an image in an image");
  std::filesystem::rename(file("overlay.qcow2.gz"), file("once"));
  run_tool("gzip", {"-k", file("once").native()});
  expect_refused(upload(content_of(file("once.gz"))), ErrorCode::unsupported, "gzip in gzip");
  expect_refused(upload("<html>404 not found, but kindly" + std::string(1000, ' ')), ErrorCode::data_corrupt, "a page");
}

TEST_F(ImportTest, OnlyRegularFilesAreTaken) {
  std::filesystem::create_symlink("/etc/passwd", file("link"));
  expect_refused(run(from_path(file("link"))), ErrorCode::permission_denied, "a link");
  ASSERT_EQ(::mkfifo(file("pipe").c_str(), 0600), 0);
  expect_refused(run(from_path(file("pipe"))), ErrorCode::invalid_argument, "a pipe");
  expect_refused(run(from_path(directory_->path())), ErrorCode::invalid_argument, "a directory");
  expect_refused(run(from_path(file("missing"))), ErrorCode::not_found, "nothing");
}

TEST_F(ImportTest, ABombIsStoppedByTheSpaceThatMayBeUsed) {
  // 64 TiB of zeros would cost nothing: holes. Data that doesn't fit is counted before it is written.
  const auto status = pool_->status();
  ASSERT_TRUE(status);
  MemoryStream stream("anything");
  expect_refused(upload(stream, "", Bytes(status->available.count() + 1)), ErrorCode::resource_exhausted, "announced");
  // Every L2 table of a 4 TiB image is the same one, full of data clusters: more than any disk here has.
  const auto bomb = convert(raw_, file("bomb.qcow2"), "qcow2", {"-S", "0"});
  run_tool("qemu-img", {"resize", "-q", "-f", "qcow2", bomb.native(), "16T"});
  std::string bytes = content_of(bomb);
  const std::span<std::uint8_t> span(reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size());
  const auto l1 = read_be<std::uint64_t>(span, 40);
  const auto entries = read_be<std::uint32_t>(span, 36);
  const auto first = read_be<std::uint64_t>(span, l1);
  const auto l2 = first & 0x00fffffffffffe00;
  const auto cluster = read_be<std::uint64_t>(span, l2);
  for (std::uint64_t i = 0; i < 8192; ++i) write_be(span, l2 + i * 8, cluster);
  for (std::uint64_t i = 0; i < entries; ++i) write_be(span, l1 + i * 8, first);
  write_content(bomb, bytes);
  expect_refused(run(from_path(bomb)), ErrorCode::resource_exhausted, "a qcow2 bomb");
}

TEST_F(ImportTest, UrlsAreFetchedAndTheirErrorsSay) {
  const std::string image = content_of(convert(raw_, file("a.qcow2"), "qcow2"));
  HttpFileServer server(image);
  auto checked = from_url(server.url("/redirect"));
  checked.source.sha256 = sha256_of(image);
  expect_published(run(checked), "by a redirect");
  ASSERT_TRUE(pool_->remove(checked.image));
  expect_refused(run(from_url(server.url("/missing"))), ErrorCode::not_found, "404");
  expect_refused(run(from_url(server.url("/cut"))), ErrorCode::data_corrupt, "cut off");
  expect_refused(run(from_url(server.url("/loop"))), ErrorCode::unavailable, "a loop of redirects");
  expect_refused(run(from_url(server.url("/to-ftp"))), ErrorCode::invalid_argument, "redirect to ftp");
  expect_refused(run(from_url(server.url("/to-local"))), ErrorCode::invalid_argument, "redirect to a file");
  expect_refused(run(from_url("file:///etc/passwd")), ErrorCode::invalid_argument, "a file");
  expect_refused(run(from_url("http://")), ErrorCode::invalid_argument, "no host");
  expect_refused(run(from_url("http://127.0.0.1:1/x")), ErrorCode::unavailable, "nobody there");
}

TEST_F(ImportTest, ADownloadThatStallsIsCancelledSoon) {
  HttpFileServer server(random_bytes(4 << 20, 2));
  std::stop_source stop;
  std::thread waits([&] {
    while (!server.stalled()) std::this_thread::yield();
    stop.request_stop();
  });
  expect_refused(run(from_url(server.url("/stall")), stop.get_token()), ErrorCode::cancelled, "cancelled");
  waits.join();
}

TEST_F(ImportTest, ACancelInAnyPhaseLeavesNothing) {
  const auto vdi = convert(raw_, file("a.vdi"), "vdi");
  for (const std::string phase : {"copy", "convert", "publish"}) {
    std::stop_source stop;
    std::atomic<bool> seen = false;
    const auto sink = [&](const Progress& progress) {
      if (progress.phase != phase) return;
      seen = true;
      stop.request_stop();
    };
    const auto result = pool_->import_golden(from_path(vdi), sink, stop.get_token());
    EXPECT_TRUE(seen) << phase;
    // Once the last check is passed the import may end well; whatever it says must be so.
    if (result) {
      EXPECT_EQ(phase, "publish");
      EXPECT_TRUE(content_of(result->path) == expected_);
    } else {
      EXPECT_EQ(result.error().code, ErrorCode::cancelled) << result.error().describe();
    }
    EXPECT_TRUE(nothing_staged()) << phase;
  }
}

TEST_F(ImportTest, ManyAtOnceAllArrive) {
  const auto image = convert(raw_, file("a.qcow2"), "qcow2");
  constexpr int kImports = 6;
  std::vector<ImportRequest> requests;
  for (int i = 0; i < kImports; ++i) requests.push_back(from_path(i % 2 == 0 ? image : raw_));
  std::latch go(kImports);
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (const auto& one : requests) {
    threads.emplace_back([&] {
      go.arrive_and_wait();
      const auto stored = run(one);
      if (stored && content_of(stored->path) == expected_) ++right;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, kImports);
  EXPECT_TRUE(nothing_staged());
}

}  // namespace
}  // namespace bridgehead::storage::testing
