#include "host_agent/bench_tunnel.h"

#include <thread>

#include "load/guest_client.h"

namespace bridgehead::host_agent {
namespace {

// Where the manager can't know: below the pool's directory on this node.
Result<load::ClientAnswer> carry_out_here(const std::string& text, const storage::ImagePool& images,
                                          const std::stop_token& stop) {
  auto order = load::read_order(text);
  if (!order) return forward(order);
  const auto directory = images.directory();
  if (!directory) return forward(directory);
  order->directory = *directory / order->directory.filename();
  SystemCommandRunner runner;
  return load::carry_out(*order, runner, SystemClock(), stop);
}

// Until the other side is gone; after the answer that is how it takes leave.
void answer_through(TunnelChannel& channel, const std::stop_token& stop,
                    const std::function<Result<load::ClientAnswer>(const std::stop_token&)>& work) {
  std::stop_source over;
  const std::stop_callback on_stop(stop, [&] { over.request_stop(); });
  std::thread listener([&] {
    while (channel.read()) {
    }
    over.request_stop();
  });
  const auto answer = work(over.get_token());
  if (channel.write({.data = load::write_answer(answer)})) channel.write({.end = true});
  listener.join();
}

}  // namespace

void carry_bench(const std::string& order, const PoolHandle& pool, TunnelChannel& channel,
                 const std::stop_token& stop) {
  answer_through(channel, stop, [&](const std::stop_token& over) {
    auto call = pool.begin<load::ClientAnswer>(
        [order, over](storage::ImagePool& images) { return carry_out_here(order, images, over); });
    return call.wait_unless_stopped(over, pool.deadlines().cancel);
  });
}

void carry_bench_in_guest(const load::ClientOrder& order, hypervisor::Hypervisor& hypervisor, TunnelChannel& channel,
                          const std::stop_token& stop) {
  answer_through(channel, stop, [&](const std::stop_token& over) -> Result<load::ClientAnswer> {
    if (!is_uuid(order.guest)) return fail(ErrorCode::invalid_argument, "'{}' can't be a guest", order.guest);
    const model::VmId vm(order.guest);
    const auto process = hypervisor.process_of(vm);
    if (!process) return forward(process);
    const load::Guest guest{
        .ask = [&](const std::string& command,
                   std::chrono::seconds patience) { return hypervisor.ask_agent(vm, command, patience); },
        .process = process->id,
        .emulated = !process->kvm};
    return load::carry_out_in_guest(order, guest, SystemClock(), over);
  });
}

}  // namespace bridgehead::host_agent
