// PartCrew: one process's part in an import that is made in parts. It takes parts that nobody has, copies each from the
// source, syncs it and notes it in the PartBook, until none is left; then, or when others hold the rest, it reads back
// what others have written and compares. Several processes, on any nodes, may do so for one staged file: who dies loses
// its claims, and the others take its parts.
//
// Two at once for one part (a claim was lost on the way, or the file system's locks don't reach over nodes) write the
// same bytes: the source is the same for all (PartPlan::source), and what it holds decides where holes are.
//
// The leader is the one that will publish the file. It is content with a part that it has written itself since it
// began, or that somebody read back who hasn't written it; so after a crash it reads back what it had done before.
// One call, its own threads. Errors: data_corrupt (another content was read back; the source changed), not_found (there
// is no plan any more), cancelled, those of the copy engine. What is done stays for the next try.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

#include "base/progress.h"
#include "storage/part_book.h"

namespace bridgehead::storage {

struct PartWork {
  PartBook& book;
  PartPlan plan;
  std::string self;  // one of plan.participants
  std::filesystem::path file;
  std::function<Result<ReadableImage>()> open_source;
  CopyOptions options;
  // A part that another process has claimed and doesn't end (some file systems keep a dead host's locks for hours) is
  // done by the leader, too, when nothing else is left for so long, and for four times what its own slowest part took.
  std::chrono::milliseconds patience{std::chrono::seconds(30)};
  std::chrono::milliseconds look{500};  // at the others' records, while there is nothing to do
};

Status work_on_parts(const PartWork& work, const ProgressSink& progress, std::stop_token stop);

}  // namespace bridgehead::storage
