#include "control_api/bodies/overlay_files.h"

#include "base/base64.h"
#include "model/overlay.h"

namespace bridgehead::control_api {
namespace {

// "0644": up to five octal digits, as chmod takes them.
std::optional<std::uint32_t> octal(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint32_t>(c - '0');
  }
  return value;
}

void read_mode(ObjectReader& reader, std::uint32_t& mode) {
  std::optional<std::string> text;
  reader.text("mode", text, 64);
  if (!text) return;
  const auto bits = octal(*text);
  if (!bits) return reader.wrong("mode", "must be octal digits in a string, like \"0644\"");
  mode = *bits;
}

void read_file(ObjectReader& reader, model::OverlayFile& file) {
  reader.text("path", file.path);
  reader.require("path");
  reader.text("content", file.content, model::kLargestOverlayFile.count());
  reader.require("content");
  read_mode(reader, file.mode);
}

void read_secret(ObjectReader& reader, model::SecretFile& file, const pki::SecretBox* box) {
  reader.text("path", file.path);
  reader.require("path");
  std::string text;
  reader.text("content", text, (model::kLargestOverlayFile.count() + 2) / 3 * 4);
  reader.require("content");
  read_mode(reader, file.mode);
  const auto content = from_base64(text);
  if (!content) return reader.wrong("content", "is not base64 (RFC 4648, with padding)");
  if (box == nullptr) return reader.wrong("content", "can't be kept: this manager takes no secrets");
  file.size = Bytes(content->size());
  file.sealed = box->seal(*content, file.path);
}

}  // namespace

void read_overlay(ObjectReader& reader, std::optional<std::vector<model::OverlayFile>>& files,
                  std::optional<std::vector<model::SecretFile>>& secret_files, const pki::SecretBox* box) {
  std::vector<model::OverlayFile> plain;
  if (reader.objects("files", [&](ObjectReader& file) { read_file(file, plain.emplace_back()); })) {
    files = std::move(plain);
  }
  std::vector<model::SecretFile> secret;
  if (reader.objects("secret_files", [&](ObjectReader& file) { read_secret(file, secret.emplace_back(), box); })) {
    secret_files = std::move(secret);
  }
}

}  // namespace bridgehead::control_api
