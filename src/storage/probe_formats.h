// The judges of single formats; internal to image_probe.cpp and its fuzz target. `bytes` begins with the format's
// magic.
#pragma once

#include "storage/image_probe.h"

namespace bridgehead::storage {

// "VMware Virtual Disk Format 1.1/5.0": hosted sparse extents with embedded descriptor.
Result<ProbedImage> probe_vmdk(const ImageBytes& bytes);
// VirtualBox's VDICore.h, header version 1.1.
Result<ProbedImage> probe_vdi(const ImageBytes& bytes);
// [MS-VHDX].
Result<ProbedImage> probe_vhdx(const ImageBytes& bytes);

// "the <format> image is damaged: <what>"
tl::unexpected<Error> damaged_image(std::string_view format, std::string_view what);
tl::unexpected<Error> needs_other_file(std::string_view format, std::string_view what);
Status check_virtual_size(std::string_view format, Bytes size);

}  // namespace bridgehead::storage
