#include "power/verified_power.h"

#include <gtest/gtest.h>

#include "base/testing/manual_clock.h"

namespace bridgehead::power {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Answers as it is told; every call takes a tenth of a second.
class ScriptedDriver final : public PowerDriver {
 public:
  explicit ScriptedDriver(bridgehead::testing::ManualClock& clock) : clock_(clock) {}
  PowerAbilities abilities() const override { return able; }
  Result<PowerState> read(const Attempt& attempt) override {
    clock_.advance(milliseconds(100));
    if (on_read) {
      if (auto error = on_read(attempt)) return fail(*error);
    }
    if (!readings.empty()) {
      const auto reading = readings.front();
      readings.pop_front();
      return reading;
    }
    return state;
  }
  Status request(PowerRequest request, const Attempt&) override {
    clock_.advance(milliseconds(100));
    requests.push_back(request);
    if (!answers.empty()) {
      auto answer = answers.front();
      answers.pop_front();
      if (!answer) return answer;
    }
    if (obedient) state = request == PowerRequest::on ? PowerState::on : PowerState::off;
    return {};
  }
  void inspect(const Attempt&, PowerCheck& check) override { check.clock_skew = skew; }

  PowerAbilities able;
  PowerState state = PowerState::on;
  bool obedient = true;
  std::deque<Result<PowerState>> readings;  // before what `state` says
  std::function<std::optional<Error>(const Attempt&)> on_read;
  std::deque<Status> answers;
  std::vector<PowerRequest> requests;
  seconds skew{0};

 private:
  bridgehead::testing::ManualClock& clock_;
};

class VerifiedPowerTest : public ::testing::Test {
 protected:
  VerifiedPower& power(PowerWitness witness = {}) {
    power_.emplace("rack1-07", std::move(owned_), clock_, std::move(witness),
                   [this](milliseconds time, const std::stop_token&) { clock_.advance(time); });
    return *power_;
  }

  bridgehead::testing::ManualClock clock_;
  std::unique_ptr<ScriptedDriver> owned_ = std::make_unique<ScriptedDriver>(clock_);
  ScriptedDriver& driver_ = *owned_;
  std::optional<VerifiedPower> power_;
};

TEST_F(VerifiedPowerTest, AsksAgainWhereNothingFollows) {
  driver_.obedient = false;
  const auto off = power().off({});
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().code, ErrorCode::timeout);
  EXPECT_EQ(driver_.requests.size(), 4U) << "every 15 s within 60 s";
}

TEST_F(VerifiedPowerTest, AReadingBeforeTheRequestProvesNothing) {
  driver_.state = PowerState::off;
  const auto off = power().off({});
  ASSERT_TRUE(off);
  EXPECT_EQ(off->timing.requests, 1U);
  EXPECT_EQ(off->timing.readings, 3U) << "one before, two after";
}

TEST_F(VerifiedPowerTest, OneReadingOfOffIsNotEnough) {
  driver_.obedient = false;
  driver_.readings = {PowerState::on, PowerState::off, PowerState::on, PowerState::off, PowerState::off};
  const auto off = power().off({});
  ASSERT_TRUE(off);
  EXPECT_EQ(off->timing.readings, 5U);
}

TEST_F(VerifiedPowerTest, TriesAgainAfterTroubleThatMayPass) {
  driver_.readings = {fail(ErrorCode::timeout, "late"), fail(ErrorCode::unavailable, "away")};
  driver_.answers = {fail(ErrorCode::resource_exhausted, "busy"), fail(ErrorCode::io_error, "what?")};
  const auto off = power().off({});
  ASSERT_TRUE(off) << off.error().describe();
  EXPECT_EQ(off->timing.failures, 4U);
  EXPECT_EQ(off->timing.requests, 3U);
}

TEST_F(VerifiedPowerTest, NeverTriesAgainWhereItWasRefused) {
  for (const auto code : {ErrorCode::unauthenticated, ErrorCode::permission_denied, ErrorCode::unsupported}) {
    driver_.requests.clear();
    driver_.answers = {fail(code, "no")};
    if (!power_) power();
    const auto off = power_->off({});
    ASSERT_FALSE(off);
    EXPECT_EQ(off.error().code, code);
    EXPECT_EQ(driver_.requests.size(), 1U);
  }
}

TEST_F(VerifiedPowerTest, ARefusalIsFineWhereItIsSoAlready) {
  driver_.state = PowerState::off;
  driver_.answers = {fail(ErrorCode::failed_precondition, "it is off")};
  EXPECT_TRUE(power().off({}));
}

TEST_F(VerifiedPowerTest, SaysThatItMayBeOnOrOffWhereNobodyAnswers) {
  driver_.readings = std::deque<Result<PowerState>>(1000, fail(ErrorCode::timeout, "no answer"));
  driver_.answers = std::deque<Status>(1000, fail(ErrorCode::timeout, "no answer"));
  const auto begun = clock_.monotonic();
  const auto off = power().off({});
  ASSERT_FALSE(off);
  EXPECT_NE(off.error().message.find("may be on or off"), std::string::npos) << off.error().message;
  EXPECT_LE(clock_.monotonic() - begun, seconds(61));
}

TEST_F(VerifiedPowerTest, ABmcThatDiedAfterTheRequestIsNoProof) {
  driver_.readings = {PowerState::on};
  for (int i = 0; i < 1000; ++i) driver_.readings.push_back(fail(ErrorCode::timeout, "no answer"));
  const auto off = power().off({});
  ASSERT_FALSE(off);
  EXPECT_NE(off.error().message.find("may be on or off"), std::string::npos) << off.error().message;
}

TEST_F(VerifiedPowerTest, AReadingThatTheDeadlineCutOffSaysNothing) {
  driver_.obedient = false;
  const auto until = clock_.monotonic() + seconds(60);
  driver_.on_read = [&](const Attempt& attempt) -> std::optional<Error> {
    // Takes two seconds, which it isn't given at the end.
    if (attempt.timeout >= seconds(2)) return std::nullopt;
    clock_.advance(attempt.timeout);
    return Error{ErrorCode::timeout, "no answer", ""};
  };
  const auto off = power().off({});
  ASSERT_FALSE(off);
  EXPECT_LE(until, clock_.monotonic());
  EXPECT_NE(off.error().message.find("its BMC says on"), std::string::npos) << off.error().message;
}

TEST_F(VerifiedPowerTest, TheWitnessMustBeSilentForAsLongAsHeartbeatsTake) {
  const auto begun = clock_.monotonic();
  const auto off = power([](Monotonic) { return Sign::silent; }).off({});
  ASSERT_TRUE(off);
  EXPECT_EQ(off->evidence, Evidence::bmc_and_witness);
  EXPECT_GE(clock_.monotonic() - begun, PowerLimits().witness_time);
}

TEST_F(VerifiedPowerTest, ALateHeartbeatOnlyDelays) {
  int heard = 2;
  const auto off = power([&](Monotonic) { return heard-- > 0 ? Sign::alive : Sign::silent; }).off({});
  ASSERT_TRUE(off) << off.error().describe();
  EXPECT_EQ(off->evidence, Evidence::bmc_and_witness);
}

TEST_F(VerifiedPowerTest, AnOffMachineThatIsHeardOfIsNotOff) {
  const auto off = power([](Monotonic) { return Sign::alive; }).off({});
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().code, ErrorCode::failed_precondition);
  EXPECT_GT(driver_.requests.size(), 1U) << "it is asked again";
}

TEST_F(VerifiedPowerTest, ABlindWitnessProvesNothing) {
  const auto off = power([](Monotonic) { return Sign::blind; }).off({});
  ASSERT_TRUE(off);
  EXPECT_EQ(off->evidence, Evidence::bmc);
}

TEST_F(VerifiedPowerTest, WhereNothingCanBeReadOthersMustSeeIt) {
  driver_.able = {.status = false, .on = true, .off = false};
  driver_.state = PowerState::unknown;
  int looks = 0;
  const auto on = power([&](Monotonic) { return ++looks > 3 ? Sign::alive : Sign::silent; }).on({});
  ASSERT_TRUE(on) << on.error().describe();
  EXPECT_EQ(on->evidence, Evidence::witness);
  EXPECT_EQ(on->state, PowerState::on);
  EXPECT_EQ(power_->off({}).error().code, ErrorCode::unsupported);
  looks = -1000;
  EXPECT_EQ(power_->on({}).error().code, ErrorCode::timeout);
}

TEST_F(VerifiedPowerTest, WhereNobodyCanTellTheReportSaysSo) {
  driver_.able = {.status = false, .on = true, .off = false};
  driver_.obedient = false;
  const auto on = power().on({});
  ASSERT_TRUE(on);
  EXPECT_EQ(on->evidence, Evidence::none);
}

TEST_F(VerifiedPowerTest, SleepIsBroughtAboutByTheMachineAndProvenHere) {
  driver_.able.tells_sleep = true;
  int asked = 0;
  const auto slept = power().sleep(
      [&] {
        ++asked;
        driver_.state = PowerState::sleeping;
        return Status();
      },
      {});
  ASSERT_TRUE(slept) << slept.error().describe();
  EXPECT_EQ(slept->state, PowerState::sleeping);
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(driver_.requests.empty());
  const auto woken = power_->on({});
  ASSERT_TRUE(woken);
  EXPECT_TRUE(woken->changed);
  EXPECT_GT(woken->timing.confirmed, milliseconds(0));
}

TEST_F(VerifiedPowerTest, ASuspendThatSilentlyDidNothingIsFound) {
  int asked = 0;
  const auto slept = power().sleep(
      [&] {
        ++asked;
        return Status();
      },
      {});
  ASSERT_FALSE(slept);
  EXPECT_EQ(slept.error().code, ErrorCode::timeout);
  EXPECT_EQ(asked, 1);
}

TEST_F(VerifiedPowerTest, ACycleThatFailsHalfWaySaysThatItIsOff) {
  driver_.answers = {Status(), fail(ErrorCode::permission_denied, "no")};
  const auto cycled = power().cycle([] { return Status(); }, {});
  ASSERT_FALSE(cycled);
  EXPECT_NE(cycled.error().message.find("was switched off"), std::string::npos);
}

TEST_F(VerifiedPowerTest, ACycleWhoseOffCouldNotBeNotedEndsThere) {
  const auto cycled = power().cycle([] { return Status(fail(ErrorCode::io_error, "the disk is full")); }, {});
  ASSERT_FALSE(cycled);
  EXPECT_EQ(driver_.requests.back(), PowerRequest::off);
}

TEST_F(VerifiedPowerTest, TheCheckWarnsOfAClockThatIsWrong) {
  driver_.skew = seconds(-4000);
  const auto check = power().check({});
  EXPECT_TRUE(check.good());
  EXPECT_EQ(check.latency, milliseconds(100));
  const auto& clock = check.findings.back();
  EXPECT_EQ(clock.subject, "clock");
  EXPECT_EQ(clock.level, Finding::Level::warning);
  EXPECT_FALSE(clock.fix.empty());
}

}  // namespace
}  // namespace bridgehead::power
