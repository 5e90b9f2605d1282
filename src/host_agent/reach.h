// Whether another machine answers on the network, by ICMP echo (RFC 792): an answer from its kernel, whatever runs
// there. Free function; thread-safe.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace bridgehead::host_agent {

// True as soon as one of these IPv4 addresses answers; false after `patience`, or where nothing can be sent.
bool answers_from(const std::vector<std::string>& addresses, std::chrono::milliseconds patience);

}  // namespace bridgehead::host_agent
