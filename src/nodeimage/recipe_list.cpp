#include <algorithm>

#include "base/file.h"
#include "nodeimage/builtin_recipes.h"
#include "nodeimage/recipe.h"

namespace bridgehead::nodeimage {

Result<std::string_view> builtin_recipe(std::string_view name) {
  for (const auto& [known, text] : builtin_recipes()) {
    if (known == name) return text;
  }
  return fail(ErrorCode::not_found, "there is no built-in recipe '{}'", name);
}

std::vector<RecipeName> list_recipes(const std::vector<std::filesystem::path>& directories) {
  std::vector<RecipeName> found;
  const auto add = [&](Result<Recipe> recipe, const std::filesystem::path& file) {
    if (!recipe) return;  // also those that others extend: they have no role
    const bool known = std::any_of(found.begin(), found.end(), [&](const RecipeName& other) {
      return other.name == recipe->name && other.role == recipe->role;
    });
    if (!known) found.push_back({recipe->name, recipe->role, file});
  };
  for (const auto& directory : directories) {
    for (const auto& file : list_directory(directory).value_or(std::vector<std::filesystem::path>())) {
      if (file.extension() == ".toml") add(load_recipe(file), file);
    }
  }
  for (const auto& [name, text] : builtin_recipes()) add(parse_recipe(text, std::string(name), {}), {});
  std::sort(found.begin(), found.end(), [](const RecipeName& left, const RecipeName& right) {
    return std::tie(left.name, left.role) < std::tie(right.name, right.role);
  });
  return found;
}

}  // namespace bridgehead::nodeimage
