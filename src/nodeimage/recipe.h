// What goes into a node image, as a person writes it down: a TOML file. Parsing reads the recipe and the files it names
// and changes nothing. Plain values; thread-safe.
// Errors: invalid_argument (unknown key, wrong type or value: the message has file, line and key), not_found (no such
// recipe, or a file that it names).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace bridgehead::nodeimage {

// What `bh node-image build` may be asked for besides recipes of one's own.
inline constexpr Bytes kDefaultRootLimit = 350_MiB;  // of root.squashfs

// Laid over the tree after the packages are in; owned by root.
struct RecipeFile {
  std::string path;  // absolute, without "." and ".."
  std::uint32_t mode = 0644;
  std::string content;           // either this,
  std::filesystem::path source;  // or a file, relative to the recipe's; read when the image is built
  bool operator==(const RecipeFile&) const = default;
};

// An apt source beside Debian's own, such as that of a Lustre client. It stays in the image.
struct AptSource {
  std::string line;           // "deb https://example.org/debian bookworm main", without signed-by
  std::filesystem::path key;  // what its Release file is signed with (.asc or .gpg); goes into the image
  bool operator==(const AptSource&) const = default;
};

// A program (a script with its #! line) run inside the tree, as root, after files and units, without network.
struct Hook {
  std::string name;
  std::string script;            // either this,
  std::filesystem::path source;  // or a file
  bool operator==(const Hook&) const = default;
};

struct Recipe {
  std::string name;  // of the images made from it: "debian-12"; versions are counted per name
  std::string role;  // "compute", "storage"
  std::string suite = "bookworm";
  std::string variant = "minbase";  // mmdebstrap's: what is there before `packages`
  std::string kernel;               // the package; "" = the tree gets none and can't be packed without one
  std::vector<std::string> packages;
  std::vector<AptSource> sources;
  std::vector<std::filesystem::path> debs;  // installed with what they depend on
  // fnmatch(3) patterns of absolute paths (* matches / too): never unpacked from packages, and removed at the end;
  // `keep` wins.
  std::vector<std::string> exclude;
  std::vector<std::string> keep;
  std::vector<RecipeFile> files;
  std::vector<std::string> enable;  // systemd units
  std::vector<std::string> mask;
  std::vector<Hook> hooks;
  std::string root_password_hash;     // crypt(5); "" = nobody logs in by password
  std::vector<std::string> ssh_keys;  // root's authorized_keys
  Bytes root_limit = kDefaultRootLimit;
  Bytes tree_limit = 4_GiB;  // unpacked

  bool operator==(const Recipe&) const = default;
};

// `name` is for messages ("debian-12-compute.toml"), `directory` is what relative paths in it start from, and where
// `extends = "other"` looks first. An extended recipe's lists come before those of the extending one; its other values
// hold unless they are set again.
Result<Recipe> parse_recipe(std::string_view text, const std::string& name, const std::filesystem::path& directory);
Result<Recipe> load_recipe(const std::filesystem::path& file);

struct RecipeName {
  std::string name;
  std::string role;
  std::filesystem::path file;  // empty = built in
  bool operator==(const RecipeName&) const = default;
};

// <directory>/<name>-<role>.toml, then <directory>/<name>.toml, in the order given, then the built-in ones.
Result<Recipe> find_recipe(std::string_view name, std::string_view role,
                           const std::vector<std::filesystem::path>& directories = {});
// Sorted by name and role. Files that can't be parsed aren't in it.
std::vector<RecipeName> list_recipes(const std::vector<std::filesystem::path>& directories = {});
// Text of a recipe that is built in: "debian-12-compute".
Result<std::string_view> builtin_recipe(std::string_view name);

// The rules for values, which parse_recipe() applies.
bool valid_package_name(std::string_view name);  // also "name=version" and "name/suite"
bool valid_unit_name(std::string_view name);
bool valid_image_path(std::string_view path);  // absolute, normal, no "..", no control characters

}  // namespace bridgehead::nodeimage
