#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "alert_desk/alert_desk.h"
#include "base/file.h"
#include "base/testing/manual_clock.h"
#include "reconcile/commands/alerts.h"
#include "state/memory_store.h"

namespace bridgehead::alert_desk {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

reconcile::Problem node_gone(const std::string& name) {
  return {"node-unreachable", model::AlertSeverity::critical, "node", name, "It is gone.", "Look at it."};
}
reconcile::Problem not_ready(const std::string& name, const std::string& message = "No KVM.") {
  return {"node-not-ready", model::AlertSeverity::warning, "node", name, message, "Look at it."};
}

TEST(AlertBook, WhatLastsIsRaised) {
  AlertBook book;
  const Timestamp start{std::chrono::hours(1)};
  EXPECT_TRUE(book.look({}, {node_gone("a"), not_ready("b")}, start).raised.empty());
  EXPECT_TRUE(book.look({}, {node_gone("a")}, start + seconds(10)).raised.empty());
  auto changes = book.look({}, {node_gone("a"), not_ready("b")}, start + seconds(15));
  ASSERT_EQ(changes.raised.size(), 1U) << "the other has passed in between";
  EXPECT_EQ(changes.raised[0].id.str(), "node-unreachable:node:a");
  EXPECT_EQ(changes.raised[0].since, start) << "when it was first seen";
  const std::vector known = changes.raised;
  EXPECT_TRUE(book.look(known, {node_gone("a"), not_ready("b")}, start + seconds(29)).raised.empty());
  EXPECT_EQ(book.look(known, {node_gone("a"), not_ready("b")}, start + seconds(30)).raised.size(), 1U);
}

TEST(AlertBook, ItIsOverWhenItStaysAway) {
  AlertBook book({.raise_after = seconds(0)});
  const Timestamp start{std::chrono::hours(1)};
  const auto known = book.look({}, {node_gone("a")}, start).raised;
  EXPECT_TRUE(book.look(known, {}, start + seconds(10)).cleared.empty());
  EXPECT_TRUE(book.look(known, {node_gone("a")}, start + seconds(14)).cleared.empty());
  EXPECT_TRUE(book.look(known, {}, start + seconds(20)).cleared.empty());
  const auto over = book.look(known, {}, start + seconds(29)).cleared;
  ASSERT_EQ(over.size(), 1U);
  EXPECT_EQ(over[0].cleared, start + seconds(29));
  // Again before anybody was told that it was over.
  const auto again = book.look(over, {node_gone("a")}, start + seconds(31));
  EXPECT_TRUE(again.raised.empty());
  ASSERT_EQ(again.changed.size(), 1U);
  EXPECT_EQ(again.changed[0].cleared, Timestamp{});
}

TEST(AlertBook, AfterARestartWhatIsGoneIsNotOverAtOnce) {
  const Timestamp start{std::chrono::hours(1)};
  const auto known = AlertBook({.raise_after = seconds(0)}).look({}, {node_gone("a")}, start).raised;
  AlertBook fresh;
  EXPECT_TRUE(fresh.look(known, {}, start + std::chrono::hours(1)).cleared.empty());
  EXPECT_EQ(fresh.look(known, {}, start + std::chrono::hours(1) + seconds(15)).cleared.size(), 1U);
}

TEST(AlertBook, SeveralProblemsOfOneObjectAreOneAlert) {
  AlertBook book({.raise_after = seconds(0)});
  std::vector<reconcile::Problem> problems;
  for (const auto* where : {"Not on n1.", "Not on n2.", "Not on n3.", "Not on n4.", "Not on n5."}) {
    problems.push_back({"pool-unusable", model::AlertSeverity::critical, "pool", "fast", where, "Mend it."});
  }
  const auto changes = book.look({}, problems, Timestamp{});
  ASSERT_EQ(changes.raised.size(), 1U);
  EXPECT_EQ(changes.raised[0].message, "Not on n1. Not on n2. Not on n3. And 2 more.");
  problems.resize(1);
  const auto fewer = book.look(changes.raised, problems, Timestamp{seconds(1)});
  ASSERT_EQ(fewer.changed.size(), 1U);
  EXPECT_EQ(fewer.changed[0].message, "Not on n1.");
}

TEST(WebhookPost, IsSignedAsOthersDo) {
  // RFC 4231, test case 2.
  EXPECT_EQ(webhook_signature("Jefe", "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  model::Alert alert{.id = model::AlertId("x:node:a"),
                     .condition = "x",
                     .severity = model::AlertSeverity::critical,
                     .object_kind = "node",
                     .object = "a",
                     .message = "b\xff<script>",
                     .action = "c",
                     .since = Timestamp{seconds(60)},
                     .told = true};
  auto post = webhook_post("http://h", alert, "cluster-1", "s");
  const auto json = nlohmann::json::parse(post.body);
  EXPECT_EQ(json["state"], "raised");
  EXPECT_EQ(json["cluster"], "cluster-1");
  EXPECT_EQ(json["severity"], "critical");
  EXPECT_TRUE(json["cleared"].is_null());
  EXPECT_FALSE(json.contains("told"));
  EXPECT_EQ(post.headers["X-Bridgehead-Delivery"], "x:node:a:60000:raised");
  EXPECT_EQ(post.headers["X-Bridgehead-Signature"], webhook_signature("s", post.body));
  alert.cleared = Timestamp{seconds(90)};
  post = webhook_post("http://h", alert, "cluster-1", "");
  EXPECT_EQ(nlohmann::json::parse(post.body)["state"], "cleared");
  EXPECT_FALSE(post.headers.contains("X-Bridgehead-Signature"));
}

class FakePoster final : public WebhookPoster {
 public:
  Status post(const WebhookPost& post, const std::stop_token&) override {
    ++tries;
    if (fails) return fail(ErrorCode::unavailable, "nobody listens");
    const auto json = nlohmann::json::parse(post.body);
    told.push_back(json["condition"].get<std::string>() + " " + json["state"].get<std::string>());
    posts.push_back(post);
    return {};
  }
  bool fails = false;
  int tries = 0;
  std::vector<std::string> told;
  std::vector<WebhookPost> posts;
};

class AlertDeskTest : public ::testing::Test {
 protected:
  AlertDeskTest() { restart(); }
  void restart() {
    desk_.reset();
    desk_ = std::make_unique<AlertDesk>(AlertDeskParts{.inventory = *inventory_,
                                                       .clock = clock_,
                                                       .secrets = *secrets_,
                                                       .poster = poster_,
                                                       .problems = [this] { return problems_; }},
                                        AlertDeskOptions{.cluster = "c", .times = {.raise_after = seconds(0)}});
  }
  void pass(int looks) {
    for (int i = 0; i < looks; ++i) {
      clock_.advance(seconds(5));
      desk_->look(true);
    }
  }
  void set_webhook(std::optional<std::string> secret = {}, model::AlertSeverity least = model::AlertSeverity::info,
                   std::string url = "https://h/x") {
    if (secret && !secret->empty()) {
      secret = secrets_->seal(*secret, pki::record_label("webhook", model::kWebhookId, "secret"));
    }
    const auto set = reconcile::set_webhook(commander_, {.actor = "anna"},
                                            {.url = std::move(url), .secret = std::move(secret), .least = least});
    ASSERT_TRUE(set) << set.error().describe();
  }
  std::size_t kept() const { return inventory_->all<model::Alert>().size(); }
  model::Webhook webhook() const { return (*reconcile::webhook_of(*inventory_))->value; }

  SeededRandom random_{5};
  bridgehead::testing::ManualClock clock_;
  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  std::unique_ptr<pki::SecretBox> secrets_ = std::move(*pki::SecretBox::open(directory_.path() / "key", random_));
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  reconcile::Commander commander_{*inventory_, random_, clock_, {}, nullptr};
  FakePoster poster_;
  std::vector<reconcile::Problem> problems_;
  std::unique_ptr<AlertDesk> desk_;
};

TEST_F(AlertDeskTest, AlertsAreKeptWithEventsThoughNobodyIsTold) {
  problems_ = {node_gone("a")};
  pass(1);
  EXPECT_EQ(kept(), 1U);
  problems_.clear();
  pass(3);
  EXPECT_EQ(kept(), 0U);
  std::vector<std::string> kinds;
  for (const auto& event : inventory_->events_since(0, 100)) kinds.push_back(event.kind + " " + event.message);
  EXPECT_THAT(kinds,
              ElementsAre("alert.raised critical: node 'a': It is gone.", "alert.cleared Over: node 'a': It is gone."));
  EXPECT_EQ(poster_.tries, 0);
}

TEST_F(AlertDeskTest, EventsNameByIdWhatHasRecords) {
  const auto made = state::change(*inventory_, [](state::Edit& edit) -> Status {
    edit.create(model::Node{.id = model::NodeId("id-of-a"), .name = "a"});
    return {};
  });
  ASSERT_TRUE(made) << made.error().describe();
  problems_ = {node_gone("a"), node_gone("unknown")};
  pass(1);
  std::vector<std::string> objects;
  for (const auto& event : inventory_->events_since(0, 100)) objects.push_back(event.object_name + "=" + event.object);
  EXPECT_THAT(objects, UnorderedElementsAre("a=id-of-a", "unknown="));
}

TEST_F(AlertDeskTest, BeginningAndEndAreToldOnceEachAndSigned) {
  set_webhook("secret");
  problems_ = {node_gone("a"), not_ready("b")};
  pass(5);
  EXPECT_THAT(poster_.told, UnorderedElementsAre("node-unreachable raised", "node-not-ready raised"));
  EXPECT_EQ(poster_.posts[0].headers.at("X-Bridgehead-Signature"), webhook_signature("secret", poster_.posts[0].body));
  problems_.clear();
  pass(10);
  EXPECT_THAT(poster_.told, UnorderedElementsAre("node-unreachable raised", "node-not-ready raised",
                                                 "node-unreachable cleared", "node-not-ready cleared"));
  EXPECT_EQ(kept(), 0U);
  EXPECT_NE(webhook().last_told, Timestamp{});
}

TEST_F(AlertDeskTest, WhatIsBelowTheLeastIsKeptOnly) {
  set_webhook({}, model::AlertSeverity::critical);
  problems_ = {not_ready("b")};
  pass(5);
  EXPECT_EQ(kept(), 1U);
  problems_.clear();
  pass(5);
  EXPECT_EQ(kept(), 0U);
  EXPECT_THAT(poster_.told, IsEmpty());
}

TEST_F(AlertDeskTest, AReceiverThatFailsIsAskedMoreAndMoreSeldomAndGetsAllInTheEnd) {
  set_webhook();
  poster_.fails = true;
  problems_ = {node_gone("a")};
  pass(12);
  EXPECT_THAT(webhook().error, HasSubstr("nobody listens"));
  EXPECT_NE(webhook().failing_since, Timestamp{});
  problems_.clear();
  pass(240);  // 20 minutes
  EXPECT_LT(poster_.tries, 15);
  EXPECT_GT(poster_.tries, 5);
  EXPECT_EQ(kept(), 1U) << "its end is still to be told";
  poster_.fails = false;
  pass(61);
  EXPECT_THAT(poster_.told, ElementsAre("node-unreachable raised", "node-unreachable cleared"));
  EXPECT_EQ(kept(), 0U);
  EXPECT_EQ(webhook().failing_since, Timestamp{});
}

TEST_F(AlertDeskTest, ANewWebhookIsTriedAtOnce) {
  set_webhook();
  poster_.fails = true;
  problems_ = {node_gone("a")};
  pass(60);
  poster_.fails = false;
  clock_.advance(seconds(1));
  set_webhook({}, model::AlertSeverity::info, "https://other/");
  EXPECT_EQ(webhook().error, "");
  pass(1);
  ASSERT_THAT(poster_.told, ElementsAre("node-unreachable raised"));
  EXPECT_EQ(poster_.posts[0].url, "https://other/");
}

TEST_F(AlertDeskTest, AKilledManagerTellsWhatIsStillToBeTold) {
  set_webhook();
  poster_.fails = true;
  problems_ = {node_gone("a")};
  pass(1);
  poster_.fails = false;
  restart();
  pass(1);
  EXPECT_THAT(poster_.told, ElementsAre("node-unreachable raised"));
  restart();
  pass(2);
  EXPECT_EQ(poster_.told.size(), 1U) << "not again";
}

TEST_F(AlertDeskTest, WhileAgentsComeBackNothingBeginsOrEnds) {
  problems_ = {node_gone("a")};
  clock_.advance(seconds(60));
  desk_->look(false);
  EXPECT_EQ(kept(), 0U);
  pass(1);
  EXPECT_EQ(kept(), 1U);
  problems_.clear();
  restart();
  for (int i = 0; i < 10; ++i) {
    clock_.advance(seconds(5));
    desk_->look(false);
  }
  EXPECT_EQ(kept(), 1U);
}

TEST_F(AlertDeskTest, WhatCouldNotBeToldForADayIsForgotten) {
  set_webhook();
  poster_.fails = true;
  problems_ = {node_gone("a")};
  pass(1);
  problems_.clear();
  pass(4);
  EXPECT_EQ(kept(), 1U);
  clock_.advance(std::chrono::hours(25));
  pass(1);
  EXPECT_EQ(kept(), 0U);
}

TEST_F(AlertDeskTest, ATestArrivesAndEndsByItself) {
  EXPECT_FALSE(reconcile::test_webhook(commander_, {.actor = "anna"}));
  set_webhook();
  ASSERT_TRUE(reconcile::test_webhook(commander_, {.actor = "anna"}));
  ASSERT_TRUE(reconcile::test_webhook(commander_, {.actor = "anna"})) << "twice is once";
  pass(5);
  EXPECT_THAT(poster_.told, ElementsAre("test raised", "test cleared"));
}

TEST_F(AlertDeskTest, ASecretIsKeptForItsUrlOnly) {
  set_webhook("secret");
  EXPECT_EQ(webhook().secret.find("secret"), std::string::npos);
  set_webhook();
  EXPECT_NE(webhook().secret, "");
  set_webhook({}, model::AlertSeverity::info, "https://elsewhere/");
  EXPECT_EQ(webhook().secret, "");
}

TEST_F(AlertDeskTest, UrlsThatCantBeAreRefused) {
  for (const auto* url : {"", "ftp://h", "file:///etc/passwd", "https://", "https:///x", "http://u:p@h/",
                          "http://h/a b", "http://h/\r\nX: y", "gopher://h", "http://h\xc3\xa4"}) {
    const auto set = reconcile::set_webhook(commander_, {.actor = "anna"}, {.url = url});
    ASSERT_FALSE(set) << url;
    EXPECT_EQ(set.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(set.error().message, HasSubstr("url"));
  }
}

}  // namespace
}  // namespace bridgehead::alert_desk
