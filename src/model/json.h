// JSON forms of the model's records, by nlohmann-json's ADL hooks: `nlohmann::json j = vm;` and `j.get<Vm>()`.
// Reading throws nlohmann::json::exception for a wrong type and is therefore used through codec.h only.
// Missing fields keep their defaults, unknown ones are ignored, so that versions one apart understand each other.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/alert.h"
#include "model/assignment.h"
#include "model/availability.h"
#include "model/benchmark.h"
#include "model/bmc.h"
#include "model/boot_services.h"
#include "model/energy.h"
#include "model/event.h"
#include "model/layout.h"
#include "model/netboot.h"
#include "model/planning.h"
#include "model/token.h"
#include "model/use.h"

namespace bridgehead {
void to_json(nlohmann::json& json, const Bytes& value);
void from_json(const nlohmann::json& json, Bytes& value);
void to_json(nlohmann::json& json, const Error& value);
void from_json(const nlohmann::json& json, Error& value);
void to_json(nlohmann::json& json, const Progress& value);
void from_json(const nlohmann::json& json, Progress& value);
}  // namespace bridgehead

namespace bridgehead::model {

#define BRIDGEHEAD_JSON(Type)                            \
  void to_json(nlohmann::json& json, const Type& value); \
  void from_json(const nlohmann::json& json, Type& value)

BRIDGEHEAD_JSON(PoolAbilities);
BRIDGEHEAD_JSON(PoolOnNode);
BRIDGEHEAD_JSON(Pool);
BRIDGEHEAD_JSON(Image);
BRIDGEHEAD_JSON(LayoutPart);
BRIDGEHEAD_JSON(FileLayout);
BRIDGEHEAD_JSON(StorageTarget);
BRIDGEHEAD_JSON(ImagePlacement);
BRIDGEHEAD_JSON(PoolSurvey);
BRIDGEHEAD_JSON(ImageSource);
BRIDGEHEAD_JSON(Network);
BRIDGEHEAD_JSON(DiskSpec);
BRIDGEHEAD_JSON(NicSpec);
BRIDGEHEAD_JSON(CloudInit);
BRIDGEHEAD_JSON(VmSpec);
BRIDGEHEAD_JSON(Snapshot);
BRIDGEHEAD_JSON(LeaseHolder);
BRIDGEHEAD_JSON(PastLeases);
BRIDGEHEAD_JSON(LeaseStamp);
BRIDGEHEAD_JSON(VmStatus);
BRIDGEHEAD_JSON(PlanningWish);
BRIDGEHEAD_JSON(Vm);
BRIDGEHEAD_JSON(NumaCell);
BRIDGEHEAD_JSON(NetworkInterface);
BRIDGEHEAD_JSON(NodeFacts);
BRIDGEHEAD_JSON(Pressure);
BRIDGEHEAD_JSON(NodeLoad);
BRIDGEHEAD_JSON(GuestUse);
BRIDGEHEAD_JSON(NodeUse);
BRIDGEHEAD_JSON(Node);
BRIDGEHEAD_JSON(NodeImage);
BRIDGEHEAD_JSON(OverlayFile);
BRIDGEHEAD_JSON(SecretFile);
BRIDGEHEAD_JSON(Profile);
BRIDGEHEAD_JSON(Hardware);
BRIDGEHEAD_JSON(Netboot);
BRIDGEHEAD_JSON(BootEvent);
BRIDGEHEAD_JSON(Boot);
BRIDGEHEAD_JSON(NetbootSettings);
BRIDGEHEAD_JSON(PowerProof);
BRIDGEHEAD_JSON(Bmc);
BRIDGEHEAD_JSON(BootReservation);
BRIDGEHEAD_JSON(LoaderFile);
BRIDGEHEAD_JSON(ServedImage);
BRIDGEHEAD_JSON(ServingPlan);
BRIDGEHEAD_JSON(ServingPart);
BRIDGEHEAD_JSON(ServingStatus);
BRIDGEHEAD_JSON(AddressGiven);
BRIDGEHEAD_JSON(ForeignDhcpServers);
BRIDGEHEAD_JSON(NodeImageOrder);
BRIDGEHEAD_JSON(NodeImageComparison);
BRIDGEHEAD_JSON(NodeImageDifference);
BRIDGEHEAD_JSON(Rule);
BRIDGEHEAD_JSON(PlanningPolicy);
BRIDGEHEAD_JSON(PlanAction);
BRIDGEHEAD_JSON(PlanScore);
BRIDGEHEAD_JSON(PlanConflict);
BRIDGEHEAD_JSON(Plan);
BRIDGEHEAD_JSON(PlanInput);
BRIDGEHEAD_JSON(BenchmarkPool);
BRIDGEHEAD_JSON(BenchmarkNode);
BRIDGEHEAD_JSON(BenchmarkGuests);
BRIDGEHEAD_JSON(BenchmarkSettings);
BRIDGEHEAD_JSON(BenchmarkLeftover);
BRIDGEHEAD_JSON(Benchmark);
BRIDGEHEAD_JSON(AvailabilityState);
BRIDGEHEAD_JSON(KilowattHours);
BRIDGEHEAD_JSON(NodeEnergy);
BRIDGEHEAD_JSON(GuestEnergy);
BRIDGEHEAD_JSON(TimeSpan);
BRIDGEHEAD_JSON(EnergyPeriod);
BRIDGEHEAD_JSON(Alert);
BRIDGEHEAD_JSON(Webhook);
BRIDGEHEAD_JSON(PowerProfile);
BRIDGEHEAD_JSON(Operation);
BRIDGEHEAD_JSON(Token);
BRIDGEHEAD_JSON(JoinToken);
BRIDGEHEAD_JSON(Event);
BRIDGEHEAD_JSON(EnsureVm);
BRIDGEHEAD_JSON(RemoveVm);
BRIDGEHEAD_JSON(RebootVm);
BRIDGEHEAD_JSON(SnapshotVm);
BRIDGEHEAD_JSON(WaitingDisk);
BRIDGEHEAD_JSON(MigrationGate);
BRIDGEHEAD_JSON(ComingDisk);
BRIDGEHEAD_JSON(AcceptVm);
BRIDGEHEAD_JSON(MigrateVm);
BRIDGEHEAD_JSON(SettleVm);
BRIDGEHEAD_JSON(MoveDisk);
BRIDGEHEAD_JSON(FlattenDisk);
BRIDGEHEAD_JSON(ClearDisk);
BRIDGEHEAD_JSON(ImportImage);
BRIDGEHEAD_JSON(HelpImport);
BRIDGEHEAD_JSON(RemoveImage);
BRIDGEHEAD_JSON(EnsurePool);
BRIDGEHEAD_JSON(RemovePool);
BRIDGEHEAD_JSON(EnsureNetwork);
BRIDGEHEAD_JSON(RemoveNetwork);
BRIDGEHEAD_JSON(Assignment);
BRIDGEHEAD_JSON(AssignmentReport);
BRIDGEHEAD_JSON(ObservedVm);
BRIDGEHEAD_JSON(SecretsOnNode);
BRIDGEHEAD_JSON(NodeReport);

#undef BRIDGEHEAD_JSON

}  // namespace bridgehead::model
