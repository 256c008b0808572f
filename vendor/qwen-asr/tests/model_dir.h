/*
 * model_dir.h - throw-away model directories for tests: a copy of a real one in which one file is replaced, changed or
 * gone.
 *
 *     char dir[MODEL_DIR_MAX];
 *     model_dir_copy(dir, "parity/tiny-a");               // below check_data(); plain files only, no golden/
 *     model_dir_replace(dir, "config.json", "\"d_model\": 64", "\"d_model\": 0");
 *     ...
 *     model_dir_remove(dir);
 *
 * Everything lies below TMPDIR or /tmp. A helper that cannot do its work ends the program: the test is then broken, not
 * the engine.
 */
#ifndef QWEN_MODEL_DIR_H
#define QWEN_MODEL_DIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define MODEL_DIR_MAX 512
#define MODEL_PATH_MAX (MODEL_DIR_MAX + 256)

static inline void model_dir_die(const char *what, const char *path) {
    fprintf(stderr, "test directory: cannot %s %s\n", what, path);
    exit(2);
}

/* path [MODEL_PATH_MAX] = dir/name. */
static inline const char *model_dir_path(char *path, const char *dir, const char *name) {
    if (snprintf(path, MODEL_PATH_MAX, "%s/%s", dir, name) >= MODEL_PATH_MAX) model_dir_die("name", name);
    return path;
}

/* dir [MODEL_DIR_MAX] = a new empty directory. */
static inline void model_dir_new(char *dir) {
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, MODEL_DIR_MAX, "%s/qwen-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) model_dir_die("create", dir);
}

/* Removes dir and the plain files and pipes in it. */
static inline void model_dir_remove(const char *dir) {
    char path[MODEL_PATH_MAX];
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            unlink(model_dir_path(path, dir, e->d_name)) != 0)
            rmdir(path);
    closedir(d);
    rmdir(dir);
}

/* The bytes of dir/name in a malloc block that ends with a NUL. */
static inline char *model_dir_read(const char *dir, const char *name, size_t *n) {
    char path[MODEL_PATH_MAX];
    FILE *f = fopen(model_dir_path(path, dir, name), "rb");
    struct stat info;
    if (!f || fstat(fileno(f), &info) != 0) model_dir_die("open", path);
    *n = (size_t)info.st_size;
    char *bytes = malloc(*n + 1);
    if (!bytes || fread(bytes, 1, *n, f) != *n) model_dir_die("read", path);
    fclose(f);
    bytes[*n] = '\0';
    return bytes;
}

/* Writes dir/name, replacing what was there. */
static inline void model_dir_write(const char *dir, const char *name, const void *bytes, size_t n) {
    char path[MODEL_PATH_MAX];
    FILE *f = fopen(model_dir_path(path, dir, name), "wb");
    if (!f || (n && fwrite(bytes, 1, n, f) != n) || fclose(f) != 0) model_dir_die("write", path);
}

static inline void model_dir_drop(const char *dir, const char *name) {
    char path[MODEL_PATH_MAX];
    if (unlink(model_dir_path(path, dir, name)) != 0) model_dir_die("remove", path);
}

/* dir [MODEL_DIR_MAX] = a copy of the plain files of from, a directory below check_data(). */
static inline void model_dir_copy(char *dir, const char *from) {
    char source[MODEL_DIR_MAX], path[MODEL_PATH_MAX];
    snprintf(source, sizeof source, "%s/%s", check_data(), from);
    model_dir_new(dir);
    DIR *d = opendir(source);
    if (!d) model_dir_die("open", source);
    for (struct dirent *e; (e = readdir(d));) {
        struct stat info;
        if (stat(model_dir_path(path, source, e->d_name), &info) != 0 || !S_ISREG(info.st_mode)) continue;
        size_t n = 0;
        char *bytes = model_dir_read(source, e->d_name, &n);
        model_dir_write(dir, e->d_name, bytes, n);
        free(bytes);
    }
    closedir(d);
}

/* Replaces the first occurrence of the text `from` in dir/name, which must be there, by `to`. */
static inline void model_dir_replace(const char *dir, const char *name, const char *from, const char *to) {
    size_t n = 0;
    char *bytes = model_dir_read(dir, name, &n);
    char *at = memmem(bytes, n, from, strlen(from));
    if (!at) model_dir_die("find the text to replace in", name);
    const size_t lead = (size_t)(at - bytes), n_from = strlen(from), n_to = strlen(to);
    char *changed = malloc(n + n_to + 1);
    if (!changed) model_dir_die("change", name);
    memcpy(changed, bytes, lead);
    memcpy(changed + lead, to, n_to);
    memcpy(changed + lead + n_to, at + n_from, n - lead - n_from);
    model_dir_write(dir, name, changed, n - n_from + n_to);
    free(changed);
    free(bytes);
}

#endif
