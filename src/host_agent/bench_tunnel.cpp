#include "host_agent/bench_tunnel.h"

#include <thread>

#include "load/client.h"

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

}  // namespace

void carry_bench(const std::string& order, const PoolHandle& pool, TunnelChannel& channel,
                 const std::stop_token& stop) {
  std::stop_source over;
  const std::stop_callback on_stop(stop, [&] { over.request_stop(); });
  // Until the other side is gone; after the answer that is how it takes leave.
  std::thread listener([&] {
    while (channel.read()) {
    }
    over.request_stop();
  });
  auto call = pool.begin<load::ClientAnswer>([order, stopped = over.get_token()](storage::ImagePool& images) {
    return carry_out_here(order, images, stopped);
  });
  const auto answer = call.wait_unless_stopped(over.get_token(), pool.deadlines().cancel);
  if (channel.write({.data = load::write_answer(answer)})) channel.write({.end = true});
  listener.join();
}

}  // namespace bridgehead::host_agent
