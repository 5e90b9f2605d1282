#include "storage/part_book.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "storage/file_space.h"

namespace bridgehead::storage {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kDigest = 64;

// "done 3 <digest>"; anything else is the rest of a line that a crash has cut off.
struct Line {
  std::string_view what;
  std::size_t index = 0;
  std::string_view digest;
};

std::optional<Line> read_line(std::string_view text) {
  const auto first = text.find(' ');
  const auto second = text.find(' ', first + 1);
  if (first == text.npos || second == text.npos || text.size() - second - 1 != kDigest) return std::nullopt;
  Line line{.what = text.substr(0, first), .digest = text.substr(second + 1)};
  const auto* end = text.data() + second;
  const auto number = std::from_chars(text.data() + first + 1, end, line.index);
  if (number.ec != std::errc() || number.ptr != end) return std::nullopt;
  if (line.digest.find_first_not_of("0123456789abcdef") != line.digest.npos) return std::nullopt;
  return line;
}

Status disagree(std::size_t index) {
  return fail_with_hint(ErrorCode::data_corrupt,
                        fmt::format("those who wrote or read part {} of the image don't agree on its content", index),
                        "Something changes it on its way: check the nodes' memory and the storage, then import again.");
}

Status take(std::string_view record, const std::string& who, std::vector<PartState>& parts) {
  while (!record.empty()) {
    const auto end = record.find('\n');
    if (end == record.npos) return {};  // not whole yet
    const auto line = read_line(record.substr(0, end));
    record.remove_prefix(end + 1);
    if (!line || line->index >= parts.size()) continue;
    auto& part = parts[line->index];
    if (part.digest.empty()) part.digest = line->digest;
    if (part.digest != line->digest) return disagree(line->index);
    (line->what == "done" ? part.writers : part.checkers).insert(who);
  }
  return {};
}

struct flock byte_lock(short type, std::size_t index) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(index);
  lock.l_len = 1;
  return lock;
}

}  // namespace

Result<PartPlan> PartBook::plan() const {
  const auto text = read_file(directory_ / "plan", 1_MiB);
  if (!text) return forward(text);
  try {
    const auto json = nlohmann::json::parse(*text);
    PartPlan plan{.source = json.at("source").get<std::string>(),
                  .size = json.at("size").get<std::uint64_t>(),
                  .part = json.at("part").get<std::uint64_t>(),
                  .inode = json.at("inode").get<std::uint64_t>(),
                  .participants = json.at("participants").get<std::vector<std::string>>()};
    if (plan.size == 0 || plan.part == 0) return fail(ErrorCode::not_found, "an empty plan");
    return plan;
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::not_found, "{} can't be read", (directory_ / "plan").native());  // as if there were none
  }
}

Status PartBook::begin(const PartPlan& plan) {
  if (auto removed = remove(); !removed) return removed;
  if (auto made = make_directories(directory_); !made) return made;
  // There from the beginning, so that nobody remembers for a while that they aren't.
  for (const auto& name : plan.participants) {
    if (auto made = open_file(directory_ / name, O_WRONLY | O_CREAT); !made) return forward(made);
  }
  if (auto made = open_file(directory_ / "claims", O_WRONLY | O_CREAT); !made) return forward(made);
  const nlohmann::json json{{"source", plan.source},
                            {"size", plan.size},
                            {"part", plan.part},
                            {"inode", plan.inode},
                            {"participants", plan.participants}};
  if (auto written = write_file_atomic(directory_ / "plan", json.dump() + "\n"); !written) return written;
  return sync_directory(directory_.parent_path());
}

Result<std::vector<PartState>> PartBook::read(const PartPlan& plan) const {
  std::vector<PartState> parts(plan.count());
  for (const auto& name : plan.participants) {
    const auto record = read_file(directory_ / name, 64_MiB);
    if (!record) return forward(record);
    if (auto taken = take(*record, name, parts); !taken) return forward(taken);
  }
  return parts;
}

Status PartBook::open_record() {
  if (record_) return {};
  auto opened = open_file(directory_ / self_, O_WRONLY | O_APPEND);
  if (!opened) return forward(opened);
  // After what a crash may have cut off.
  if (auto written = write_all(opened->get(), "\n", "the record of parts"); !written) return written;
  record_ = std::move(*opened);
  return {};
}

Status PartBook::join(const PartPlan& expected) {
  const std::lock_guard lock(mutex_);
  if (auto opened = open_record(); !opened) return opened;
  const auto now = plan();
  if (now && *now == expected) return {};
  return fail(ErrorCode::not_found, "the import was begun anew");
}

Status PartBook::note(std::string_view what, std::size_t index, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  if (auto opened = open_record(); !opened) return opened;
  const auto line = fmt::format("{} {} {}\n", what, index, digest);
  if (auto written = write_all(record_.get(), line, "the record of parts"); !written) return written;
  if (::fdatasync(record_.get()) != 0) return fail_space(errno, "sync the record of parts");
  return {};
}

bool PartBook::claim(std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (!claims_) {
    auto opened = open_file(directory_ / "claims", O_RDWR);
    if (!opened) return true;
    claims_ = std::move(*opened);
  }
  auto wanted = byte_lock(F_WRLCK, index);
  if (::fcntl(claims_.get(), F_OFD_SETLK, &wanted) == 0) return true;
  return errno != EAGAIN && errno != EACCES;
}

void PartBook::release(std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (!claims_) return;
  auto free = byte_lock(F_UNLCK, index);
  ::fcntl(claims_.get(), F_OFD_SETLK, &free);
}

Status PartBook::remove() {
  const std::lock_guard lock(mutex_);
  claims_.reset();
  record_.reset();
  std::error_code failed;
  for (int tries = 0; tries < 10; ++tries) {
    fs::remove_all(directory_, failed);
    if (!failed || failed == std::errc::no_such_file_or_directory) return {};
  }
  return fail_errno(failed.value(), fmt::format("remove {}", directory_.native()));
}

fs::path part_record(const PoolLayout& layout, const model::OperationId& operation) {
  return layout.staging(operation.str(), "parts");
}

std::string participant(const PoolLayout& layout) { return layout.node().empty() ? "this" : layout.node(); }

Result<std::string> source_identity(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return fail_errno(errno, "stat the image");
  return fmt::format("size {} time {} inode {}", status.st_size, status.st_mtim.tv_sec, status.st_ino);
}

}  // namespace bridgehead::storage
