#include <unistd.h>

#include <algorithm>
#include <thread>

#include "storage/byte_streams.h"
#include "storage/import.h"
#include "storage/part_crew.h"

namespace bridgehead::storage {

Status help_import(const ImportEnvironment& environment, const HelpRequest& request, const ProgressSink& progress,
                   std::stop_token stop) {
  const PoolLayout theirs(environment.layout.root(), request.leader.str());
  const auto self = participant(environment.layout);
  PartBook book(part_record(theirs, request.operation), self);
  auto plan = book.plan();
  const auto give_up = std::chrono::steady_clock::now() + request.patience;
  while (!plan && plan.error().code == ErrorCode::not_found) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    if (::access(environment.layout.golden_file(request.image.id).c_str(), F_OK) == 0) return {};  // it is done
    if (std::chrono::steady_clock::now() >= give_up) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    plan = book.plan();
  }
  if (!plan) return forward(plan);
  const auto& all = plan->participants;
  if (std::find(all.begin(), all.end(), self) == all.end()) return {};
  const PartWork work{.book = book,
                      .plan = *plan,
                      .self = self,
                      .file = theirs.staging(request.operation.str(), "raw"),
                      .open_source = [&request]() -> Result<ReadableImage> {
                        auto file = open_source_file(request.source_path);
                        return file ? open_raw_image(std::move(*file)) : forward(file);
                      },
                      .options = {.direct_io = environment.abilities.direct_io, .order = environment.order}};
  auto helped = work_on_parts(work, progress, std::move(stop));
  // The record or the file is gone: the leader has ended.
  if (!helped && helped.error().code == ErrorCode::not_found && !book.plan()) return {};
  return helped;
}

}  // namespace bridgehead::storage
