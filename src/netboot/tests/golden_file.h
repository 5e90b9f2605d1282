// Texts that are kept beside the tests: a change of what machines are told shows in the diff.
// BRIDGEHEAD_WRITE_GOLDEN=1 writes them anew.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"

namespace bridgehead::netboot {

inline void expect_golden(const std::string& name, const std::string& text) {
  const auto path = std::filesystem::path(BRIDGEHEAD_GOLDEN_DIRECTORY) / name;
  if (std::getenv("BRIDGEHEAD_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, text, 0644));
  }
  const auto wanted = read_file(path);
  ASSERT_TRUE(wanted) << wanted.error().describe();
  EXPECT_EQ(text, *wanted) << name;
}

}  // namespace bridgehead::netboot
