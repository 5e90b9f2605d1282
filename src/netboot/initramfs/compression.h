// gzip, xz and zstd of what fits in memory: decompressing a tree's files, compressing the initramfs. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "netboot/initramfs/initramfs.h"

namespace bridgehead::netboot {

// By a file's ending: .gz, .xz, .zst; otherwise none.
InitramfsCompression compression_of(std::string_view file_name);
// "x.ko.xz" -> "x.ko"
std::string_view without_compression(std::string_view file_name);

// Errors: data_corrupt (damaged, cut off), resource_exhausted (more than `limit` comes out). `what` names it in
// messages.
Result<std::string> decompress(std::string_view bytes, InitramfsCompression compression, Bytes limit,
                               std::string_view what);

// As small as it gets and as the kernel's own decoders understand it. The same bytes give the same bytes (with the same
// library version). One thread, about a second per 4 MB.
Result<std::string> compress(std::string_view bytes, InitramfsCompression compression);

}  // namespace bridgehead::netboot
