// The agents' packages that this manager has, as commands and problems need them; the upgrade desk is behind it.
// Thread-safe.
#pragma once

#include <string>

namespace bridgehead::reconcile {

class UpgradePort {
 public:
  virtual ~UpgradePort() = default;
  // Of the package that came with this manager, which agents are upgraded to; "" = none came.
  virtual std::string version() const = 0;
  // Whether a package of this version is here: for the way back.
  virtual bool has(const std::string& version) const = 0;
};

}  // namespace bridgehead::reconcile
