// BootServices in this process, which must be root. Owns the store of node images and what serves them; all of it ends
// with this object, or with the process, however that ends.
#pragma once

#include <filesystem>
#include <memory>

#include "base/clock.h"
#include "base/command.h"
#include "boot_services/boot_services.h"
#include "boot_services/image_workshop.h"
#include "boot_services/serving.h"

namespace bridgehead::boot_services {

// Where node images lie below the directory of it all.
std::filesystem::path store_directory(const std::filesystem::path& directory);

class LocalBootServices final : public BootServices {
 public:
  // `directory`: generated files, TFTP root, node images; dnsmasq's user must reach it. Errors: those of the store
  // (failed_precondition: another process has it).
  static Result<std::unique_ptr<LocalBootServices>> open(const std::filesystem::path& directory, ImageTools tools,
                                                         const Clock& clock, CommandRunner& runner);

  void listen(Listener listener) override { serving_.listen(std::move(listener)); }
  Result<model::ServingStatus> apply(const model::ServingPlan& plan, std::stop_token stop) override {
    return serving_.apply(plan, stop);
  }
  Result<model::ServingStatus> status() const override { return serving_.status(); }
  Result<model::ForeignDhcpServers> foreign_dhcp_servers(std::stop_token stop) override {
    return serving_.foreign_dhcp_servers(std::move(stop));
  }
  Result<model::NodeImage> make_image(const model::NodeImageOrder& order, const ProgressSink& progress,
                                      std::stop_token stop) override {
    return workshop_.make(order, progress, std::move(stop));
  }
  Status remove_image(const model::NodeImageId& id, std::stop_token) override { return workshop_.remove(id); }
  Result<model::NodeImageDifference> compare_images(const model::NodeImageComparison& comparison) const override {
    return workshop_.compare(comparison);
  }

 private:
  LocalBootServices(nodeimage::ImageStore images, const std::filesystem::path& directory, ImageTools tools,
                    const Clock& clock, CommandRunner& runner);

  nodeimage::ImageStore images_;
  ImageWorkshop workshop_;
  Serving serving_;
};

}  // namespace bridgehead::boot_services
