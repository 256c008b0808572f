/* test_audio.c - log-mel features are those of the official implementation, and can be computed piece by piece. */
#include "qwen_asr_audio.h"

#include <math.h>
#include <time.h>

#include "check.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_safetensors.h"
#include "wav.h"

#define N_MELS 128

static uint32_t rng_state = 99;
static uint32_t rng(void) { return rng_state = rng_state * 1664525u + 1013904223u, rng_state >> 8; }
static float rng_sample(void) { return (float)rng() / 8388608.0f - 1.0f; }

/* Features [frames, 128] of a clip, through both steps. */
static float *features_of(const qwen_mel *mel, const float *pcm, size_t n, size_t *frames) {
    *frames = qwen_mel_frames(n);
    float *f = malloc((*frames * N_MELS + 1) * sizeof *f);
    if (!f) exit(1);
    qwen_mel_raw(mel, pcm, n, 0, *frames, f);
    float max = -10.0f;
    for (size_t i = 0; i < *frames * N_MELS; i++) max = f[i] > max ? f[i] : max;
    qwen_mel_finish(f, f, *frames * N_MELS, max);
    return f;
}

static void features_equal_the_golden_ones(const qwen_mel *mel) {
    static const char *const names[] = {"s0.30", "s0.99", "s1.00", "s1.01",     "s7.99",
                                        "s8.50", "s20.3", "silence1.5"};
    double worst = 0;
    for (size_t c = 0; c < sizeof names / sizeof *names; c++) {
        char path[1024];
        size_t n = 0, frames = 0;
        snprintf(path, sizeof path, "%s/parity/audio/%s.wav", check_data(), names[c]);
        float *pcm = wav_read(path, &n, NULL);
        CHECKF(pcm != NULL, "%s", path);
        snprintf(path, sizeof path, "%s/parity/mel/%s.safetensors", check_data(), names[c]);
        qwen_tensors *st = NULL;
        qwen_error err = {0};
        CHECKF(qwen_tensors_open_file(&st, path, false, &err) == QWEN_OK, "%s", err.msg);
        const qwen_tensor *golden = st ? qwen_tensors_find(st, "mel") : NULL;
        CHECK(golden && golden->type == QWEN_TENSOR_F32 && golden->n_dims == 2 && golden->shape[0] == N_MELS);
        if (pcm && golden) {
            float *ours = features_of(mel, pcm, n, &frames);
            CHECKF(golden->shape[1] == frames, "%s: %zu frames, not %zu", names[c], frames, golden->shape[1]);
            for (size_t t = 0; t < frames && golden->shape[1] == frames; t++)
                for (size_t i = 0; i < N_MELS; i++) {
                    float want;
                    memcpy(&want, golden->data + (i * frames + t) * sizeof want, sizeof want);
                    const double d = fabs((double)ours[t * N_MELS + i] - (double)want);
                    if (d > worst) worst = d;
                    CHECKF(d < 1e-4, "%s frame %zu band %zu: %g, not %g", names[c], t, i,
                           (double)ours[t * N_MELS + i], (double)want);
                }
            free(ours);
        }
        qwen_tensors_close(st);
        free(pcm);
    }
    printf("audio: worst feature is %.2g off\n", worst);
}

static void silence_is_minus_one_and_a_half(const qwen_mel *mel) {
    static const float zeros[4000];
    size_t frames = 0;
    float *f = features_of(mel, zeros, 4000, &frames);
    CHECK(frames == 25);
    for (size_t i = 0; i < frames * N_MELS; i++) CHECK(f[i] == -1.5f);
    free(f);
}

/* Every length from the shortest on, appended to: the frames that are called stable keep their bits, and the others
   are as few as possible. */
static void stable_frames_never_change(const qwen_mel *mel) {
    enum { LONG = 3000 };
    float pcm[LONG], whole[(LONG / 160) * N_MELS], part[(LONG / 160) * N_MELS];
    for (size_t i = 0; i < LONG; i++) pcm[i] = rng_sample();
    qwen_mel_raw(mel, pcm, LONG, 0, LONG / 160, whole);
    CHECK(qwen_mel_stable_frames(0) == 0 && qwen_mel_stable_frames(200) == 0 && qwen_mel_stable_frames(201) == 1);
    for (size_t n = QWEN_MEL_MIN_SAMPLES; n < LONG; n++) {
        const size_t frames = qwen_mel_frames(n), stable = qwen_mel_stable_frames(n);
        CHECKF(stable <= frames && stable + 2 >= frames, "%zu samples: %zu of %zu stable", n, stable, frames);
        qwen_mel_raw(mel, pcm, n, 0, frames, part);
        CHECKF(!memcmp(part, whole, stable * N_MELS * sizeof *part), "%zu samples", n);
        for (size_t t = stable; t < frames; t++)
            CHECKF(memcmp(part + t * N_MELS, whole + t * N_MELS, N_MELS * sizeof *part) != 0,
                   "frame %zu of %zu samples is stable", t, n);
    }
}

static void pieces_give_the_same_bits_as_the_whole(const qwen_mel *mel) {
    enum { N = 16000, T = N / 160 };
    static float pcm[N], whole[T * N_MELS], pieces[T * N_MELS];
    for (size_t i = 0; i < N; i++) pcm[i] = 0.3f * rng_sample();
    qwen_mel_raw(mel, pcm, N, 0, T, whole);
    for (int round = 0; round < 20; round++) {
        memset(pieces, 0, sizeof pieces);
        for (size_t t = 0; t < T;) {
            const size_t left = T - t, step = 1 + rng() % 17, end = t + (step < left ? step : left);
            qwen_mel_raw(mel, pcm, N, t, end, pieces + t * N_MELS);
            t = end;
        }
        CHECK(!memcmp(pieces, whole, sizeof whole));
    }
}

/* The clip's maximum sets the floor: 8 decades below it, so 2.0 below in features. */
static void the_floor_follows_the_maximum(void) {
    const float raw[5] = {-10.0f, -6.1f, -6.0f, 0.0f, 2.0f};
    const float want[5] = {-0.5f, -0.5f, -0.5f, 1.0f, 1.5f};
    float f[5];
    qwen_mel_finish(f, raw, 5, 2.0f);
    CHECK(!memcmp(f, want, sizeof f));
}

/* Reflected at both ends at once; every mel count; no crash on infinities, which the stream never lets through
   anyway. */
static void odd_inputs_are_survived(void) {
    float pcm[400], rows[2 * 1024];
    for (size_t i = 0; i < 400; i++) pcm[i] = rng_sample();
    for (size_t n_mels = 1; n_mels <= 1024; n_mels = n_mels * 3 + 1) {
        qwen_mel *mel = NULL;
        CHECK(qwen_mel_open(&mel, n_mels, NULL) == QWEN_OK);
        if (mel) qwen_mel_raw(mel, pcm, 201, 0, 1, rows);
        for (size_t i = 0; mel && i < n_mels; i++) CHECK(rows[i] >= -10.0f && rows[i] < 10.0f);
        pcm[100] = INFINITY;
        if (mel) qwen_mel_raw(mel, pcm, 320, 0, 2, rows);
        pcm[100] = 0.0f;
        qwen_mel_close(mel);
    }
    qwen_mel *mel = NULL;
    qwen_error err = {0};
    CHECK(qwen_mel_open(&mel, 0, &err) == QWEN_ERR_ARG && !mel && err.msg[0]);
    CHECK(qwen_mel_open(&mel, 1025, &err) == QWEN_ERR_ARG && !mel);
}

static void running_out_of_memory_is_an_error(void) {
    const long before = qwen_test_live_allocs();
    for (long n = 1;; n++) {
        qwen_mel *mel = NULL;
        qwen_error err = {0};
        qwen_test_fail_alloc(n);
        const qwen_status st = qwen_mel_open(&mel, N_MELS, &err);
        const int failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECK(failed ? st == QWEN_ERR_NOMEM && !mel && err.msg[0] : st == QWEN_OK);
        qwen_mel_close(mel);
        CHECK(qwen_test_live_allocs() == before);
        if (!failed || n > 100) break;
    }
}

static void print_speed(const qwen_mel *mel) {
    enum { N = 160000 };
    static float pcm[N], rows[N / 160 * N_MELS];
    for (size_t i = 0; i < N; i++) pcm[i] = rng_sample();
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    qwen_mel_raw(mel, pcm, N, 0, N / 160, rows);
    clock_gettime(CLOCK_MONOTONIC, &b);
    const double us = (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) * 1e-3;
    printf("audio: %.1f us a frame\n", us / (N / 160));
}

int main(void) {
    qwen_mel *mel = NULL;
    CHECK(qwen_mel_open(&mel, N_MELS, NULL) == QWEN_OK);
    if (mel) {
        features_equal_the_golden_ones(mel);
        silence_is_minus_one_and_a_half(mel);
        stable_frames_never_change(mel);
        pieces_give_the_same_bits_as_the_whole(mel);
        print_speed(mel);
    }
    qwen_mel_close(mel);
    the_floor_follows_the_maximum();
    odd_inputs_are_survived();
    running_out_of_memory_is_an_error();
    return check_done("audio");
}
