// vm console, log, vnc; node console.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <regex>

#include "base/fd.h"
#include "base/file.h"
#include "base/raw_terminal.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/websocket.h"

namespace bridgehead::cli {
namespace {

// Of `bh KIND console`; `path` is that of objects of that kind.
void add_console(CLI::App& noun, Context& context, const std::string& kind, const char* path, const std::string& help) {
  struct Options {
    std::string name;
    bool take_over = false;
  };
  const auto options = std::make_shared<Options>();
  auto* console = noun.add_subcommand("console", help);
  console->add_option(kind, options->name, "Name or id")->required();
  console->add_flag("--take-over", options->take_over, "Even if somebody else has it open");
  on_chosen(*console, context, [options, path](ApiClient& api) -> Status {
    auto socket = WebSocket::connect(api.connection(), fmt::format("{}/{}/console{}", path, path_segment(options->name),
                                                                   options->take_over ? "?take_over=true" : ""));
    if (!socket) return forward(socket);
    fmt::print(stderr, "Connected to {}. Leave with Ctrl-].\r\n", options->name);
    Status outcome;
    {
      const RawTerminal raw;
      outcome = (*socket)->run(
          STDIN_FILENO,
          [&] {
            char buffer[4096];
            const auto got = ::read(STDIN_FILENO, buffer, sizeof buffer);
            if (got <= 0) return false;
            const std::string_view typed(buffer, static_cast<std::size_t>(got));
            const auto detach = typed.find(RawTerminal::kLeave);
            if (detach != 0) (*socket)->send({true, std::string(typed.substr(0, detach))});
            return detach == std::string_view::npos;
          },
          [](const Frame& frame) { (void)write_all(STDOUT_FILENO, frame.bytes, "standard output"); },
          [&] {
            winsize size{};
            // A terminal that does not know its size says 0 by 0.
            if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return;
            (*socket)->send({false, nlohmann::json{{"columns", size.ws_col}, {"rows", size.ws_row}}.dump()});
          });
    }
    fmt::print(stderr, "\r\nLeft {}.\n", options->name);
    return outcome;
  });
}

void add_log(CLI::App& vm, Context& context) {
  struct Options {
    std::string name, until;
    bool follow = false;
    unsigned timeout = 0;
  };
  const auto options = std::make_shared<Options>();
  auto* log = vm.add_subcommand("log", "What the guest printed on its serial console");
  log->add_option("vm", options->name, "Name or id")->required();
  log->add_flag("-f,--follow", options->follow, "Go on as it prints more");
  log->add_option("--until", options->until, "With --follow: stop at a line that matches this regular expression");
  log->add_option("--timeout", options->timeout, "With --until: fail after so many seconds (default: never)");
  on_chosen(*log, context, [options](ApiClient& api) -> Status {
    std::regex pattern;
    try {
      pattern = std::regex(options->until, std::regex::extended | std::regex::nosubs);
    } catch (const std::regex_error&) {
      return fail(ErrorCode::invalid_argument, "--until: '{}' is not a regular expression", options->until);
    }
    const auto started = std::chrono::steady_clock::now();
    std::size_t shown = 0;
    std::size_t searched = 0;
    for (;;) {
      const auto text = api.get_text(fmt::format("/vms/{}/log", path_segment(options->name)));
      if (!text) return forward(text);
      if (text->size() < shown) shown = searched = 0;  // the guest was started anew
      if (auto written = write_all(STDOUT_FILENO, std::string_view(*text).substr(shown), "standard output"); !written)
        return written;
      shown = text->size();
      if (!options->follow) return {};
      for (auto end = text->find('\n', searched); !options->until.empty() && end != std::string::npos;
           end = text->find('\n', searched)) {
        if (std::regex_search(text->begin() + static_cast<std::ptrdiff_t>(searched),
                              text->begin() + static_cast<std::ptrdiff_t>(end), pattern))
          return {};
        searched = end + 1;
      }
      if (options->timeout > 0 && std::chrono::steady_clock::now() - started > std::chrono::seconds(options->timeout)) {
        return fail(ErrorCode::timeout, "no line matched '{}' within {} s", options->until, options->timeout);
      }
      ::sleep(1);
    }
  });
}

Result<UniqueFd> listen_on(std::uint16_t port, std::uint16_t& bound) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd.get(), 1) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return fail_errno(errno, fmt::format("listen on port {}", port));
  }
  bound = ntohs(address.sin_port);
  return fd;
}

void add_vnc(CLI::App& vm, Context& context) {
  struct Options {
    std::string name;
    std::uint16_t port = 0;
  };
  const auto options = std::make_shared<Options>();
  auto* vnc = vm.add_subcommand("vnc", "The guest's screen: opens a port on this machine's loopback for a VNC viewer");
  vnc->add_option("vm", options->name, "Name or id")->required();
  vnc->add_option("--port", options->port, "Port (default: a free one)");
  on_chosen(*vnc, context, [options](ApiClient& api) -> Status {
    std::uint16_t port = 0;
    auto listener = listen_on(options->port, port);
    if (!listener) return forward(listener);
    fmt::print("127.0.0.1:{}\n", port);
    std::fflush(stdout);
    const UniqueFd viewer(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!viewer) return fail_errno(errno, "accept");
    auto socket = WebSocket::connect(api.connection(), fmt::format("/vms/{}/vnc", path_segment(options->name)));
    if (!socket) return forward(socket);
    return (*socket)->run(
        viewer.get(),
        [&] {
          char buffer[65536];
          const auto got = ::read(viewer.get(), buffer, sizeof buffer);
          if (got > 0) (*socket)->send({true, std::string(buffer, static_cast<std::size_t>(got))});
          return got > 0;
        },
        [&](const Frame& frame) { (void)write_all(viewer.get(), frame.bytes, "the viewer"); }, [] {});
  });
}

}  // namespace

void add_vm_console_commands(CLI::App& vm, Context& context) {
  add_console(vm, context, "vm", "/vms", "The guest's serial console in this terminal; leave with Ctrl-]");
  add_log(vm, context);
  add_vnc(vm, context);
}

void add_node_console_command(CLI::App& node, Context& context) {
  add_console(
      node, context, "node", "/nodes",
      "The serial console of the machine itself in this terminal, by its BMC (IPMI's Serial over LAN); leave with "
      "Ctrl-]");
}

}  // namespace bridgehead::cli
