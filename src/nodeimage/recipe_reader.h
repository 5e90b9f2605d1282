// Fills a Recipe from the keys of a TOML table. Internal to this module; errors as recipe.h says.
#pragma once

#include <toml++/toml.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "nodeimage/recipe.h"

namespace bridgehead::nodeimage {

class RecipeReader {
 public:
  RecipeReader(const std::string& name, std::filesystem::path directory, Recipe& recipe)
      : name_(name), directory_(std::move(directory)), recipe_(recipe) {}

  Status take(std::string_view key, const toml::node& node);

 private:
  tl::unexpected<Error> wrong(const toml::node& node, std::string_view key, std::string_view wanted) const;
  tl::unexpected<Error> unknown(const toml::node& node, std::string_view key, std::string_view known) const;
  Status text(std::string_view key, const toml::node& node, std::string& target) const;
  Status size(std::string_view key, const toml::node& node, Bytes& target) const;
  Status path(std::string_view key, const toml::node& node, std::filesystem::path& target) const;
  Status names(std::string_view key, const toml::node& node, std::string_view kind, bool (*valid)(std::string_view),
               std::vector<std::string>& target) const;
  Status tables(std::string_view key, const toml::node& node,
                Status (RecipeReader::*take_one)(const toml::table&)) const;
  Status take_file(const toml::table& table);
  Status take_source(const toml::table& table);
  Status take_hook(const toml::table& table);
  Status take_debs(const toml::node& node);

  const std::string& name_;
  std::filesystem::path directory_;
  Recipe& recipe_;
};

}  // namespace bridgehead::nodeimage
