#include "host_agent/upgrade/agent_upgrade.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "host_agent/messages.h"
#include "storage/digest.h"

namespace bridgehead::host_agent {
namespace {

using model::UpgradeAnswer;
using model::UpgradeState;

constexpr std::size_t kLongestOrder = 64 << 10;
constexpr std::uint64_t kLargestPackage = std::uint64_t{1} << 30;
// For what else writes there meanwhile.
constexpr std::uint64_t kSpareRoom = std::uint64_t{32} << 20;
constexpr std::chrono::seconds kTurn{8};
constexpr std::string_view kVersionCharacters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+~-";

std::string_view without_end(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

Status check_named(const model::AgentPackage& package) {
  const bool version = !package.version.empty() && package.version.size() <= 64 &&
                       package.version.find_first_not_of(kVersionCharacters) == std::string::npos;
  if (version && package.size != 0 && package.size <= kLargestPackage && package.sha256.size() == 64) return {};
  return fail(ErrorCode::invalid_argument, "the order names no package that could be one");
}

// Bytes that come in pieces as they like, given out in the pieces that are wanted.
class Incoming {
 public:
  Incoming(std::string first, const AgentUpgrade::More& more) : held_(std::move(first)), more_(more) {}

  // Into `path`, whole and as `package` says, or not there at all.
  Status write(const model::AgentPackage& package, const std::filesystem::path& path) {
    auto written = write_bytes(package, path);
    if (!written) (void)remove_file(path);
    return written;
  }
  // Of the manager, not of this node: worth another try.
  bool cut_off() const { return cut_off_; }

 private:
  Status write_bytes(const model::AgentPackage& package, const std::filesystem::path& path) {
    const auto file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!file) return forward(file);
    storage::Sha256 digest;
    for (auto left = package.size; left != 0;) {
      if (held_.empty()) {
        auto next = more_();
        cut_off_ = !next || next->empty();
        if (!next) return forward(next);
        if (next->empty()) return fail(ErrorCode::io_error, "the package was cut off");
        held_ = std::move(*next);
      }
      const auto piece = std::string_view(held_).substr(0, left);
      digest.update(piece);
      if (auto written = write_all(file->get(), piece, path.native()); !written) return written;
      left -= piece.size();
      held_.erase(0, piece.size());
    }
    if (::fsync(file->get()) != 0) return fail_errno(errno, "sync " + path.native());
    if (digest.hex() == package.sha256) return {};
    return fail(ErrorCode::data_corrupt, "the package of version {} isn't the one that the order names",
                package.version);
  }

  std::string held_;
  const AgentUpgrade::More& more_;
  bool cut_off_ = false;
};

}  // namespace

AgentUpgrade::AgentUpgrade(Options options, CommandRunner& runner)
    : options_(std::move(options)), files_(options_.state_dir), runner_(runner) {}

Result<UpgradeAnswer> AgentUpgrade::serve(const More& more) {
  std::string held;
  auto end = std::string::npos;
  while (end == std::string::npos) {
    if (held.size() > kLongestOrder) return fail(ErrorCode::data_corrupt, "the order has no end");
    auto next = more();
    if (!next) return forward(next);
    held += *next;
    end = held.find('\n');
    if (next->empty() && end == std::string::npos) return fail(ErrorCode::io_error, "the order was cut off");
  }
  const auto order = model::upgrade_order_from(std::string_view(held).substr(0, end));
  if (!order) return forward(order);
  std::unique_lock turn(serving_, kTurn);
  if (!turn.owns_lock()) return fail(ErrorCode::unavailable, "another order is being taken");
  return order->install ? take(*order, held.substr(end + 1), more) : state_of(order->operation);
}

Result<UpgradeAnswer> AgentUpgrade::take(const model::UpgradeOrder& order, std::string rest, const More& more) {
  const auto refused = [](const Status& why) {
    return UpgradeAnswer{.state = UpgradeState::failed, .message = why.error().describe()};
  };
  const auto known = state_of(order.operation);
  if (!known || known->state != UpgradeState::none) return known;  // the order came before
  for (const auto& checked : {check_order(order), check_installed(), check_free()}) {
    if (!checked) return refused(checked);
  }
  if (order.install->version == options_.version) return UpgradeAnswer{.state = UpgradeState::done};
  if (auto made = make_directories(files_.directory(), 0700); !made) return refused(made);
  files_.remove_packages();
  const auto bytes = order.install->size + (order.before ? order.before->size : 0);
  if (auto room = check_room(bytes, files_.directory(), "receiving the packages"); !room) return refused(room);
  Incoming incoming(std::move(rest), more);
  auto taken = incoming.write(*order.install, files_.package());
  if (taken && order.before) taken = incoming.write(*order.before, files_.before());
  if (!taken && incoming.cut_off()) return forward(taken);
  if (taken) taken = check_package(files_.package(), order.install->version);
  if (taken && order.before) taken = check_package(files_.before(), order.before->version);
  if (taken) taken = begin(order);
  if (taken) return UpgradeAnswer{.state = UpgradeState::installing};
  files_.remove_packages();
  return refused(taken);
}

// An agent that is on its way to another version has been asked before: it says so of that operation alone.
Status AgentUpgrade::check_free() const {
  const auto record = files_.record();
  if (!record) return forward(record);
  if (!*record || (*record)->state != UpgradeState::installing || !installer_runs()) return {};
  return fail(ErrorCode::failed_precondition, "another upgrade, to {}, is under way there", (*record)->version);
}

Status AgentUpgrade::check_order(const model::UpgradeOrder& order) const {
  if (auto named = check_named(*order.install); !named || !order.before) return named;
  return check_named(*order.before);
}

Status AgentUpgrade::check_installed() const {
  constexpr char by_hand[] = "Upgrade it in the way in which it was installed.";
  if (options_.program != kInstalledAgent) {
    return fail_with_hint(
        ErrorCode::unsupported,
        fmt::format("its agent is {}, which didn't come with the Debian package", options_.program.native()), by_hand);
  }
  std::error_code none;
  if (!std::filesystem::is_directory(options_.root / "run/systemd/system", none)) {
    return fail_with_hint(ErrorCode::unsupported, "systemd doesn't run there", by_hand);
  }
  const auto status =
      runner_.run({.program = "/usr/bin/dpkg-query",
                   .arguments = {"--show", "--showformat", "${db:Status-Status}", model::kAgentPackage}});
  if (status && without_end(status->out) == "installed") return {};
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("dpkg there doesn't have {} as installed{}{}", model::kAgentPackage,
                                    status ? ": " : "", status ? std::string(without_end(status->out)) : ""),
                        "Mend that on the node: dpkg --configure -a, apt install --fix-broken.");
}

Result<std::string> AgentUpgrade::field_of(const std::filesystem::path& path, const char* field) const {
  const auto said = runner_.run({.program = "/usr/bin/dpkg-deb", .arguments = {"--field", path.native(), field}});
  if (!said) return forward(said);
  return std::string(without_end(said->out));
}

Status AgentUpgrade::check_package(const std::filesystem::path& path, const std::string& version) const {
  const auto native = runner_.run({.program = "/usr/bin/dpkg", .arguments = {"--print-architecture"}});
  if (!native) return forward(native);
  for (const auto& [field, wanted] :
       {std::pair("Package", std::string(model::kAgentPackage)), std::pair("Version", version),
        std::pair("Architecture", std::string(without_end(native->out)))}) {
    const auto is = field_of(path, field);
    if (!is) return forward(is);
    if (*is == wanted) continue;
    return fail(ErrorCode::data_corrupt, "the package's {} is '{}', not '{}'", field, *is, wanted);
  }
  const auto size = field_of(path, "Installed-Size");
  if (!size) return forward(size);
  const auto kib = std::strtoull(size->c_str(), nullptr, 10);
  return check_room(std::uint64_t{kib} << 10, options_.root / "usr", "unpacking the new one");
}

Status AgentUpgrade::check_room(std::uint64_t bytes, const std::filesystem::path& where, std::string_view what) const {
  struct statvfs space {};
  if (::statvfs(where.c_str(), &space) != 0) return fail_errno(errno, "look at " + where.native());
  const auto room = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (room >= bytes + kSpareRoom) return {};
  return fail_with_hint(ErrorCode::resource_exhausted,
                        fmt::format("{} has {} left; {} needs {}, and nothing was changed", where.native(),
                                    Bytes(room).human(), what, Bytes(bytes + kSpareRoom).human()),
                        "Make room on the node.");
}

bool AgentUpgrade::installer_runs() const {
  return runner_.run({.program = "/usr/bin/systemctl", .arguments = {"is-active", "--quiet", kUpgradeUnit}})
      .has_value();
}

Status AgentUpgrade::begin(const model::UpgradeOrder& order) {
  if (auto forgotten = files_.forget_well(); !forgotten) return forgotten;
  const UpgradeRecord record{.operation = order.operation,
                             .version = order.install->version,
                             .before = order.before ? order.before->version : std::string(),
                             .state = UpgradeState::installing};
  if (auto written = files_.write(record); !written) return written;
  log::info(messages::upgrade_begins, "from {} to {}", options_.version, record.version);
  const auto started =
      runner_.run({.program = "/usr/bin/systemd-run",
                   .arguments = {"--quiet", "--collect", std::string("--unit=") + kUpgradeUnit,
                                 "--description=Installs another version of the Bridgehead agent", kInstalledAgent,
                                 "--config", options_.config.native(), "install-upgrade"}});
  if (started) return {};
  auto failed = record;
  failed.state = UpgradeState::failed;
  failed.message = started.error().message;
  (void)files_.write(failed);
  return forward(started);
}

Result<UpgradeAnswer> AgentUpgrade::state_of(const model::OperationId& operation) {
  auto record = files_.record();
  if (!record) return forward(record);
  if (!*record || (*record)->operation != operation) return UpgradeAnswer{};
  if ((*record)->state == UpgradeState::installing && !installer_runs()) {
    record = files_.record();  // it may have ended just now
    if (!record) return forward(record);
    if (auto& ended = *record; ended && ended->state == UpgradeState::installing) {
      // It was killed, or the machine was: what runs is what counts, and this is connected.
      const bool well = options_.version == ended->version;
      ended->state = well ? UpgradeState::done : UpgradeState::failed;
      if (!well) {
        ended->message = fmt::format(
            "the installation was interrupted, {} runs; if that doesn't last: dpkg --configure -a on the node",
            options_.version);
      }
      if (auto written = files_.write(*ended); !written) return forward(written);
      files_.remove_packages();
    }
  }
  return UpgradeAnswer{.state = (*record)->state, .message = (*record)->message};
}

void AgentUpgrade::is_well() {
  if (said_well_.exchange(true)) return;
  const auto record = files_.record();
  if (!record || !*record || (*record)->state != UpgradeState::installing) return;
  if (auto said = files_.say_well(options_.version); !said) {
    said_well_ = false;
    log::warning(messages::upgrade_not_noted, "{}", said.error().describe());
  }
}

}  // namespace bridgehead::host_agent
