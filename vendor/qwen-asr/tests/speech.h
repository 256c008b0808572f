/*
 * speech.h - audio for tests of the whole engine that needs no file decoder: parity clips and loud, speech-like bursts.
 */
#ifndef QWEN_TEST_SPEECH_H
#define QWEN_TEST_SPEECH_H

#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "qwen_asr.h"
#include "wav.h"

/* parity/audio/<name>.wav; ends the test if it is not there. */
static inline float *speech_clip(const char *name, size_t *n) {
    char path[1024];
    if (snprintf(path, sizeof path, "%s/parity/audio/%s.wav", check_data(), name) >= (int)sizeof path) exit(2);
    float *pcm = wav_read(path, n, NULL);
    if (!pcm) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    return pcm;
}

static inline uint32_t speech_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Syllables of about 150 ms with formant-like harmonics, a pause of pause_ms after every n_syllables, over faint noise. */
static inline float *speech_babble(double seconds, int n_syllables, int pause_ms, uint32_t seed, size_t *n) {
    *n = (size_t)(seconds * QWEN_SAMPLE_RATE);
    float *pcm = malloc((*n + 1) * sizeof *pcm);
    if (!pcm) exit(2);
    size_t at = 0;
    for (int syllable = 0; at < *n; syllable++) {
        const size_t len = (size_t)(120 + speech_random(&seed) % 80) * 16;
        const double f0 = 90 + speech_random(&seed) % 90, formant = 400 + speech_random(&seed) % 1800;
        for (size_t i = 0; i < len && at < *n; i++, at++) {
            const double t = (double)i / QWEN_SAMPLE_RATE, envelope = sin(3.14159265358979 * (double)i / (double)len);
            double v = 0;
            for (int h = 1; h <= 20; h++) v += sin(2 * 3.14159265358979 * f0 * h * t) * exp(-pow((f0 * h - formant) / 500, 2));
            pcm[at] = (float)(0.1 * v * envelope);
        }
        if (syllable % n_syllables == n_syllables - 1)
            for (size_t i = 0; i < (size_t)pause_ms * 16 && at < *n; i++) pcm[at++] = 0;
    }
    for (size_t i = 0; i < *n; i++) pcm[i] += (float)((double)(speech_random(&seed) % 2001) - 1000) * 2e-7f;
    return pcm;
}

#endif
