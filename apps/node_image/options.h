// What the command line asks for.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace bridgehead::node_image {

struct Options {
  std::string recipe;  // a name or a file
  std::string role;
  std::filesystem::path source;  // import
  std::string reference;
  std::string sha256;
  std::string initramfs;  // a file of the source
  std::filesystem::path output;
  std::vector<std::filesystem::path> debs;
  std::vector<std::filesystem::path> recipe_directories;
  std::filesystem::path init;
  std::filesystem::path busybox = "/usr/bin/busybox";
  std::string nics = "servers";
  std::filesystem::path cache;
  bool keep_tree = false;
  bool refresh = false;
  bool json = false;
  std::filesystem::path first, second;  // diff, verify
};

int build(const Options& options, std::stop_token stop);
int import(const Options& options, std::stop_token stop);
int diff(const Options& options);
int verify(const Options& options, std::stop_token stop);
int recipes(const Options& options);

}  // namespace bridgehead::node_image
