// Images for tests, made by real programs (qemu-img, gzip, xz, zstd), and comparisons byte by byte.
// Helpers abort the test's process with a message when the tool itself fails: that is no finding about the code.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/file.h"
#include "base/random.h"
#include "storage/digest.h"
#include "storage/image_pool.h"

namespace bridgehead::storage::testing {

// The import of a new image.
inline ImportRequest import_of(RandomSource& random, model::ImageSourceKind kind) {
  ImportRequest request;
  request.operation = make_id<model::OperationId>(random);
  request.image.id = make_id<model::ImageId>(random);
  request.source.kind = kind;
  return request;
}
inline ImportRequest import_of_path(RandomSource& random, const std::filesystem::path& path) {
  auto request = import_of(random, model::ImageSourceKind::path);
  request.source_path = path;
  return request;
}

inline std::string run_tool(std::string program, std::vector<std::string> arguments) {
  SystemCommandRunner runner;
  // A busy machine takes a minute for what is done in a second.
  auto output = runner.run(
      {.program = std::move(program), .arguments = std::move(arguments), .timeout = std::chrono::minutes(5)});
  require(output.has_value(), output ? "" : output.error().message);
  return output->out;
}

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_content(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string sha256_of(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

inline std::string random_bytes(std::size_t count, std::uint64_t seed) {
  std::string bytes(count, '\0');
  SeededRandom random(seed);
  random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

struct Patch {
  std::uint64_t offset;
  std::string bytes;
};

// What a disk may look like: random runs, single sectors, zeros that are stored, compressible text, holes.
inline std::filesystem::path make_raw(const std::filesystem::path& path, std::uint64_t size,
                                      const std::vector<Patch>& patches) {
  auto file = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  require(file.has_value(), "can't make a test image");
  for (const auto& [offset, bytes] : patches) {
    require(::pwrite(file->get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
                static_cast<ssize_t>(bytes.size()),
            "can't write a test image");
  }
  require(::ftruncate(file->get(), static_cast<off_t>(size)) == 0, "can't size a test image");
  return path;
}

// 24 MiB and an odd number of sectors; data at the start, across 1 MiB borders, in single sectors and at the very end.
inline std::filesystem::path make_varied_raw(const std::filesystem::path& path, std::uint64_t seed = 1) {
  constexpr std::uint64_t size = (24 << 20) + 3 * 512;
  return make_raw(path, size,
                  {{0, random_bytes(4096, seed)},
                   {(1 << 20) - 700, random_bytes(300'000, seed + 1)},
                   {(3 << 20) + 512, random_bytes(512, seed + 2)},
                   {4 << 20, std::string(2 << 20, '\0')},
                   {(6 << 20) + 65536, std::string(700'000, 'x')},
                   {9 << 20, random_bytes(3 << 20, seed + 3)},
                   {size - 512, random_bytes(512, seed + 4)}});
}

inline std::filesystem::path convert(const std::filesystem::path& raw, const std::filesystem::path& target,
                                     const std::string& format, const std::vector<std::string>& options = {}) {
  std::vector<std::string> arguments{"convert", "-f", "raw", "-O", format};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {raw.native(), target.native()});
  run_tool("qemu-img", arguments);
  return target;
}

inline std::uint64_t allocated_bytes(const std::filesystem::path& path) {
  struct stat status {};
  require(::stat(path.c_str(), &status) == 0, "stat");
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

// Files below a directory, for "nothing is left behind".
inline std::vector<std::string> files_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) names.push_back(entry.path().filename());
  return names;
}

// An upload from memory, in pieces; can break off with an error, or run a function before each piece.
class MemoryStream final : public ByteStream {
 public:
  explicit MemoryStream(std::string bytes, std::size_t piece = 100'000) : bytes_(std::move(bytes)), piece_(piece) {}
  void break_after(std::size_t count) { break_after_ = count; }
  void before_each(std::function<void(std::size_t position)> hook) { hook_ = std::move(hook); }

  Result<std::string> read() override {
    if (hook_) hook_(position_);
    if (position_ >= break_after_) return fail(ErrorCode::unavailable, "the sender went away");
    const std::string part = bytes_.substr(std::min(position_, bytes_.size()), piece_);
    position_ += part.size();
    return part;
  }

 private:
  std::string bytes_;
  std::size_t piece_;
  std::size_t position_ = 0;
  std::size_t break_after_ = ~std::size_t{0};
  std::function<void(std::size_t)> hook_;
};

}  // namespace bridgehead::storage::testing
