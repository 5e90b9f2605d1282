// bench report, compare, predict: what results of benchmarks say, of files or kept by the manager.
#include "cli/commands/bench.h"
#include "base/file.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {

namespace {

Result<bench::Record> read_result(const std::string& text, const std::string& name) {
  auto record = bench::read_record(text);
  if (!record) {
    auto error = record.error();
    error.message = fmt::format("{}: {}", name, error.message);
    return fail(std::move(error));
  }
  if (record->name.empty()) record->name = std::filesystem::path(name).stem().string();
  return record;
}

Result<bench::Record> kept_result(Context& context, const std::string& name) {
  const auto client = context.client();
  if (!client) return forward(client);
  const auto kept = client->get().get("/bench/results/" + path_segment(name));
  if (!kept) {
    auto error = kept.error();
    if (error.code == ErrorCode::not_found) error.hint = "Name a file of a result, or one of: bh bench list";
    return fail(std::move(error));
  }
  const auto* result = find(*kept, "/result");
  if (result == nullptr || result->is_null()) {
    return fail(ErrorCode::failed_precondition, "benchmark '{}' has measured nothing{}", name,
                text(*kept, "/state") == "running" ? " yet" : ": " + text(*kept, "/message"));
  }
  return read_result(result->dump(), name);
}

}  // namespace

Result<bench::Record> load_result(Context& context, const std::string& reference) {
  std::error_code error;
  const bool is_path = reference.find('/') != std::string::npos || reference.ends_with(".json");
  if (!is_path && !std::filesystem::exists(reference, error)) return kept_result(context, reference);
  const auto text = read_file(reference, 256_MiB);
  if (!text) return forward(text);
  return read_result(*text, reference);
}

Status give_report(const Context& context, const bench::Story& story, const nlohmann::json& json,
                   const ReportFiles& files) {
  if (!files.html.empty()) {
    if (auto written = write_file_atomic(files.html, bench::html_of(story), 0644); !written) return written;
  }
  if (!files.svg.empty()) {
    if (auto made = make_directories(files.svg); !made) return made;
    for (const auto& [name, svg] : bench::svgs_of(story)) {
      if (auto written = write_file_atomic(files.svg / name, svg, 0644); !written) return written;
    }
  }
  if (context.format() == OutputFormat::json) {
    fmt::print("{}\n", json.dump(2));
  } else if (context.format() == OutputFormat::yaml) {
    fmt::print("{}", to_yaml(json));
  } else if (files.html.empty() && files.csv.empty() && files.svg.empty()) {
    const auto width = terminal_width();
    fmt::print("{}", bench::text_of(story, width == 0 ? 100 : std::clamp<std::size_t>(width, 60, 140)));
  }
  return {};
}

namespace {

void add_report(CLI::App& noun, Context& context) {
  struct Options {
    std::string file;
    ReportFiles files;
  };
  const auto options = std::make_shared<Options>();
  auto* report =
      noun.add_subcommand("report", "What a result says: medians, ratios, the curve over the nodes, its peak");
  report->add_option("result", options->file, "File of a result, or its name at the manager")->required();
  report->add_option("--html", options->files.html, "Write a page that needs nothing else");
  report->add_option("--csv", options->files.csv, "Write every node's figures of every run");
  report->add_option("--svg", options->files.svg, "Write each plot into this folder");
  report->callback([&context, options] {
    context.chosen = [&context, options]() -> Status {
      const auto record = load_result(context, options->file);
      if (!record) return forward(record);
      if (!options->files.csv.empty()) {
        if (auto written = write_file_atomic(options->files.csv, bench::write_csv(*record), 0644); !written) {
          return written;
        }
      }
      return give_report(context, bench::tell(*record), bench::json_report(*record), options->files);
    };
  });
}

void add_keep(CLI::App& noun, Context& context) {
  struct Options {
    std::filesystem::path file;
    std::string name;
  };
  const auto options = std::make_shared<Options>();
  auto* keep = noun.add_subcommand("keep", "Have the manager keep a file of a result among its own");
  keep->add_option("file", options->file, "Of bench run, --out, or another cluster")->required();
  keep->add_option("--name", options->name, "Of the result (default: bench-1, bench-2, ...)");
  on_chosen(*keep, context, [&context, options](ApiClient& api) -> Status {
    const auto text = read_file(options->file, 256_MiB);
    if (!text) return forward(text);
    if (const auto sound = read_result(*text, options->file.native()); !sound) return forward(sound);
    nlohmann::json body = {{"result", *text}};
    if (!options->name.empty()) body["name"] = options->name;
    const auto kept = api.post("/bench/records", body);
    if (!kept) return forward(kept);
    context.say(fmt::format("Kept as {}.", cli::text(*kept, "/benchmark/name")));
    return {};
  });
}

void add_compare(CLI::App& noun, Context& context) {
  struct Options {
    std::string a, b;
    bool across = false;
    ReportFiles files;
  };
  const auto options = std::make_shared<Options>();
  auto* compare =
      noun.add_subcommand("compare", "Two results beside each other; no ratio of what can't be compared, but why not");
  compare->add_option("a", options->a, "File of a result, or its name at the manager")->required();
  compare->add_option("b", options->b, "The other one")->required();
  compare->add_flag(
      "--across", options->across,
      "Ratios also of guests beside nodes, and of emulated guests beside those with KVM: what that costs");
  compare->add_option("--html", options->files.html, "Write a page that needs nothing else");
  compare->callback([&context, options] {
    context.chosen = [&context, options]() -> Status {
      const auto a = load_result(context, options->a);
      if (!a) return forward(a);
      const auto b = load_result(context, options->b);
      if (!b) return forward(b);
      const auto comparison = bench::compare_records(*a, *b, options->across);
      if (!comparison) return forward(comparison);
      return give_report(context, bench::tell(*a, *b, *comparison), bench::json_report(*comparison), options->files);
    };
  });
}

struct PredictOptions {
  std::string file;
  std::string workload, pool;
  double clients = 0;
  unsigned servers = 0, measured_servers = 0;
  std::string nic, client_nic, measured_nic;
  ReportFiles files;
};

Result<std::optional<double>> link_of(const std::string& text) {
  if (text.empty()) return std::optional<double>();
  const auto link = bench::parse_link(text);
  if (!link) return forward(link);
  return std::optional<double>(*link);
}

// The one that there is, or the one that was named.
template <typename T>
Result<std::string> pick(const std::vector<T>& all, const std::string& wanted, std::string_view kind) {
  if (wanted.empty() && all.size() == 1) return all.front().name;
  std::string names;
  for (const auto& one : all) {
    if (one.name == wanted) return wanted;
    names += (names.empty() ? "" : ", ") + one.name;
  }
  return fail_with_hint(ErrorCode::invalid_argument,
                        wanted.empty() ? fmt::format("the result has several {}s", kind)
                                       : fmt::format("the result has no {} '{}'", kind, wanted),
                        fmt::format("Choose one by --{}: {}", kind, names));
}

Status predict(Context& context, const PredictOptions& options) {
  auto record = load_result(context, options.file);
  if (!record) return forward(record);
  const auto workload = pick(record->workloads, options.workload, "workload");
  if (!workload) return forward(workload);
  const auto pool = pick(record->pools, options.pool, "pool");
  if (!pool) return forward(pool);
  bench::Sizes sizes{.clients = options.clients};
  if (options.servers > 0) sizes.servers = options.servers;
  for (const auto& [text, to] :
       {std::pair{&options.nic, &sizes.server_bits}, std::pair{&options.client_nic, &sizes.client_bits}}) {
    const auto link = link_of(*text);
    if (!link) return forward(link);
    *to = *link;
  }
  const auto measured = link_of(options.measured_nic);
  if (!measured) return forward(measured);
  for (auto& facts : record->pools) {
    if (facts.name != *pool) continue;
    if (options.measured_servers > 0) facts.servers = options.measured_servers;
    if (*measured) facts.server_link_bits = **measured;
  }
  const auto scaling = bench::study_scaling(*record, *workload, *pool);
  if (!scaling) return forward(scaling);
  const auto prediction = bench::predict(*record, *scaling, sizes);
  if (!prediction) return forward(prediction);
  return give_report(context, bench::tell(*record, *scaling, sizes, *prediction), bench::json_report(*prediction),
                     options.files);
}

void add_predict(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<PredictOptions>();
  auto* command = noun.add_subcommand("predict", "What a sweep over nodes lets expect of sizes that weren't measured");
  command->add_option("result", options->file, "File of a result, or its name at the manager")->required();
  command->add_option("--clients", options->clients, "So many nodes at once")->required();
  command->add_option("--oss,--servers", options->servers, "So many storage servers (default: as measured)");
  command->add_option("--nic", options->nic, "With links of this rate in each server, such as 25G");
  command->add_option("--client-nic", options->client_nic, "With links of this rate in each node");
  command->add_option("--workload", options->workload, "Which of the result's workloads");
  command->add_option("--pool", options->pool, "Which of the result's pools");
  command->add_option("--measured-servers", options->measured_servers,
                      "So many storage servers were there when it was measured, if the result doesn't say");
  command->add_option("--measured-nic", options->measured_nic, "And links of this rate in each");
  command->add_option("--html", options->files.html, "Write a page that needs nothing else");
  command->callback(
      [&context, options] { context.chosen = [&context, options] { return predict(context, *options); }; });
}

}  // namespace

void add_bench_commands(CLI::App& root, Context& context) {
  auto& noun = add_noun(root, "bench", "Benchmarks of storage and guests: measuring, what results say, other sizes");
  add_bench_storage(noun, context);
  add_bench_results(noun, context);
  add_bench_run(noun, context);
  add_bench_guests(noun, context);
  add_bench_boot(noun, context);
  add_keep(noun, context);
  add_report(noun, context);
  add_compare(noun, context);
  add_predict(noun, context);
}

}  // namespace bridgehead::cli
