#include "boot_services/local_boot_services.h"

#include "base/file.h"

namespace bridgehead::boot_services {

std::filesystem::path store_directory(const std::filesystem::path& directory) { return directory / "store"; }

LocalBootServices::LocalBootServices(nodeimage::ImageStore images, const std::filesystem::path& directory,
                                     ImageTools tools, const Clock& clock, CommandRunner& runner)
    : images_(std::move(images)),
      workshop_(images_, runner, std::move(tools)),
      serving_(clock, runner, images_, directory) {}

Result<std::unique_ptr<LocalBootServices>> LocalBootServices::open(const std::filesystem::path& directory,
                                                                   ImageTools tools, const Clock& clock,
                                                                   CommandRunner& runner) {
  if (auto made = make_directories(directory); !made) return forward(made);
  auto images = nodeimage::ImageStore::open(store_directory(directory));
  if (!images) return forward(images);
  return std::unique_ptr<LocalBootServices>(  // the constructor is private
      new LocalBootServices(std::move(*images), directory, std::move(tools), clock, runner));
}

}  // namespace bridgehead::boot_services
