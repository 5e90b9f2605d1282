#include "reports.h"

#include <ctime>

#include "http_client.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::size_t most_reports = 64;

// A manager that is just starting or ending answers with 5xx; below that it has understood.
bool is_told(const Report& report, Deadline deadline) {
  auto url = report.url;
  url.target += concat("&age=", std::max(since_kernel_start() - report.at, std::chrono::milliseconds{}).count());
  const auto answer = http_exchange("POST", url, report.body, deadline);
  return answer && answer->status < 500;
}

}  // namespace

void Reports::add(Report report) {
  if (reports_.size() >= most_reports) reports_.pop_front();
  reports_.push_back(std::move(report));
}

bool Reports::tell(Deadline deadline) {
  while (!reports_.empty() && is_told(reports_.front(), deadline)) reports_.pop_front();
  return reports_.empty();
}

std::string Reports::text() const {
  std::string text;
  for (const auto& report : reports_)
    text += concat(report.at.count(), " ", report.url.text(), " ", percent_encode(report.body), "\n");
  return text;
}

std::optional<Reports> Reports::parse(std::string_view text) {
  Reports reports;
  while (!text.empty()) {
    const auto parts = split(take_until(text, '\n'), ' ');
    if (parts.size() != 3) return std::nullopt;
    const auto at = parse_number(parts[0]);
    const auto url = Url::parse(parts[1]);
    auto body = percent_decode(parts[2]);
    if (!at || !url || !body) return std::nullopt;
    reports.add({*url, std::move(*body), std::chrono::milliseconds(*at)});
  }
  return reports;
}

std::chrono::milliseconds since_kernel_start() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::milliseconds(now.tv_nsec / 1'000'000);
}

}  // namespace bridgehead::init
