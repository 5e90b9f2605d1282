#include "performance/vm_create_figures.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include <fmt/format.h>

namespace bridgehead::performance {
namespace {

// Nearest rank.
double percentile(std::vector<double> values, double percent) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}
double p50(const std::vector<double>& values) { return percentile(values, 50); }

// Of many at once, each batch's own median (between its two middle ones), then the middle batch: libvirtd starts guests
// of one client five by five, so that the pooled median would lie at the edge between two waves and jump with the
// noise.
double p50_of_batches(const std::vector<double>& values, std::size_t batch) {
  std::vector<double> medians;
  for (std::size_t at = 0; at + batch <= values.size(); at += batch) {
    std::vector<double> one(values.begin() + at, values.begin() + at + batch);
    std::ranges::sort(one);
    medians.push_back((one[(batch - 1) / 2] + one[batch / 2]) / 2);
  }
  return p50(medians);
}

void row(std::string_view what, const std::vector<double>& values, std::size_t batch = 0) {
  if (values.empty()) return;
  fmt::print("  {:34} {:7.0f} {:7.0f} {:7.0f}   ({})\n", what, batch == 0 ? p50(values) : p50_of_batches(values, batch),
             percentile(values, 95), percentile(values, 0), values.size());
}

void cpu_row(std::string_view what, const Times& times) {
  if (times.cpu.empty()) return;
  fmt::print("  {:34}", what);
  for (const auto& [label, process] : kProcesses) fmt::print(" {:8.1f}", p50(times.cpu.at(std::string(label))));
  fmt::print("\n");
}

}  // namespace

Ratios Figures::ratios() const {
  const auto ratio = [](double a, double b) { return b == 0 ? 0 : a / b; };
  return {.one = ratio(p50(one.running), p50(one_libvirt.running)),
          .many = ratio(p50_of_batches(many.running, batch), p50_of_batches(many_libvirt.running, batch)),
          .many_total = ratio(p50(many.total), p50(many_libvirt.total)),
          .install = ratio(p50(install.running), p50(one.running)),
          .install_by_libvirt = ratio(p50(install.running), p50(one_libvirt.running))};
}

bool Figures::within_limits() const {
  const auto r = ratios();
  return r.one <= kLargestRatio && r.many <= kLargestRatio &&
         (install.running.empty() || r.install >= kSmallestVirtInstallRatio);
}

void Figures::print_table() const {
  fmt::print("\nfrom request to virtual CPUs running, ms       p50     p95     min   (samples)\n");
  fmt::print("one at a time\n");
  row("Bridgehead", one.running);
  row("libvirt define+create", one_libvirt.running);
  row("virt-install --import", install.running);
  row("virt-install, command returned", install.ended);
  row("virt-clone, start", clone.running);
  fmt::print("{} at once\n", batch);
  row("Bridgehead, each", many.running, batch);
  row("libvirt define+create, each", many_libvirt.running, batch);
  row("Bridgehead, the last", many.total);
  row("libvirt define+create, the last", many_libvirt.total);
  fmt::print("where it goes, one at a time: ms since the request\n");
  row("Bridgehead: request answered", one.answered);
  row("Bridgehead: domain defined", one.defined);
  row("Bridgehead: operation ended", one.ended);
  row("libvirt: domain defined", one_libvirt.defined);
  row("libvirt: create returned", one_libvirt.ended);
  fmt::print("{} at once\n", batch);
  row("Bridgehead: request answered", many.answered);
  row("Bridgehead: operations ended", many.ended, batch);
  fmt::print("CPU per guest, {} at once, ms      {:>8} {:>8} {:>8} {:>8}\n", batch, "manager", "agent", "libvirtd",
             "QEMU");
  cpu_row("Bridgehead", many);
  cpu_row("libvirt define+create", many_libvirt);
  const auto r = ratios();
  fmt::print("ratios of p50\n");
  fmt::print("  Bridgehead / libvirt                 {:5.2f}   (at most {})\n", r.one, kLargestRatio);
  fmt::print("  Bridgehead / libvirt, {:3} at once    {:5.2f}   (at most {}); the last: {:.2f}\n", batch, r.many,
             kLargestRatio, r.many_total);
  if (!install.running.empty()) {
    fmt::print("  virt-install / Bridgehead            {:5.2f}   (at least {}); virt-install / libvirt: {:.2f}\n",
               r.install, kSmallestVirtInstallRatio, r.install_by_libvirt);
  }
}

void Figures::print_json() const {
  const auto figures = [](const Times& times, std::size_t of_batches = 0) {
    nlohmann::json json;
    const std::pair<const char*, const std::vector<double>*> all[] = {{"answered", &times.answered},
                                                                      {"defined", &times.defined},
                                                                      {"running", &times.running},
                                                                      {"ended", &times.ended},
                                                                      {"last_running", &times.total}};
    for (const auto& [name, values] : all) {
      if (values->empty()) continue;
      const bool batches = of_batches != 0 && values->size() > times.total.size();
      json[name] = {{"p50", batches ? p50_of_batches(*values, of_batches) : p50(*values)},
                    {"p95", percentile(*values, 95)},
                    {"values", *values}};
    }
    for (const auto& [process, values] : times.cpu) json["cpu_per_guest"][process] = p50(values);
    return json;
  };
  const auto r = ratios();
  const nlohmann::json json = {{"unit", "ms"},
                               {"batch", batch},
                               {"one", figures(one)},
                               {"one_libvirt", figures(one_libvirt)},
                               {"virt_install", figures(install)},
                               {"virt_clone", figures(clone)},
                               {"many", figures(many, batch)},
                               {"many_libvirt", figures(many_libvirt, batch)},
                               {"ratios",
                                {{"one", r.one},
                                 {"many", r.many},
                                 {"many_last", r.many_total},
                                 {"virt_install", r.install},
                                 {"virt_install_libvirt", r.install_by_libvirt}}}};
  fmt::print("{}\n", json.dump(2));
}

}  // namespace bridgehead::performance
