#include <gtest/gtest.h>

#include "cli/api_client.h"
#include "cli/commands/bench.h"
#include "cli/commands/commands.h"
#include "cli/output.h"
#include "cli/vm_table.h"

namespace bridgehead::cli {
namespace {

TEST(Table, FitsTheTerminal) {
  Table table({"NAME", "MESSAGE"});
  table.add({"web", std::string(200, 'x')});
  table.add({"a-longer-name", "short"});
  const auto wide = table.render(0);
  EXPECT_NE(wide.find(std::string(200, 'x')), std::string::npos);
  std::istringstream lines(table.render(60));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(display_width(line), 60u) << line;
    EXPECT_FALSE(line.ends_with(' '));
  }
  EXPECT_NE(table.render(60).find("a-longer-name"), std::string::npos) << "only the widest column is shortened";
}

TEST(Table, NeverSendsControlCharactersToTheTerminal) {
  Table table({"NAME"});
  table.add({"evil\033[2J\nname"});
  EXPECT_EQ(table.render(0), "NAME\nevil?[2J?name\n");
  EXPECT_EQ(printable("caf\xc3\xa9"), "caf\xc3\xa9");
}

TEST(VmTable, ShowsWhatTheManagerAnswers) {
  const auto table = vm_table(
      R"({"items":[{"name":"web","phase":"running","node":"n1","cpus":2,"cpu_use":0.5,"memory":2147483648,"ip":"10.0.0.7",)"
      R"("created":"2026-01-31T12:00:00.000Z","message":""},)"
      R"({"name":"caf\u00e9\u001b","phase":"pending","created":"","message":"no \"room\""}]})");
  ASSERT_TRUE(table) << table.error().describe();
  const auto text = table->render(0);
  EXPECT_TRUE(text.starts_with("NAME   PHASE    NODE  CPUS  BUSY  MEMORY  ADDRESS   AGE")) << text;
  EXPECT_NE(text.find("web    running  n1    2     25 %  2 GiB   10.0.0.7"), std::string::npos) << text;
  EXPECT_NE(text.find("caf\xc3\xa9?"), std::string::npos) << "no control characters: " << text;
  EXPECT_NE(text.find("no \"room\""), std::string::npos) << text;
}

TEST(VmTable, RefusesWhatIsNoList) {
  for (const char* answer : {"", "{", "[]", R"({"items":1})", R"({"items":[1]})", R"({"items":[{"name":"x"})"}) {
    EXPECT_FALSE(vm_table(answer)) << answer;
  }
  EXPECT_EQ(vm_table(R"({"items":[]})")->render(0), "NAME  PHASE  NODE  CPUS  BUSY  MEMORY  ADDRESS  AGE  MESSAGE\n");
}

TEST(Yaml, QuotesWhatWouldReadAsSomethingElse) {
  const nlohmann::json json = {{"a", "yes"},
                               {"b", "plain"},
                               {"c", "1.5"},
                               {"d", {1, "x: y"}},
                               {"e", nlohmann::json::array()},
                               {"f", {{{"k", "v"}, {"l", nullptr}}}},
                               {"g", ""}};
  EXPECT_EQ(to_yaml(json),
            "a: \"yes\"\nb: plain\nc: \"1.5\"\nd:\n  - 1\n  - \"x: y\"\ne: []\nf:\n  - k: v\n    l: null\ng: \"\"\n");
}

TEST(Path, SegmentsAreEscaped) {
  EXPECT_EQ(path_segment("web-1"), "web-1");
  EXPECT_EQ(path_segment("../a b?c#d/%"), "..%2Fa%20b%3Fc%23d%2F%25");
  EXPECT_EQ(path_segment(".."), "%2E%2E");
}

TEST(Text, NeverThrows) {
  const nlohmann::json json = {{"a", {{"b", true}}}, {"c", {"x", 1}}, {"n", nullptr}, {"s", -1}};
  EXPECT_EQ(text(json, "/a/b"), "yes");
  EXPECT_EQ(text(json, "/c"), "x, 1");
  EXPECT_EQ(text(json, "/missing/deep"), "");
  EXPECT_EQ(text(json, "/n"), "");
  EXPECT_EQ(number(json, "/a"), 0u);
}

// Builds the whole tree once: a clash of names or a broken definition throws here, and each command explains itself.
TEST(Commands, EveryOneHasHelp) {
  Context context;
  CLI::App app{"test", "bh"};
  add_status_commands(app, context);
  add_vm_commands(app, context);
  add_image_commands(app, context);
  add_pool_commands(app, context);
  add_network_commands(app, context);
  add_node_commands(app, context);
  add_netboot_commands(app, context);
  add_node_image_commands(app, context);
  add_profile_commands(app, context);
  add_lab_command(app, context);
  add_sim_command(app, context);
  add_bench_commands(app, context);
  add_operation_commands(app, context);
  add_event_commands(app, context);
  add_token_commands(app, context);
  add_reference_commands(app, context);
  std::size_t leaves = 0;
  const std::function<void(const CLI::App&)> walk = [&](const CLI::App& command) {
    for (const auto* child : command.get_subcommands([](const CLI::App*) { return true; })) {
      if (child->get_group().empty()) continue;
      EXPECT_FALSE(child->get_description().empty()) << child->get_name();
      if (child->get_subcommands([](const CLI::App*) { return true; }).empty()) ++leaves;
      for (const auto* option : child->get_options())
        EXPECT_FALSE(option->get_description().empty()) << option->get_name();
      walk(*child);
    }
  };
  walk(app);
  EXPECT_GT(leaves, 60u);
}

}  // namespace
}  // namespace bridgehead::cli
