#include <gtest/gtest.h>

#include "cli/output.h"
#include "cli/plan_view.h"

namespace bridgehead::cli {
namespace {

nlohmann::json plan() {
  const nlohmann::json score = {{"unplaced", 0}, {"violations", 0}, {"soft", 0}, {"hosts_on", 0}, {"unevenness", 0.5}};
  auto better = score;
  better["unevenness"] = 0.1;
  return {{"name", "3f9a2c1b"},
          {"state", "proposed"},
          {"message", ""},
          {"actions",
           {{{"kind", "move"},
             {"vm_name", "web-1"},
             {"from_name", "node0"},
             {"to_name", "node1"},
             {"after", {1}},
             {"seconds", 12.4},
             {"reason", "node0 is at 95 % of its CPUs"},
             {"state", "waiting"},
             {"message", ""}}}},
          {"conflicts", {{{"reason", "rules 'a' and 'b' contradict"}}}},
          {"before", score},
          {"after", better},
          {"bound", 0.08},
          {"gap", 0.25},
          {"watts_before", 400},
          {"watts_after", 400}};
}

TEST(PlanView, TellsActionsGainsAndWhatCantBeKept) {
  EXPECT_EQ(show_plan(plan(), 0),
            "Plan 3f9a2c1b, 1 action, proposed\n"
            "\n"
            "#  DO    VM     FROM   TO     AFTER  TIME  WHY\n"
            "1  move  web-1  node0  node1  2      12 s  node0 is at 95 % of its CPUs\n"
            "\n"
            "Unevenness             0.5000 -> 0.1000\n"
            "No plan gets below     0.08, this one is 25.0 % above\n"
            "Can't be kept: rules 'a' and 'b' contradict\n");
  auto done = plan();
  done["state"] = "failed";
  done["message"] = "moving 'web-1' failed";
  done["actions"][0]["state"] = "failed";
  done["actions"][0]["message"] = "it crashed";
  const auto text = show_plan(done, 0);
  EXPECT_NE(text.find("moving 'web-1' failed"), std::string::npos) << text;
  EXPECT_NE(text.find("failed  it crashed"), std::string::npos) << text;
  auto empty = plan();
  empty["actions"] = nlohmann::json::array();
  EXPECT_EQ(show_plan(empty, 0), "Can't be kept: rules 'a' and 'b' contradict\nNothing to do.\n");
}

TEST(PlanView, FitsTheTerminal) {
  const auto text = show_plan(plan(), 60);
  const auto row = text.substr(text.find("1  move"));
  EXPECT_LE(display_width(row.substr(0, row.find('\n'))), 60u);
}

TEST(PlanView, ReadsNodesOfAWhatIf) {
  EXPECT_EQ(*node_from("64c/512G"), (nlohmann::json{{"count", 1}, {"cpus", 64}, {"memory", "512GiB"}}));
  EXPECT_EQ(*node_from("4x8c/64GiB"), (nlohmann::json{{"count", 4}, {"cpus", 8}, {"memory", "64GiB"}}));
  for (const char* wrong : {"", "64", "64c", "c/5G", "xc/5G", "0x4c/5G"}) EXPECT_FALSE(node_from(wrong)) << wrong;
}

TEST(PlanView, ReadsGuestsFromCsv) {
  const auto vms = vms_from_csv("name,cpus,memory,cpu_use\nweb, 2, 4GiB ,0.5\n,1,1073741824,\n\n");
  ASSERT_TRUE(vms) << vms.error().describe();
  EXPECT_EQ(*vms, nlohmann::json::parse(R"([{"name":"web","cpus":2,"memory":"4GiB","cpu_use":0.5},
                                            {"cpus":1,"memory":1073741824}])"));
  EXPECT_FALSE(vms_from_csv(""));
  EXPECT_FALSE(vms_from_csv("a,b\n1,2\n"));
  EXPECT_FALSE(vms_from_csv("cpus,memory\nmany,1GiB\n"));
}

}  // namespace
}  // namespace bridgehead::cli
