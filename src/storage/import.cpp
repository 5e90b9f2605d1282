#include "storage/import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <future>

#include "base/file.h"
#include "model/enum_names.h"
#include "storage/byte_streams.h"
#include "storage/convert.h"
#include "storage/copy_engine.h"
#include "storage/digest.h"
#include "storage/download_record.h"
#include "storage/file_space.h"
#include "storage/image_probe.h"
#include "storage/messages.h"
#include "storage/part_crew.h"
#include "storage/qcow2_image.h"
#include "storage/stage_stream.h"

namespace bridgehead::storage {
namespace {

Result<std::uint64_t> size_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, "stat the image");
  return static_cast<std::uint64_t>(status.st_size);
}

// The same file with an offset of its own.
Result<UniqueFd> reopen(int fd) { return open_file(fmt::format("/proc/self/fd/{}", fd), O_RDONLY); }

// Parts of less cost more syncs than they save work after a crash; more than kMostParts a long record.
constexpr Bytes kSmallestPart = 128_MiB;
constexpr std::uint64_t kMostParts = 1024;

// For one node, all lanes of the pool's copy order have work within a part; for several, within those that they are at.
// Then small ones count more: who is ready early takes another, or reads one back.
std::uint64_t part_size(const ImportEnvironment& environment, std::uint64_t size, std::size_t nodes) {
  if (environment.part.count() != 0) return environment.part.count();
  const auto& order = environment.order;
  const auto lanes = nodes == 1 ? order.lanes : std::bit_floor(std::max<std::uint64_t>(1, order.lanes / nodes));
  const auto smallest = kSmallestPart.count();
  const auto least = (size / kMostParts + smallest - 1) / smallest * smallest;
  return std::max({smallest, least, order.stretch.count() * lanes});
}

// Digest of a whole file, beside the copy that reads it as well.
class FileDigest {
 public:
  FileDigest(UniqueFd file, std::stop_token stop)
      : on_stop_(std::move(stop), [this] { abandoned_ = true; }),
        digest_(std::async(std::launch::async,
                           [this, file = std::move(file)]() mutable { return work(std::move(file)); })) {}
  ~FileDigest() { abandoned_ = true; }  // the future then waits for the end of one read
  Result<std::string> get() { return digest_.get(); }

 private:
  Result<std::string> work(UniqueFd file) {
    FileStream stream(std::move(file));
    Sha256 digest;
    for (;;) {
      if (abandoned_) return fail(ErrorCode::cancelled, "the import was cancelled");
      auto bytes = stream.read();
      if (!bytes) return bytes;
      if (bytes->empty()) return digest.hex();
      digest.update(std::string_view(*bytes));
    }
  }

  std::atomic<bool> abandoned_ = false;
  std::stop_callback<std::function<void()>> on_stop_;
  std::future<Result<std::string>> digest_;
};

class Import {
 public:
  Import(const ImportEnvironment& environment, const ImportRequest& request, const ProgressSink& progress,
         std::stop_token stop)
      : environment_(environment),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        staged_path_(environment.layout.staging(request.operation.str(), "staged")),
        raw_path_(environment.layout.staging(request.operation.str(), "raw")),
        download_(environment.layout.staging(request.operation.str(), "download")),
        book_(part_record(environment.layout, request.operation), participant(environment.layout)) {}

  ~Import() {
    if (!keep_ || !read_record(download_)) forget_staged();
    if (!keep_ || !book_.plan()) forget_raw();
  }
  Import(const Import&) = delete;

  Result<StoredImage> run() {
    auto stored = work();
    const bool stopped = !stored && stored.error().code == ErrorCode::cancelled;
    keep_ = stopped && request_.leaving();
    return stored;
  }

 private:
  Result<StoredImage> work() {
    const auto final_path = environment_.layout.golden_file(request_.image.id);
    if (auto published = stored_file(final_path, model::ImageFormat::raw)) return published;
    if (auto fine = check_sha256_form(request_.source.sha256); !fine) return forward(fine);
    if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    if (request_.source.kind != model::ImageSourceKind::url) forget_staged();
    if (auto found = acquire(); !found) return forward(found);
    if (auto made = make_raw(); !made) return forward(made);
    if (digest_) {
      auto digest = digest_->get();
      if (!digest) return forward(digest);
      if (auto same = check_sha256(request_.source.sha256, *digest); !same) return forward(same);
      if (content_is_source_) content_sha256_ = *digest;
    }
    if (auto done = publish(final_path); !done) return forward(done);
    return stored_file(final_path, model::ImageFormat::raw);
  }

  void forget_staged() {
    ::unlink(staged_path_.c_str());
    ::unlink(download_.c_str());
  }
  // Whatever an earlier attempt, or this one, has made of the result. The record last: as long as it is there the next
  // attempt looks at the file.
  void forget_raw() {
    ::unlink(raw_path_.c_str());
    (void)book_.remove();
  }

  Result<Bytes> usable() const {
    auto space = space_of(environment_.layout.tmp());
    if (!space) return forward(space);
    return space->usable();
  }

  // The source's bytes, unwrapped, in file_: staged, or (a plain file of this node) where they are.
  Status acquire() {
    switch (request_.source.kind) {
      case model::ImageSourceKind::upload: return receive_upload();
      case model::ImageSourceKind::url: return download();
      case model::ImageSourceKind::path:
      case model::ImageSourceKind::image: return take_file();
    }
    return fail(ErrorCode::internal, "unknown kind of image source");
  }

  Status receive_upload() {
    if (request_.upload == nullptr) return fail(ErrorCode::internal, "an upload without a stream");
    return stage(*request_.upload, {.phase = "receive",
                                    .total = [size = request_.source.size] { return size; },
                                    .exact_size = request_.source.size,
                                    .expected_sha256 = request_.source.sha256});
  }

  // From where an earlier attempt was cut off, if the server has the same still.
  Status download() {
    auto space = usable();
    if (!space) return forward(space);
    const auto before = read_record(download_).value_or(DownloadRecord{});
    auto file = open_file(staged_path_, O_RDWR);
    const FetchFrom from{.position = file ? before.done : 0, .tag = before.tag};
    // What is staged makes room if all comes again.
    const FetchLimits limits{.largest = *space + Bytes(from.position)};
    auto stream = UrlStream::open(request_.source.location, limits, stop_, from);
    if (!stream) return forward(stream);
    const auto answer = (*stream)->answer();
    if (!answer) return forward(answer);
    const bool goes_on = file && answer->position == before.done && answer->tag == before.tag &&
                         answer->size == before.size && answer->position != 0;
    if (answer->position != 0 && !goes_on) {
      return fail(ErrorCode::data_corrupt, "{} sent another part than it was asked for", request_.source.location);
    }
    StageRequest how{.phase = "download",
                     .total = [&] { return (*stream)->announced() + Bytes(answer->position); },
                     .expected_sha256 = request_.source.sha256};
    if (!answer->tag.empty() && answer->size.count() != 0) {
      how.checkpoint = [&](std::uint64_t done, const std::string& sha256) -> Status {
        if (done >= answer->size.count()) return {};  // nothing would be left to ask for
        return write_record(download_, {.tag = answer->tag, .size = answer->size, .done = done, .sha256 = sha256});
      };
    }
    if (environment_.part.count() != 0) how.step = environment_.part;
    if (!goes_on) {
      forget_staged();
      return stage(**stream, std::move(how));
    }
    log::info(import_resumed, "{}", staged_path_.native());
    // What came after the last sync comes again.
    if (::ftruncate(file->get(), static_cast<off_t>(before.done)) != 0)
      return fail_errno(errno, "cut the staged image");
    how.from = before.done;
    how.sha256_before = before.sha256;
    return stage_into(std::move(*file), **stream, std::move(how));
  }

  Status take_file() {
    auto file = open_source_file(request_.source_path);
    if (!file) return forward(file);
    auto size = size_of(file->get());
    if (!size) return forward(size);
    auto head = bytes_of_file(file->get(), *size).read(0, kProbeLength);
    if (!head) return forward(head);
    auto compression = probe_compression(*head);
    if (!compression) return forward(compression);
    if (*compression != Compression::none) {
      FileStream stream(std::move(*file));
      return stage(stream, {.phase = "read",
                            .total = [total = Bytes(*size)] { return total; },
                            .expected_sha256 = request_.source.sha256});
    }
    if (!request_.source.sha256.empty()) {
      auto again = reopen(file->get());
      if (!again) return forward(again);
      digest_.emplace(std::move(*again), stop_);
    }
    if (request_.source.kind == model::ImageSourceKind::image) {
      if (auto stored = stored_file(request_.source_path, model::ImageFormat::raw)) content_sha256_ = stored->sha256;
    }
    file_ = std::move(*file);
    return {};
  }

  Status stage(ByteStream& stream, StageRequest how) {
    auto space = usable();
    if (!space) return forward(space);
    if (how.exact_size > *space) {
      return fail_with_hint(
          ErrorCode::resource_exhausted,
          fmt::format("the image needs {}, only {} may be used", how.exact_size.human(), space->human()),
          "Free space in the pool, then try again.");
    }
    auto file = environment_.create(staged_path_, how.exact_size);
    if (!file) return forward(file);
    return stage_into(std::move(*file), stream, std::move(how));
  }

  Status stage_into(UniqueFd file, ByteStream& stream, StageRequest how) {
    auto space = usable();
    if (!space) return forward(space);
    how.target = file.get();
    how.limit = *space;
    auto staged = stage_stream(stream, how, progress_, stop_);
    if (!staged) return forward(staged);
    content_sha256_ = staged->content_sha256;
    file_ = std::move(file);
    is_staged_ = true;
    return {};
  }

  Result<ProbedImage> probe() const {
    auto size = size_of(file_.get());
    if (!size) return forward(size);
    return probe_image(bytes_of_file(file_.get(), *size));
  }

  // From file_ to a raw image at result_path_.
  Status make_raw() {
    auto probed = probe();
    if (!probed) return forward(probed);
    result_path_ = raw_path_;
    if (probed->format == model::ImageFormat::raw && is_staged_) {
      forget_raw();
      result_path_ = staged_path_;
      return {};
    }
    content_is_source_ = probed->format == model::ImageFormat::raw && probed->virtual_size.count() % 512 == 0;
    if (probed->format == model::ImageFormat::raw && environment_.abilities.reflink && !book_.plan()) {
      forget_raw();
      if (auto cloned = clone_file(file_.get(), raw_path_); cloned && *cloned) return {};
    }
    const bool ours = probed->format == model::ImageFormat::raw || probed->format == model::ImageFormat::qcow2;
    if (ours && in_parts(probed->virtual_size)) return copy_in_parts(probed->format);
    forget_raw();
    if (ours) return copy(probed->format, raw_path_);
    if (!is_staged_) {
      // What is judged must be what is read: a copy that nobody else can write to is judged again.
      if (auto copied = copy(model::ImageFormat::raw, staged_path_); !copied) return copied;
      auto file = open_file(staged_path_, O_RDONLY);
      if (!file) return forward(file);
      file_ = std::move(*file);
      is_staged_ = true;
      if (probed = probe(); !probed) return forward(probed);
    }
    auto space = usable();
    if (!space) return forward(space);
    // qemu-img writes into what is there, and so into its layout.
    if (auto made = environment_.create(raw_path_, probed->virtual_size); !made) return forward(made);
    return convert_image(environment_.runner,
                         convert_command(staged_path_, probed->format, raw_path_, probed->virtual_size,
                                         environment_.abilities.direct_io),
                         raw_path_, *space, progress_, stop_);
  }

  Result<ReadableImage> open_source(model::ImageFormat format) const {
    auto source = reopen(file_.get());
    if (!source) return forward(source);
    return format == model::ImageFormat::qcow2 ? open_qcow2_image(std::move(*source))
                                               : open_raw_image(std::move(*source));
  }

  // `there`: what an earlier attempt has written already.
  Status check_room(const ReadableImage& image, Bytes space, Bytes there = {}) const {
    auto needed = stored_bytes(image, space + there);
    if (!needed) return forward(needed);
    if (*needed <= space + there) return {};
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("the image holds more data than the {} that may be used", space.human()),
                          "Free space in the pool, then try again.");
  }

  // Of a file that stays: where a second attempt finds the same.
  bool in_parts(Bytes size) const { return !is_staged_ && size.count() > part_size(size.count()); }
  std::uint64_t part_size(std::uint64_t size) const {
    return storage::part_size(environment_, size, 1 + request_.helpers.size());
  }

  Status copy_in_parts(model::ImageFormat format) {
    const auto image = open_source(format);
    if (!image) return forward(image);
    auto plan = begin_or_resume(*image);
    if (!plan) return forward(plan);
    const PartWork work{.book = book_,
                        .plan = std::move(*plan),
                        .self = participant(environment_.layout),
                        .file = raw_path_,
                        .open_source = [this, format] { return open_source(format); },
                        .options = {.direct_io = environment_.abilities.direct_io, .order = environment_.order}};
    return work_on_parts(work, progress_, stop_);
  }

  Result<PartPlan> begin_or_resume(const ReadableImage& image) {
    auto identity = source_identity(file_.get());
    if (!identity) return forward(identity);
    const auto size = image.virtual_size.count();
    PartPlan plan{.source = std::move(*identity), .size = size, .part = part_size(size)};
    plan.participants.push_back(participant(environment_.layout));
    for (const auto& helper : request_.helpers) plan.participants.push_back(helper.str());
    auto space = usable();
    if (!space) return forward(space);
    struct stat status {};
    if (const auto before = book_.plan(); before && ::stat(raw_path_.c_str(), &status) == 0) {
      plan.inode = status.st_ino;
      if (*before == plan && static_cast<std::uint64_t>(status.st_size) >= size) {
        const Bytes there(static_cast<std::uint64_t>(status.st_blocks) * 512);
        if (auto room = check_room(image, *space, there); !room) return forward(room);
        log::info(import_resumed, "{}", raw_path_.native());
        return plan;
      }
    }
    forget_raw();
    if (auto room = check_room(image, *space); !room) return forward(room);
    auto out = environment_.create(raw_path_, image.virtual_size);
    if (!out) return forward(out);
    if (::ftruncate(out->get(), static_cast<off_t>(size)) != 0) return fail_errno(errno, "size the copy");
    if (::fsync(out->get()) != 0) return fail_space(errno, "sync the copy");
    if (::fstat(out->get(), &status) != 0) return fail_errno(errno, "stat the copy");
    plan.inode = status.st_ino;
    if (auto begun = book_.begin(plan); !begun) return forward(begun);
    return plan;
  }

  Status copy(model::ImageFormat format, const std::filesystem::path& target) {
    auto image = open_source(format);
    if (!image) return forward(image);
    auto space = usable();
    if (!space) return forward(space);
    if (auto room = check_room(*image, *space); !room) return room;
    auto out = environment_.create(target, Bytes(image->virtual_size));
    if (!out) return forward(out);
    const CopyOptions options{
        .direct_io = environment_.abilities.direct_io, .order = environment_.order, .limit = *space};
    auto copied = copy_image(*image, out->get(), options, progress_, stop_);
    if (!copied) return forward(copied);
    return {};
  }

  Status publish(const std::filesystem::path& final_path) {
    auto file = open_file(result_path_, O_RDWR);
    if (!file) return forward(file);
    auto size = size_of(file->get());
    if (!size) return forward(size);
    if (auto plain = check_plain_content(bytes_of_file(file->get(), *size)); !plain) return plain;
    // A guest sees whole sectors.
    const std::uint64_t whole = (*size + 511) / 512 * 512;
    if (whole != *size && ::ftruncate(file->get(), static_cast<off_t>(whole)) != 0) {
      return fail_space(errno, "size the image");
    }
    // Without extended attributes the digest isn't kept; the image is as good.
    (void)remember_digest(file->get(), content_sha256_);
    if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    if (::fchmod(file->get(), 0444) != 0) return fail_errno(errno, "make the image read-only");
    if (progress_) progress_({.phase = "publish", .done = 0, .total = 1});
    if (::fsync(file->get()) != 0) return fail_space(errno, "sync the image");
    if (::rename(result_path_.c_str(), final_path.c_str()) != 0) return fail_errno(errno, "publish the image");
    if (auto synced = sync_directory(final_path.parent_path()); !synced) return synced;
    if (progress_) progress_({.phase = "publish", .done = 1, .total = 1});
    log::info(image_published, "{} ({}) from {}", final_path.native(), Bytes(whole).human(),
              model::to_string(request_.source.kind));
    return {};
  }

  const ImportEnvironment& environment_;
  const ImportRequest& request_;
  const ProgressSink& progress_;
  std::stop_token stop_;
  const std::filesystem::path staged_path_;
  const std::filesystem::path raw_path_;
  std::filesystem::path result_path_;
  const std::filesystem::path download_;  // how much of it is staged
  PartBook book_;
  bool keep_ = false;  // what is done, for the next attempt
  UniqueFd file_;
  bool is_staged_ = false;
  bool content_is_source_ = false;  // raw: the digest of the source is that of the content
  std::string content_sha256_;
  std::optional<FileDigest> digest_;
};

}  // namespace

Result<StoredImage> import_image(const ImportEnvironment& environment, const ImportRequest& request,
                                 const ProgressSink& progress, std::stop_token stop) {
  return Import(environment, request, progress, std::move(stop)).run();
}

}  // namespace bridgehead::storage
