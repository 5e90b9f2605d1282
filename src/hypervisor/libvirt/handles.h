// Owning handles of libvirt objects and the translation of libvirt's errors. Plain values; thread-safe as libvirt is.
#pragma once

#include <memory>
#include <string_view>
#include <type_traits>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/result.h"

namespace bridgehead::hypervisor {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
struct FreeMemory {
  void operator()(void* memory) const { ::free(memory); }
};

using DomainPtr = std::unique_ptr<virDomain, FreeWith<virDomainFree>>;
using NetworkPtr = std::unique_ptr<virNetwork, FreeWith<virNetworkFree>>;
using SnapshotPtr = std::unique_ptr<virDomainSnapshot, FreeWith<virDomainSnapshotFree>>;
using StreamPtr = std::unique_ptr<virStream, FreeWith<virStreamFree>>;
using CString = std::unique_ptr<char, FreeMemory>;

// Of the calling thread's last failed libvirt call.
int last_libvirt_code();
std::string last_libvirt_message();

// The Error for it: "can't <what>: <libvirt's message>", with a hint where there is one.
tl::unexpected<Error> fail_libvirt(std::string_view what);

inline Status check(int result, std::string_view what) {
  if (result < 0) return fail_libvirt(what);
  return {};
}

}  // namespace bridgehead::hypervisor
