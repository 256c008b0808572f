/* Any bytes as a weight file. Opening works on paths, so the bytes go through one temporary file; every tensor found is
 * read whole. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qwen_asr_safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void) { unlink(path); }

static void write_file(const uint8_t *data, size_t size) {
    if (!path[0]) {
        strcpy(path, "/tmp/qwen-fuzz-XXXXXX");
        const int fd = mkstemp(path);
        if (fd < 0) exit(2);
        close(fd);
        atexit(remove_file);
    }
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) exit(2);
}

/* Names are the strings of the header: try what stands between any two quotes. */
static unsigned read_all(const qwen_tensors *t, const uint8_t *data, size_t size) {
    unsigned sum = 0;
    for (const uint8_t *start = memchr(data, '"', size), *end; start; start = end) {
        start++;
        end = memchr(start, '"', size - (size_t)(start - data));
        if (!end) break;
        char name[256];
        const size_t n = (size_t)(end - start);
        if (n >= sizeof name) continue;
        memcpy(name, start, n);
        name[n] = '\0';
        const qwen_tensor *found = qwen_tensors_find(t, name);
        for (size_t i = 0; found && i < found->bytes; i++) sum += found->data[i];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned sum[2] = {0, 0};
    qwen_status s[2];
    write_file(data, size);
    for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
        qwen_tensors *t = NULL;
        qwen_error err;
        s[no_mmap] = qwen_tensors_open_file(&t, path, no_mmap, &err);
        if (t) sum[no_mmap] = read_all(t, data, size);
        qwen_tensors_close(t);
    }
    if (s[0] != s[1] || sum[0] != sum[1]) abort(); /* mapped and copied are the same file */
    return 0;
}
