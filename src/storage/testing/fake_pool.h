// FakePool: an ImagePool in memory for the unit tests of others. Nothing is read or written on disk; paths are only
// named. Passes the same rules as the real drivers where a caller can see them: idempotent, not_found, smaller is
// refused, lease tokens only grow, a half-made image is never seen. Thread-safe.
//
// Tests steer it: `fail_next` makes a call fail, `hold_imports` keeps imports running until released or cancelled.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "storage/image_pool.h"

namespace bridgehead::storage::testing {

class FakePool : public ImagePool {
 public:
  explicit FakePool(model::Pool pool, Bytes total = 100_GiB) : pool_(std::move(pool)), total_(total) {}

  // Every call, in order: "import_golden <id>", "create_disk <id>", "stamp_lease <vm> 3", ...
  std::vector<std::string> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  // The next call whose text begins with `call` answers with `error`.
  void fail_next(std::string call, Error error) {
    const std::lock_guard lock(mutex_);
    failures_.emplace_back(std::move(call), std::move(error));
  }
  // What stamps say of terms can't be changed.
  void keep_terms(bool keeps) {
    const std::lock_guard lock(mutex_);
    keeps_terms_ = keeps;
  }
  void set_directory(std::filesystem::path directory) {
    const std::lock_guard lock(mutex_);
    directory_ = std::move(directory);
  }
  void set_clone_method(model::CloneMethod method) {
    const std::lock_guard lock(mutex_);
    clone_method_ = method;
  }
  void set_import_size(Bytes size) {
    const std::lock_guard lock(mutex_);
    import_size_ = size;
  }
  // Its file system doesn't answer.
  void set_away(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
  }
  // Abilities that the next attach finds.
  void set_punch_hole(bool possible) {
    const std::lock_guard lock(mutex_);
    punch_hole_ = possible;
  }
  void set_direct_io(bool possible) {
    const std::lock_guard lock(mutex_);
    direct_io_ = possible;
  }
  void set_available(Bytes available) {
    const std::lock_guard lock(mutex_);
    available_ = available;
  }
  // While held, import_golden reports half of its progress and waits.
  void hold_imports(bool hold) {
    const std::lock_guard lock(mutex_);
    hold_ = hold;
    released_.notify_all();
  }
  // Whether the import that was stopped last was told that it won't be resumed.
  bool last_stop_was_for_good() const {
    const std::lock_guard lock(mutex_);
    return for_good_;
  }
  bool has(const model::ImageId& image) const {
    const std::lock_guard lock(mutex_);
    return images_.contains(image);
  }

  model::PoolOnNode attach() override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("attach")) return {.ready = false, .message = error->describe()};
    attached_ = true;
    return state();
  }

  Status detach() override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("detach")) return fail(*error);
    attached_ = false;
    return {};
  }
  Result<std::filesystem::path> directory() const override {
    const std::lock_guard lock(mutex_);
    if (!directory_.empty()) return directory_;
    return fail(ErrorCode::unsupported, "pool {} has no directory", pool_.name);
  }

  Result<model::PoolOnNode> status() const override {
    const std::lock_guard lock(mutex_);
    if (!attached_) return fail(ErrorCode::failed_precondition, "pool {} is not attached", pool_.name);
    return state();
  }

  Result<StoredImage> import_golden(const ImportRequest& request, const ProgressSink& progress,
                                    std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    if (auto error = note("import_golden " + request.image.id.str())) return fail(*error);
    if (const auto found = images_.find(request.image.id); found != images_.end()) return found->second;
    const std::uint64_t size = import_size_.count();
    lock.unlock();
    if (progress) progress({.phase = "import", .done = size / 2, .total = size});
    if (request.upload != nullptr) {
      for (;;) {
        auto bytes = request.upload->read();
        if (!bytes) return forward(bytes);
        if (bytes->empty()) break;
        if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
      }
    }
    lock.lock();
    released_.wait(lock, stop, [this] { return !hold_; });
    for_good_ = stop.stop_requested() && !request.leaving();
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    const StoredImage image{.path = root() / "golden" / (request.image.id.str() + ".raw"),
                            .format = model::ImageFormat::raw,
                            .virtual_size = Bytes(size),
                            .allocated = Bytes(size / 4),
                            .sha256 = std::string(64, 'a')};
    images_[request.image.id] = image;
    lock.unlock();
    if (progress) progress({.phase = "import", .done = size, .total = size});
    return image;
  }

  // While imports are held, until it is stopped.
  Status help_import(const HelpRequest& request, const ProgressSink& progress, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    if (auto error = note(fmt::format("help_import {} {}", request.leader, request.image.id))) return fail(*error);
    const std::uint64_t size = import_size_.count();
    lock.unlock();
    if (progress) progress({.phase = "copy", .done = size / 2, .total = size});
    lock.lock();
    released_.wait(lock, stop, [this] { return !hold_; });
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    return {};
  }

  Result<StoredImage> create_disk(const model::Image& disk, const model::Image* golden, Bytes size) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("create_disk " + disk.id.str())) return fail(*error);
    if (const auto found = images_.find(disk.id); found != images_.end()) return found->second;
    auto format = model::ImageFormat::raw;
    if (golden != nullptr) {
      const auto parent = images_.find(golden->id);
      if (parent == images_.end()) return fail(ErrorCode::not_found, "golden image {} is not here", golden->id);
      size = std::max(size, parent->second.virtual_size);
      if (clone_method_ == model::CloneMethod::overlay) format = model::ImageFormat::qcow2;
    }
    return images_[disk.id] = disk_image(disk, format, size);
  }

  Result<StoredImage> grow_disk(const model::Image& disk, Bytes size) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("grow_disk " + disk.id.str())) return fail(*error);
    const auto found = images_.find(disk.id);
    if (found == images_.end()) return fail(ErrorCode::not_found, "disk {} is not here", disk.id);
    if (size < found->second.virtual_size) return fail(ErrorCode::invalid_argument, "a disk can't shrink");
    found->second.virtual_size = size;
    return found->second;
  }

  Result<StoredImage> copy_disk(const DiskCopy& copy, const ProgressSink& progress, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    if (auto error = note("copy_disk " + copy.disk.id.str())) return fail(*error);
    released_.wait(lock, stop, [this] { return !hold_; });
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the copy was cancelled");
    const auto image = disk_image(copy.disk, copy.format, copy.size);
    images_[copy.disk.id] = image;
    incomplete_.erase(copy.disk.id);
    lock.unlock();
    if (progress) progress({.phase = "copy", .done = copy.size.count(), .total = copy.size.count()});
    return image;
  }

  Result<StoredImage> begin_copy(const model::OperationId& operation, const model::Image& disk,
                                 model::ImageFormat format, Bytes size) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("begin_copy " + disk.id.str())) return fail(*error);
    copies_.erase(disk.id);
    incomplete_[disk.id] = operation;
    return images_[disk.id] = disk_image(disk, format, size);
  }

  Status end_copy(const model::Image& disk) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("end_copy " + disk.id.str())) return fail(*error);
    if (copies_.contains(disk.id)) return {};
    auto mark = incomplete_.extract(disk.id);
    if (!mark) return fail(ErrorCode::not_found, "no copy of disk {} is here", disk.id);
    copies_.insert(std::move(mark));
    return {};
  }

  Status reopen_copy(const model::Image& disk) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("reopen_copy " + disk.id.str())) return fail(*error);
    if (auto mark = copies_.extract(disk.id)) incomplete_.insert(std::move(mark));
    return {};
  }

  Result<std::optional<model::OperationId>> copied_by(const model::Image& disk) const override {
    const std::lock_guard lock(mutex_);
    const auto found = copies_.find(disk.id);
    return found == copies_.end() ? std::nullopt : std::optional(found->second);
  }

  Result<StoredImage> flatten_disk(const model::Image& disk, const ProgressSink&, std::stop_token stop) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("flatten_disk " + disk.id.str())) return fail(*error);
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled");
    const auto found = images_.find(disk.id);
    if (found == images_.end()) return fail(ErrorCode::not_found, "disk {} is not here", disk.id);
    return found->second;
  }

  Result<StoredImage> inspect(const model::Image& image) const override {
    const std::lock_guard lock(mutex_);
    if (away_) return fail(ErrorCode::unavailable, "the file system doesn't answer");
    const auto found = images_.find(image.id);
    if (found == images_.end() || incomplete_.contains(image.id))
      return fail(ErrorCode::not_found, "image {} is not here", image.id);
    return found->second;
  }

  Status remove(const model::Image& image) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("remove " + image.id.str())) return fail(*error);
    images_.erase(image.id);
    incomplete_.erase(image.id);
    copies_.erase(image.id);
    return {};
  }

  Status export_image(const model::Image& image, model::ImageFormat, const std::function<bool(std::string_view)>& sink,
                      const ProgressSink& progress, std::stop_token stop) const override {
    auto stored = inspect(image);
    if (!stored) return forward(stored);
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the export was cancelled");
    if (!sink("fake image " + image.id.str())) return fail(ErrorCode::cancelled, "the receiver is gone");
    if (progress) progress({.phase = "export", .done = 1, .total = 1});
    return {};
  }

  Result<model::PoolSurvey> survey(const std::vector<model::Image>& images) const override {
    const std::lock_guard lock(mutex_);
    model::PoolSurvey survey{.layouts = true,
                             .targets = {{.index = 0, .name = "T0", .total = 4_GiB, .available = 1_GiB}}};
    for (const auto& image : images) {
      const auto found = images_.find(image.id);
      if (found == images_.end()) continue;
      survey.images.push_back({.image = image.id,
                               .role = image.role,
                               .allocated = found->second.allocated,
                               .layout = {.parts = {{.stripes = 1, .stripe_size = 1_MiB, .targets = {0}}}}});
    }
    return survey;
  }

  Status write_beat(const model::NodeId& node, std::uint64_t count) override {
    const std::lock_guard lock(mutex_);
    beats_[node] = count;
    return {};
  }

  Result<std::uint64_t> read_beat(const model::NodeId& node) const override {
    const std::lock_guard lock(mutex_);
    const auto found = beats_.find(node);
    if (found == beats_.end()) return fail(ErrorCode::not_found, "node {} never counted here", node);
    return found->second;
  }

  Status write_claim(const model::NodeId& node, std::uint64_t claim) override {
    const std::lock_guard lock(mutex_);
    claims_[node].insert(claim);
    return {};
  }

  Status remove_claim(const model::NodeId& node, std::uint64_t claim) override {
    const std::lock_guard lock(mutex_);
    claims_[node].erase(claim);
    return {};
  }

  Result<std::vector<std::uint64_t>> read_claims(const model::NodeId& node) const override {
    const std::lock_guard lock(mutex_);
    const auto found = claims_.find(node);
    if (found == claims_.end()) return std::vector<std::uint64_t>();
    return std::vector<std::uint64_t>(found->second.begin(), found->second.end());
  }

  Status stamp_lease(const model::LeaseClaim& claim) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note(fmt::format("stamp_lease {} {}", claim.vm, claim.token))) return fail(*error);
    auto& held = leases_[claim.vm];
    const auto verdict = model::judge_stamp(held, claim);
    if (verdict == model::StampVerdict::refuse) {
      return fail(ErrorCode::failed_precondition, "VM {} is leased under token {}", claim.vm, held->token);
    }
    if (verdict == model::StampVerdict::write) held = claim.stamp(held);
    return {};
  }

  Status change_terms(const model::LeaseClaim& own) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note(fmt::format("change_terms {} {}", own.vm, own.token))) return fail(*error);
    if (keeps_terms_) return fail(ErrorCode::unavailable, "the pool's server is away");
    auto& held = leases_[own.vm];
    if (held && held->source == own.holder()) {
      return fail(ErrorCode::failed_precondition, "VM {} goes to node {}", own.vm, held->node);
    }
    if (!held || held->holder() != own.holder()) return fail(ErrorCode::not_found, "VM {} isn't stamped so", own.vm);
    held->terms = own.terms;
    return {};
  }

  Result<std::optional<model::LeaseStamp>> read_lease(const model::VmId& vm) const override {
    const std::lock_guard lock(mutex_);
    const auto found = leases_.find(vm);
    return found == leases_.end() ? std::nullopt : found->second;
  }

  Status remove_lease(const model::VmId& vm) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("remove_lease " + vm.str())) return fail(*error);
    leases_.erase(vm);
    return {};
  }

  Status collect_garbage(const std::function<bool(const model::OperationId&)>&) override {
    const std::lock_guard lock(mutex_);
    if (auto error = note("collect_garbage")) return fail(*error);
    return {};
  }

 private:
  std::filesystem::path root() const { return pool_.path; }

  StoredImage disk_image(const model::Image& disk, model::ImageFormat format, Bytes size) const {
    const char* suffix = format == model::ImageFormat::raw ? ".raw" : ".qcow2";
    return {.path = root() / "disks" / (disk.id.str() + suffix),
            .format = format,
            .virtual_size = size,
            .allocated = Bytes(256 << 10)};
  }

  model::PoolOnNode state() const {
    std::uint64_t used = 0;
    for (const auto& [id, image] : images_) used += image.allocated.count();
    return {.ready = true,
            .total = total_,
            .available = available_.value_or(Bytes(total_.count() - std::min(used, total_.count()))),
            .abilities = {.direct_io = direct_io_,
                          .reflink = clone_method_ == model::CloneMethod::reflink,
                          .punch_hole = punch_hole_,
                          .preallocate = true,
                          .locks = true,
                          .seek_holes = true,
                          .attributes = true,
                          .clone = clone_method_,
                          .file_system = "fake"}};
  }

  // With mutex_ held.
  std::optional<Error> note(const std::string& call) {
    calls_.push_back(call);
    for (auto failure = failures_.begin(); failure != failures_.end(); ++failure) {
      if (!call.starts_with(failure->first)) continue;
      Error error = failure->second;
      failures_.erase(failure);
      return error;
    }
    return std::nullopt;
  }

  const model::Pool pool_;
  const Bytes total_;
  mutable std::mutex mutex_;
  std::filesystem::path directory_;
  std::condition_variable_any released_;
  bool keeps_terms_ = false;
  bool attached_ = false;
  bool away_ = false;
  bool punch_hole_ = true;
  bool direct_io_ = true;
  bool hold_ = false;
  std::optional<Bytes> available_;
  bool for_good_ = false;
  model::CloneMethod clone_method_ = model::CloneMethod::overlay;
  Bytes import_size_ = 2_GiB;
  std::map<model::ImageId, StoredImage> images_;
  std::map<model::ImageId, model::OperationId> incomplete_;
  std::map<model::ImageId, model::OperationId> copies_;
  std::map<model::VmId, std::optional<model::LeaseStamp>> leases_;
  std::map<model::NodeId, std::uint64_t> beats_;
  std::map<model::NodeId, std::set<std::uint64_t>> claims_;
  std::vector<std::string> calls_;
  std::deque<std::pair<std::string, Error>> failures_;
};

}  // namespace bridgehead::storage::testing
