// The generated guests beside the published figures, and the CSV format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulation/trace_generator.h"
#include "simulation/trace_statistics.h"

namespace bridgehead::simulation {
namespace {

const Timestamp kMonday{std::chrono::sys_days(std::chrono::year(2026) / 1 / 5)};

// Prints both, so that a run shows the match: `simulation_test --gtest_filter=Trace.*`.
void compare(const char* what, double value, double published, double generated, double tolerance) {
  fmt::print("  {:<34} {:>7.2f}   published {:6.1f} %   generated {:6.1f} %\n", what, value, published * 100,
             generated * 100);
  EXPECT_NEAR(generated, published, tolerance) << what << " " << value;
}

TEST(Trace, LooksLikeAzure) {
  const auto trace = generate_trace({.profile = Profile::azure, .guests = 6000, .length = 7 * 86400.0, .seed = 3});
  const auto figures = statistics_of(trace, kMonday, 7);
  for (const double cpu : {0.05, 0.1, 0.2, 0.4, 0.6}) {
    compare("guests with average CPU up to", cpu, part_at(azure::kAverageCpu, cpu), part_at(figures.average_cpu, cpu),
            0.03);
  }
  for (const double cpu : {0.2, 0.4, 0.6, 0.8, 0.9}) {
    compare("guests with peak CPU (P95) up to", cpu, part_at(azure::kPeakCpu, cpu), part_at(figures.peak_cpu, cpu),
            0.05);
  }
  for (const double vcpus : {2., 4., 8.}) {
    compare("guests with virtual CPUs up to", vcpus, part_at(azure::kVcpus, vcpus), part_at(figures.vcpus, vcpus),
            0.03);
  }
  for (const double gib : {2., 4., 8., 32.}) {
    compare("guests with GiB of memory up to", gib, part_at(azure::kMemoryGib, gib), part_at(figures.memory_gib, gib),
            0.03);
  }
  compare("CPU hours of interactive guests", 0, azure::kInteractive, figures.interactive, 0.04);
}

TEST(Trace, GuestsLiveAsLongAsAzures) {
  const std::size_t guests = 3000;
  const auto trace = generate_trace(
      {.profile = Profile::azure, .guests = guests, .come_and_go = true, .length = 7 * 86400.0, .seed = 4});
  const auto figures = statistics_of(trace, kMonday, 7);
  for (const double hours : {1., 5., 20., 100.}) {
    compare("guests that live hours up to", hours, part_at(azure::kLifetime, hours), part_at(figures.lifetime, hours),
            0.03);
  }
  double mean = 0;
  for (const double hours : figures.lifetime) mean += hours / static_cast<double>(figures.lifetime.size());
  fmt::print("  mean lifetime in hours: published {:.1f}, generated {:.1f}\n", azure::kMeanLifetime, mean);
  EXPECT_NEAR(mean, azure::kMeanLifetime, 0.1 * azure::kMeanLifetime);
  // As many are there in the end as in the beginning.
  const double end = 7 * 86400.0;
  const auto there = std::count_if(trace.guests.begin(), trace.guests.end(),
                                   [&](const auto& guest) { return guest.end.value_or(end + 1) > end; });
  EXPECT_NEAR(static_cast<double>(there), static_cast<double>(guests), 0.15 * guests);
}

TEST(Trace, LooksLikeBitbrains) {
  const auto trace = generate_trace({.profile = Profile::bitbrains, .guests = 4000, .length = 7 * 86400.0, .seed = 5});
  const auto figures = statistics_of(trace, kMonday, 7);
  compare("use of the CPU that all have", 0, bitbrains::kCpuUse, figures.cpu_use, 0.02);
  fmt::print("  virtual CPUs {:.2f} of {:.2f}, GiB {:.1f} of {:.1f}, peak to mean {:.2f} of {:.1f}\n",
             figures.mean_vcpus, bitbrains::kVcpus, figures.mean_memory_gib, bitbrains::kMemoryGib,
             figures.peak_to_mean, bitbrains::kPeakToMean);
  EXPECT_NEAR(figures.mean_vcpus, bitbrains::kVcpus, 0.2);
  EXPECT_NEAR(figures.mean_memory_gib, bitbrains::kMemoryGib, 1.2);
  EXPECT_NEAR(figures.peak_to_mean, bitbrains::kPeakToMean, 0.4);
}

TEST(Trace, TheSameSeedGivesTheSameGuests) {
  const TraceWishes wishes{.profile = Profile::azure, .guests = 50, .come_and_go = true, .seed = 9};
  const auto text = write_trace(generate_trace(wishes), kMonday, 3600);
  EXPECT_EQ(text, write_trace(generate_trace(wishes), kMonday, 3600));
  auto other = wishes;
  other.seed = 10;
  EXPECT_NE(text, write_trace(generate_trace(other), kMonday, 3600));
}

TEST(Trace, MinutesHaveTheAverageOfTheirInterval) {
  const auto trace = generate_trace({.profile = Profile::office, .guests = 20, .seed = 6});
  for (const auto& guest : trace.guests) {
    const auto first = interval_of(kMonday);
    for (auto interval = first; interval < first + 288; ++interval) {
      const auto load = load_in(guest.load, interval);
      ASSERT_LE(load.average, load.peak);
      float sum = 0;
      for (int minute = 0; minute < kMinutes; ++minute) {
        const auto now = minute_of(guest.load, load, interval, minute);
        ASSERT_GE(now, 0);
        ASSERT_LE(now, 1);
        sum += now;
      }
      ASSERT_NEAR(sum / kMinutes, load.average, 1e-4);
    }
  }
}

TEST(Trace, IsReadAsItWasWritten) {
  const auto trace =
      generate_trace({.profile = Profile::azure, .guests = 40, .come_and_go = true, .length = 7200, .seed = 7});
  const auto text = write_trace(trace, kMonday, 7200);
  const auto again = read_trace("trace.csv", text, kMonday);
  ASSERT_TRUE(again) << again.error().describe();
  ASSERT_EQ(again->guests.size(), trace.guests.size());
  EXPECT_EQ(write_trace(*again, kMonday, 7200), text);
}

TEST(Trace, ErrorsNameTheLine) {
  const std::string header = "name,vcpus,memory_mib,start_s,end_s,cpu_percent\n";
  const auto error = [&](const std::string& text) {
    const auto trace = read_trace("t.csv", text, kMonday);
    return trace ? "read" : trace.error().describe();
  };
  EXPECT_EQ(error(header + "a,2,1024,0,,10/20 5\n"), "read");
  EXPECT_EQ(error("a,b\n"),
            "t.csv, line 1: not a trace of guests. The first line must be: "
            "name,vcpus,memory_mib,start_s,end_s,cpu_percent");
  EXPECT_EQ(error(header), "t.csv: there is no guest in it");
  for (const auto& [line, part] : std::vector<std::pair<std::string, std::string>>{
           {"a,2,1024,0,10", "line 2: has 5 fields, not 6"},
           {",2,1024,0,,1", "line 2: has no name"},
           {"a,0,1024,0,,1", "line 2: vcpus is '0', not 1 to 4096"},
           {"a,2,big,0,,1", "line 2: memory_mib is 'big'"},
           {"a,2,1024,x,,1", "line 2: start_s is 'x'"},
           {"a,2,1024,9,9,1", "line 2: end_s is '9', not a time after start_s"},
           {"a,2,1024,0,,1 20/10", "line 2: cpu_percent has '20/10'"},
           {"a,2,1024,0,,", "line 2: has no cpu_percent"},
           {"a,2,1024,0,,1\na,2,1024,0,,1", "line 3: the guest a is in line 2 already"},
       }) {
    EXPECT_THAT(error(header + line + "\n"), ::testing::HasSubstr(part));
  }
}

}  // namespace
}  // namespace bridgehead::simulation
