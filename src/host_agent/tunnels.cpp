#include "host_agent/tunnels.h"

#include <algorithm>

#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>
#include <cerrno>
#include <system_error>
#include <thread>

#include "base/file.h"
#include "host_agent/bench_tunnel.h"
#include "host_agent/messages.h"
#include "host_agent/reach.h"
#include "model/codec.h"
#include "model/enum_names.h"
#include "storage/dead_client.h"

namespace bridgehead::host_agent {
namespace {

constexpr auto kAssignmentPatience = std::chrono::seconds(5);
constexpr auto kSurveyTurn = std::chrono::seconds(8);    // before the manager gives up waiting for the dial
constexpr auto kLookPatience = std::chrono::seconds(4);  // then the answer is worth nothing any more
constexpr std::size_t kChunk = 64 << 10;

// Until the other side closes the stream: what is under way to it arrives.
void drain(TunnelChannel& channel) {
  while (channel.read()) {
  }
}

// Tells the other side how it ended.
Status end_channel(TunnelChannel& channel, const Status& result) {
  if (result) {
    channel.write({.end = true});
  } else {
    channel.write({.error = result.error().describe()});
  }
  drain(channel);
  return {};
}

Status copy_file(const std::filesystem::path& path, TunnelChannel& channel) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return forward(file);
  std::string buffer(kChunk, '\0');
  for (;;) {
    const auto got = ::read(file->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, fmt::format("read {}", path.native()));
    if (got == 0) return {};
    if (!channel.write({.data = buffer.substr(0, static_cast<std::size_t>(got))})) {
      return fail(ErrorCode::cancelled, "the receiver is gone");
    }
  }
}

}  // namespace

Tunnels::Tunnels(hypervisor::Hypervisor& hypervisor, PoolRegistry& pools, const GuestFiles& files,
                 UploadRendezvous& uploads, Dial dial, Refused refused, Expected expected, Sleep sleep, Upgrade upgrade,
                 std::size_t most)
    : hypervisor_(hypervisor),
      pools_(pools),
      files_(files),
      uploads_(uploads),
      dial_(std::move(dial)),
      refused_(std::move(refused)),
      expected_(std::move(expected)),
      sleep_(std::move(sleep)),
      upgrade_(std::move(upgrade)),
      most_(most) {}

Tunnels::~Tunnels() { stop(); }

void Tunnels::open(const TunnelOrder& order) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (serving_ < most_) {
      try {
        std::thread([this, order] { serve(order); }).detach();
        ++serving_;
        return;
      } catch (const std::system_error&) {
        // Told below like any other lack.
      }
    }
  }
  refused_(order.id, {ErrorCode::resource_exhausted, "this node carries as many consoles and transfers as it can",
                      "Close one and try again."});
}

void Tunnels::serve(const TunnelOrder& order) {
  Status done;
  try {
    done = carry(order);
  } catch (const std::system_error& error) {
    done = fail(ErrorCode::resource_exhausted, "no thread for it: {}", error.what());
  }
  if (!done) {
    log::warning(messages::tunnel_failed, "tunnel {}: {}", order.id, done.error().describe());
    refused_(order.id, done.error());
  }
  const std::lock_guard lock(mutex_);
  channels_.erase(order.id);
  --serving_;
  ended_.notify_all();
}

void Tunnels::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  stop_.request_stop();
  for (const auto& [id, channel] : channels_) channel->cancel();
  ended_.wait(lock, [this] { return serving_ == 0; });
}

std::size_t Tunnels::count() const {
  const std::lock_guard lock(mutex_);
  return serving_;
}

Status Tunnels::carry(const TunnelOrder& order) {
  switch (order.kind) {
    case TunnelKind::serial_console: return carry_console(order);
    case TunnelKind::vnc: return carry_vnc(order);
    case TunnelKind::image_upload: return carry_upload(order);
    case TunnelKind::image_download: return carry_download(order);
    case TunnelKind::boot_log: return carry_boot_log(order);
    case TunnelKind::pool_survey: return carry_pool_survey(order);
    case TunnelKind::bench: return carry_bench_client(order);
    case TunnelKind::node_look: return carry_node_look(order);
    case TunnelKind::free_locks: return carry_free_locks(order);
    case TunnelKind::claim: return carry_claim(order);
    case TunnelKind::sleep: return carry_sleep(order);
    case TunnelKind::upgrade: return carry_upgrade(order);
  }
  return fail(ErrorCode::unsupported, "this agent does not know this kind of tunnel");
}

Result<std::shared_ptr<TunnelChannel>> Tunnels::dial(const TunnelOrder& order) {
  std::shared_ptr<TunnelChannel> channel = dial_(order.id);
  if (!channel) return fail(ErrorCode::unavailable, "the manager can't be reached");
  const std::lock_guard lock(mutex_);
  if (stopping_) return fail(ErrorCode::cancelled, "the agent stops");
  channels_[order.id] = channel;
  return channel;
}

Status Tunnels::carry_console(const TunnelOrder& order) {
  auto console = hypervisor_.open_console(order.vm, true);
  if (!console) return forward(console);
  auto channel = dial(order);
  if (!channel) return forward(channel);
  Status outcome;  // of the guest's side
  std::thread from_guest([&] {
    for (;;) {
      auto bytes = (*console)->read();
      if (!bytes) outcome = forward(bytes);
      if (!bytes || bytes->empty()) break;
      if (!(*channel)->write({.data = std::move(*bytes)})) break;
    }
    (*channel)->write(outcome ? TunnelMessage{.end = true} : TunnelMessage{.error = outcome.error().describe()});
  });
  while (const auto message = (*channel)->read()) {
    if (message->end || !message->error.empty()) break;
    if (message->data.empty()) continue;  // a resize
    if (!(*console)->write(message->data)) break;
  }
  (*console)->close();
  from_guest.join();
  drain(**channel);
  return {};
}

Status Tunnels::carry_vnc(const TunnelOrder& order) {
  auto socket = hypervisor_.open_vnc(order.vm);
  if (!socket) return forward(socket);
  auto channel = dial(order);
  if (!channel) return forward(channel);
  std::thread from_guest([&] {
    std::string buffer(kChunk, '\0');
    for (;;) {
      const auto got = ::read(socket->get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      if (!(*channel)->write({.data = buffer.substr(0, static_cast<std::size_t>(got))})) break;
    }
    (*channel)->write({.end = true});
  });
  while (const auto message = (*channel)->read()) {
    if (message->end || !message->error.empty()) break;
    if (message->data.empty()) continue;
    if (!write_all(socket->get(), message->data, "the guest's display")) break;
  }
  ::shutdown(socket->get(), SHUT_RDWR);
  from_guest.join();
  drain(**channel);
  return {};
}

Status Tunnels::carry_upload(const TunnelOrder& order) {
  // The order may overtake the assignment that it is for: both leave the manager on their own threads.
  const auto until = std::chrono::steady_clock::now() + kAssignmentPatience;
  while (!expected_(order.operation)) {
    if (stop_.stop_requested() || std::chrono::steady_clock::now() > until) {
      return fail(ErrorCode::not_found, "this node has no import {} that waits for bytes", order.operation);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  auto pipe = uploads_.offer(order.operation);
  if (!pipe) return forward(pipe);
  auto channel = dial(order);
  if (!channel) {
    (*pipe)->abandon(channel.error());
    return forward(channel);
  }
  const std::stop_callback stop(stop_.get_token(), [pipe = *pipe] {
    pipe->close(Error{ErrorCode::cancelled, "the agent stops", {}});
  });
  Status taken;
  bool complete = false;
  while (taken && !complete) {
    auto message = (*channel)->read();
    if (!message) {
      taken = fail(ErrorCode::io_error, "the upload was cut off");
    } else if (!message->error.empty()) {
      taken = fail(ErrorCode::io_error, "the sender gave up: {}", message->error);
    } else {
      taken = (*pipe)->push(std::move(message->data));
      complete = message->end;
    }
  }
  if (taken) {
    (*pipe)->finish();
  } else {
    (*pipe)->abandon(taken.error());
  }
  return end_channel(**channel, taken);
}

Status Tunnels::carry_download(const TunnelOrder& order) {
  const auto format = model::parse_enum<model::ImageFormat>(order.format.empty() ? "raw" : order.format);
  if (!format) return forward(format);
  auto pool = pools_.ensure(order.pool);
  if (!pool) return forward(pool);
  // Looked at first, so that "not found" is an answer and not a broken stream.
  auto stored = pool->call<storage::StoredImage>(
      [image = order.image](storage::ImagePool& images) { return images.inspect(image); });
  if (!stored) return forward(stored);
  auto channel = dial(order);
  if (!channel) return forward(channel);
  auto call = pool->begin<void>([image = order.image, format = *format, channel = *channel,
                                 stop = stop_.get_token()](storage::ImagePool& images) {
    return images.export_image(
        image, format, [&](std::string_view bytes) { return channel->write({.data = std::string(bytes)}); },
        [](const Progress&) {}, stop);
  });
  const auto exported = call.wait_unless_stopped(stop_.get_token(), pool->deadlines().cancel);
  return end_channel(**channel, exported);
}

Status Tunnels::carry_boot_log(const TunnelOrder& order) {
  std::error_code error;
  // The id becomes a path: nothing else than a UUID may.
  if (!is_uuid(order.vm.str()) || !std::filesystem::exists(files_.directory(order.vm), error)) {
    return fail(ErrorCode::not_found, "this node has no guest {}", order.vm);
  }
  const auto path = files_.console_log(order.vm);
  auto channel = dial(order);
  if (!channel) return forward(channel);
  // virtlogd keeps older parts beside it as .0, .1, ... (the highest is the oldest).
  std::vector<std::filesystem::path> parts{path};
  for (int i = 0; std::filesystem::exists(fmt::format("{}.{}", path.native(), i), error); ++i) {
    parts.insert(parts.begin(), fmt::format("{}.{}", path.native(), i));
  }
  Status sent;
  for (const auto& part : parts) {
    sent = copy_file(part, **channel);
    // A guest that never ran has printed nothing.
    if (!sent && sent.error().code == ErrorCode::not_found) sent = Status{};
    if (!sent) break;
  }
  return end_channel(**channel, sent);
}

Status Tunnels::carry_bench_client(const TunnelOrder& order) {
  const auto wanted = load::read_order(order.bench_order);
  if (!wanted) return forward(wanted);
  if (!wanted->guest.empty()) {
    auto channel = dial(order);
    if (!channel) return forward(channel);
    carry_bench_in_guest(*wanted, hypervisor_, **channel, stop_.get_token());
    return {};
  }
  auto pool = pools_.ensure(order.pool);
  if (!pool) return forward(pool);
  auto channel = dial(order);
  if (!channel) return forward(channel);
  carry_bench(order.bench_order, *pool, **channel, stop_.get_token());
  return {};
}

// One at a time: each takes a while, and in a pool that hangs one thread.
Status Tunnels::carry_pool_survey(const TunnelOrder& order) {
  const std::unique_lock turn(surveying_, kSurveyTurn);
  if (!turn) {
    return fail_with_hint(ErrorCode::unavailable, "this node is looking at its pools for others",
                          "Try again in a moment.");
  }
  auto pool = pools_.ensure(order.pool);
  if (!pool) return forward(pool);
  auto channel = dial(order);
  if (!channel) return forward(channel);
  auto call =
      pool->begin<model::PoolSurvey>([images = order.images](storage::ImagePool& all) { return all.survey(images); });
  const auto survey = call.wait(pool->deadlines().survey);
  if (!survey) return end_channel(**channel, forward(survey));
  const auto text = model::encode(*survey);
  for (std::size_t at = 0; at < text.size(); at += kChunk) {
    if (!(*channel)->write({.data = text.substr(at, kChunk)})) break;
  }
  return end_channel(**channel, {});
}

// No answer is better than a late one: the manager asks again.
Status Tunnels::carry_node_look(const TunnelOrder& order) {
  std::string answer;
  if (order.pool.id.empty()) {
    answer = answers_from(order.addresses, kLookPatience) ? "reached" : "silent";
  } else {
    const auto pool = pools_.find(order.pool.id);
    if (!pool) return forward(pool);
    const auto count =
        pool->begin<std::uint64_t>([node = order.node](storage::ImagePool& all) { return all.read_beat(node); })
            .wait(kLookPatience);
    if (!count) return forward(count);
    answer = std::to_string(*count);
  }
  auto channel = dial(order);
  if (!channel) return forward(channel);
  (*channel)->write({.data = answer});
  return end_channel(**channel, {});
}

Status Tunnels::carry_free_locks(const TunnelOrder& order) {
  auto channel = dial(order);  // first: it may take longer than the manager waits for that
  if (!channel) return forward(channel);
  SystemCommandRunner runner;
  const auto freed = storage::free_dead_client(order.pool, order.addresses, runner);
  if (freed) (*channel)->write({.data = std::to_string(*freed)});
  return end_channel(**channel, freed ? Status() : forward(freed));
}

// Told only when the node would read it so.
Status Tunnels::carry_claim(const TunnelOrder& order) {
  const auto pool = pools_.find(order.pool.id);
  if (!pool) return forward(pool);
  const auto done =
      pool->begin<void>(
              [node = order.node, claim = order.claim, remove = order.remove_claim](storage::ImagePool& all) -> Status {
                if (auto written = remove ? all.remove_claim(node, claim) : all.write_claim(node, claim); !written) {
                  return written;
                }
                const auto claims = all.read_claims(node);
                if (!claims) return forward(claims);
                const bool there = std::find(claims->begin(), claims->end(), claim) != claims->end();
                if (there != remove) return {};
                return fail(ErrorCode::conflict, "the pool holds another claim in its place by now");
              })
          .wait(kLookPatience);
  if (!done) return done;
  auto channel = dial(order);
  if (!channel) return forward(channel);
  (*channel)->write({.data = "done"});
  return end_channel(**channel, {});
}

// The answer leaves before the machine sleeps. One that is lost has it asleep all the same: it is empty, and whoever
// looks at its power control sees it.
Status Tunnels::carry_sleep(const TunnelOrder& order) {
  auto channel = dial(order);
  if (!channel) return forward(channel);
  const auto begun = sleep_();
  if (begun) (*channel)->write({.data = "asleep soon"});
  return end_channel(**channel, begun);
}

Status Tunnels::carry_upgrade(const TunnelOrder& order) {
  auto channel = dial(order);
  if (!channel) return forward(channel);
  bool over = false;
  const auto answer = upgrade_([&]() -> Result<std::string> {
    while (!over) {
      auto message = (*channel)->read();
      if (!message) return fail(ErrorCode::io_error, "the order was cut off");
      if (!message->error.empty()) return fail(ErrorCode::io_error, "the manager gave up: {}", message->error);
      over = message->end;
      if (!message->data.empty()) return std::move(message->data);
    }
    return std::string();
  });
  if (answer) (*channel)->write({.data = *answer});
  return end_channel(**channel, answer ? Status() : forward(answer));
}

}  // namespace bridgehead::host_agent
