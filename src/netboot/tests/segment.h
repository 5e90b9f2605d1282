// A network segment for tests: this process is in a network namespace of its own with the server's end, the client's
// end lies in another. Nameless, so that nothing is left behind, whatever happens. Needs root.
#pragma once

#include <functional>

#include "base/command.h"
#include "base/fd.h"

namespace bridgehead::netboot {

class Segment {
 public:
  // Moves the calling thread (and those that it starts later) into a namespace; server end "prov0" with `address`.
  explicit Segment(const std::string& address);

  // On a thread in the client's namespace, whose interface is "cl0". Sockets that are opened there stay there.
  void as_client(const std::function<void()>& function) const;
  void run(const std::string& program, const std::vector<std::string>& arguments) const;

 private:
  UniqueFd client_;
};

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds within = std::chrono::seconds(60));

}  // namespace bridgehead::netboot
