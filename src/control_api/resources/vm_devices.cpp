// A guest's disks, NICs and snapshots.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/json.h"

namespace bridgehead::control_api {
namespace {

// Commands that name one part of a guest and take no body: (commander, caller, vm, part).
template <typename Command>
Result<http::Response> change_part(Services& services, const Call& call, Command command) {
  if (const auto nothing = read_nothing(call.body); !nothing) return forward(nothing);
  return change_vm(services, call, Result<std::string>(call.parameters[1]),
                   [&](auto& commander, const auto& caller, const std::string& part) {
                     return command(commander, caller, call.parameters[0], part);
                   });
}

// Commands that take a request: (commander, caller, vm, request).
template <typename Request, typename Command>
Result<http::Response> change_with(Services& services, const Call& call, Result<Request> request, Command command) {
  return change_vm(services, call, std::move(request), [&](auto& commander, const auto& caller, const Request& read) {
    return command(commander, caller, call.parameters[0], read);
  });
}

}  // namespace

Result<http::Response> add_vm_disk(Services& services, const Call& call) {
  return change_with(services, call, read_add_disk(call.body), reconcile::add_disk);
}
Result<http::Response> remove_vm_disk(Services& services, const Call& call) {
  return change_part(services, call, reconcile::remove_disk);
}
Result<http::Response> add_vm_nic(Services& services, const Call& call) {
  return change_with(services, call, read_add_nic(call.body), reconcile::add_nic);
}
Result<http::Response> remove_vm_nic(Services& services, const Call& call) {
  return change_part(services, call, reconcile::remove_nic);
}

Result<http::Response> list_vm_snapshots(Services& services, const Call& call) {
  const auto revision = services.inventory().revision();
  const auto vm = reconcile::resolve<model::Vm>(services.inventory(), call.parameters[0]);
  if (!vm) return forward(vm);
  return list_answer(revision, (*vm)->value.status.snapshots, [](std::string& out, const model::Snapshot& snapshot) {
    out += dump(nlohmann::json(snapshot));
    return true;
  });
}

Result<http::Response> create_vm_snapshot(Services& services, const Call& call) {
  return change_with(services, call, read_snapshot_name(call.body), reconcile::create_snapshot);
}
Result<http::Response> rollback_vm_snapshot(Services& services, const Call& call) {
  return change_part(services, call, reconcile::rollback_snapshot);
}
Result<http::Response> delete_vm_snapshot(Services& services, const Call& call) {
  return change_part(services, call, reconcile::delete_snapshot);
}

}  // namespace bridgehead::control_api
