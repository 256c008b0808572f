/*
 * qwen_asr_map.c - a whole file, mapped or copied; the only code of the engine that opens files.
 *
 * Only regular files are accepted: a pipe or a device has no size that could be checked once and trusted afterwards.
 */
#include "qwen_asr_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define ALIGN 64u               /* what qwen_alloc promises */
#define READ_AT_ONCE (1u << 30) /* some systems refuse reads of 2 GiB and more */

static qwen_status copy_file(qwen_map *out, int fd, const char *path, size_t size, size_t skew, qwen_error *err) {
    const size_t lead =
        (ALIGN - skew % ALIGN) % ALIGN; /* block + lead + skew is aligned; close rounds data down to the block */
    size_t total = 0;
    unsigned char *block = qwen_add_ok(size, lead, &total) ? qwen_alloc(total, 1) : NULL;
    if (!block) return qwen_fail(err, QWEN_ERR_NOMEM, "%s: out of memory for %zu bytes", path, size);
    for (size_t done = 0; done < size;) {
        const ssize_t n = read(fd, block + lead + done, qwen_min_size(size - done, READ_AT_ONCE));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            const int reason = errno;
            qwen_free(block);
            if (n == 0)
                return qwen_fail(err, QWEN_ERR_IO, "%s: became shorter while it was read (%zu of %zu bytes)", path,
                                 done, size);
            return qwen_fail(err, QWEN_ERR_IO, "%s: cannot be read: %s", path, strerror(reason));
        }
        done += (size_t)n;
    }
    out->data = block + lead;
    out->size = size;
    out->copied = true;
    return QWEN_OK;
}

static qwen_status map_file(qwen_map *out, int fd, const char *path, size_t size, qwen_error *err) {
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return qwen_fail(err, QWEN_ERR_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    out->data = p;
    out->size = size;
    return QWEN_OK;
}

qwen_status qwen_map_open(qwen_map *out, const char *path, bool copy, size_t skew, qwen_error *err) {
    *out = (qwen_map){0};
    /* Without O_NONBLOCK the open of a named pipe would wait for a writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return qwen_fail(err, QWEN_ERR_IO, "%s: no such file", path);
        return qwen_fail(err, QWEN_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    qwen_status s = QWEN_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        s = qwen_fail(err, QWEN_ERR_IO, "%s: cannot be examined: %s", path, strerror(errno));
    } else if (S_ISDIR(info.st_mode)) {
        s = qwen_fail(err, QWEN_ERR_IO, "%s: is a directory, expected a file", path);
    } else if (!S_ISREG(info.st_mode)) {
        s = qwen_fail(err, QWEN_ERR_IO, "%s: is not a regular file", path);
    } else if (info.st_size < 0 || (uint64_t)info.st_size > SIZE_MAX) {
        s = qwen_fail(err, QWEN_ERR_IO, "%s: is too large for this machine (%lld bytes)", path,
                      (long long)info.st_size);
    } else if (info.st_size > 0) {
        const size_t size = (size_t)info.st_size;
        s = copy ? copy_file(out, fd, path, size, skew, err) : map_file(out, fd, path, size, err);
    }
    close(fd); /* a mapping stays without its descriptor */
    return s;
}

void qwen_map_close(qwen_map *m) {
    if (m->data && m->copied) {
        qwen_free((void *)((uintptr_t)m->data & ~(uintptr_t)(ALIGN - 1))); /* less than one line lies before data */
    } else if (m->data) {
        munmap((void *)(uintptr_t)m->data, m->size);
    }
    *m = (qwen_map){0};
}

bool qwen_path_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

qwen_status qwen_dir_check(const char *dir, qwen_error *err) {
    struct stat info;
    if (stat(dir, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return qwen_fail(err, QWEN_ERR_IO, "%s: no such directory", dir);
        return qwen_fail(err, QWEN_ERR_IO, "%s: cannot be examined: %s", dir, strerror(errno));
    }
    if (!S_ISDIR(info.st_mode))
        return qwen_fail(err, QWEN_ERR_IO, "%s: is a file, expected the directory of a model", dir);
    return QWEN_OK;
}

char *qwen_path_join(const char *dir, const char *name) {
    const size_t n_dir = strlen(dir), n_name = strlen(name);
    const size_t slash = n_dir > 0 && dir[n_dir - 1] != '/';
    size_t n = 0;
    if (!qwen_add_ok(n_dir, n_name, &n) || !qwen_add_ok(n, slash + 1, &n)) return NULL;
    char *path = qwen_alloc(n, 1);
    if (!path) return NULL;
    memcpy(path, dir, n_dir);
    if (slash) path[n_dir] = '/';
    memcpy(path + n_dir + slash, name, n_name + 1);
    return path;
}
