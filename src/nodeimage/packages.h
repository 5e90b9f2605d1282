// What a tree says of itself: its packages and its operating system. Internal to this module. The tree isn't trusted;
// none of its programs is run.
#pragma once

#include <string>
#include <vector>

#include "nodeimage/manifest.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {

struct InstalledPackages {
  std::string from;  // "dpkg", "rpm", "" = no list that we can read
  std::vector<Package> packages;
};

// An unreadable database gives none, with a note.
InstalledPackages installed_packages(const Tree& tree, std::vector<std::string>& notes);
std::vector<Package> parse_dpkg_status(std::string_view text);
// rpm's SQLite database (rpm 4.16 and newer: Fedora 33, RHEL 9).
Result<std::vector<Package>> read_rpm_database(const Tree& tree, std::string_view path);
// One header of it: name, version-release, architecture.
Result<Package> parse_rpm_header(std::string_view blob);

std::string os_name(const Tree& tree);  // PRETTY_NAME of os-release; "" = unknown

}  // namespace bridgehead::nodeimage
