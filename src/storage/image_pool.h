// ImagePool: what a node does with the images of one pool. Runs on the agent's workers: any call may block for long.
// Thread-safe; calls on different images run in parallel. Every call is idempotent: done twice, or again after a crash
// in its middle, it ends in the same state. A half-made image is never visible under its final name. Drivers pass the
// conformance suite in testing/pool_conformance.h.
//
// Layout of a pool's directory (all drivers):
//   bridgehead-pool.json       whose pool this is: {"pool": "<id>"}; another pool's directory is refused
//   golden/<image id>.raw      read-only (0444)
//   disks/<image id>.{raw,qcow2}
//   disks/<image id>.incomplete   beside a disk that QEMU is still copying into; that disk counts as not there.
//                                 Holds the id of the copy's operation; its name ends in .copied when it is whole
//   nodes/<node id>.beat       what the node's agent counts up while it lives
//   leases/<vm id>.json        {"vm","node","token","terms",..}: the fencing stamp, beside the disks
//   tmp/<operation id>.*       being made; removed after any crash. Shared pools: tmp/<node>/..., each node its own
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "model/image.h"
#include "model/layout.h"
#include "model/pool.h"
#include "model/vm.h"

namespace bridgehead::storage {

// What hypervisor and agent need to know about a stored image.
struct StoredImage {
  std::filesystem::path path;
  model::ImageFormat format = model::ImageFormat::raw;
  Bytes virtual_size;
  Bytes allocated;
  std::string sha256;  // golden, after import: of the raw content
};

// Bytes that come as a stream (an upload). Blocks; empty = the end; an error = the sender gave up or was cut off.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  virtual Result<std::string> read() = 0;
};

struct ImportRequest {
  model::OperationId operation;
  model::Image image;  // id is where it will be published as golden
  model::ImageSource source;
  std::filesystem::path source_path;   // kinds path and image: the file, already checked to be allowed
  ByteStream* upload = nullptr;        // kind upload
  std::vector<model::NodeId> helpers;  // kind image, shared pools: who may help by help_import
  // Asked when it was stopped: true = not for good (the agent stops), so what is done may stay for the same operation's
  // next try.
  std::function<bool()> leaving = [] { return false; };
};

// Another node's import that this node helps with.
struct HelpRequest {
  model::OperationId operation;
  model::NodeId leader;
  model::Image image;
  std::filesystem::path source_path;
  std::chrono::milliseconds patience{std::chrono::minutes(10)};  // for the leader to begin
};

// A disk that comes from another pool, in a file of this node that nobody writes meanwhile.
struct DiskCopy {
  model::OperationId operation;
  model::Image disk;
  std::filesystem::path source;  // may have a golden image under it
  model::ImageFormat format = model::ImageFormat::raw;
  Bytes size;
};

class ImagePool {
 public:
  virtual ~ImagePool() = default;

  // Every call on a pool that isn't attached fails with failed_precondition, and with unavailable where its file system
  // is no longer mounted: never with not_found, never as if an image or a stamp weren't there.

  // Makes the directory's layout, finds the abilities by trial, measures the space. Not ready is a value with a
  // message.
  virtual model::PoolOnNode attach() = 0;
  // Lets go of it: unmounts what attach mounted. No guest may use it any more.
  virtual Status detach() = 0;
  virtual Result<model::PoolOnNode> status() const = 0;  // space now, abilities as found at attach
  // Its directory, where it is attached and still mounted: for what isn't about images (benchmarks).
  virtual Result<std::filesystem::path> directory() const = 0;

  // Import to a published, read-only raw golden image: fetched or received, probed by content, refused if hostile (see
  // image_probe.h), decompressed, converted, holes kept, checksum verified, synced, published by rename.
  // The same operation again returns what is published. Errors: data_corrupt (checksum, truncated), unsupported or
  // permission_denied (hostile header), resource_exhausted (no space), cancelled; nothing is left behind. After a crash
  // the same operation goes on with what was done, where its source can be read again from a position.
  virtual Result<StoredImage> import_golden(const ImportRequest& request, const ProgressSink& progress,
                                            std::stop_token stop) = 0;

  // Copies parts of what another node imports, until none is left or the import has ended, either way. What it has
  // copied counts even if it fails then.
  virtual Status help_import(const HelpRequest& request, const ProgressSink& progress, std::stop_token stop) = 0;

  // A VM's disk: a clone of `golden` by the best way this pool has, or blank if null; at least `size` large.
  virtual Result<StoredImage> create_disk(const model::Image& disk, const model::Image* golden, Bytes size) = 0;
  // Grows an offline disk; smaller is refused with invalid_argument. (A running guest's disk grows through QEMU.)
  virtual Result<StoredImage> grow_disk(const model::Image& disk, Bytes size) = 0;
  // A whole copy under the same id: the content of its golden image, if it has one, is in it. Its format stays, its
  // holes are kept, what was written is compared with the source. Published when it is complete; one that is there is
  // replaced. Errors as import_golden's; failed_precondition when a guest has the source open.
  virtual Result<StoredImage> copy_disk(const DiskCopy& copy, const ProgressSink& progress, std::stop_token stop) = 0;
  // The place for a copy that QEMU makes while the guest runs: blank, under its final name, not seen by inspect until
  // end_copy. What an earlier attempt left is replaced.
  virtual Result<StoredImage> begin_copy(const model::OperationId& operation, const model::Image& disk,
                                         model::ImageFormat format, Bytes size) = 0;
  // Durable when it returns; again is success. not_found: no copy was begun, or it was removed.
  virtual Status end_copy(const model::Image& disk) = 0;
  virtual Status reopen_copy(const model::Image& disk) = 0;  // undoes end_copy; where there is none it is success
  // Whose copy the disk is, where it is whole; nothing where it was made otherwise, or isn't there.
  virtual Result<std::optional<model::OperationId>> copied_by(const model::Image& disk) const = 0;
  // An offline disk becomes independent of its golden image, in its place. Cut off at any time it is as good as before.
  virtual Result<StoredImage> flatten_disk(const model::Image& disk, const ProgressSink& progress,
                                           std::stop_token stop) = 0;
  virtual Result<StoredImage> inspect(const model::Image& image) const = 0;  // not_found when it isn't published
  virtual Status remove(const model::Image& image) = 0;                      // missing is success

  // Streams a golden or (offline) disk image out as raw or qcow2; `sink` false = the receiver is gone.
  virtual Status export_image(const model::Image& image, model::ImageFormat format,
                              const std::function<bool(std::string_view)>& sink, const ProgressSink& progress,
                              std::stop_token stop) const = 0;

  // Where these images lie, those of them that are there, and the state of all storage targets.
  virtual Result<model::PoolSurvey> survey(const std::vector<model::Image>& images) const = 0;

  // Compare and swap, by model::judge_stamp: failed_precondition where that refuses. Durable when it returns. The same
  // stamp again is success.
  virtual Status stamp_lease(const model::LeaseClaim& claim) = 0;
  // What the stamp of this very lease says of its terms, from now on. Durable when it returns. Another one stays:
  // failed_precondition if the guest may be coming in there from this lease, else not_found, as where there is none.
  virtual Status change_terms(const model::LeaseClaim& own) = 0;
  virtual Result<std::optional<model::LeaseStamp>> read_lease(const model::VmId& vm) const = 0;
  virtual Status remove_lease(const model::VmId& vm) = 0;

  // What a node's agent counts up here, so that others see that it lives: one small file for each node. It counts from
  // when others can read it. read_beat: not_found where the node never wrote.
  virtual Status write_beat(const model::NodeId& node, std::uint64_t count) = 0;
  virtual Result<std::uint64_t> read_beat(const model::NodeId& node) const = 0;

  // Claims against a node, by their numbers: the manager takes guests from it. They count from when others can read
  // them. read_claims reads the storage, no cache, and makes the file where there is none, so that it never looks for
  // another one afterwards; unsupported where that can't be done. A claim that is removed late takes no other along.
  virtual Status write_claim(const model::NodeId& node, std::uint64_t claim) = 0;
  virtual Status remove_claim(const model::NodeId& node, std::uint64_t claim) = 0;
  virtual Result<std::vector<std::uint64_t>> read_claims(const model::NodeId& node) const = 0;

  // Removes what operations that aren't in `alive` left in tmp/.
  virtual Status collect_garbage(const std::function<bool(const model::OperationId&)>& alive) = 0;
};

// What the drivers of shared pools need to know of this node.
struct PoolHost {
  std::filesystem::path mounts;  // pools are mounted below it, by their ids
  std::string node;              // its id: where its unfinished files are in a shared pool
};

// The driver for pool.driver. Which import paths are allowed isn't its business; the agent checks paths first.
Result<std::unique_ptr<ImagePool>> open_pool(const model::Pool& pool, const PoolHost& host = {});

}  // namespace bridgehead::storage
