// Steps of TLS and TCP on non-blocking sockets, each ended by a deadline. Free functions; thread-safe. They block.
// Errors: timeout ("<who> doesn't answer"), unavailable, the system's.
#pragma once

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::host_agent {

using Deadline = std::chrono::steady_clock::time_point;

// Until one of `events` (of poll) is there.
Status wait_for(int fd, short events, Deadline deadline, const std::string& who);

// A connected TCP socket.
Result<UniqueFd> connect_before(Deadline deadline, const sockaddr* address, socklen_t size, const std::string& who);

// Runs an OpenSSL call until it is through. `call` returns what OpenSSL's function has returned.
Status drive_tls(SSL* ssl, int fd, Deadline deadline, const std::string& who, const std::function<int()>& call);

// Of the calling thread's last OpenSSL error, which is taken.
std::string tls_reason();

// "" when it can't be written.
std::string to_pem(X509* certificate);

}  // namespace bridgehead::host_agent
