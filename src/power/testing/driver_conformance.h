// What every driver must do, with a BMC that is good, dead, slow, refusing or lying. A test instantiates it with its
// rigs:
//
//   INSTANTIATE_TEST_SUITE_P(Ipmi, DriverConformance, ::testing::Values(rig_of<IpmiRig>()));
#pragma once

#include <gtest/gtest.h>

#include "power/testing/bmc_rig.h"
#include "power/verified_power.h"

namespace bridgehead::power::testing {

using MakeRig = std::unique_ptr<BmcRig> (*)();

template <typename Rig>
MakeRig rig_of() {
  return [] { return std::unique_ptr<BmcRig>(std::make_unique<Rig>()); };
}

class DriverConformance : public ::testing::TestWithParam<MakeRig> {
 protected:
  // Generous where something is to succeed, short where it isn't.
  static PowerLimits patient() {
    return {.deadline = std::chrono::seconds(60),
            .attempt = std::chrono::seconds(20),
            .pause = std::chrono::milliseconds(10),
            .ask_again = std::chrono::seconds(5),
            .witness_time = std::chrono::milliseconds(300),
            .off_time = std::chrono::milliseconds(10)};
  }
  static PowerLimits hasty() {
    auto limits = patient();
    limits.deadline = std::chrono::seconds(4);
    limits.attempt = std::chrono::seconds(2);
    limits.ask_again = std::chrono::seconds(1);
    return limits;
  }
  PowerWitness witness() {
    return [this](Monotonic) { return rig_->is_on() ? Sign::alive : Sign::silent; };
  }
  std::unique_ptr<PowerControl> control(PowerWitness witness = {}, const std::string& password = kPassword) {
    return std::make_unique<VerifiedPower>("machine", rig_->driver(password), clock_, std::move(witness));
  }
  // However bad it is, a call ends about when it should; three times as much on a busy machine.
  void expect_ended_in_time(Monotonic begun, const PowerLimits& limits) {
    EXPECT_LT(clock_.monotonic() - begun, 3 * limits.deadline);
  }

  SystemClock clock_;
  std::unique_ptr<BmcRig> rig_ = GetParam()();
};

TEST_P(DriverConformance, SwitchesOnAndOffAndReadsIt) {
  const auto power = control(witness());
  EXPECT_EQ(power->status(patient()).value(), PowerState::off);
  const auto on = power->on(patient());
  ASSERT_TRUE(on) << on.error().describe();
  EXPECT_TRUE(rig_->is_on());
  EXPECT_EQ(on->state, PowerState::on);
  EXPECT_TRUE(on->changed);
  EXPECT_EQ(on->evidence, Evidence::bmc);
  EXPECT_EQ(power->status(patient()).value(), PowerState::on);

  const auto again = power->on(patient());
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->timing.requests, 0U);

  const auto off = power->off(patient());
  ASSERT_TRUE(off) << off.error().describe();
  EXPECT_FALSE(rig_->is_on());
  EXPECT_EQ(off->evidence, Evidence::bmc_and_witness);
  EXPECT_EQ(rig_->times_off(), 1U);
}

TEST_P(DriverConformance, OffIsAskedForAlsoWhereItIsOff) {
  const auto off = control()->off(patient());
  ASSERT_TRUE(off) << off.error().describe();
  EXPECT_FALSE(off->changed);
  EXPECT_GE(off->timing.requests, 1U);
  EXPECT_EQ(off->evidence, Evidence::bmc);
  EXPECT_FALSE(rig_->is_on());
}

TEST_P(DriverConformance, CyclesThroughOff) {
  rig_->set_on(true);
  bool was_on_between = true;
  const auto cycled = control(witness())->cycle(
      [&] {
        was_on_between = rig_->is_on();
        return Status();
      },
      patient());
  ASSERT_TRUE(cycled) << cycled.error().describe();
  EXPECT_FALSE(was_on_between);
  EXPECT_TRUE(rig_->is_on());
  EXPECT_EQ(rig_->times_off(), 1U);
}

TEST_P(DriverConformance, GivesUpOnABmcThatIsDead) {
  rig_->set_on(true);
  const auto driver = control();
  rig_->set_trouble(Trouble::dead);
  const auto begun = clock_.monotonic();
  const auto off = driver->off(hasty());
  ASSERT_FALSE(off);
  EXPECT_TRUE(is_transient(off.error().code)) << off.error().describe();
  EXPECT_NE(off.error().message.find("may be on or off"), std::string::npos) << off.error().message;
  expect_ended_in_time(begun, hasty());
  EXPECT_TRUE(rig_->is_on());
}

TEST_P(DriverConformance, GivesUpOnABmcThatIsSlow) {
  rig_->set_on(true);
  rig_->set_trouble(Trouble::slow);
  const auto begun = clock_.monotonic();
  const auto status = control()->status(hasty());
  ASSERT_FALSE(status);
  EXPECT_TRUE(is_transient(status.error().code)) << status.error().describe();
  expect_ended_in_time(begun, hasty());
}

TEST_P(DriverConformance, DoesNotBelieveThatItWasDone) {
  rig_->set_on(true);
  rig_->set_trouble(Trouble::ignoring);
  const auto off = control()->off(hasty());
  ASSERT_FALSE(off) << "it is on";
  EXPECT_EQ(off.error().code, ErrorCode::timeout) << off.error().describe();
  EXPECT_NE(off.error().message.find("its BMC says on"), std::string::npos) << off.error().message;
}

TEST_P(DriverConformance, DoesNotBelieveALieThatOthersSee) {
  rig_->set_on(true);
  rig_->set_trouble(Trouble::lying);
  auto limits = hasty();
  limits.deadline = std::chrono::seconds(20);  // it must say so twice, and its tool may be slow on a busy machine
  limits.attempt = std::chrono::seconds(10);
  const auto off = control(witness())->off(limits);
  ASSERT_FALSE(off) << "it is on";
  EXPECT_EQ(off.error().code, ErrorCode::failed_precondition) << off.error().describe();
}

TEST_P(DriverConformance, AWrongPasswordIsTriedOnceOnly) {
  if (!rig_->checks_password()) GTEST_SKIP() << "this driver has no password";
  rig_->set_on(true);
  const auto begun = clock_.monotonic();
  const auto off = control({}, "another")->off(patient());
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().code, ErrorCode::unauthenticated) << off.error().describe();
  EXPECT_FALSE(off.error().hint.empty());
  EXPECT_EQ(off.error().describe().find("another"), std::string::npos) << off.error().describe();
  EXPECT_LT(clock_.monotonic() - begun, patient().deadline);
  EXPECT_TRUE(rig_->is_on());
}

TEST_P(DriverConformance, StopsWhenAsked) {
  rig_->set_trouble(Trouble::slow);
  std::stop_source stop;
  auto limits = patient();
  limits.stop = stop.get_token();
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // while it is under way, most likely
    stop.request_stop();
  });
  const auto begun = clock_.monotonic();
  const auto on = control()->on(limits);
  stopper.join();
  ASSERT_FALSE(on);
  EXPECT_EQ(on.error().code, ErrorCode::cancelled) << on.error().describe();
  EXPECT_LT(clock_.monotonic() - begun, std::chrono::seconds(15));
}

TEST_P(DriverConformance, TheCheckFindsWhatIsGoodAndWhatIsNot) {
  const auto good = control()->check(patient());
  EXPECT_TRUE(good.good());
  EXPECT_TRUE(good.latency);
  if (rig_->checks_password()) {
    const auto refused = control({}, "another")->check(patient());
    EXPECT_FALSE(refused.good());
    for (const auto& finding : refused.findings) {
      if (finding.level == Finding::Level::bad) {
        EXPECT_EQ(finding.subject, "credentials") << finding.message;
        EXPECT_FALSE(finding.fix.empty()) << finding.message;
      }
    }
  }
  rig_->set_trouble(Trouble::dead);
  const auto dead = control()->check(hasty());
  EXPECT_FALSE(dead.good());
  EXPECT_EQ(dead.findings.front().subject, "reachable");
}

// Arguments and environments of all processes, as everybody (the arguments) or the same user sees them.
inline std::string secrets_in_sight(std::string_view secret) {
  for (const auto& process : list_directory("/proc").value_or(std::vector<std::filesystem::path>())) {
    if (process.filename().native().find_first_not_of("0123456789") != std::string::npos) continue;
    for (const auto* file : {"cmdline", "environ"}) {
      const auto text = read_file(process / file).value_or("");
      if (text.find(secret) != std::string::npos) return fmt::format("{}: {}", process.native(), text);
    }
  }
  return "";
}

TEST_P(DriverConformance, ShowsNoSecretToOtherProcesses) {
  rig_->set_trouble(Trouble::slow);
  const auto power = control();
  std::atomic<bool> ended = false;
  auto limits = hasty();
  std::thread caller([&] {
    static_cast<void>(power->status(limits));
    ended = true;
  });
  std::string seen;
  do {
    seen = secrets_in_sight(kPassword);
  } while (seen.empty() && !ended);
  caller.join();
  EXPECT_EQ(seen, "");
}

}  // namespace bridgehead::power::testing
