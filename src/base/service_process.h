// One running service: fork, exec, its output in lines. Part of the Supervisor; used on its thread only.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/supervisor.h"

namespace bridgehead {

class ServiceProcess {
 public:
  // Forks from the calling thread, by whose end the program dies. Returns when the program has been executed.
  static Result<ServiceProcess> spawn(const ServiceSpec& spec);
  ServiceProcess(ServiceProcess&&) noexcept = default;
  ServiceProcess& operator=(ServiceProcess&&) noexcept = default;

  pid_t pid() const { return pid_; }
  int exit_fd() const { return exit_.get(); }      // readable when it has ended
  int output_fd() const { return output_.get(); }  // -1 at the end of its output

  // To its process group, so that what it started ends with it.
  void signal_group(int signal_number) const;
  void signal(int signal_number) const;

  // Reads what is there and calls back with each whole line.
  void read_output(const std::function<void(std::string_view)>& on_line);
  // After exit_fd became readable: what waitpid said, as text without the last line.
  std::string reap(const std::function<void(std::string_view)>& on_line);

 private:
  ServiceProcess() = default;

  pid_t pid_ = -1;
  UniqueFd exit_;
  UniqueFd output_;
  std::string line_;  // what came of the next one
};

}  // namespace bridgehead
