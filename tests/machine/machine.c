/* A machine that fails: preloaded into the daemon, or into a simulation of it, it stands between it and the system's
 * library.
 *
 * MACHINE_CONTROL  a file that tests write to while it runs, as `struct control`
 * MACHINE_LOG      a file that gets every write, cut, sync and removal below MACHINE_FOLDER, in order
 * MACHINE_FOLDER   the storage
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int64_t clock_micros; /* by how much the clock is off */
    int32_t sync_fails;   /* whether a sync fails, as that of a broken disk does */
    int32_t write_fails;  /* the error with which a write fails, EROFS or ENOSPC, or 0 */
    int32_t dead;         /* whether nothing more reaches the disk: the process is to be killed */
    int32_t syncs_nothing; /* whether a sync is only written down, and does nothing */
    int64_t dies_in;      /* after how many writes, cuts, syncs and removals it is dead; 0: never */
};

/* One thing done to a file; its path and its bytes follow. */
struct record {
    uint64_t kind; /* 'W'rite, 'T'runcate, 'S'ync, 'U'nlink */
    uint64_t path_length;
    uint64_t offset;
    uint64_t length;
};

static struct control nothing;
static volatile struct control *control = &nothing;
static int log_file = -1;
static const char *folder;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_write = dlsym(RTLD_NEXT, "write");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    folder = getenv("MACHINE_FOLDER");
    const char *path = getenv("MACHINE_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) control = page;
    }
    path = getenv("MACHINE_LOG");
    if (path) log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The path of an open file below the folder, or none. */
static int is_kept(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0 || !folder) return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

static void note(uint64_t kind, const char *path, const void *bytes, uint64_t length, uint64_t offset) {
    if (log_file < 0) return;
    struct record record = {kind, strlen(path), offset, length};
    struct iovec parts[3] = {
        {&record, sizeof record}, {(void *)path, record.path_length}, {(void *)bytes, bytes ? length : 0}};
    if (writev(log_file, parts, 3) < 0) abort();
}

/* Whether this deed comes too late. Called with the lock held. */
static int is_dead(void) {
    if (!control->dead && control->dies_in > 0 && --control->dies_in == 0) control->dead = 1;
    return control->dead;
}

/* Does `deed`, which says how it ended, unless it comes too late; and writes it down. */
#define DO(deed, succeeded, kind, path, bytes, length, offset) \
    pthread_mutex_lock(&one_at_a_time); \
    int dead = is_dead(); \
    ssize_t done = dead ? -1 : (deed); \
    if (succeeded) note(kind, path, bytes, length, offset); \
    pthread_mutex_unlock(&one_at_a_time); \
    if (dead) errno = EIO; \
    return done

#define REAL(name, other) (name ? name : (name = dlsym(RTLD_NEXT, other)))

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) {
    char path[PATH_MAX];
    REAL(real_pwrite, "pwrite");
    if (!is_kept(file, path)) return real_pwrite(file, bytes, length, offset);
    if (control->write_fails) return errno = control->write_fails, -1;
    DO(real_pwrite(file, bytes, length, offset), done > 0, 'W', path, bytes, done, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off_t offset) {
    return pwrite(file, bytes, length, offset);
}

ssize_t write(int file, const void *bytes, size_t length) {
    char path[PATH_MAX];
    REAL(real_write, "write");
    off_t offset = lseek(file, 0, SEEK_CUR);
    if (offset < 0 || !is_kept(file, path)) return real_write(file, bytes, length);
    if (control->write_fails) return errno = control->write_fails, -1;
    DO(real_write(file, bytes, length), done > 0, 'W', path, bytes, done, offset);
}

int fsync(int file) {
    char path[PATH_MAX];
    REAL(real_fsync, "fsync");
    if (!is_kept(file, path)) return real_fsync(file);
    if (control->sync_fails) return errno = EIO, -1;
    /* What is written while it syncs is not synced by it. */
    DO(control->syncs_nothing ? 0 : real_fsync(file), done == 0, 'S', path, NULL, 0, 0);
}

int fdatasync(int file) { return fsync(file); }

int ftruncate(int file, off_t length) {
    char path[PATH_MAX];
    REAL(real_ftruncate, "ftruncate");
    if (!is_kept(file, path)) return real_ftruncate(file, length);
    DO(real_ftruncate(file, length), done == 0, 'T', path, NULL, length, 0);
}

int ftruncate64(int file, off_t length) { return ftruncate(file, length); }

int unlink(const char *path) {
    REAL(real_unlink, "unlink");
    int kept = folder && strncmp(path, folder, strlen(folder)) == 0;
    if (!kept) return real_unlink(path);
    DO(real_unlink(path), done == 0, 'U', path, NULL, 0, 0);
}

int clock_gettime(clockid_t which, struct timespec *time) {
    REAL(real_clock_gettime, "clock_gettime");
    int done = real_clock_gettime(which, time);
    int64_t off = control->clock_micros;
    if (done == 0 && off && which == CLOCK_REALTIME) {
        int64_t micros = time->tv_sec * 1000000LL + time->tv_nsec / 1000 + off;
        time->tv_sec = micros / 1000000;
        time->tv_nsec = micros % 1000000 * 1000;
    }
    return done;
}
