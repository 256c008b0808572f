/*
 * wav.h - reads 16-bit PCM mono WAV files for tests: sample = int16 / 32768. Anything else is refused.
 */
#ifndef QWEN_TEST_WAV_H
#define QWEN_TEST_WAV_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline uint32_t wav_u32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Samples of the file, to be freed by the caller; NULL if it cannot be read or is of another kind. *rate may be
   NULL. */
static inline float *wav_read(const char *path, size_t *n_samples, uint32_t *rate) {
    float *pcm = NULL;
    unsigned char *bytes = NULL;
    long size = 0;
    *n_samples = 0;
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    if (fseek(f, 0, SEEK_END) || (size = ftell(f)) < 12 || fseek(f, 0, SEEK_SET)) goto out;
    bytes = malloc((size_t)size);
    if (!bytes || fread(bytes, 1, (size_t)size, f) != (size_t)size) goto out;
    if (memcmp(bytes, "RIFF", 4) || memcmp(bytes + 8, "WAVE", 4)) goto out;
    int pcm16_mono = 0;
    for (size_t at = 12; at + 8 <= (size_t)size;) {
        const unsigned char *chunk = bytes + at;
        const size_t left = (size_t)size - at - 8;
        const size_t len = wav_u32(chunk + 4) < left ? wav_u32(chunk + 4) : left;
        if (!memcmp(chunk, "fmt ", 4) && len >= 16) {
            pcm16_mono = chunk[8] == 1 && chunk[9] == 0 && chunk[10] == 1 && chunk[11] == 0 && chunk[22] == 16;
            if (rate) *rate = wav_u32(chunk + 12);
        } else if (!memcmp(chunk, "data", 4) && pcm16_mono) {
            pcm = malloc((len / 2 + 1) * sizeof *pcm);
            if (!pcm) goto out;
            for (size_t i = 0; i < len / 2; i++) {
                const int v = chunk[8 + 2 * i] | chunk[9 + 2 * i] << 8;
                pcm[i] = (float)(v >= 32768 ? v - 65536 : v) / 32768.0f;
            }
            *n_samples = len / 2;
            goto out;
        }
        at += 8 + len + (len & 1);
    }
out:
    free(bytes);
    fclose(f);
    return pcm;
}

#endif
