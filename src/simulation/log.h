// Log: what happened, one line each with its virtual time. Always digested, so that two runs can be compared; kept or
// written only if somebody wants it. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <fmt/format.h>

#include "simulation/agenda.h"

namespace bridgehead::simulation {

class Log {
 public:
  Log(const Agenda& agenda, std::function<void(std::string_view)> sink) : agenda_(agenda), sink_(std::move(sink)) {}

  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_.clear();
    fmt::format_to(std::back_inserter(text_), "{:.3f} ", agenda_.now());
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
    for (const char c : text_) digest_ = (digest_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;  // FNV-1a
    if (sink_) sink_(text_);
  }
  std::uint64_t digest() const { return digest_; }

 private:
  const Agenda& agenda_;
  std::function<void(std::string_view)> sink_;
  std::string text_;
  std::uint64_t digest_ = 0xcbf29ce484222325ULL;
};

}  // namespace bridgehead::simulation
