// Secret files over real gRPC and mutual TLS on loopback: who gets which, and when.
#include "agent_gateway/secret_courier.h"

#include <gtest/gtest.h>

#include "agent_gateway/testing/gateway_fixture.h"
#include "base/ids.h"

namespace bridgehead::agent_gateway {
namespace {

using testing::GatewayFixture;
using testing::heartbeat_message;
using testing::NodeIdentity;
using testing::report_message;

class SecretCourierTest : public ::testing::Test {
 protected:
  // With secret files of its own: content by path.
  void set_secrets(const NodeIdentity& node, const std::map<std::string, std::string>& contents,
                   model::Approval approval = model::Approval::approved) {
    change(node, [&](model::Node& record) {
      record.netboot = model::Netboot{.mac = "52:54:00:00:00:01", .approval = approval};
      for (const auto& [path, content] : contents) {
        record.netboot->secret_files.push_back(secret(path, content));
      }
    });
  }
  model::SecretFile secret(const std::string& path, const std::string& content) {
    return {.path = path, .mode = 0440, .size = Bytes(content.size()), .sealed = at_.secrets->seal(content, path)};
  }
  template <typename How>
  void change(const NodeIdentity& node, How how) {
    const auto record = at_.inventory->find<model::Node>(node.id);
    auto now = record->value;
    how(now);
    auto edit = at_.inventory->edit();
    edit.update(record, now);
    edit.event({.kind = "node.files", .object_kind = "node", .object = node.id.str()});
    ASSERT_TRUE(at_.inventory->commit(std::move(edit)));
  }
  // The next set, as "path=content path=content"; "none" if something else comes first.
  std::string next(testing::RawStream& session) {
    agent::v1::ManagerMessage message;
    if (!message.ParseFromString(session.receive().value_or("")) || !message.has_secret_files()) return "none";
    digest_ = message.secret_files().digest();
    std::string all;
    for (const auto& file : message.secret_files().files()) {
      EXPECT_EQ(file.mode(), 0440U);
      all += fmt::format("{}{}={}", all.empty() ? "" : " ", file.path(), file.content());
    }
    return all;
  }
  // Nothing more is on its way: what is asked for next is also what comes next.
  std::string after_a_marker(const NodeIdentity& node, testing::RawStream& session) {
    const auto reports = at_.events.count(fmt::format("report {}", node.id));
    session.send(report_message({.secrets = {.digest = digest_}}));
    EXPECT_TRUE(at_.events.wait_for(fmt::format("report {}", node.id), reports + 1));
    change(node, [&](model::Node& record) { record.netboot->secret_files = {secret("/marker", "here")}; });
    return next(session);
  }

  GatewayFixture at_;
  std::string digest_;
};

TEST_F(SecretCourierTest, ANodeGetsWhatItHasNot) {
  const auto node = at_.add_node("n1");
  const std::string key("\0\xff key", 6);
  set_secrets(node, {{"/etc/a", key}, {"/etc/b", "two"}});
  auto session = at_.connected_session(node);
  EXPECT_EQ(next(*session), "/etc/a=" + key + " /etc/b=two");
  EXPECT_EQ(digest_.size(), 64U);
  EXPECT_EQ(after_a_marker(node, *session), "/marker=here") << "once, and not again for another report";

  set_secrets(node, {{"/etc/a", key}});  // at once, to a node that runs
  EXPECT_EQ(next(*session), "/etc/a=" + key);
  set_secrets(node, {});
  EXPECT_EQ(next(*session), "");
  EXPECT_EQ(digest_, "");
}

TEST_F(SecretCourierTest, ANewStreamSaysWhatIsThere) {
  const auto node = at_.add_node("n1");
  set_secrets(node, {{"/etc/a", "one"}});
  auto session = at_.connected_session(node);
  ASSERT_EQ(next(*session), "/etc/a=one");
  session = at_.connected_session(node);
  EXPECT_EQ(next(*session), "/etc/a=one") << "it says that it has none: the message was lost";
  session = at_.session(node);
  session->receive();  // the welcome
  session->send(report_message({.secrets = {.digest = digest_}}));
  EXPECT_EQ(after_a_marker(node, *session), "/marker=here") << "it has them";
  session = at_.connected_session(node);
  ASSERT_EQ(next(*session), "/marker=here");
}

TEST_F(SecretCourierTest, ProfilesReachAllTheirNodesAndNoOthers) {
  const auto one = at_.add_node("n1");
  const auto two = at_.add_node("n2");
  const auto waiting = at_.add_node("n3");
  const auto from_disk = at_.add_node("n4");
  set_secrets(one, {{"/etc/own", "one"}});
  set_secrets(two, {});
  set_secrets(waiting, {{"/etc/own", "three"}}, model::Approval::waiting);
  const auto first = at_.connected_session(one);
  const auto second = at_.connected_session(two);
  const auto third = at_.connected_session(waiting);
  const auto fourth = at_.connected_session(from_disk);
  ASSERT_EQ(next(*first), "/etc/own=one");
  model::Profile profile{.id = make_id<model::ProfileId>(at_.random), .name = "default"};
  profile.secret_files = {secret("/etc/own", "all"), secret("/etc/shared", "all")};
  auto edit = at_.inventory->edit();
  edit.create(profile);
  edit.event({.kind = "profile.created", .object_kind = "profile", .object = profile.id.str()});
  ASSERT_TRUE(at_.inventory->commit(std::move(edit)));
  EXPECT_EQ(next(*first), "/etc/own=one /etc/shared=all");
  EXPECT_EQ(next(*second), "/etc/own=all /etc/shared=all");
  // Had the others got a set before they were let in, that would come first here.
  set_secrets(waiting, {{"/etc/own", "3"}}, model::Approval::waiting);
  change(waiting, [](model::Node& record) { record.netboot->approval = model::Approval::approved; });
  EXPECT_EQ(next(*third), "/etc/own=3 /etc/shared=all");
  set_secrets(from_disk, {{"/etc/first", "one"}});
  EXPECT_EQ(next(*fourth), "/etc/first=one /etc/own=all /etc/shared=all");
  change(waiting, [](model::Node& record) { record.netboot->approval = model::Approval::refused; });
  EXPECT_EQ(next(*third), "") << "whoever is refused loses them";
}

TEST_F(SecretCourierTest, WhatCannotBeOpenedIsNotSent) {
  const auto node = at_.add_node("n1");
  set_secrets(node, {{"/etc/a", "one"}});
  const auto session = at_.connected_session(node);
  ASSERT_EQ(next(*session), "/etc/a=one");
  change(node, [](model::Node& record) { record.netboot->secret_files[0].path = "/etc/elsewhere"; });
  change(node, [&](model::Node& record) { record.netboot->secret_files = {secret("/etc/b", "two")}; });
  EXPECT_EQ(next(*session), "/etc/b=two");
}

}  // namespace
}  // namespace bridgehead::agent_gateway
