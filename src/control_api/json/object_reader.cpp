#include "control_api/json/object_reader.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace bridgehead::control_api {
namespace {

// A field's name as a message may repeat it.
std::string shorten(std::string_view name) {
  if (name.size() <= 64) return std::string(name);
  std::size_t length = 64;
  while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xC0U) == 0x80U) --length;
  return std::string(name.substr(0, length)) + "...";
}

}  // namespace

ObjectReader::ObjectReader(const nlohmann::json& value, std::string path) : value_(value), path_(std::move(path)) {
  if (!value_.is_object()) {
    status_ = fail(ErrorCode::invalid_argument, "{} must be a JSON object", path_.empty() ? "the body" : path_ + ":");
  }
}

std::string ObjectReader::path_of(std::string_view name) const {
  return path_.empty() ? shorten(name) : fmt::format("{}.{}", path_, shorten(name));
}

void ObjectReader::wrong(std::string_view name, std::string_view what, std::string hint) {
  if (!status_) return;  // the first one counts
  status_ = fail_with_hint(ErrorCode::invalid_argument, fmt::format("{}: {}", path_of(name), what), std::move(hint));
}

void ObjectReader::merge(Status inner) {
  if (status_ && !inner) status_ = std::move(inner);
}

const nlohmann::json* ObjectReader::take(std::string_view name) {
  known_.emplace(name);
  if (!value_.is_object()) return nullptr;
  const auto found = value_.find(std::string(name));
  return found == value_.end() ? nullptr : &*found;
}

void ObjectReader::require(std::string_view name) {
  if (take(name) == nullptr) wrong(name, "is needed");
}

void ObjectReader::text(std::string_view name, std::optional<std::string>& out, std::size_t longest) {
  const auto* value = take(name);
  if (value == nullptr) return;
  if (!value->is_string()) return wrong(name, "must be a string");
  const auto& content = value->get_ref<const std::string&>();
  if (content.size() > longest) return wrong(name, fmt::format("is longer than {} bytes", longest));
  if (content.find('\0') != std::string::npos) return wrong(name, "contains a NUL character");
  out = content;
}

void ObjectReader::text(std::string_view name, std::string& out, std::size_t longest) {
  std::optional<std::string> value;
  text(name, value, longest);
  if (value) out = std::move(*value);
}

void ObjectReader::number(std::string_view name, std::optional<std::uint64_t>& out) {
  const auto* value = take(name);
  if (value == nullptr) return;
  if (!value->is_number_unsigned()) return wrong(name, "must be a whole number, not negative");
  out = value->get<std::uint64_t>();
}

void ObjectReader::number(std::string_view name, std::uint64_t& out) {
  std::optional<std::uint64_t> value;
  number(name, value);
  if (value) out = *value;
}

void ObjectReader::integer(std::string_view name, std::optional<std::int64_t>& out) {
  const auto* value = take(name);
  if (value == nullptr) return;
  const bool fits =
      value->is_number_integer() &&
      (!value->is_number_unsigned() ||
       value->get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!fits) return wrong(name, "must be a whole number");
  out = value->get<std::int64_t>();
}

void ObjectReader::integer(std::string_view name, std::int64_t& out) {
  std::optional<std::int64_t> value;
  integer(name, value);
  if (value) out = *value;
}

void ObjectReader::real(std::string_view name, std::optional<double>& out) {
  const auto* value = take(name);
  if (value == nullptr) return;
  if (!value->is_number()) return wrong(name, "must be a number");
  out = value->get<double>();
}

void ObjectReader::real(std::string_view name, double& out) {
  std::optional<double> value;
  real(name, value);
  if (value) out = *value;
}

void ObjectReader::flag(std::string_view name, std::optional<bool>& out) {
  const auto* value = take(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return wrong(name, "must be true or false");
  out = value->get<bool>();
}

void ObjectReader::flag(std::string_view name, bool& out) {
  std::optional<bool> value;
  flag(name, value);
  if (value) out = *value;
}

void ObjectReader::size(std::string_view name, std::optional<Bytes>& out) {
  const auto* value = take(name);
  if (value == nullptr) return;
  constexpr std::string_view wanted = "must be a string like 2GiB or a number of bytes";
  if (value->is_number_unsigned()) {
    out = Bytes(value->get<std::uint64_t>());
    return;
  }
  if (!value->is_string()) return wrong(name, wanted);
  const auto& content = value->get_ref<const std::string&>();
  const auto parsed = content.size() <= 64 ? parse_bytes(content) : fail(ErrorCode::invalid_argument, "too long");
  if (!parsed) return wrong(name, wanted);
  out = *parsed;
}

void ObjectReader::size(std::string_view name, Bytes& out) {
  std::optional<Bytes> value;
  size(name, value);
  if (value) out = *value;
}

void ObjectReader::texts(std::string_view name, std::optional<std::vector<std::string>>& out) {
  const auto* value = take(name);
  if (value == nullptr) return;
  if (!value->is_array()) return wrong(name, "must be a list of strings");
  if (value->size() > kLongestList) return wrong(name, fmt::format("has more than {} elements", kLongestList));
  std::vector<std::string> all;
  for (const auto& element : *value) {
    if (!element.is_string()) return wrong(name, "must be a list of strings");
    const auto& content = element.get_ref<const std::string&>();
    if (content.size() > 4 * kLongestText || content.find('\0') != std::string::npos) {
      return wrong(name, "has an element that is too long or contains a NUL character");
    }
    all.push_back(content);
  }
  out = std::move(all);
}

void ObjectReader::texts(std::string_view name, std::vector<std::string>& out) {
  std::optional<std::vector<std::string>> value;
  texts(name, value);
  if (value) out = std::move(*value);
}

void ObjectReader::labels(std::string_view name, std::optional<std::map<std::string, std::string>>& out) {
  const auto* value = take(name);
  if (value == nullptr) return;
  if (!value->is_object()) return wrong(name, "must be an object of strings");
  if (value->size() > kLongestList) return wrong(name, fmt::format("has more than {} elements", kLongestList));
  std::map<std::string, std::string> all;
  for (const auto& [key, content] : value->items()) {
    if (!content.is_string()) return wrong(name, "must be an object of strings");
    all.emplace(key, content.get<std::string>());
  }
  out = std::move(all);
}

void ObjectReader::labels(std::string_view name, std::map<std::string, std::string>& out) {
  std::optional<std::map<std::string, std::string>> value;
  labels(name, value);
  if (value) out = std::move(*value);
}

bool ObjectReader::object(std::string_view name, const std::function<void(ObjectReader&)>& read) {
  const auto* value = take(name);
  if (value == nullptr) return false;
  ObjectReader inner(*value, path_of(name));
  read(inner);
  merge(inner.finish());
  return true;
}

bool ObjectReader::objects(std::string_view name, const std::function<void(ObjectReader&)>& read_each,
                           std::size_t longest) {
  const auto* value = take(name);
  if (value == nullptr) return false;
  if (!value->is_array()) {
    wrong(name, "must be a list of objects");
    return false;
  }
  if (value->size() > longest) {
    wrong(name, fmt::format("has more than {} elements", longest));
    return false;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    ObjectReader inner((*value)[i], fmt::format("{}[{}]", path_of(name), i));
    read_each(inner);
    merge(inner.finish());
  }
  return true;
}

Status ObjectReader::finish() {
  if (!status_ || !value_.is_object()) return status_;
  for (const auto& [name, value] : value_.items()) {
    if (known_.contains(name)) continue;
    std::string all;
    for (const auto& one : known_) all += all.empty() ? one : ", " + one;
    wrong(name, "is not a field of this request",
          all.empty() ? "This request has no fields." : fmt::format("Its fields are: {}.", all));
    break;
  }
  return status_;
}

}  // namespace bridgehead::control_api
