// ObjectReader: takes the known fields out of a JSON object and remembers the first thing that is wrong: a wrong type,
// a value out of range, an unknown field. Nothing is set from a field that isn't there. Not thread-safe; a value of the
// stack. finish() fails with invalid_argument beginning with the field's path: "disks[1].size: must be ...".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {

// Names are limited by the model; this bounds what a message may repeat.
inline constexpr std::size_t kLongestText = 4096;
inline constexpr std::size_t kLongestUserData = 64 * 1024;
inline constexpr std::size_t kLongestList = 256;

class ObjectReader {
 public:
  explicit ObjectReader(const nlohmann::json& value, std::string path = {});

  void text(std::string_view name, std::string& out, std::size_t longest = kLongestText);
  void text(std::string_view name, std::optional<std::string>& out, std::size_t longest = kLongestText);
  void number(std::string_view name, std::uint64_t& out);
  void number(std::string_view name, std::optional<std::uint64_t>& out);
  void integer(std::string_view name, std::int64_t& out);  // may be negative
  void integer(std::string_view name, std::optional<std::int64_t>& out);
  void real(std::string_view name, double& out);
  void real(std::string_view name, std::optional<double>& out);
  void flag(std::string_view name, bool& out);
  void flag(std::string_view name, std::optional<bool>& out);
  // A string like "2GiB", or a number of bytes.
  void size(std::string_view name, Bytes& out);
  void size(std::string_view name, std::optional<Bytes>& out);
  void texts(std::string_view name, std::vector<std::string>& out);
  void texts(std::string_view name, std::optional<std::vector<std::string>>& out);
  void labels(std::string_view name, std::map<std::string, std::string>& out);
  void labels(std::string_view name, std::optional<std::map<std::string, std::string>>& out);

  template <typename E>
  void choice(std::string_view name, E& out) {
    std::optional<E> chosen;
    choice(name, chosen);
    if (chosen) out = *chosen;
  }
  template <typename E>
  void choice(std::string_view name, std::optional<E>& out) {
    std::optional<std::string> word;
    text(name, word);
    if (!word) return;
    const auto parsed = model::parse_enum<E>(*word);
    if (parsed) {
      out = *parsed;
    } else {
      wrong(name, parsed.error().message, parsed.error().hint);
    }
  }

  // False = it isn't there (or is no object).
  bool object(std::string_view name, const std::function<void(ObjectReader&)>& read);
  bool objects(std::string_view name, const std::function<void(ObjectReader&)>& read_each,
               std::size_t longest = kLongestList);

  void require(std::string_view name);
  void wrong(std::string_view name, std::string_view what, std::string hint = {});

  // What is left over is unknown.
  Status finish();

 private:
  const nlohmann::json* take(std::string_view name);
  std::string path_of(std::string_view name) const;
  void merge(Status inner);

  const nlohmann::json& value_;
  const std::string path_;
  std::set<std::string, std::less<>> known_;
  Status status_;
};

}  // namespace bridgehead::control_api
