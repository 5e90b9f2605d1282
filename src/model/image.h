// Disk images: golden (read-only, cloned from) and disks (each belongs to one VM).
#pragma once

#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "model/ids.h"

namespace bridgehead::model {

enum class ImageRole { golden, disk };
enum class ImageFormat { raw, qcow2, vmdk, vdi, vhdx };
// How a new image is spread over a file system's storage targets, where that can be told. automatic: golden images
// wide, disks by their size. narrow, wide: on one or on all OSTs of a Lustre; on CephFS one or four objects at a time.
enum class LayoutWish { automatic, narrow, wide };
enum class ImageState { creating, ready, failed, deleting };

struct Image {
  ImageId id;
  std::string name;
  ImageRole role = ImageRole::golden;
  PoolId pool;
  NodeId node;                            // the node whose local pool holds it; empty for a shared pool
  ImageFormat format = ImageFormat::raw;  // as stored: golden is always raw, a disk raw (reflink) or qcow2 (overlay)
  ImageState state = ImageState::creating;
  std::string message;  // why it failed
  Bytes virtual_size;   // what a guest sees
  Bytes allocated;      // what it takes in the pool
  std::string sha256;   // golden: of the raw content, hex; empty where not computed
  std::string source;   // golden: where it came from, for people
  ImageId parent;       // disk: the golden image it was cloned from; empty = blank disk
  VmId vm;              // disk: its owner; empty = detached
  LayoutWish layout = LayoutWish::automatic;
  Timestamp created{};

  bool operator==(const Image&) const = default;
};

// Where an import takes its bytes from.
enum class ImageSourceKind {
  upload,  // sent by the client with PUT /uploads/{operation}
  url,     // fetched by the node: http or https
  path,    // a file below one of the node's import directories
  image,   // a golden image of another pool on the same node
};

struct ImageSource {
  ImageSourceKind kind = ImageSourceKind::upload;
  std::string location;  // url or path; upload: the client's file name, for people; image: empty
  ImageId image;
  std::string sha256;  // expected, of the bytes as sent (before decompression); empty = not checked
  Bytes size;          // upload: number of bytes that will come; 0 = unknown

  bool operator==(const ImageSource&) const = default;
};

}  // namespace bridgehead::model
