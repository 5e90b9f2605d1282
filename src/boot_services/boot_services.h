// BootServices: what serves machines that boot over the network and makes their images, all that needs rights which the
// manager doesn't have. The manager decides; here a plan comes about. Thread-safe; calls block as long as it takes.
// Two implementations: LocalBootServices does it in its own process, RemoteBootServices asks the helper, by its socket.
//
// Errors of all: invalid_argument (a value that can't be: all are checked here again), unavailable with what to do
// (the helper isn't there, or went away in the middle: ask again).
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/progress.h"
#include "base/result.h"
#include "model/boot_services.h"

namespace bridgehead::boot_services {

class BootServices {
 public:
  // Called from threads of the implementation; must return soon and may not call back.
  struct Listener {
    std::function<void(const model::AddressGiven&)> address_given;
    std::function<void()> began_anew;  // perhaps without the plan of before: apply() is due
  };

  virtual ~BootServices() = default;
  // Before the first apply(); replaces the one before. An empty one: nobody listens any more.
  virtual void listen(Listener listener) = 0;

  // Brings the plan about, as far as it goes, and says how each part is. The same again changes nothing. One after the
  // other; one that is stopped before its turn is cancelled, so that an old plan never comes after a newer one.
  virtual Result<model::ServingStatus> apply(const model::ServingPlan& plan, std::stop_token stop) = 0;
  virtual Result<model::ServingStatus> status() const = 0;

  // Asks on the plan's segment, which takes some seconds; with a plan that isn't NetbootMode::full: none.
  virtual Result<model::ForeignDhcpServers> foreign_dhcp_servers(std::stop_token stop) = 0;

  // Makes and publishes it; one that is published under this id already is given as it is. One after the other.
  // Errors: permission_denied (a path outside of the import directories), cancelled, and those of nodeimage.
  virtual Result<model::NodeImage> make_image(const model::NodeImageOrder& order, const ProgressSink& progress,
                                              std::stop_token stop) = 0;
  // The caller knows that no machine boots or runs from it. Missing is success. Waits for an image that is being made:
  // afterwards the one of a call that was cancelled is gone for good; a caller that stops before may not know whether
  // it is.
  virtual Status remove_image(const model::NodeImageId& id, std::stop_token stop) = 0;
  virtual Result<model::NodeImageDifference> compare_images(const model::NodeImageComparison& comparison) const = 0;
};

}  // namespace bridgehead::boot_services
