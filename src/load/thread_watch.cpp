#include "load/thread_watch.h"

#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"

namespace bridgehead::load {

ThreadWatch::ThreadWatch(int process, std::filesystem::path root)
    : tasks_(process > 0 ? root / "proc" / std::to_string(process) / "task" : std::filesystem::path()),
      before_(seconds_of_threads()) {}

std::map<std::string, double> ThreadWatch::seconds_of_threads() const {
  std::map<std::string, double> all;
  const auto listed = tasks_.empty() ? Result<std::vector<std::filesystem::path>>() : list_directory(tasks_);
  if (!listed) return all;
  for (const auto& task : *listed) {
    const auto text = read_file(task / "stat", 4_KiB);
    // "id (name) state ppid ..."; the name may hold anything. utime and stime are the 14th and 15th field.
    const auto name_end = text ? text->rfind(')') : std::string::npos;
    if (name_end == std::string::npos) continue;
    std::istringstream fields(text->substr(name_end + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    double user = 0, system = 0;
    if (fields >> user >> system) {
      all[task.filename().native()] = (user + system) / static_cast<double>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
    }
  }
  return all;
}

std::optional<double> ThreadWatch::busiest(double seconds) const {
  const auto now = seconds_of_threads();
  if (now.empty() || seconds <= 0) return std::nullopt;
  double most = 0;
  for (const auto& [task, used] : now) {
    const auto before = before_.find(task);
    most = std::max(most, used - (before == before_.end() ? 0 : before->second));
  }
  return std::clamp(most / seconds, 0.0, 1.0);
}

}  // namespace bridgehead::load
