#include "control_api/json/strict_json.h"

#include <nlohmann/json.hpp>

namespace bridgehead::control_api {
namespace {

using Json = nlohmann::json;

// Builds the value from the parser's events and stops at the first thing that isn't wanted.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return stop("binary values are not JSON"); }

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Json& object = *open_.back();
    if (object.contains(name)) return stop(fmt::format("the field '{}' is given twice", name));
    // Later fields may move this one; its address is taken only when its own value opens.
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    // nlohmann's text has a prefix "[json.exception.parse_error.101] " that says nothing to a person.
    std::string_view what = error.what();
    if (const auto end = what.find("] "); end != std::string_view::npos) what.remove_prefix(end + 2);
    return stop(fmt::format("the body is not JSON (at byte {}): {}", position, what));
  }

  Json take() { return std::move(root_); }
  const std::string& message() const { return message_; }

 private:
  bool stop(std::string message) {
    if (message_.empty()) message_ = std::move(message);
    return false;
  }

  // Where the value goes that comes now. Objects are std::map, arrays grow only at the end while none of their elements
  // is open, so that the addresses in open_ stay good.
  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool count() {
    if (++values_ > kMostJsonValues) return stop(fmt::format("the body has more than {} values", kMostJsonValues));
    return true;
  }

  bool add(Json value) {
    if (!count()) return false;
    place(std::move(value));
    return true;
  }

  bool open(Json value) {
    if (!count()) return false;
    if (open_.size() >= kDeepestJson) {
      return stop(fmt::format("the body is nested deeper than {} levels", kDeepestJson));
    }
    open_.push_back(place(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> open_;
  std::string key_;
  std::size_t values_ = 0;
  std::string message_;
};

}  // namespace

Result<nlohmann::json> parse_strict_json(std::string_view text) {
  Builder builder;
  bool complete = false;
  try {
    complete = Json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const std::exception& failure) {
    return fail(ErrorCode::invalid_argument, "the body is not JSON: {}", failure.what());
  }
  if (!complete) {
    return fail(ErrorCode::invalid_argument, "{}",
                builder.message().empty() ? "the body is not JSON" : builder.message());
  }
  return builder.take();
}

}  // namespace bridgehead::control_api
