// node watch: boots as they happen.
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/boot_view.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

struct WatchOptions {
  std::vector<std::string> nodes;
  bool until_ready = false;
};

// The board on standard output: a table drawn over its former self on a terminal, a line for each step elsewhere.
class BoardScreen {
 public:
  explicit BoardScreen(const BootBoard& board) : board_(board), terminal_(::isatty(STDOUT_FILENO) == 1) {}

  void draw() {
    if (!terminal_) return;
    std::string out = drawn_ > 0 ? fmt::format("\033[{}A", drawn_) : "";
    drawn_ = 0;
    std::string table = board_.render(terminal_width(), lines());
    for (std::size_t start = 0; start < table.size(); ++drawn_) {
      const auto end = std::min(table.find('\n', start), table.size());
      out += table.substr(start, end - start) + "\033[K\n";
      start = end + 1;
    }
    fmt::print("{}\033[J", out);
    std::fflush(stdout);
  }

  void step(const BootBoard::Row& row, const nlohmann::json& event) {
    if (terminal_) return draw();
    const auto line = fmt::format("{}  {:<17}  {:>9}  {:<9}  {}", text(event, "/time"), row.name,
                                  elapsed(row.started, row.since), row.step, row.message);
    fmt::print("{}\n", printable(line.substr(0, line.find_last_not_of(' ') + 1)));
    std::fflush(stdout);
  }

 private:
  static std::size_t lines() {
    winsize size{};
    // The cursor stands on a line of its own below the table.
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row - 1U : 0U;
  }

  const BootBoard& board_;
  const bool terminal_;
  std::size_t drawn_ = 0;
};

class NodeWatch {
 public:
  NodeWatch(ApiClient& api, const WatchOptions& options, bool quiet)
      : api_(api), other_(api.connection()), options_(options), quiet_(quiet), board_(options.nodes), screen_(board_) {}

  Status run() {
    bool began = false;
    for (;;) {
      const auto watched = watch_once(began);
      if (done_) return {};
      // The manager may just be restarting; machines go on booting meanwhile.
      if (!watched && (!began || watched.error().code != ErrorCode::unavailable)) return watched;
      if (!watched && !quiet_) fmt::print(stderr, "waiting for the manager to come back\n");
      while (!watched && !api_.get("/version")) ::sleep(1);
    }
  }

 private:
  // Until the stream ends, what it missed must be read anew, or all is done.
  Status watch_once(bool& began) {
    const auto list = api_.get("/nodes");
    if (!list) return forward(list);
    if (auto known = check_names(*list); !known && !began) return known;
    began = true;
    board_.take_list(*list);
    screen_.draw();
    if (check_done()) return {};
    const auto path = fmt::format("/events/stream?since={}", number(*list, "/revision"));
    return api_.stream(path, "", [this](const StreamEvent& event) { return take(event); });
  }

  // False = enough of this stream.
  bool take(const StreamEvent& event) {
    if (event.kind == "stream.gap" || event.kind == "stream.dropped") return false;
    if (text(event.data, "/object_kind") != "node") return true;
    if (event.kind == "node.boot") {
      if (const auto* row = board_.take_event(event.data)) screen_.step(*row, event.data);
    } else if (board_.watches(text(event.data, "/object"), text(event.data, "/object_name"))) {
      read_again(text(event.data, "/object"));
    }
    return !check_done();
  }

  // With a connection of its own: the first one carries the stream.
  void read_again(const std::string& id) {
    const auto node = other_.get("/nodes/" + path_segment(id));
    if (node) {
      board_.take_node(id, &*node);
    } else if (node.error().code == ErrorCode::not_found) {
      board_.take_node(id, nullptr);
    }
    screen_.draw();
  }

  bool check_done() { return done_ = options_.until_ready && board_.all_ready(); }

  Status check_names(const nlohmann::json& list) const {
    for (const auto& wanted : options_.nodes) {
      const auto& items = list.at("items");
      const auto found = std::find_if(items.begin(), items.end(), [&](const auto& node) {
        return text(node, "/id") == wanted || text(node, "/name") == wanted;
      });
      if (found == items.end()) return fail(ErrorCode::not_found, "there is no node '{}'", wanted);
      if (text(*found, "/netboot/mac").empty()) {
        return fail(ErrorCode::failed_precondition, "node '{}' doesn't boot over the network", wanted);
      }
    }
    return {};
  }

  ApiClient& api_;
  ApiClient other_;
  const WatchOptions& options_;
  const bool quiet_;
  BootBoard board_;
  BoardScreen screen_;
  bool done_ = false;
};

}  // namespace

void add_node_watch_command(CLI::App& node, Context& context) {
  const auto options = std::make_shared<WatchOptions>();
  auto* watch = node.add_subcommand("watch", "Boots over the network as they happen, until interrupted");
  watch->add_option("node", options->nodes, "Only these (names or ids; default: all)");
  watch->add_flag("--until-ready", options->until_ready, "End when all that are approved and have an image are ready");
  on_chosen(*watch, context,
            [&context, options](ApiClient& api) { return NodeWatch(api, *options, context.quiet).run(); });
}

}  // namespace bridgehead::cli
