#include "base/command.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/spawn_parts.h"

namespace bridgehead {
namespace {

constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,@%+";

std::string quoted(const std::string& word) {
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// Reads what is there; false at the end of the stream.
bool drain(int fd, std::string& into, Bytes limit) {
  char buffer[16384];
  const ssize_t got = ::read(fd, buffer, sizeof buffer);
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got == 0) return false;
  if (into.size() < limit.count()) into.append(buffer, static_cast<std::size_t>(got));
  return true;
}

class RunningProcess {
 public:
  RunningProcess(pid_t pid, Pipe in, Pipe out, Pipe err)
      : pid_(pid), in_(std::move(in.write)), out_(std::move(out.read)), err_(std::move(err.read)) {}
  RunningProcess(const RunningProcess&) = delete;
  ~RunningProcess() {
    if (!reaped_) kill_group();
  }

  // Feeds and reads until both outputs end, or says why it was given up.
  Status communicate(const Command& command, const std::stop_token& stop, CommandOutput& output) {
    std::string_view input = command.input ? std::string_view(*command.input) : std::string_view();
    if (input.empty() && !command.input_ends) in_.reset();
    const auto deadline = std::chrono::steady_clock::now() + command.timeout;
    while (out_ || err_) {
      if (stop.stop_requested()) return fail(ErrorCode::cancelled, "{} was cancelled", command.program);
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) {
        return fail(ErrorCode::timeout, "{} did not end within {} ms", command.describe(), command.timeout.count());
      }
      // A negative descriptor is ignored by poll. The 50 ms bound is how soon a stop request is seen.
      pollfd waiting[3] = {
          {out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}, {input.empty() ? -1 : in_.get(), POLLOUT, 0}};
      int wait =
          stop.stop_possible() ? std::min<int>(50, static_cast<int>(left.count())) : static_cast<int>(left.count());
      if (input.empty() && in_) {
        const auto until = *command.input_ends - SystemClock().now();
        if (until.count() <= 0) {
          in_.reset();
        } else {
          wait = std::min<int>(wait, static_cast<int>(until.count()));
        }
      }
      if (::poll(waiting, 3, wait) < 0 && errno != EINTR) return fail_errno(errno, "poll");
      if (waiting[0].revents != 0 && !drain(out_.get(), output.out, command.output_limit)) out_.reset();
      if (waiting[1].revents != 0 && !drain(err_.get(), output.err, command.output_limit)) err_.reset();
      if (waiting[2].revents != 0) feed(input, command.input_ends.has_value());
    }
    return {};
  }

  int wait() {
    reaped_ = true;
    return wait_for(pid_);
  }

 private:
  void feed(std::string_view& input, bool keep_open) {
    const ssize_t written = ::write(in_.get(), input.data(), std::min<std::size_t>(input.size(), 4096));
    if (written > 0) input.remove_prefix(static_cast<std::size_t>(written));
    const bool broken = written < 0 && errno != EINTR && errno != EAGAIN;
    if (broken) input = {};  // who doesn't read it goes without
    if (broken || (input.empty() && !keep_open)) in_.reset();
  }

  void kill_group() {
    ::kill(-pid_, SIGKILL);
    wait();
  }

  pid_t pid_;
  UniqueFd in_, out_, err_;
  bool reaped_ = false;
};

}  // namespace

std::string Command::describe() const {
  std::string text = quoted(program);
  for (const auto& argument : arguments) text += " " + quoted(argument);
  return text;
}

Result<CommandOutput> SystemCommandRunner::run(const Command& command, std::stop_token stop) {
  auto in = make_pipe();
  auto out = make_pipe();
  auto err = make_pipe();
  if (!in || !out || !err) return fail_errno(EMFILE, "pipe");

  SpawnActions actions;
  SpawnAttributes attributes(POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_adddup2(&actions.actions, in->read.get(), 0);
  posix_spawn_file_actions_adddup2(&actions.actions, out->write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions.actions, err->write.get(), 2);
  close_from(actions, 3);

  const auto pid = spawn(command, actions, attributes);
  if (!pid) return forward(pid);
  in->read.reset();
  out->write.reset();
  err->write.reset();
  ::fcntl(in->write.get(), F_SETFL, O_NONBLOCK);

  RunningProcess process(*pid, std::move(*in), std::move(*out), std::move(*err));
  CommandOutput output;
  if (auto done = process.communicate(command, stop, output); !done) return forward(done);
  output.exit_code = process.wait();
  if (std::find(command.success_codes.begin(), command.success_codes.end(), output.exit_code) ==
      command.success_codes.end()) {
    std::string_view tail = output.err;
    while (!tail.empty() && (tail.back() == '\n' || tail.back() == ' ')) tail.remove_suffix(1);
    if (tail.size() > 500) tail.remove_prefix(tail.size() - 500);
    return fail(ErrorCode::io_error, "{} ended with code {}: {}", command.describe(), output.exit_code, tail);
  }
  return output;
}

}  // namespace bridgehead
