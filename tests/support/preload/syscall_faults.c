// SPDX-License-Identifier: GPL-2.0
// Preloaded into the command under test: counts the system calls that change what outlives the process (or all
// that can fail) and ends the process before the n-th of them, or makes that one fail.
//
//   EGRESS_FAULT_AT=N       the call to hit, from 1; 0 hits none
//   EGRESS_FAULT_ERRNO=E    fails it with E; 0 kills the process instead
//   EGRESS_FAULT_CALLS=changes|all
//   EGRESS_FAULT_LOG=FILE   the call that was hit is named there; with N=0, how many calls there were
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static long counted;

static long setting(const char *name) {
  const char *text = getenv(name);
  return text ? strtol(text, NULL, 10) : 0;
}

static bool counts_all(void) {
  const char *calls = getenv("EGRESS_FAULT_CALLS");
  return calls && strcmp(calls, "all") == 0;
}

static void log_line(const char *text, long number) {
  char line[64];
  const int length = snprintf(line, sizeof line, "%s %ld\n", text, number);
  const char *path = getenv("EGRESS_FAULT_LOG");
  const int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  if (write(fd, line, (size_t)length) < 0) abort();
  close(fd);
}

__attribute__((destructor)) static void log_count(void) {
  if (setting("EGRESS_FAULT_AT") == 0) log_line("calls", counted);
}

/// True if the call has to fail, errno is set then.
static bool is_hit(const char *call, int command) {
  if (++counted != setting("EGRESS_FAULT_AT")) return false;
  log_line(call, command);
  const int error = (int)setting("EGRESS_FAULT_ERRNO");
  if (error == 0) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  errno = error;
  return true;
}

static bool outlives_the_process(int command) {
  switch (command) {
    case BPF_MAP_UPDATE_ELEM:
    case BPF_MAP_DELETE_ELEM:
    case BPF_MAP_LOOKUP_AND_DELETE_ELEM:
    case BPF_MAP_UPDATE_BATCH:
    case BPF_MAP_DELETE_BATCH:
    case BPF_MAP_FREEZE:
    case BPF_OBJ_PIN:
    case BPF_PROG_ATTACH:
    case BPF_PROG_DETACH:
    case BPF_PROG_TEST_RUN:
    case BPF_RAW_TRACEPOINT_OPEN:
    case BPF_LINK_CREATE:
    case BPF_LINK_UPDATE:
    case BPF_LINK_DETACH:
      return true;
    default:
      return false;
  }
}

typedef long syscall_function(long, ...);
typedef int rename_function(int, const char *, int, const char *);
typedef int unlink_function(int, const char *, int);
typedef int mkdir_function(int, const char *, mode_t);
typedef int rmdir_function(const char *);
typedef void *mmap_function(void *, size_t, int, int, int, off_t);

long syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; ++i) arguments[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_bpf) {
    const int command = (int)arguments[0];
    // Without BTF libbpf goes on, and the verifier walks global functions once for every call of them: minutes.
    const bool can_fail = counts_all() && command != BPF_BTF_LOAD;
    if ((can_fail || outlives_the_process(command)) && is_hit("bpf", command)) return -1;
  }
  static syscall_function *next;
  if (!next) next = (syscall_function *)dlsym(RTLD_NEXT, "syscall");
  return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

int renameat(int from, const char *old_name, int to, const char *new_name) {
  if (is_hit("renameat", 0)) return -1;
  return ((rename_function *)dlsym(RTLD_NEXT, "renameat"))(from, old_name, to, new_name);
}

int unlinkat(int directory, const char *name, int flags) {
  if (is_hit("unlinkat", flags)) return -1;
  return ((unlink_function *)dlsym(RTLD_NEXT, "unlinkat"))(directory, name, flags);
}

int mkdirat(int directory, const char *name, mode_t mode) {
  if (is_hit("mkdirat", 0)) return -1;
  return ((mkdir_function *)dlsym(RTLD_NEXT, "mkdirat"))(directory, name, mode);
}

int rmdir(const char *path) {
  if (is_hit("rmdir", 0)) return -1;
  return ((rmdir_function *)dlsym(RTLD_NEXT, "rmdir"))(path);
}

static void *mapped(const char *call, void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  if (fd >= 0 && (flags & MAP_SHARED) && counts_all() && is_hit("mmap", 0)) return MAP_FAILED;
  return ((mmap_function *)dlsym(RTLD_NEXT, call))(at, length, protection, flags, fd, offset);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  return mapped("mmap", at, length, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  return mapped("mmap64", at, length, protection, flags, fd, offset);
}
