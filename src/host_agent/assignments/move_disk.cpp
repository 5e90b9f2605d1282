#include "host_agent/assignments/move_disk.h"

#include "host_agent/assignments/disk_work.h"
#include "host_agent/assignments/lease.h"
#include "host_agent/assignments/require_guest.h"
#include "host_agent/messages.h"

namespace bridgehead::host_agent {
namespace {

using hypervisor::GuestDisk;
using storage::ImagePool;
using storage::StoredImage;

Result<StoredImage> inspect(const Result<PoolHandle>& pool, const model::Image& image) {
  if (!pool) return forward(pool);
  return pool->call<StoredImage>([image](ImagePool& images) { return images.inspect(image); });
}

// What isn't known is no end: the manager asks again.
Error unknown(Error error) {
  error.code = ErrorCode::unavailable;
  return error;
}
// Not known yet where the disk is; and no end at all where the agent stops: its next run goes on.
Outcome open(const Task& task, Error error) {
  return failed(task.leaving() ? cancelled_error() : unknown(std::move(error)));
}

void note_left(const model::Image& image, const model::Pool& pool, const Status& done) {
  if (done) return;
  log::warning(messages::disk_copy_left, "disk {} in pool {}: {}", image.id, pool.name, done.error().describe());
}

Status check_room(const PoolHandle& from, const PoolHandle& to, const StoredImage& stored) {
  if (!from.abilities().seek_holes) return {};  // what it says to be allocated is the file's length
  const auto state = to.call<model::PoolOnNode>([](ImagePool& images) { return images.status(); });
  if (!state) return forward(state);
  if (state->available >= stored.allocated) return {};
  return fail_with_hint(ErrorCode::resource_exhausted,
                        fmt::format("the disk takes {}, pool {} has {} left", stored.allocated.human(), to.pool().name,
                                    state->available.human()),
                        "Free space in that pool, or choose another.");
}

}  // namespace

Outcome MoveDiskHandler::run(const model::MoveDisk& work, const Task& task) {
  if (!is_uuid(work.image.id.str()) || (!work.vm.empty() && !is_uuid(work.vm.str()))) {
    return failed({ErrorCode::invalid_argument, "the assignment names no disk", {}});
  }
  const Move move{work, task, services_.pools.ensure(work.from), services_.pools.ensure(work.to)};
  const auto moved = has_moved(move);
  if (!moved) return open(task, moved.error());
  if (*moved) return finish(move);
  decided(move);
  return carry_out(move);
}

Result<bool> MoveDiskHandler::has_moved(const Move& move) const {
  const auto& image = move.work.image;
  if (!move.work.vm.empty()) {
    // Waits for libvirt.
    if (const auto guest = look_at_guest(services_, move.work.vm, resumed(move.task)); !guest) return forward(guest);
    const auto use = services_.hypervisor.disk_in_use(move.work.vm, move.work.disk);
    if (!use) return forward(use);
    if (*use) return uses_copy(move, **use);
  }
  const auto whole = is_whole(move);
  if (!whole || *whole) return whole;
  const auto old = inspect(move.from, image);
  if (old) return false;
  if (old.error().code != ErrorCode::not_found) return forward(old);
  const auto fresh = inspect(move.to, image);
  if (!fresh) return forward(fresh);
  return true;
}

Result<bool> MoveDiskHandler::uses_copy(const Move& move, const hypervisor::DiskInUse& use) const {
  const auto& image = move.work.image;
  const auto& path = use.disk.path;
  const auto old = inspect(move.from, image);
  // QEMU may have ended while the guest went over, before libvirt wrote that down.
  if (old && old->path == path) return use.runs ? false : is_whole(move);
  auto fresh = inspect(move.to, image);
  if (fresh && fresh->path == path) return true;
  // A pool that doesn't answer may hold the file that is used: no copy is marked whole then.
  if (!old && old.error().code != ErrorCode::not_found) return forward(old);
  if (use.runs && move.to && !fresh && fresh.error().code == ErrorCode::not_found && path.stem() == image.id.str()) {
    // It went over just when the copy was being given up.
    if (auto marked = mark_whole(move); !marked) return forward(marked);
    fresh = inspect(move.to, image);
    if (fresh && fresh->path == path) return true;
    // It is another file after all.
    if (auto taken_back = reopen(move); !taken_back) return forward(taken_back);
  }
  if (!fresh && fresh.error().code != ErrorCode::not_found) return forward(fresh);
  return fail(ErrorCode::failed_precondition, "the guest uses {}, which is in neither pool", path.native());
}

// From here on until it is decided the guest must not be started by anybody who goes by its definition.
Status MoveDiskHandler::mark_whole(const Move& move) const {
  if (!move.work.vm.empty()) {
    const auto noted = services_.journal.set_meta(undecided_move(move.work.vm), move.task.operation.str());
    if (!noted) return noted;
  }
  return move.to->call<void>([image = move.work.image](ImagePool& images) { return images.end_copy(image); });
}

Status MoveDiskHandler::reopen(const Move& move) const {
  return move.to->call<void>([image = move.work.image](ImagePool& images) { return images.reopen_copy(image); });
}

void MoveDiskHandler::decided(const Move& move) const {
  if (move.work.vm.empty() || services_.journal.meta(undecided_move(move.work.vm)).empty()) return;
  const auto kept = services_.journal.set_meta(undecided_move(move.work.vm), "");
  if (!kept) log::warning(messages::journal_failed, "{}", kept.error().describe());
}

// The copy was in step with the disk, and the guest was about to go over to it.
Result<bool> MoveDiskHandler::is_whole(const Move& move) const {
  if (!move.to) return forward(move.to);
  const auto copied = move.to->call<std::optional<model::OperationId>>(
      [image = move.work.image](ImagePool& images) { return images.copied_by(image); });
  if (!copied) return forward(copied);
  return *copied == move.task.operation;
}

Outcome MoveDiskHandler::carry_out(const Move& move) const {
  if (!move.to) return failed(definite(move.to.error()));
  if (!move.from) return failed(definite(move.from.error()));
  if (move.task.stop.stop_requested()) return end_without(move, cancelled_error());
  const auto guest = guest_of_disk(services_, move.work.vm, move.work.lease, move.task);
  if (!guest) return end_without(move, guest.error());
  const auto applied = services_.journal.applied(move.work.vm);
  const bool starts =
      applied && applied->autostart && !applied->waits_for_manager && applied->power == model::PowerState::running;
  if (move.task.resumed && starts && !lives(guest->state)) {  // after a power cut: its start waits behind this
    return open(move.task, {ErrorCode::unavailable, "the guest is started first; its disk then moves under it", {}});
  }
  const auto copied = copy(move, *guest);
  if (copied) return finish(move);
  return end_without(move, copied.error());
}

Status MoveDiskHandler::copy(const Move& move, const hypervisor::GuestInfo& guest) const {
  const auto stored = inspect(move.from, move.work.image);
  if (!stored) return forward(stored);
  if (auto room = check_room(*move.from, *move.to, *stored); !room) return room;
  if (!move.work.vm.empty() && move.work.lease > 0) {
    const auto claim = claim_of(services_, move.work.vm, move.work.lease, move.work.past);
    if (auto stamped = stamp_lease(claim, {*move.to}); !stamped) return stamped;
  }
  if (lives(guest.state)) return copy_under_guest(move, *stored);
  // A guest that has ended since it was looked at may have gone over before.
  const auto whole = is_whole(move);
  if (!whole) return forward(whole);
  return *whole ? Status{} : copy_at_rest(move, *stored);
}

Status MoveDiskHandler::copy_under_guest(const Move& move, const StoredImage& stored) const {
  const auto& [work, task, from, to] = move;
  const auto use = services_.hypervisor.disk_in_use(work.vm, work.disk);
  if (!use) return forward(use);
  if (!*use) return fail(ErrorCode::not_found, "the guest has no disk '{}'", work.disk);
  if (!(*use)->runs) return fail(ErrorCode::failed_precondition, "the guest has just ended");
  if ((*use)->disk.direct_io && !to->abilities().direct_io) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("the guest writes past the page cache, which pool {} can't", to->pool().name),
                          "Stop the guest first; then its disk can move.");
  }
  GuestDisk target{.name = work.disk,
                   .path = (*use)->copying_to,
                   .format = copy_format(stored.format, *to),
                   .size = stored.virtual_size,
                   .direct_io = to->abilities().direct_io};
  if (target.path.empty()) {
    const auto place = to->call<StoredImage>(
        [operation = task.operation, image = work.image, format = target.format,
         size = target.size](ImagePool& images) { return images.begin_copy(operation, image, format, size); });
    if (!place) return forward(place);
    target.path = place->path;
  }
  const auto in_step = [&]() -> Status {  // `unavailable` would be taken for libvirt's
    const auto marked = mark_whole(move);
    return marked ? marked : fail(definite(marked.error()));
  };
  return through_job(services_, work.vm, task, [&] {
    return services_.hypervisor.move_disk(work.vm, target, in_step, task.progress, task.stop);
  });
}

Status MoveDiskHandler::copy_at_rest(const Move& move, const StoredImage& stored) const {
  const auto& [work, task, from, to] = move;
  const storage::DiskCopy request{.operation = task.operation,
                                  .disk = work.image,
                                  .source = stored.path,
                                  .format = stored.format,
                                  .size = stored.virtual_size};
  auto call = to->begin<StoredImage>([request, progress = task.progress, stop = task.stop](ImagePool& images) {
    return images.copy_disk(request, progress, stop);
  });
  const auto copied = call.wait_unless_stopped(task.stop, to->deadlines().cancel);
  if (!copied) return forward(copied);
  return name_file(move, *copied);
}

// The definition of a guest that doesn't run names the copy.
Status MoveDiskHandler::name_file(const Move& move, const StoredImage& stored) const {
  const auto& work = move.work;
  if (work.vm.empty()) return {};
  const auto use = services_.hypervisor.disk_in_use(work.vm, work.disk);
  if (!use) return forward(use);
  if (!*use || (*use)->disk.path == stored.path) return {};
  return services_.hypervisor.use_file(work.vm, {.name = work.disk,
                                                 .path = stored.path,
                                                 .format = stored.format,
                                                 .size = stored.virtual_size,
                                                 .direct_io = move.to->abilities().direct_io});
}

// Something failed, or it was cancelled: nothing goes on, and what counts is where the disk is now.
Outcome MoveDiskHandler::end_without(const Move& move, Error error) const {
  const auto& work = move.work;
  if (move.task.leaving()) return failed(cancelled_error());  // goes on by itself, and is taken up again
  auto moved = has_moved(move);
  if (moved && !*moved && !work.vm.empty()) {
    if (auto ended = end_copying(move); !ended) return open(move.task, ended.error());
    moved = has_moved(move);  // QEMU may have been about to go over
  }
  if (!moved) return open(move.task, moved.error());
  if (*moved) return finish(move);
  decided(move);
  note_left(work.image, work.to,
            move.to->call<void>([image = work.image](ImagePool& images) { return images.remove(image); }));
  if (!work.vm.empty() && !work.others_there) {
    note_left(work.image, work.to, release_lease(work.vm, work.lease, {*move.to}));
  }
  return failed(definite(std::move(error)));
}

// From the moment on when it ends writes reach the old file only, so its mark is taken back before.
Status MoveDiskHandler::end_copying(const Move& move) const {
  if (auto reopened = reopen(move); !reopened) return reopened;
  return services_.hypervisor.end_disk_job(move.work.vm, move.work.disk);
}

Outcome MoveDiskHandler::finish(const Move& move) const {
  const auto& work = move.work;
  const auto stored = inspect(move.to, work.image);
  if (!stored) return open(move.task, stored.error());
  if (auto named = name_file(move, *stored); !named) return open(move.task, named.error());
  decided(move);
  move.task.progress({.phase = "remove the old copy"});
  Status held = move.from ? Status() : forward(move.from);
  if (held && !work.vm.empty()) held = check_lease(claim_of(services_, work.vm, work.lease, work.past), {*move.from});
  if (!held) {
    note_left(work.image, work.from, held);
  } else {
    note_left(work.image, work.from,
              move.from->call<void>([image = work.image](ImagePool& images) { return images.remove(image); }));
    if (!work.vm.empty() && !work.others_stay) {
      note_left(work.image, work.from, release_lease(work.vm, work.lease, {*move.from}));
    }
  }
  Outcome outcome{.images = {stored_as(work.image, *stored)}};
  outcome.images.front().pool = work.to.id;
  if (auto applied = work.vm.empty() ? std::optional<AppliedVm>() : services_.journal.applied(work.vm)) {
    auto& pools = applied->pools;
    if (!work.others_stay) std::erase(pools, work.from.id);
    if (std::find(pools.begin(), pools.end(), work.to.id) == pools.end()) pools.push_back(work.to.id);
    outcome.change = VmChange{work.vm, std::move(applied)};
  }
  return outcome;
}

}  // namespace bridgehead::host_agent
