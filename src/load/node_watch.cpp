#include "load/node_watch.h"

#include <sys/utsname.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "base/file.h"

namespace bridgehead::load {
namespace {

// Files of /proc and /sys are small; what isn't there is empty.
std::string text_of(const std::filesystem::path& path) {
  const auto text = read_file(path, 1_MiB);
  return text ? *text : std::string();
}

double number_in(const std::filesystem::path& path) {
  double value = 0;
  std::istringstream(text_of(path)) >> value;
  return value;
}

// "key<blanks>: value" of the first line with that key.
std::string value_of(const std::string& text, const std::string& key) {
  const auto begin = text.starts_with(key) ? 0 : text.find("\n" + key);
  if (begin == std::string::npos) return "";
  const auto colon = text.find(':', begin);
  const auto end = text.find('\n', std::min(begin + 1, text.size()));
  if (colon == std::string::npos || colon > end) return "";
  const auto value = text.find_first_not_of(" \t", colon + 1);
  return value == std::string::npos || value >= end ? "" : text.substr(value, end - value);
}

// Bits per second of a NIC; 0: it doesn't say (virtual ones don't).
double link_bits_of(const std::filesystem::path& root, const std::string& nic) {
  return std::max(0.0, number_in(root / "sys/class/net" / nic / "speed")) * 1e6;
}

std::vector<std::string> nics_of(const std::filesystem::path& root) {
  std::vector<std::string> names;
  const auto listed = list_directory(root / "sys/class/net");
  if (!listed) return names;
  for (const auto& path : *listed) {
    if (path.filename() != "lo") names.push_back(path.filename());
  }
  return names;
}

}  // namespace

bench::NodeFacts facts_of_this_node(std::string name, const std::filesystem::path& root) {
  bench::NodeFacts facts;
  facts.name = std::move(name);
  utsname system{};
  if (::uname(&system) == 0) facts.kernel = system.release;
  facts.cpu = value_of(text_of(root / "proc/cpuinfo"), "model name");
  facts.cpus = std::thread::hardware_concurrency();
  double kilobytes = 0;
  std::istringstream(value_of(text_of(root / "proc/meminfo"), "MemTotal")) >> kilobytes;
  facts.memory_bytes = static_cast<std::uint64_t>(kilobytes) * 1024;
  for (const auto& nic : nics_of(root)) facts.link_bits = std::max(facts.link_bits, link_bits_of(root, nic));
  return facts;
}

NodeWatch::NodeWatch(std::filesystem::path root) : root_(std::move(root)), before_(count()) {}

NodeWatch::Counts NodeWatch::count() const {
  Counts counts;
  std::istringstream stat(text_of(root_ / "proc/stat"));
  std::string label;
  stat >> label;
  double value = 0;
  // user nice system idle iowait irq softirq steal; guests' time is in user's already.
  for (int field = 0; field < 8 && stat >> value; ++field) {
    counts.cpu_all += value;
    if (field == 3 || field == 4) counts.cpu_idle += value;
  }
  for (const auto& nic : nics_of(root_)) {
    for (const char* counter : {"rx_bytes", "tx_bytes"}) {
      counts.ways.push_back({nic, counter, number_in(root_ / "sys/class/net" / nic / "statistics" / counter)});
    }
  }
  return counts;
}

NodeWatch::Busy NodeWatch::since(double seconds) const {
  Busy busy;
  const auto now = count();
  const double all = now.cpu_all - before_.cpu_all;
  if (all > 0) busy.cpu = std::clamp(1 - (now.cpu_idle - before_.cpu_idle) / all, 0.0, 1.0);
  for (const auto& way : now.ways) {
    const auto before = std::find_if(before_.ways.begin(), before_.ways.end(),
                                     [&](const auto& one) { return one.nic == way.nic && one.counter == way.counter; });
    const double bits = link_bits_of(root_, way.nic);
    if (before == before_.ways.end() || bits <= 0 || seconds <= 0) continue;
    busy.link = std::max(busy.link.value_or(0), std::max(0.0, way.bytes - before->bytes) * 8 / seconds / bits);
  }
  return busy;
}

}  // namespace bridgehead::load
