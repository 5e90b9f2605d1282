#include "storage/part_crew.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <thread>

#include "base/file.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kLanes = 2;  // one copies while the other one syncs

class Crew {
 public:
  Crew(const PartWork& work, const ProgressSink& progress, std::stop_token stop)
      : work_(work), progress_(progress), stop_(std::move(stop)), options_(work.options) {
    const unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
    if (options_.workers == 0) options_.workers = std::max(1U, std::min(cpus, 8U) / static_cast<unsigned>(kLanes));
    options_.buffers = std::max(4U, options_.buffers / static_cast<unsigned>(kLanes));
    const auto& all = work.plan.participants;
    const auto place = static_cast<std::size_t>(std::find(all.begin(), all.end(), work.self) - all.begin());
    leads_ = place == 0;
    first_ = work.plan.count() * place / std::max<std::size_t>(all.size(), 1);
  }

  Status run() {
    if (auto joined = work_.book.join(work_.plan); !joined) return joined;
    std::vector<std::thread> lanes;
    for (std::size_t i = 0; i < kLanes; ++i) lanes.emplace_back([this] { lane(); });
    for (auto& lane : lanes) lane.join();
    if (error_) return fail(*error_);
    return {};
  }

 private:
  enum class What { copy, check };
  struct Turn {
    What what = What::copy;
    std::size_t index = 0;
    std::string digest;  // check: as it was noted
    bool claimed = true;
  };
  using Held = std::pair<What, std::size_t>;

  void lane() {
    while (!failed()) {
      auto turn = next();
      if (!turn) return give_up(turn.error());
      if (!*turn) return;
      const auto done = (*turn)->what == What::copy ? copy((*turn)->index) : check(**turn);
      end(**turn);
      if (!done) return give_up(done.error());
    }
  }

  bool failed() const {
    const std::lock_guard lock(mutex_);
    return error_.has_value();
  }
  void give_up(Error why) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(why);
    ended_.request_stop();
    changed_.notify_all();
  }

  // What to do next; nothing when all is done that is this process's to do.
  Result<std::optional<Turn>> next() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (error_) return std::optional<Turn>();
      if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "the copy was cancelled");
      const auto parts = work_.book.read(work_.plan);
      if (!parts) return forward(parts);
      count(*parts);
      tell();
      auto turn = choose(*parts);
      if (!turn) return forward(turn);
      if (*turn) return turn;
      if (settled(*parts)) return std::optional<Turn>();
      changed_.wait_for(lock, stop_, work_.look, [this] { return error_.has_value(); });
    }
  }

  void count(const std::vector<PartState>& parts) {
    done_ = good_ = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i].writers.empty()) done_ += length(i);
      if (good(i, parts[i])) good_ += length(i);
    }
  }

  // By this process since it began, or read back by who hasn't written it.
  bool good(std::size_t index, const PartState& part) const {
    if (part.writers.empty()) return false;
    if (own_.contains(index)) return true;
    return std::any_of(part.checkers.begin(), part.checkers.end(),
                       [&](const auto& checker) { return !part.writers.contains(checker); });
  }
  // The leader's own parts are its own business.
  bool mine_to_check(std::size_t index, const PartState& part) const {
    if (part.writers.empty() || good(index, part)) return false;
    return leads_ || !(part.writers.contains(work_.self) || part.writers.contains(work_.plan.participants.front()));
  }
  bool settled(const std::vector<PartState>& parts) const {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].writers.empty() || mine_to_check(i, parts[i])) return false;
    }
    return busy_.empty();
  }

  Result<std::optional<Turn>> choose(const std::vector<PartState>& parts) {
    std::map<Held, std::chrono::steady_clock::time_point> held;
    for (const auto what : {What::copy, What::check}) {
      for (std::size_t n = 0; n < parts.size(); ++n) {
        const auto index = (first_ + n) % parts.size();
        if (busy_.contains(index) || !wants(what, index, parts[index])) continue;
        if (!work_.book.claim(index)) {
          const auto before = held_.find({what, index});
          held[{what, index}] = before != held_.end() ? before->second : std::chrono::steady_clock::now();
          continue;
        }
        auto turn = take(what, index, true);
        if (!turn || *turn) return turn;
      }
    }
    held_ = std::move(held);
    if (!leads_) return std::optional<Turn>();
    const auto patience = std::max<std::chrono::steady_clock::duration>(work_.patience, 4 * slowest_);
    for (const auto& [what, since] : held_) {
      if (std::chrono::steady_clock::now() - since < patience) continue;
      auto turn = take(what.first, what.second, false);
      if (!turn || *turn) return turn;
    }
    return std::optional<Turn>();
  }
  // It may have been done between the look at the records and the claim: nothing then.
  Result<std::optional<Turn>> take(What what, std::size_t index, bool claimed) {
    const auto now = work_.book.read(work_.plan);
    if (now && wants(what, index, (*now)[index])) {
      busy_[index] = 0;
      return std::optional(Turn{what, index, (*now)[index].digest, claimed});
    }
    if (claimed) work_.book.release(index);
    if (!now) return forward(now);
    return std::optional<Turn>();
  }
  bool wants(What what, std::size_t index, const PartState& part) const {
    return what == What::copy ? part.writers.empty() : mine_to_check(index, part);
  }

  void end(const Turn& turn) {
    if (turn.claimed) work_.book.release(turn.index);
    const std::lock_guard lock(mutex_);
    busy_.erase(turn.index);
    changed_.notify_all();
  }

  // Opened for each part: closing it, too, tells the file system that it is for others to see.
  Result<UniqueFd> open_target(int flags) const {
    auto file = open_file(work_.file, flags);
    if (!file) return file;
    struct stat status {};
    if (::fstat(file->get(), &status) != 0) return fail_errno(errno, "stat the staged image");
    if (status.st_ino != work_.plan.inode || static_cast<std::uint64_t>(status.st_size) < work_.plan.size) {
      return fail(ErrorCode::not_found, "{} is another file by now", work_.file.native());
    }
    return file;
  }

  Status copy(std::size_t index) {
    auto target = open_target(O_RDWR);
    if (!target) return forward(target);
    const auto image = work_.open_source();
    if (!image) return forward(image);
    if (auto same = check_source(*image); !same) return same;
    const auto began = std::chrono::steady_clock::now();
    const auto told = [this, index](const Progress& progress) {
      const std::lock_guard lock(mutex_);
      busy_[index] = progress.done;
      tell();
    };
    const auto digest = copy_part(*image, target->get(), work_.plan.range(index), options_, told, ended_.get_token());
    if (!digest) return forward(digest);
    if (auto same = check_source(*image); !same) return same;
    target->reset();
    if (auto noted = work_.book.note_done(index, *digest); !noted) return noted;
    const std::lock_guard lock(mutex_);
    own_.insert(index);
    slowest_ = std::max(slowest_, std::chrono::steady_clock::now() - began);
    done_ += length(index);
    busy_[index] = 0;  // counted in done_ now
    return {};
  }

  Status check_source(const ReadableImage& image) const {
    const auto identity = source_identity(image.file.get());
    if (!identity) return forward(identity);
    if (*identity == work_.plan.source) return {};
    return fail_with_hint(ErrorCode::data_corrupt, "the image's source changed while it was being read",
                          "Import it again when nobody writes to it.");
  }

  Status check(const Turn& turn) {
    auto file = open_target(O_RDONLY);
    if (!file) return forward(file);
    const auto image = open_raw_image(std::move(*file));
    if (!image) return forward(image);
    const auto began = std::chrono::steady_clock::now();
    const auto digest = digest_of_part(*image, work_.plan.range(turn.index), options_, ended_.get_token());
    if (!digest) return forward(digest);
    if (*digest != turn.digest) {
      return fail_with_hint(ErrorCode::data_corrupt,
                            fmt::format("part {} of the image reads back otherwise than it was written", turn.index),
                            "Its storage, or a node's way to it, changes data: check them, then import it again.");
    }
    if (auto noted = work_.book.note_same(turn.index, *digest); !noted) return noted;
    const std::lock_guard lock(mutex_);
    own_.insert(turn.index);
    slowest_ = std::max(slowest_, std::chrono::steady_clock::now() - began);
    return {};
  }

  std::uint64_t length(std::size_t index) const {
    const auto range = work_.plan.range(index);
    return range.end - range.begin;
  }

  // With mutex_ held.
  void tell() const {
    if (!progress_) return;
    std::uint64_t done = done_;
    for (const auto& [part, bytes] : busy_) done += bytes;
    const auto total = work_.plan.size;
    const auto nodes = work_.plan.participants.size();
    const bool copied = done_ >= total;
    std::string phase = copied ? "verify" : "copy";
    if (nodes > 1) phase += fmt::format(", {} nodes", nodes);
    progress_({.phase = std::move(phase), .done = std::min(copied ? good_ : done, total), .total = total});
  }

  const PartWork& work_;
  const ProgressSink& progress_;
  const std::stop_token stop_;
  CopyOptions options_;
  bool leads_ = false;
  std::size_t first_ = 0;  // where this one begins, far from the others

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Error> error_;
  std::stop_source ended_;                     // of the copies that run
  std::map<std::size_t, std::uint64_t> busy_;  // parts in work here, with the bytes that are done of them
  std::set<std::size_t> own_;                  // written or read back by this process
  std::uint64_t done_ = 0;                     // bytes in parts that are done, whoever did them
  std::uint64_t good_ = 0;                     // and that need no look any more
  // What is to be done that others have claimed, and since when that has been seen. Only when nothing else was to do.
  std::map<Held, std::chrono::steady_clock::time_point> held_;
  std::chrono::steady_clock::duration slowest_{};
  const std::stop_callback<std::function<void()>> on_stop_{stop_, [this] { ended_.request_stop(); }};
};

}  // namespace

Status work_on_parts(const PartWork& work, const ProgressSink& progress, std::stop_token stop) {
  return Crew(work, progress, std::move(stop)).run();
}

}  // namespace bridgehead::storage
