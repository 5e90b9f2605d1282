// What has been published of real guests, as figures (no data), and the same figures of any trace, so that the two can
// be laid side by side. The generator (trace_generator.h) draws from the former; a test compares.
//
// Azure: 2,695,548 guests over 30 days of 2019. Read from the plots that its publishers made of the public data set V2:
//   https://github.com/Azure/AzurePublicDataset/blob/master/AzurePublicDatasetV2.md and, in the same place,
//   analysis/Azure 2019 Public Dataset V2 - Trace Analysis.ipynb (to half a per cent or so). The method is that of
//   Cortez et al.: "Resource Central: Understanding and Predicting Workloads for Improved Resource Management in Large
//   Cloud Platforms", SOSP 2017.
// Bitbrains: 1,750 guests of business-critical services. Shen, van Beek, Iosup: "Statistical Characterization of
//   Business-Critical Workloads Hosted in Cloud Datacenters", CCGrid 2015, table 1; trace GWA-T-12,
//   http://gwa.ewi.tudelft.nl/datasets/gwa-t-12-bitbrains.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "simulation/trace.h"

namespace bridgehead::simulation {

// Points of a cumulative distribution: `part` of all are at most `value`; linear between.
struct Quantile {
  double value = 0;
  double part = 0;
};

namespace azure {
// Guests by their average CPU use, and by the 95th percentile of the peaks of five minutes.
inline constexpr std::array<Quantile, 9> kAverageCpu{{{0, 0.08},
                                                      {0.01, 0.18},
                                                      {0.05, 0.40},
                                                      {0.10, 0.56},
                                                      {0.20, 0.73},
                                                      {0.30, 0.82},
                                                      {0.40, 0.88},
                                                      {0.60, 0.955},
                                                      {1, 1}}};
inline constexpr std::array<Quantile, 11> kPeakCpu{{{0, 0.10},
                                                    {0.01, 0.14},
                                                    {0.10, 0.25},
                                                    {0.20, 0.335},
                                                    {0.40, 0.45},
                                                    {0.50, 0.51},
                                                    {0.60, 0.585},
                                                    {0.80, 0.74},
                                                    {0.90, 0.80},
                                                    {0.95, 0.87},
                                                    {1, 1}}};
// Hours. Beyond 100 hours the plot ends; the mean of all (162,465,708 hours) says how long the rest lives.
inline constexpr std::array<Quantile, 9> kLifetime{
    {{0.08, 0}, {1, 0.64}, {5, 0.765}, {10, 0.82}, {20, 0.865}, {30, 0.88}, {100, 0.905}, {600, 0.94}, {720, 1}}};
inline constexpr double kMeanLifetime = 60.27;  // hours
// Guests by virtual CPUs and by memory; sizes within a bucket are ours.
inline constexpr std::array<Quantile, 4> kVcpus{{{2, 0.59}, {4, 0.89}, {8, 0.965}, {24, 1}}};
inline constexpr std::array<Quantile, 5> kMemoryGib{{{2, 0.12}, {4, 0.28}, {8, 0.65}, {32, 0.965}, {64, 1}}};
// Of CPU hours: guests with a daily rhythm ("interactive"; 8.5 % are of neither kind for certain).
inline constexpr double kInteractive = 0.33;
}  // namespace azure

namespace bitbrains {
inline constexpr double kVcpus = 4057.0 / 1250;       // provisioned, mean (fastStorage)
inline constexpr double kMemoryGib = 17729.0 / 1250;  // provisioned, mean
// Of 300 of these guests as an independent evaluation measured them: use of the CPU that all have, and its highest
// five minutes against the mean.
inline constexpr double kCpuUse = 0.14;
inline constexpr double kPeakToMean = 2.1;
}  // namespace bitbrains

double value_at(std::span<const Quantile> points, double part);  // the distribution's inverse
double part_at(std::span<const Quantile> points, double value);

// The same figures of a trace, measured on its load from `from` on for `days`.
struct TraceStatistics {
  std::size_t guests = 0;
  std::vector<double> average_cpu;  // of each guest, sorted
  std::vector<double> peak_cpu;     // 95th percentile of its peaks; sorted
  std::vector<double> lifetime;     // hours; of guests that begin within the time; sorted
  std::vector<double> vcpus;        // sorted
  std::vector<double> memory_gib;   // sorted
  double interactive = 0;           // part of CPU hours
  double mean_vcpus = 0;
  double mean_memory_gib = 0;
  double cpu_use = 0;       // used of what all have
  double peak_to_mean = 0;  // of all together
};

TraceStatistics statistics_of(const Trace& trace, Timestamp from, int days);
double part_at(const std::vector<double>& sorted, double value);

}  // namespace bridgehead::simulation
