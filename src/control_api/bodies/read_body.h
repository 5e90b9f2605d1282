// Text -> JSON -> request, for the bodies' .cpp files.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "control_api/json/object_reader.h"
#include "control_api/json/strict_json.h"

namespace bridgehead::control_api {

template <typename T, typename Read>
Result<T> read_body(std::string_view body, Read&& read) {
  const auto json = parse_strict_json(body.empty() ? "{}" : body);
  if (!json) return forward(json);
  ObjectReader reader(*json);
  T request;
  read(reader, request);
  if (const auto status = reader.finish(); !status) return forward(status);
  return request;
}

}  // namespace bridgehead::control_api
