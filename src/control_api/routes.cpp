#include "control_api/routes.h"

#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {
namespace {

using http::Method;

std::vector<Route> make_routes() {
  using enum Access;
  const auto answer = [](Method method, std::string_view pattern, Access access, AnswerHandler handler,
                         std::vector<std::string_view> query = {}) {
    return Route{method, pattern, access, handler, nullptr, std::move(query)};
  };
  const auto stream = [](Method method, std::string_view pattern, Access access, StreamHandler handler,
                         std::vector<std::string_view> query = {}) {
    return Route{method, pattern, access, nullptr, handler, std::move(query)};
  };
  const std::vector<std::string_view> dry{"dry_run"};
  return {
      answer(Method::get, "/healthz", none, get_health),
      answer(Method::get, "/metrics", viewer_or_loopback, get_metrics),
      answer(Method::get, "/api/v1/version", none, get_version),
      answer(Method::get, "/api/v1/openapi.yaml", none, get_openapi),
      answer(Method::get, "/api/v1/status", viewer, get_status),

      answer(Method::get, "/api/v1/vms", viewer, list_vms, {"summary", "node", "state", "label"}),
      answer(Method::post, "/api/v1/vms", operator_, create_vm, dry),
      answer(Method::get, "/api/v1/vms/{vm}", viewer, get_vm),
      answer(Method::patch, "/api/v1/vms/{vm}", operator_, patch_vm, dry),
      answer(Method::delete_, "/api/v1/vms/{vm}", operator_, delete_vm_by_name, {"dry_run", "keep_disks"}),
      answer(Method::post, "/api/v1/vms/{vm}/start", operator_, start_vm, dry),
      answer(Method::post, "/api/v1/vms/{vm}/stop", operator_, stop_vm, dry),
      answer(Method::post, "/api/v1/vms/{vm}/reboot", operator_, reboot_vm, dry),
      answer(Method::post, "/api/v1/vms/{vm}/pause", operator_, pause_vm, dry),
      answer(Method::post, "/api/v1/vms/{vm}/resume", operator_, resume_vm, dry),
      answer(Method::post, "/api/v1/vms/{vm}/migrate", operator_, migrate_vm_by_name, dry),
      answer(Method::get, "/api/v1/vms/{vm}/migration-checks", viewer, get_vm_migration_checks, {"to", "pool"}),
      answer(Method::post, "/api/v1/vms/{vm}/disks", operator_, add_vm_disk, dry),
      answer(Method::delete_, "/api/v1/vms/{vm}/disks/{disk}", operator_, remove_vm_disk, dry),
      answer(Method::post, "/api/v1/vms/{vm}/nics", operator_, add_vm_nic, dry),
      answer(Method::delete_, "/api/v1/vms/{vm}/nics/{nic}", operator_, remove_vm_nic, dry),
      answer(Method::get, "/api/v1/vms/{vm}/snapshots", viewer, list_vm_snapshots),
      answer(Method::post, "/api/v1/vms/{vm}/snapshots", operator_, create_vm_snapshot, dry),
      answer(Method::post, "/api/v1/vms/{vm}/snapshots/{snapshot}/rollback", operator_, rollback_vm_snapshot, dry),
      answer(Method::delete_, "/api/v1/vms/{vm}/snapshots/{snapshot}", operator_, delete_vm_snapshot, dry),
      stream(Method::get, "/api/v1/vms/{vm}/console", operator_, open_console, {"take_over"}),
      stream(Method::get, "/api/v1/vms/{vm}/vnc", operator_, open_vnc),
      stream(Method::get, "/api/v1/vms/{vm}/log", viewer, get_vm_log),
      answer(Method::get, "/api/v1/vms/{vm}/use", viewer, get_vm_use, {"span"}),

      answer(Method::get, "/api/v1/images", viewer, list_images, {"role"}),
      answer(Method::post, "/api/v1/images", operator_, import_image, dry),
      answer(Method::get, "/api/v1/images/{image}", viewer, get_image),
      answer(Method::delete_, "/api/v1/images/{image}", operator_, delete_image_by_name, dry),
      answer(Method::post, "/api/v1/images/{image}/migrate", operator_, migrate_image_by_name, dry),
      answer(Method::post, "/api/v1/images/{image}/flatten", operator_, flatten_image_by_name, dry),
      // A disk's bytes hold whatever its guest keeps secret: reading them is more than viewing.
      stream(Method::get, "/api/v1/images/{image}/export", operator_, export_image, {"format"}),
      stream(Method::get, "/api/v1/images/{image}/layout", viewer, get_image_layout),
      stream(Method::put, "/api/v1/uploads/{operation}", operator_, put_upload),

      answer(Method::get, "/api/v1/pools", viewer, list_pools),
      answer(Method::post, "/api/v1/pools", admin, create_pool, dry),
      answer(Method::get, "/api/v1/pools/{pool}", viewer, get_pool),
      answer(Method::delete_, "/api/v1/pools/{pool}", admin, delete_pool, dry),
      stream(Method::get, "/api/v1/pools/{pool}/balance", viewer, get_pool_balance),

      answer(Method::get, "/api/v1/networks", viewer, list_networks),
      answer(Method::post, "/api/v1/networks", admin, create_network_record, dry),
      answer(Method::get, "/api/v1/networks/{network}", viewer, get_network),
      answer(Method::delete_, "/api/v1/networks/{network}", admin, delete_network_by_name, dry),

      answer(Method::get, "/api/v1/nodes", viewer, list_nodes),
      answer(Method::get, "/api/v1/nodes/{node}", viewer, get_node),
      answer(Method::patch, "/api/v1/nodes/{node}", operator_, patch_node, dry),
      answer(Method::delete_, "/api/v1/nodes/{node}", operator_, delete_node_by_name, dry),
      answer(Method::post, "/api/v1/nodes/{node}/drain", operator_, drain_node_by_name, dry),
      answer(Method::post, "/api/v1/nodes/{node}/undrain", operator_, undrain_node_by_name, dry),
      answer(Method::get, "/api/v1/nodes/{node}/use", viewer, get_node_use),
      // Asking a BMC takes a login there: more than viewing.
      stream(Method::get, "/api/v1/nodes/{node}/power", operator_, get_node_power),
      stream(Method::get, "/api/v1/nodes/{node}/console", operator_, open_node_console, {"take_over"}),
      answer(Method::post, "/api/v1/nodes/{node}/bmc/trust", admin, post_node_bmc_trust),
      answer(Method::post, "/api/v1/nodes/{node}/confirm-off", operator_, post_node_confirm_off),
      answer(Method::post, "/api/v1/vms/{vm}/confirm-stopped", operator_, post_vm_confirm_stopped, dry),
      answer(Method::get, "/api/v1/ha", viewer, get_availability),
      answer(Method::get, "/api/v1/energy", viewer, get_energy, {"last"}),
      answer(Method::get, "/api/v1/energy/profiles", viewer, list_power_profiles),
      answer(Method::put, "/api/v1/energy/profiles/{machine}", admin, put_power_profile, dry),
      answer(Method::delete_, "/api/v1/energy/profiles/{machine}", admin, delete_power_profile, dry),
      answer(Method::get, "/api/v1/alerts", viewer, list_alerts),
      // Its URL may hold what lets anybody post there.
      answer(Method::get, "/api/v1/alerts/webhook", admin, get_webhook),
      answer(Method::put, "/api/v1/alerts/webhook", admin, put_webhook, dry),
      answer(Method::delete_, "/api/v1/alerts/webhook", admin, delete_webhook, dry),
      answer(Method::post, "/api/v1/alerts/webhook/test", admin, post_webhook_test),
      answer(Method::post, "/api/v1/ha/go-on", operator_, post_availability_go_on),
      answer(Method::post, "/api/v1/nodes/{node}/power", operator_, post_node_power, dry),
      answer(Method::get, "/api/v1/nodes/{node}/bmc", operator_, get_node_bmc),
      answer(Method::put, "/api/v1/nodes/{node}/bmc", admin, put_node_bmc, dry),
      answer(Method::delete_, "/api/v1/nodes/{node}/bmc", admin, delete_node_bmc, dry),
      stream(Method::get, "/api/v1/nodes/{node}/bmc/check", operator_, get_node_bmc_check),
      answer(Method::get, "/api/v1/nodes/{node}/boot", viewer, get_node_boot),
      answer(Method::get, "/api/v1/nodes/{node}/boots", viewer, list_node_boots),
      answer(Method::get, "/api/v1/nodes/{node}/boot-script", viewer, get_node_boot_script),
      answer(Method::post, "/api/v1/join-tokens", admin, create_join_token_ticket, dry),

      // What runs as root on the nodes is replaced.
      answer(Method::post, "/api/v1/agents/upgrade", admin, post_agents_upgrade, dry),

      answer(Method::get, "/api/v1/bench/results", viewer, list_benchmarks),
      answer(Method::post, "/api/v1/bench/results", operator_, start_benchmark, dry),
      answer(Method::post, "/api/v1/bench/records", operator_, keep_benchmark, dry),
      answer(Method::get, "/api/v1/bench/results/{benchmark}", viewer, get_benchmark),
      answer(Method::put, "/api/v1/bench/results/{benchmark}", operator_, keep_more_of_benchmark, dry),
      answer(Method::delete_, "/api/v1/bench/results/{benchmark}", operator_, remove_benchmark, dry),

      answer(Method::get, "/api/v1/plan", viewer, get_plan_now),
      // Plans for a cluster that there isn't: it changes nothing.
      answer(Method::post, "/api/v1/plan/what-if", viewer, post_what_if),
      answer(Method::get, "/api/v1/plans", viewer, list_plans),
      answer(Method::get, "/api/v1/plans/{plan}", viewer, get_plan),
      answer(Method::get, "/api/v1/plans/{plan}/input", viewer, get_plan_input),
      answer(Method::get, "/api/v1/plans/{plan}/replay", viewer, get_plan_replay),
      answer(Method::post, "/api/v1/plans/{plan}/apply", operator_, apply_plan_by_id, dry),
      answer(Method::post, "/api/v1/plans/{plan}/cancel", operator_, cancel_plan_by_id, dry),
      answer(Method::get, "/api/v1/policy", viewer, get_policy),
      answer(Method::patch, "/api/v1/policy", admin, patch_policy, dry),
      answer(Method::get, "/api/v1/rules", viewer, list_rules),
      answer(Method::post, "/api/v1/rules", admin, create_rule, dry),
      answer(Method::get, "/api/v1/rules/{rule}", viewer, get_rule),
      answer(Method::delete_, "/api/v1/rules/{rule}", admin, delete_rule, dry),

      answer(Method::get, "/api/v1/netboot", viewer, get_netboot),
      answer(Method::put, "/api/v1/netboot", admin, put_netboot, dry),
      answer(Method::delete_, "/api/v1/netboot", admin, delete_netboot, dry),
      answer(Method::post, "/api/v1/netboot/approve", operator_, post_netboot_approve, dry),
      answer(Method::post, "/api/v1/netboot/assign", operator_, post_netboot_assign, dry),

      answer(Method::get, "/api/v1/profiles", viewer, list_profiles),
      answer(Method::get, "/api/v1/profiles/{profile}", viewer, get_profile),
      answer(Method::put, "/api/v1/profiles/{profile}", operator_, put_profile, dry),
      answer(Method::delete_, "/api/v1/profiles/{profile}", operator_, delete_profile_by_name, dry),

      answer(Method::get, "/api/v1/node-images", viewer, list_node_images),
      // A build runs what its recipe says, as root on the manager's machine.
      answer(Method::post, "/api/v1/node-images", admin, create_node_image, dry),
      answer(Method::get, "/api/v1/node-images/{node_image}", viewer, get_node_image),
      answer(Method::delete_, "/api/v1/node-images/{node_image}", admin, delete_node_image_by_name, dry),
      answer(Method::get, "/api/v1/node-images/{node_image}/diff", viewer, diff_node_images, {"from"}),
      answer(Method::post, "/api/v1/node-images/{node_image}/rollout", operator_, post_node_image_rollout, dry),

      answer(Method::get, "/api/v1/operations", viewer, list_operations, {"state", "target", "limit"}),
      stream(Method::get, "/api/v1/operations/{operation}", viewer, get_operation, {"wait_seconds"}),
      answer(Method::post, "/api/v1/operations/{operation}/cancel", operator_, cancel_operation_by_id, dry),

      answer(Method::get, "/api/v1/events", viewer, list_events, {"since", "limit"}),
      stream(Method::get, "/api/v1/events/stream", viewer, stream_events, {"since"}),

      answer(Method::get, "/api/v1/tokens", admin, list_tokens),
      answer(Method::post, "/api/v1/tokens", admin, create_token_secret, dry),
      answer(Method::delete_, "/api/v1/tokens/{token}", admin, delete_token_by_name, dry),
      answer(Method::get, "/api/v1/whoami", viewer, get_whoami),
      answer(Method::post, "/api/v1/session", none, begin_session),
      answer(Method::delete_, "/api/v1/session", none, end_session),
  };
}

// The pattern's parameters, or nothing when the path is another one.
std::optional<std::vector<std::string>> match(std::string_view pattern, const std::vector<std::string>& segments) {
  std::vector<std::string> parameters;
  std::size_t at = 0;
  pattern.remove_prefix(1);
  while (!pattern.empty()) {
    const auto end = std::min(pattern.find('/'), pattern.size());
    const auto part = pattern.substr(0, end);
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
    if (at == segments.size()) return std::nullopt;
    const auto& segment = segments[at++];
    if (part.starts_with('{')) {
      parameters.push_back(segment);
    } else if (part != segment) {
      return std::nullopt;
    }
  }
  if (at != segments.size()) return std::nullopt;
  return parameters;
}

}  // namespace

const std::vector<Route>& all_routes() {
  static const std::vector<Route> routes = make_routes();
  return routes;
}

Match find_route(http::Method method, const std::vector<std::string>& segments) {
  Match result;
  for (const auto& route : all_routes()) {
    auto parameters = match(route.pattern, segments);
    if (!parameters) continue;
    const bool as_head = method == Method::head && route.method == Method::get && route.answer != nullptr;
    if (route.method == method || as_head) return {&route, std::move(*parameters), {}};
    result.allowed += (result.allowed.empty() ? "" : ", ") + std::string(to_string(route.method));
  }
  return result;
}

}  // namespace bridgehead::control_api
