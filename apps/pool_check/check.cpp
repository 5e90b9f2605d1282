#include "check.h"

#include <algorithm>

#include "base/file.h"
#include "base/random.h"
#include "model/enum_names.h"
#include "storage/pool_check.h"
#include "storage/shared_use.h"

namespace bridgehead::pool_check {
namespace fs = std::filesystem;
namespace {

// A directory below `parent`, removed with all it holds.
class FreshDirectory {
 public:
  explicit FreshDirectory(fs::path path) : path_(std::move(path)) {}
  FreshDirectory(const FreshDirectory&) = delete;
  FreshDirectory& operator=(const FreshDirectory&) = delete;
  ~FreshDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    if (made_parent_) fs::remove(path_.parent_path(), ignored);
  }
  Status make() {
    std::error_code failed;
    const auto parent = path_.parent_path();
    if (!fs::exists(parent, failed)) {
      if (!fs::exists(parent.parent_path(), failed)) {
        return fail(ErrorCode::not_found, "{} isn't there", parent.parent_path().native());
      }
      made_parent_ = true;
    }
    return make_directories(path_);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  bool made_parent_ = false;
};

Status check_file_system(const Options& options, const storage::MountEntry& mount) {
  if (options.driver == model::PoolDriver::local || options.driver == model::PoolDriver::posix) return {};
  const auto wanted = model::to_string(options.driver);
  if (mount.file_system() == wanted) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition,
      fmt::format("the file system at {} is {}, not {}", options.directory.native(), mount.file_system(), wanted),
      "Mount it there first, or name its own driver.");
}

Checked run(std::string name, std::string meaning, const std::function<Status()>& check) {
  const auto begun = std::chrono::steady_clock::now();
  auto result = check();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
  return {std::move(name), std::move(meaning), std::move(result), took};
}

Status look_at_layouts(const model::Pool& pool, const storage::MountEntry& mount, Findings& findings) {
  const auto control = storage::layout_control(pool, pool.path, mount, std::make_shared<SystemCommandRunner>());
  if (!control) return {};
  auto targets = control->targets();
  if (!targets) return forward(targets);
  findings.targets = std::move(*targets);
  for (const auto role : {model::ImageRole::golden, model::ImageRole::disk}) {
    const auto chosen = control->choose({.role = role, .size = 20_GiB});
    if (!chosen) return forward(chosen);
    const auto file = fs::path(pool.path) / "layout";
    auto made = control->create(file, *chosen);
    if (!made) return forward(made);
    const auto got = control->read(file);
    if (auto removed = remove_file(file); !removed) return removed;
    if (!got) return forward(got);
    findings.layouts[std::string(model::to_string(role))] = got->describe();
  }
  return {};
}

}  // namespace

bool Findings::fit() const {
  return state.ready &&
         std::all_of(checks.begin(), checks.end(), [](const auto& check) { return check.result.has_value(); });
}

Result<Findings> check_directory(const Options& options) {
  SystemRandom random;
  FreshDirectory fresh(options.directory / ("bridgehead-check-" + make_uuid(random)));
  if (auto made = fresh.make(); !made) return forward(made);
  const auto mount = storage::mount_under(fresh.path());
  if (!mount) return forward(mount);
  if (auto right = check_file_system(options, *mount); !right) return forward(right);

  const bool local = options.driver == model::PoolDriver::local;
  const model::Pool pool{.id = make_id<model::PoolId>(random),
                         .name = "check",
                         .driver = local ? model::PoolDriver::local : model::PoolDriver::posix,
                         .path = fresh.path().native(),
                         .options = options.layout};
  auto one = storage::open_pool(pool, {.node = make_uuid(random)});
  auto other = storage::open_pool(pool, {.node = make_uuid(random)});
  if (!one || !other) return forward(one ? other : one);
  Findings findings{.state = (*one)->attach(), .mounted = mount->describe()};
  if (!findings.state.ready) return findings;
  if (const auto second = (*other)->attach(); !second.ready)
    return fail(ErrorCode::failed_precondition, "{}", second.message);

  auto scratch = TemporaryDirectory::create("bridgehead-check");
  if (!scratch) return forward(scratch);
  storage::PoolUnderCheck checked{**one, **other, fresh.path(), scratch->path()};
  for (const auto& check : storage::pool_checks()) {
    findings.checks.push_back(run(check.name, check.meaning, [&] { return check.run(checked); }));
  }
  findings.checks.push_back(run("layouts",
                                "New images would lie on other targets than they should, or on one that is down.",
                                [&] { return look_at_layouts(pool, *mount, findings); }));
  findings.checks.push_back(run("locks of other hosts", "Two hosts could open one disk.", [&]() -> Status {
    const auto seen = storage::see_held_locks(options.directory);
    if (!seen) return forward(seen);
    findings.locks_seen = *seen;
    return {};
  }));
  return findings;
}

}  // namespace bridgehead::pool_check
