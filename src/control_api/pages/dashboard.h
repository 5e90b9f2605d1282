// The dashboard's files, compiled in: which one a request means, in the coding that its client takes. Immutable;
// thread-safe; nothing here fails.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "control_api/http/message.h"

namespace bridgehead::control_api {

struct PageFile {
  std::string_view path;  // "/", "/assets/index-1a2b3c.js"
  std::string_view content_type;
  std::string_view tag;  // of its content
  std::string_view plain, gzip, brotli;
};

// Made by web/embed.mjs; none in a manager that was built without the dashboard.
std::span<const PageFile> page_files();

// Empty: the path isn't one of them, or the request doesn't only read.
std::optional<http::Response> page_answer(const http::Request& request);

}  // namespace bridgehead::control_api
