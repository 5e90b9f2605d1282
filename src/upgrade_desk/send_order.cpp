#include "upgrade_desk/send_order.h"

#include <condition_variable>
#include <mutex>

namespace bridgehead::upgrade_desk {
namespace {

constexpr std::size_t kPiece = 256 << 10;
constexpr std::size_t kLongestAnswer = 64 << 10;

// Shared with the tunnel's handlers, which may come after whoever sends has given up.
struct Talk {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool opened = false;
  std::uint64_t taken = 0;  // pieces
  std::uint64_t answered = 0;
  std::string text;
  std::optional<Status> closed;

  template <typename Change>
  void note(const Change& change) {
    const std::lock_guard lock(mutex);
    change();
    changed.notify_all();
  }
};

class Sender {
 public:
  Sender(std::shared_ptr<Talk> talk, std::shared_ptr<reconcile::Tunnel> tunnel, std::chrono::milliseconds patience,
         std::stop_token stop)
      : talk_(std::move(talk)), tunnel_(std::move(tunnel)), patience_(patience), stop_(std::move(stop)) {}

  // False: it is over, or nothing came in time.
  template <typename Done>
  bool wait(const Done& done) {
    std::unique_lock lock(talk_->mutex);
    return talk_->changed.wait_for(lock, stop_, patience_, [&] { return done() || talk_->closed; }) && !talk_->closed;
  }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      tunnel_->write(std::string(bytes.substr(0, kPiece)), [talk = talk_] { talk->note([&] { ++talk->taken; }); });
      ++sent_;
      if (!wait([this] { return talk_->taken == sent_; })) return false;
      bytes.remove_prefix(std::min(kPiece, bytes.size()));
    }
    return true;
  }
  // The answer comes in pieces as it likes, then the end.
  void listen() {
    std::uint64_t seen = 0;
    do {
      tunnel_->resume();
      ++seen;
    } while (wait([&] { return talk_->answered >= seen; }));
  }
  Result<std::string> answer() {
    const std::lock_guard lock(talk_->mutex);
    if (talk_->closed) return *talk_->closed ? Result<std::string>(talk_->text) : forward(*talk_->closed);
    if (stop_.stop_requested()) return fail(ErrorCode::cancelled, "it was cancelled");
    return fail(ErrorCode::timeout, "the agent took or said nothing for {} s", patience_.count() / 1000);
  }

 private:
  const std::shared_ptr<Talk> talk_;
  const std::shared_ptr<reconcile::Tunnel> tunnel_;
  const std::chrono::milliseconds patience_;
  const std::stop_token stop_;
  std::uint64_t sent_ = 0;
};

}  // namespace

Result<model::UpgradeAnswer> send_order(reconcile::TunnelBroker& tunnels, const model::NodeId& node,
                                        const model::UpgradeOrder& order, const std::vector<std::string>& content,
                                        std::chrono::milliseconds patience, const std::stop_token& stop) {
  const auto talk = std::make_shared<Talk>();
  reconcile::TunnelHandlers handlers;
  handlers.opened = [talk] { talk->note([&] { talk->opened = true; }); };
  handlers.data = [talk](const std::string& bytes) {
    talk->note([&] {
      if (talk->text.size() < kLongestAnswer) talk->text += bytes;
      ++talk->answered;
    });
  };
  handlers.closed = [talk](Status result) { talk->note([&] { talk->closed = std::move(result); }); };
  auto tunnel = tunnels.open(node, {.kind = reconcile::TunnelKind::upgrade}, std::move(handlers));
  if (!tunnel) return forward(tunnel);
  Sender sender(talk, *tunnel, patience, stop);
  bool goes_on = sender.wait([&] { return talk->opened; }) && sender.write(text_of(order) + "\n");
  for (std::size_t i = 0; goes_on && i < content.size(); ++i) goes_on = sender.write(content[i]);
  if (goes_on) {
    (*tunnel)->finish();
    sender.listen();
  }
  const auto said = sender.answer();
  (*tunnel)->close();
  if (!said) return forward(said);
  return model::upgrade_answer_from(*said);
}

}  // namespace bridgehead::upgrade_desk
