// rpm's database without rpm. Its SQLite file has a table Packages(hnum, blob); a blob is a package's header as rpm
// keeps it in memory (rpm.org, "Package file format V4", header structure without the magic).
#include <sqlite3.h>

#include <algorithm>
#include <memory>

#include "nodeimage/packages.h"

namespace bridgehead::nodeimage {
namespace {

constexpr std::uint32_t kTagName = 1000;
constexpr std::uint32_t kTagVersion = 1001;
constexpr std::uint32_t kTagRelease = 1002;
constexpr std::uint32_t kTagArch = 1022;
constexpr std::uint32_t kTypeString = 6;

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

}  // namespace

Result<Package> parse_rpm_header(std::string_view blob) {
  const auto damaged = [] { return fail(ErrorCode::data_corrupt, "a damaged header in rpm's database"); };
  if (blob.size() < 8) return damaged();
  const std::uint64_t count = big_endian(blob, 0);
  const std::uint64_t data_size = big_endian(blob, 4);
  if (count > 65536 || 8 + count * 16 + data_size > blob.size()) return damaged();
  const std::string_view data = blob.substr(8 + count * 16, data_size);
  std::string name, version, release, architecture;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = 8 + i * 16;
    const std::uint32_t tag = big_endian(blob, at);
    std::string* target = tag == kTagName      ? &name
                          : tag == kTagVersion ? &version
                          : tag == kTagRelease ? &release
                          : tag == kTagArch    ? &architecture
                                               : nullptr;
    if (target == nullptr || big_endian(blob, at + 4) != kTypeString) continue;
    const std::uint32_t offset = big_endian(blob, at + 8);
    if (offset >= data.size()) return damaged();
    const std::size_t end = data.find('\0', offset);
    if (end == std::string_view::npos || end - offset > 1000) return damaged();
    *target = data.substr(offset, end - offset);
  }
  if (name.empty()) return damaged();
  const bool foreign = !architecture.empty() && architecture != "x86_64" && architecture != "noarch";
  return Package{foreign ? name + ":" + architecture : name, version + "-" + release};
}

Result<std::vector<Package>> read_rpm_database(const Tree& tree, std::string_view path) {
  const auto fd = tree.open_file(path);
  if (!fd) return forward(fd);
  // immutable: neither locks nor journals are looked for beside a file that lies in a tree nobody trusts.
  const std::string uri = fmt::format("file:/proc/self/fd/{}?immutable=1", fd->get());
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(uri.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
  const std::unique_ptr<sqlite3, CloseDatabase> database(raw);
  if (opened != SQLITE_OK) return fail(ErrorCode::data_corrupt, "{}: {}", path, sqlite3_errstr(opened));
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(raw, "SELECT blob FROM Packages", -1, &statement, nullptr) != SQLITE_OK) {
    return fail(ErrorCode::data_corrupt, "{}: {}", path, sqlite3_errmsg(raw));
  }
  const std::unique_ptr<sqlite3_stmt, FinalizeStatement> rows(statement);
  std::vector<Package> packages;
  int step = SQLITE_ROW;
  while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto* blob = static_cast<const char*>(sqlite3_column_blob(statement, 0));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, 0));
    auto package = parse_rpm_header({blob != nullptr ? blob : "", size});
    if (!package) return fail(ErrorCode::data_corrupt, "{}: {}", path, package.error().message);
    if (package->name != "gpg-pubkey") packages.push_back(std::move(*package));
  }
  if (step != SQLITE_DONE) return fail(ErrorCode::data_corrupt, "{}: {}", path, sqlite3_errmsg(raw));
  std::sort(packages.begin(), packages.end(),
            [](const auto& a, const auto& b) { return std::tie(a.name, a.version) < std::tie(b.name, b.version); });
  return packages;
}

}  // namespace bridgehead::nodeimage
