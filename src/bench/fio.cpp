#include "bench/fio.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

namespace bridgehead::bench {
namespace {

using nlohmann::json;

double number_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

// Nanoseconds -> milliseconds.
double percentile_ms(const json& latency, const char* which) {
  const auto list = latency.find("percentile");
  return list == latency.end() ? 0 : number_of(*list, which) / 1e6;
}

void take_latency(const json& owner, const char* name, FioFigures& figures) {
  const auto latency = owner.find(name);
  if (latency == owner.end()) return;
  figures.p50_ms = std::max(figures.p50_ms, percentile_ms(*latency, "50.000000"));
  figures.p99_ms = std::max(figures.p99_ms, percentile_ms(*latency, "99.000000"));
}

Status take_job(const json& job, FioFigures& figures) {
  if (const double error = number_of(job, "error"); error != 0) {
    return fail(ErrorCode::io_error, "a job of fio failed: {}",
                std::strerror(error > 0 && error < 4096 ? static_cast<int>(error) : EINVAL));
  }
  for (const char* direction : {"read", "write", "trim"}) {
    const auto part = job.find(direction);
    if (part == job.end()) continue;
    const double bytes = number_of(*part, "io_bytes");
    const double operations = number_of(*part, "total_ios");
    const double seconds = number_of(*part, "runtime") / 1000;
    for (const double value : {bytes, operations, seconds}) {
      if (!std::isfinite(value) || value < 0 || value > 1e18) {
        return fail(ErrorCode::data_corrupt, "fio says {}, which can't be", value);
      }
    }
    figures.bytes += static_cast<std::uint64_t>(bytes);
    figures.operations += static_cast<std::uint64_t>(operations);
    figures.seconds = std::max(figures.seconds, seconds);
    take_latency(*part, "clat_ns", figures);
  }
  if (const auto sync = job.find("sync"); sync != job.end()) take_latency(*sync, "lat_ns", figures);
  return {};
}

}  // namespace

Result<FioFigures> read_fio(std::string_view output) {
  // Warnings may have braces, too: the JSON begins with a line of one.
  const auto begin = output.starts_with("{") ? 0 : output.find("\n{");
  if (begin == std::string_view::npos) {
    const auto said = output.substr(0, std::min<std::size_t>(output.find('\n'), 200));
    return fail(ErrorCode::data_corrupt, "fio gave no figures; it said: {}", said.empty() ? "nothing" : said);
  }
  const auto all = json::parse(output.substr(begin), nullptr, false);
  const auto jobs = all.find("jobs");
  if (all.is_discarded() || jobs == all.end() || !jobs->is_array() || jobs->empty()) {
    return fail(ErrorCode::data_corrupt, "fio's figures are cut off or aren't fio's");
  }
  FioFigures figures;
  if (const auto version = all.find("fio version"); version != all.end() && version->is_string()) {
    figures.version = version->get<std::string>();
  }
  figures.ended = number_of(all, "timestamp_ms") / 1000;
  for (const auto& job : *jobs) {
    if (!job.is_object()) return fail(ErrorCode::data_corrupt, "a job in fio's figures isn't one");
    if (auto taken = take_job(job, figures); !taken) return forward(taken);
  }
  if (figures.operations == 0 || figures.seconds <= 0) {
    return fail(ErrorCode::failed_precondition, "fio did nothing in its time");
  }
  return figures;
}

}  // namespace bridgehead::bench
