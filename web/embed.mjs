// node embed.mjs DIST OUT PAGES.cpp: compresses what Vite has built and writes the C++ source that has it all inside.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [dist, out, source] = process.argv.slice(2);
const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

function filesBelow(directory, prefix = "/") {
  return readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) =>
      entry.isDirectory() ? filesBelow(join(directory, entry.name), `${prefix}${entry.name}/`) : [prefix + entry.name],
    );
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const blobs = [];
function blob(bytes) {
  const file = resolve(out, `${blobs.length}`);
  writeFileSync(file, bytes);
  blobs.push(file);
  return blobs.length - 1;
}
const view = (number) => `{page_${number}, static_cast<std::size_t>(page_${number}_end - page_${number})}`;

const rows = filesBelow(dist).map((path) => {
  const bytes = readFileSync(join(dist, path));
  const type = types[extname(path)];
  if (!type) throw new Error(`embed.mjs knows no content type for ${path}`);
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  const codings = [bytes, gzipSync(bytes, { level: 9 }), brotliCompressSync(bytes, quality)];
  const tag = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  return `    {"${path === "/index.html" ? "/" : path}", "${type}", "${tag}", ${codings.map((one) => view(blob(one))).join(", ")}},`;
});

writeFileSync(
  source,
  `// Made by web/embed.mjs.
#include "control_api/pages/dashboard.h"

asm(R"(
.pushsection .rodata
${blobs.map((file, n) => `page_${n}: .incbin "${file}"\npage_${n}_end: .byte 0`).join("\n")}
.popsection
)");

namespace bridgehead::control_api {

extern "C" {
${blobs.map((_, n) => `[[gnu::visibility("hidden")]] extern const char page_${n}[], page_${n}_end[];`).join("\n")}
}

std::span<const PageFile> page_files() {
  static const PageFile files[] = {
${rows.join("\n")}
  };
  return files;
}

}  // namespace bridgehead::control_api
`,
);
