// nfs_mount SERVER:/EXPORT POINT: an NFS export as a file system, by libnfs and FUSE, where the kernel has no NFS
// client. For measuring only: locks are this host's own, there are no owners and no times. Data is safe after fsync, as
// with the kernel's client. Several connections, as with nconnect; each has one request at a time. Goes to the
// background.
#define FUSE_USE_VERSION 35
#include <fuse.h>
#include <nfsc/libnfs.h>

#include <fcntl.h>
#include <sys/statvfs.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

namespace {

constexpr unsigned kConnections = 8;
constexpr unsigned kLargest = 1 << 20;  // of one read or write

struct Connection {
  std::mutex mutex;
  nfs_context* nfs = nullptr;
};
std::array<Connection, kConnections> connections;
std::atomic<unsigned> next_connection;

struct OpenFile {
  Connection& connection;
  nfsfh* handle;
};

Connection& any_connection() { return connections[next_connection++ % kConnections]; }

// With one of the connections, which is nobody else's meanwhile.
template <typename Call>
int with_connection(Call call) {
  auto& connection = any_connection();
  const std::scoped_lock lock(connection.mutex);
  return call(connection.nfs);
}

template <typename Call>
int with_file(const fuse_file_info* info, Call call) {
  const auto& file = *reinterpret_cast<OpenFile*>(info->fh);
  const std::scoped_lock lock(file.connection.mutex);
  return call(file.connection.nfs, file.handle);
}

int keep(Connection& connection, nfsfh* handle, fuse_file_info* info) {
  info->fh = reinterpret_cast<std::uint64_t>(new OpenFile{connection, handle});
  return 0;
}

int get_attributes(const char* path, struct stat* to, fuse_file_info* /*info*/) {
  nfs_stat_64 from{};
  const int failed = with_connection([&](nfs_context* nfs) { return nfs_lstat64(nfs, path, &from); });
  if (failed != 0) return failed;
  to->st_ino = from.nfs_ino;
  to->st_mode = static_cast<mode_t>(from.nfs_mode);
  to->st_nlink = from.nfs_nlink;
  to->st_uid = static_cast<uid_t>(from.nfs_uid);
  to->st_gid = static_cast<gid_t>(from.nfs_gid);
  to->st_size = static_cast<off_t>(from.nfs_size);
  to->st_blocks = static_cast<blkcnt_t>(from.nfs_blocks);
  to->st_blksize = kLargest;
  to->st_mtim = {static_cast<time_t>(from.nfs_mtime), static_cast<long>(from.nfs_mtime_nsec)};
  to->st_ctim = {static_cast<time_t>(from.nfs_ctime), static_cast<long>(from.nfs_ctime_nsec)};
  return 0;
}

int read_directory(const char* path, void* to, fuse_fill_dir_t fill, off_t /*offset*/, fuse_file_info* /*info*/,
                   fuse_readdir_flags /*flags*/) {
  return with_connection([&](nfs_context* nfs) {
    nfsdir* directory = nullptr;
    if (const int failed = nfs_opendir(nfs, path, &directory); failed != 0) return failed;
    while (const auto* entry = nfs_readdir(nfs, directory)) fill(to, entry->name, nullptr, 0, fuse_fill_dir_flags{});
    nfs_closedir(nfs, directory);
    return 0;
  });
}

int make_directory(const char* path, mode_t mode) {
  return with_connection([&](nfs_context* nfs) { return nfs_mkdir2(nfs, path, static_cast<int>(mode)); });
}
int remove_directory(const char* path) {
  return with_connection([&](nfs_context* nfs) { return nfs_rmdir(nfs, path); });
}
int remove_file(const char* path) {
  return with_connection([&](nfs_context* nfs) { return nfs_unlink(nfs, path); });
}
int rename_file(const char* from, const char* to, unsigned flags) {
  if (flags != 0) return -EINVAL;
  return with_connection([&](nfs_context* nfs) { return nfs_rename(nfs, from, to); });
}
int link_file(const char* from, const char* to) {
  return with_connection([&](nfs_context* nfs) { return nfs_link(nfs, from, to); });
}
int change_mode(const char* path, mode_t mode, fuse_file_info* /*info*/) {
  return with_connection([&](nfs_context* nfs) { return nfs_chmod(nfs, path, static_cast<int>(mode)); });
}
int set_size(const char* path, off_t size, fuse_file_info* /*info*/) {
  return with_connection([&](nfs_context* nfs) { return nfs_truncate(nfs, path, static_cast<std::uint64_t>(size)); });
}
int look_at_space(const char* path, struct statvfs* to) {
  return with_connection([&](nfs_context* nfs) { return nfs_statvfs(nfs, path, to); });
}

int create_file(const char* path, mode_t mode, fuse_file_info* info) {
  auto& connection = any_connection();
  const std::scoped_lock lock(connection.mutex);
  nfsfh* handle = nullptr;
  const int failed =
      nfs_create(connection.nfs, path, O_RDWR | (info->flags & (O_EXCL | O_TRUNC)), static_cast<int>(mode), &handle);
  return failed != 0 ? failed : keep(connection, handle, info);
}
int open_it(const char* path, fuse_file_info* info) {
  auto& connection = any_connection();
  const std::scoped_lock lock(connection.mutex);
  nfsfh* handle = nullptr;
  const int failed = nfs_open(connection.nfs, path, info->flags & (O_ACCMODE | O_TRUNC), &handle);
  return failed != 0 ? failed : keep(connection, handle, info);
}
int read_file(const char* /*path*/, char* to, std::size_t size, off_t at, fuse_file_info* info) {
  return with_file(info, [&](nfs_context* nfs, nfsfh* file) {
    return nfs_pread(nfs, file, static_cast<std::uint64_t>(at), size, to);
  });
}
int write_file(const char* /*path*/, const char* from, std::size_t size, off_t at, fuse_file_info* info) {
  return with_file(info, [&](nfs_context* nfs, nfsfh* file) {
    return nfs_pwrite(nfs, file, static_cast<std::uint64_t>(at), size, const_cast<char*>(from));
  });
}
int make_safe(const char* /*path*/, int /*data_only*/, fuse_file_info* info) {
  return with_file(info, [](nfs_context* nfs, nfsfh* file) { return nfs_fsync(nfs, file); });
}
int close_file(const char* /*path*/, fuse_file_info* info) {
  const std::unique_ptr<OpenFile> file(reinterpret_cast<OpenFile*>(info->fh));
  const std::scoped_lock lock(file->connection.mutex);
  return nfs_close(file->connection.nfs, file->handle);
}

std::string server, exported;

// In the process that stays: threads don't survive the way to the background.
void* connect(fuse_conn_info* limits, fuse_config* config) {
  limits->max_write = kLargest;
  limits->max_read = kLargest;
  limits->max_readahead = kLargest;
  config->use_ino = 1;
  for (auto& connection : connections) {
    connection.nfs = nfs_init_context();
    if (connection.nfs != nullptr && nfs_mount(connection.nfs, server.c_str(), exported.c_str()) == 0) continue;
    std::fprintf(stderr, "nfs_mount: %s: %s\n", server.c_str(),
                 connection.nfs != nullptr ? nfs_get_error(connection.nfs) : "no memory");
    fuse_exit(fuse_get_context()->fuse);
    break;
  }
  return nullptr;
}

}  // namespace

int main(int count, char** words) {
  const std::string source = count == 3 ? words[1] : "";
  const auto colon = source.find(":/");
  if (colon == std::string::npos) {
    std::fputs("usage: nfs_mount SERVER:/EXPORT POINT\n", stderr);
    return 2;
  }
  server = source.substr(0, colon);
  exported = source.substr(colon + 1);
  fuse_operations operations{};
  operations.init = connect;
  operations.getattr = get_attributes;
  operations.readdir = read_directory;
  operations.mkdir = make_directory;
  operations.rmdir = remove_directory;
  operations.unlink = remove_file;
  operations.rename = rename_file;
  operations.link = link_file;
  operations.chmod = change_mode;
  operations.truncate = set_size;
  operations.statfs = look_at_space;
  operations.create = create_file;
  operations.open = open_it;
  operations.read = read_file;
  operations.write = write_file;
  operations.fsync = make_safe;
  operations.release = close_file;
  std::string options = "allow_other,max_read=" + std::to_string(kLargest) + ",subtype=nfs,fsname=" + source;
  std::array<char*, 4> arguments{words[0], words[2], const_cast<char*>("-o"), options.data()};
  return fuse_main(static_cast<int>(arguments.size()), arguments.data(), &operations, nullptr);
}
