// The identifiers of the product's records.
#pragma once

#include "base/ids.h"

namespace bridgehead::model {

struct NodeTag;
struct PoolTag;
struct ImageTag;
struct NetworkTag;
struct VmTag;
struct OperationTag;
struct TokenTag;
struct TunnelTag;
struct NodeImageTag;
struct ProfileTag;
struct NetbootSettingsTag;
struct RuleTag;
struct PolicyTag;
struct PlanTag;
struct BenchmarkTag;
struct AvailabilityTag;
struct AlertTag;
struct WebhookTag;
struct EnergyPeriodTag;
struct PowerProfileTag;

using NodeId = Id<NodeTag>;
using PoolId = Id<PoolTag>;
using ImageId = Id<ImageTag>;
using NetworkId = Id<NetworkTag>;
using VmId = Id<VmTag>;
using OperationId = Id<OperationTag>;
using TokenId = Id<TokenTag>;
using TunnelId = Id<TunnelTag>;
using NodeImageId = Id<NodeImageTag>;
using ProfileId = Id<ProfileTag>;
using NetbootSettingsId = Id<NetbootSettingsTag>;
using RuleId = Id<RuleTag>;
using PolicyId = Id<PolicyTag>;
using PlanId = Id<PlanTag>;
using BenchmarkId = Id<BenchmarkTag>;
using AvailabilityId = Id<AvailabilityTag>;
using AlertId = Id<AlertTag>;
using WebhookId = Id<WebhookTag>;
using EnergyPeriodId = Id<EnergyPeriodTag>;
using PowerProfileId = Id<PowerProfileTag>;

}  // namespace bridgehead::model
