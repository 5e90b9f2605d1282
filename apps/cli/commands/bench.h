// bench: its commands, and what they share: results from where they are, reports to where they go.
#pragma once

#include "bench/report.h"
#include "cli/context.h"

namespace bridgehead::cli {

void add_bench_commands(CLI::App& root, Context& context);
void add_bench_storage(CLI::App& noun, Context& context);  // storage, scale
void add_bench_results(CLI::App& noun, Context& context);  // list, show, remove
void add_bench_run(CLI::App& noun, Context& context);      // run, client
void add_bench_guests(CLI::App& noun, Context& context);   // create, migrate, peer
void add_bench_boot(CLI::App& noun, Context& context);     // boot

// A file, or what the manager keeps under that name.
Result<bench::Record> load_result(Context& context, const std::string& reference);
// "fast=moosefs,servers=5,nic=200M,disk=500M,copies=1": what is known of one of these pools.
Status take_pool_facts(const std::string& text, std::vector<bench::PoolFacts>& pools);

// Where a report goes instead of the terminal.
struct ReportFiles {
  std::filesystem::path html;
  std::filesystem::path csv;
  std::filesystem::path svg;  // a folder
};
Status give_report(const Context& context, const bench::Story& story, const nlohmann::json& json,
                   const ReportFiles& files);

}  // namespace bridgehead::cli
