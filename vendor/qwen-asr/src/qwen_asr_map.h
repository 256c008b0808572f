/*
 * qwen_asr_map.h - a whole file, read-only, mapped or copied. Rank 1.
 */
#ifndef QWEN_ASR_MAP_H
#define QWEN_ASR_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "qwen_asr_status.h"

typedef struct qwen_map {
    const unsigned char *data; /* [size]; NULL for an empty file */
    size_t size;
    bool copied; /* data is a copy in memory, not a mapping */
} qwen_map;

/* Maps the regular file at path (copy: reads it into memory so that data + skew is 64-byte aligned, skew < 64).
 * Errors name the path and the reason: missing, a directory, not readable. A zero map is left behind on failure. */
qwen_status qwen_map_open(qwen_map *out, const char *path, bool copy, size_t skew, qwen_error *err);

/* Safe on a zero-initialised map. */
void qwen_map_close(qwen_map *m);

/* True if a file (of any kind) exists at path. */
bool qwen_path_exists(const char *path);

/* QWEN_OK if dir is a directory, else a sentence that says whether it is missing or something else. */
qwen_status qwen_dir_check(const char *dir, qwen_error *err);

/* "dir/name" in a new qwen_alloc block, or NULL. */
char *qwen_path_join(const char *dir, const char *name);

#endif
