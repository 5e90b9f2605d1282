// The two halves of pack(): the root, which a cache may keep, and what is made from the tree anew each time. Internal
// to this module.
#pragma once

#include "nodeimage/pack.h"

namespace bridgehead::nodeimage {

inline constexpr std::string_view kPhaseList = "list";
inline constexpr std::string_view kPhaseCompress = "compress";
inline constexpr std::string_view kPhaseInitramfs = "initramfs";

// root.squashfs and files.list; adds what they are to the manifest.
Status pack_root(CommandRunner& runner, const std::filesystem::path& tree, const std::filesystem::path& output,
                 Bytes limit, Manifest& manifest, const ProgressSink& progress, std::stop_token stop);
// vmlinuz and initramfs.img.
Status pack_boot(const std::filesystem::path& tree, const std::filesystem::path& output,
                 const InitramfsMaker& initramfs, Manifest& manifest, const ProgressSink& progress,
                 std::stop_token stop);
Status write_manifest(const Manifest& manifest, const std::filesystem::path& output);

// resource_exhausted; the hint names where the bytes are.
Status check_root_limit(const Manifest& manifest, Bytes limit, const std::vector<TreeEntry>& entries);

}  // namespace bridgehead::nodeimage
