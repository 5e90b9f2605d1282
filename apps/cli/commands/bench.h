// bench: its commands, and what they share: results out of files, reports into them.
#pragma once

#include "bench/report.h"
#include "cli/context.h"

namespace bridgehead::cli {

void add_bench_commands(CLI::App& root, Context& context);
void add_bench_run(CLI::App& noun, Context& context);  // run, client

Result<bench::Record> load_result(const std::filesystem::path& path);

// Where a report goes instead of the terminal.
struct ReportFiles {
  std::filesystem::path html;
  std::filesystem::path csv;
  std::filesystem::path svg;  // a folder
};
Status give_report(const Context& context, const bench::Story& story, const nlohmann::json& json,
                   const ReportFiles& files);

}  // namespace bridgehead::cli
