#include "nodeimage/recipe.h"

#include <toml++/toml.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "nodeimage/recipe_reader.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepestExtension = 8;

Result<Recipe> parse_at_depth(std::string_view text, const std::string& name, const fs::path& directory, int depth);

Result<Recipe> load_at_depth(const fs::path& file, int depth) {
  const auto text = read_file(file, 1_MiB);
  if (!text) return forward(text);
  return parse_at_depth(*text, file.native(), file.parent_path(), depth);
}

Result<Recipe> extended(const std::string& wanted, const std::string& name, const fs::path& directory, int depth) {
  if (depth >= kDeepestExtension) {
    return fail(ErrorCode::invalid_argument, "{}: recipes extend each other more than {} times, or in a circle", name,
                kDeepestExtension);
  }
  if (!directory.empty() && wanted.find('/') == std::string::npos) {
    const fs::path file = directory / (wanted + ".toml");
    std::error_code ignored;
    // One's own debian-12-compute.toml may extend the built-in one of the same name.
    if (fs::exists(file, ignored) && file.native() != name) return load_at_depth(file, depth + 1);
  }
  const auto text = builtin_recipe(wanted);
  if (!text) return fail(ErrorCode::not_found, "{}: there is no recipe '{}' to extend", name, wanted);
  return parse_at_depth(*text, wanted + ".toml (built in)", {}, depth + 1);
}

Result<Recipe> parse_at_depth(std::string_view text, const std::string& name, const fs::path& directory, int depth) {
  try {
    const auto table = toml::parse(text);
    Recipe recipe;
    if (const auto* node = table.get("extends")) {
      const auto wanted = node->value_exact<std::string>();
      if (!wanted) {
        return fail(ErrorCode::invalid_argument, "{}, line {}: 'extends' must be a recipe's name in quotes", name,
                    node->source().begin.line);
      }
      auto base = extended(*wanted, name, directory, depth);
      if (!base) return base;
      recipe = std::move(*base);
    }
    RecipeReader reader(name, directory, recipe);
    for (const auto& [key, node] : table) {
      if (key.str() == "extends") continue;
      if (auto taken = reader.take(key.str(), node); !taken) return forward(taken);
    }
    return recipe;
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument, "{}, line {}: {}", name, error.source().begin.line, error.description());
  }
}

Result<Recipe> complete(Result<Recipe> recipe, const std::string& name) {
  if (!recipe) return recipe;
  for (const auto& [key, value] : {std::pair{"name", &recipe->name}, std::pair{"role", &recipe->role}}) {
    if (value->empty()) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("{}: '{}' is missing", name, key),
                            fmt::format("Add a line such as {} = \"{}\".", key,
                                        std::string_view(key) == "name" ? "debian-12" : "compute"));
    }
  }
  std::set<std::string> masked(recipe->mask.begin(), recipe->mask.end());
  for (const auto& unit : recipe->enable) {
    if (masked.contains(unit)) {
      return fail(ErrorCode::invalid_argument, "{}: the unit '{}' is in 'enable' and in 'mask'", name, unit);
    }
  }
  return recipe;
}

}  // namespace

Result<Recipe> parse_recipe(std::string_view text, const std::string& name, const fs::path& directory) {
  return complete(parse_at_depth(text, name, directory, 0), name);
}

Result<Recipe> load_recipe(const fs::path& file) { return complete(load_at_depth(file, 0), file.native()); }

Result<Recipe> find_recipe(std::string_view name, std::string_view role, const std::vector<fs::path>& directories) {
  if (name.empty() || name.find('/') != std::string_view::npos || role.find('/') != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "'{}' is not a recipe's name", name);
  }
  const auto fits = [&](Result<Recipe> recipe) -> Result<Recipe> {
    if (recipe && !role.empty() && recipe->role != role) {
      return fail(ErrorCode::not_found, "the recipe '{}' is for the role '{}', not '{}'", name, recipe->role, role);
    }
    return recipe;
  };
  const std::string with_role = fmt::format("{}-{}", name, role.empty() ? "compute" : role);
  for (const auto& directory : directories) {
    for (const auto& candidate : {with_role, std::string(name)}) {
      const fs::path file = directory / (candidate + ".toml");
      std::error_code ignored;
      if (fs::exists(file, ignored)) return fits(load_recipe(file));
    }
  }
  for (const auto& candidate : {with_role, std::string(name)}) {
    if (const auto text = builtin_recipe(candidate)) {
      return fits(parse_recipe(*text, candidate + ".toml (built in)", {}));
    }
  }
  std::string known;
  for (const auto& recipe : list_recipes(directories))
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", recipe.name, recipe.role);
  return fail_with_hint(ErrorCode::not_found, fmt::format("there is no recipe '{}' for the role '{}'", name, role),
                        fmt::format("Known: {}.", known));
}

}  // namespace bridgehead::nodeimage
