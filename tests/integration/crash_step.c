// Preloaded into a daemon by crash_test: kills it (SIGKILL) just before or just after its N-th durable step from now,
// whichever thread takes it. (strace's inject=...:when=N counts for each thread apart, and QEMU would inherit its
// filter.)
//
// Durable steps: fsync, fdatasync, rename, unlink, and the first write after a sync, where a journal's commit begins.
// What the daemon starts doesn't inherit this. Control is a file that both sides map (struct Control).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct Control {
  atomic_uint armed;   // 1 = steps are counted
  atomic_uint taken;   // steps begun so far
  atomic_uint deadly;  // 2N-1 = die before step N, 2N = after it, 0 = live
  char where[500];     // the step it died at: "before rename /a/b"
};

static struct Control* control;
static atomic_uint unsynced;
static pid_t daemon_pid;

__attribute__((constructor)) static void attach(void) {
  const char* path = getenv("CRASH_STEP_CONTROL");
  const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd >= 0) {
    void* place = mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place != MAP_FAILED) control = place;
    close(fd);
  }
  daemon_pid = getpid();
  unsetenv("LD_PRELOAD");
  unsetenv("CRASH_STEP_CONTROL");
}

static void die_at(unsigned moment, const char* when, const char* call, const char* path) {
  if (moment != atomic_load(&control->deadly)) return;
  snprintf(control->where, sizeof control->where, "%s %s %s", when, call, path);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// The step's number; 0 = nobody counts, or this is a child between fork and exec.
static unsigned begin(const char* call, const char* path) {
  if (!control || !atomic_load(&control->armed) || getpid() != daemon_pid) return 0;
  const unsigned number = atomic_fetch_add(&control->taken, 1) + 1;
  die_at(2 * number - 1, "before", call, path);
  return number;
}

static void end(unsigned number, const char* call, const char* path) {
  if (number != 0) die_at(2 * number, "after", call, path);
}

static const char* path_of(int fd, char path[400]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, 399);
  path[length < 0 ? 0 : length] = '\0';
  return path;
}

// Defines NAME as the C library's function of that name, taken as a step.
#define STEP(name, parameters, arguments, path)                         \
  int name parameters {                                                 \
    char text[400];                                                     \
    (void)text;                                                         \
    __typeof__(&name) real = (__typeof__(real))dlsym(RTLD_NEXT, #name); \
    const char* where = path;                                           \
    const unsigned number = begin(#name, where);                        \
    const int result = real arguments;                                  \
    end(number, #name, where);                                          \
    return result;                                                      \
  }

STEP(rename, (const char* from, const char* to), (from, to), to)
STEP(unlink, (const char* path), (path), path)
STEP(unlinkat, (int fd, const char* path, int flags), (fd, path, flags), path)
STEP(fsync, (int fd), (fd), (atomic_store(&unsynced, 0), path_of(fd, text)))
STEP(fdatasync, (int fd), (fd), (atomic_store(&unsynced, 0), path_of(fd, text)))

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  char path[400];
  __typeof__(&pwrite64) real = (__typeof__(real))dlsym(RTLD_NEXT, "pwrite64");
  if (!atomic_exchange(&unsynced, 1)) begin("write", path_of(fd, path));
  return real(fd, bytes, count, offset);
}
