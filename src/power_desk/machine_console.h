// MachineConsole: one machine's serial console, as a tunnel whose other side is a driver's program on a terminal.
// Thread-safe; `run` is called once, on a thread that it keeps until the console has ended, and calls the handlers.
#pragma once

#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <stop_token>

#include "base/command.h"
#include "base/fd.h"
#include "power/power_driver.h"
#include "reconcile/agent_port.h"

namespace bridgehead::power_desk {

class MachineConsole final : public reconcile::Tunnel {
 public:
  // resource_exhausted: no file descriptor is left.
  static Result<std::shared_ptr<MachineConsole>> create(power::ConsoleProgram program, CommandRunner& runner,
                                                        reconcile::TunnelHandlers handlers);

  // Until either side ends. `before`: end of the console that the same machine had before, or not valid; it is waited
  // for, so that it doesn't end this session. `take_over`: ends another's session at the BMC first.
  void run(const std::shared_future<void>& before, bool take_over, const std::stop_token& stop);
  std::shared_future<void> end() const { return end_; }

  void write(std::string bytes, std::function<void()> sent) override;
  void resize(std::uint32_t columns, std::uint32_t rows) override;
  void finish() override { close({}); }
  void close(std::string error) override;
  void resume() override;

 private:
  struct Typed {
    std::string bytes;
    std::function<void()> sent;
  };
  struct Wishes {  // of the tunnel's user
    bool closed = false;
    bool reads = false;
    bool types = false;
    std::optional<std::pair<std::uint32_t, std::uint32_t>> size;
  };
  MachineConsole(power::ConsoleProgram program, CommandRunner& runner, reconcile::TunnelHandlers handlers,
                 UniqueFd wake)
      : program_(std::move(program)), runner_(runner), handlers_(std::move(handlers)), wake_(std::move(wake)) {}

  Status converse(bool take_over, const std::stop_token& stop);
  Wishes wishes();
  void wake() const;
  bool read_from(int terminal);  // false: it has ended
  void type_into(int terminal);
  void hand_over();

  const power::ConsoleProgram program_;
  CommandRunner& runner_;
  reconcile::TunnelHandlers handlers_;
  const UniqueFd wake_;  // an eventfd

  // Of the thread that runs.
  bool connected_ = false;
  std::string said_;  // before it was connected all, then what nobody has taken yet
  std::promise<void> ended_;
  const std::shared_future<void> end_{ended_.get_future()};

  std::mutex mutex_;
  std::deque<Typed> typed_;
  std::size_t asked_for_ = 0;  // pieces that the user takes
  bool closed_ = false;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> size_;
};

}  // namespace bridgehead::power_desk
