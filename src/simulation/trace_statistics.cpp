#include "simulation/trace_statistics.h"

#include <algorithm>

namespace bridgehead::simulation {

double value_at(std::span<const Quantile> points, double part) {
  if (part <= points.front().part) return points.front().value;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const auto& a = points[i - 1];
    const auto& b = points[i];
    if (part <= b.part) return a.value + (b.value - a.value) * (part - a.part) / (b.part - a.part);
  }
  return points.back().value;
}

double part_at(std::span<const Quantile> points, double value) {
  if (value < points.front().value) return 0;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const auto& a = points[i - 1];
    const auto& b = points[i];
    if (value <= b.value) return a.part + (b.part - a.part) * (value - a.value) / (b.value - a.value);
  }
  return 1;
}

double part_at(const std::vector<double>& sorted, double value) {
  if (sorted.empty()) return 0;
  const auto end = std::upper_bound(sorted.begin(), sorted.end(), value);
  return static_cast<double>(end - sorted.begin()) / static_cast<double>(sorted.size());
}

TraceStatistics statistics_of(const Trace& trace, Timestamp from, int days) {
  TraceStatistics figures;
  const auto first = interval_of(from);
  const auto intervals = static_cast<std::size_t>(days) * 288;
  std::vector<double> total(intervals);
  double hours = 0, interactive = 0, provisioned = 0, memory = 0;
  std::vector<float> peaks;
  for (const auto& guest : trace.guests) {
    const auto begin = static_cast<std::size_t>(std::max(0.0, guest.start) / kInterval.count());
    const double end_second = guest.end.value_or(static_cast<double>(intervals) * kInterval.count());
    const auto end = std::min(intervals, std::max(begin + 1, static_cast<std::size_t>(end_second / kInterval.count())));
    if (begin >= end) continue;
    double sum = 0;
    peaks.clear();
    for (auto i = begin; i < end; ++i) {
      const auto load = load_in(guest.load, first + static_cast<std::int64_t>(i));
      sum += load.average;
      peaks.push_back(load.peak);
      total[i] += load.average * guest.vcpus;
    }
    const auto rank = peaks.begin() + static_cast<std::ptrdiff_t>(peaks.size() * 95 / 100);
    std::nth_element(peaks.begin(), rank, peaks.end());
    figures.average_cpu.push_back(sum / static_cast<double>(end - begin));
    figures.peak_cpu.push_back(*rank);
    figures.vcpus.push_back(guest.vcpus);
    figures.memory_gib.push_back(guest.memory / 1073741824.0);
    if (guest.start > 0 && guest.end) figures.lifetime.push_back((*guest.end - guest.start) / 3600);
    const double cpu_hours = guest.vcpus * static_cast<double>(end - begin);
    hours += cpu_hours;
    if (guest.load.rhythm != Rhythm::steady) interactive += cpu_hours;
    provisioned += guest.vcpus;
    memory += guest.memory / 1073741824.0;
  }
  figures.guests = figures.vcpus.size();
  if (figures.guests == 0) return figures;
  for (auto* list : {&figures.average_cpu, &figures.peak_cpu, &figures.lifetime, &figures.vcpus, &figures.memory_gib}) {
    std::sort(list->begin(), list->end());
  }
  double used = 0, most = 0;
  for (const double now : total) {
    used += now;
    most = std::max(most, now);
  }
  figures.interactive = interactive / hours;
  figures.mean_vcpus = provisioned / static_cast<double>(figures.guests);
  figures.mean_memory_gib = memory / static_cast<double>(figures.guests);
  figures.cpu_use = used / hours;
  figures.peak_to_mean = used > 0 ? most * static_cast<double>(intervals) / used : 0;
  return figures;
}

}  // namespace bridgehead::simulation
