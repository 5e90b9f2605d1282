#include "hypervisor/iso9660.h"

#include <algorithm>
#include <cstdint>

#include "base/result.h"

namespace bridgehead::hypervisor {
namespace {

constexpr std::size_t kSector = 2048;

// Where things are, in sectors. 0-15 are unused by the standard.
constexpr std::uint32_t kPrimary = 16;
constexpr std::uint32_t kJoliet = 17;
constexpr std::uint32_t kEnd = 18;
constexpr std::uint32_t kPathTables = 19;  // L and M of the primary, L and M of Joliet
constexpr std::uint32_t kPrimaryRoot = 23;
constexpr std::uint32_t kJolietRoot = 24;
constexpr std::uint32_t kFirstFile = 25;

void put16(std::string& out, std::uint32_t value, bool big) {
  const char low = static_cast<char>(value), high = static_cast<char>(value >> 8);
  out += big ? high : low;
  out += big ? low : high;
}
void put32(std::string& out, std::uint32_t value, bool big) {
  put16(out, big ? value >> 16 : value & 0xffff, big);
  put16(out, big ? value & 0xffff : value >> 16, big);
}
void both16(std::string& out, std::uint32_t value) { put16(out, value, false), put16(out, value, true); }
void both32(std::string& out, std::uint32_t value) { put32(out, value, false), put32(out, value, true); }

// Joliet: big-endian UCS-2.
std::string wide(std::string_view text) {
  std::string result;
  for (const char c : text) (result += '\0') += c;
  return result;
}

std::string padded(std::string text, std::size_t size, bool joliet = false) {
  while (text.size() + (joliet ? 2 : 1) <= size) text += joliet ? std::string_view("\0 ", 2) : std::string_view(" ");
  text.resize(size, '\0');
  return text;
}

std::string directory_record(std::string_view identifier, std::uint32_t sector, std::uint32_t size, bool directory) {
  std::string record;
  const std::size_t length = 33 + identifier.size() + (identifier.size() % 2 == 0 ? 1 : 0);
  record += static_cast<char>(length);
  record += '\0';
  both32(record, sector);
  both32(record, size);
  record.append(7, '\0');  // no time: the same content is the same image
  record += directory ? '\2' : '\0';
  record.append(2, '\0');
  both16(record, 1);
  record += static_cast<char>(identifier.size());
  record += identifier;
  record.resize(length, '\0');
  return record;
}

std::string path_table(std::uint32_t root, bool big) {
  std::string table("\1\0", 2);
  put32(table, root, big);
  put16(table, 1, big);
  table.append(2, '\0');
  return table;
}

std::string descriptor(bool joliet, std::string_view volume, std::uint32_t sectors) {
  const std::uint32_t root = joliet ? kJolietRoot : kPrimaryRoot;
  const std::uint32_t tables = kPathTables + (joliet ? 2 : 0);
  std::string out(joliet ? "\2CD001\1" : "\1CD001\1", 7);
  out += '\0';
  out += padded("", 32, joliet);
  out += padded(joliet ? wide(volume) : std::string(volume), 32, joliet);
  out.append(8, '\0');
  both32(out, sectors);
  out += joliet ? std::string("%/E") + std::string(29, '\0') : std::string(32, '\0');  // UCS-2 level 3
  both16(out, 1);
  both16(out, 1);
  both16(out, kSector);
  both32(out, 10);  // the path table's size
  put32(out, tables, false);
  put32(out, 0, false);
  put32(out, tables + 1, true);
  put32(out, 0, true);
  out += directory_record(std::string_view("\0", 1), root, kSector, true);
  for (const std::size_t field : {128, 128, 128, 128, 37, 37, 37}) out += padded("", field, joliet);
  for (int i = 0; i < 4; ++i) out += std::string(16, '0') + '\0';  // created, modified, expires, effective: not given
  out += '\1';
  out.resize(kSector, '\0');
  return out;
}

std::string directory(std::uint32_t self, std::vector<std::string> records) {
  std::string out = directory_record(std::string_view("\0", 1), self, kSector, true);
  out += directory_record(std::string_view("\1", 1), self, kSector, true);
  for (const auto& record : records) out += record;
  require(out.size() <= kSector, "an ISO seed's directory must fit one sector");
  out.resize(kSector, '\0');
  return out;
}

}  // namespace

std::string make_iso(std::string_view volume, const std::vector<std::pair<std::string, std::string>>& files) {
  auto sorted = files;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> plain, joliet;
  std::string data;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const auto& [name, content] = sorted[i];
    const auto sector = kFirstFile + static_cast<std::uint32_t>(data.size() / kSector);
    const auto size = static_cast<std::uint32_t>(content.size());
    // ISO 9660 proper knows only upper case 8.3; who reads the seed uses Joliet.
    plain.push_back(directory_record(fmt::format("FILE{:04}.;1", i), sector, size, false));
    joliet.push_back(directory_record(wide(name), sector, size, false));
    data += content;
    data.resize((data.size() + kSector - 1) / kSector * kSector, '\0');
  }
  const auto sectors = kFirstFile + static_cast<std::uint32_t>(data.size() / kSector);
  std::string out(kPrimary * kSector, '\0');
  const auto add = [&out](std::string sector) {
    sector.resize(kSector, '\0');
    out += sector;
  };
  add(descriptor(false, volume, sectors));
  add(descriptor(true, volume, sectors));
  add(
      std::string("\xff"
                  "CD001\1",
                  7));
  for (const auto root : {kPrimaryRoot, kJolietRoot}) {
    add(path_table(root, false));
    add(path_table(root, true));
  }
  add(directory(kPrimaryRoot, plain));
  add(directory(kJolietRoot, joliet));
  static_assert(kJoliet == kPrimary + 1 && kEnd == kJoliet + 1);
  return out + data;
}

}  // namespace bridgehead::hypervisor
