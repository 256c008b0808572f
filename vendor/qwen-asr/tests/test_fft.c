/* test_fft.c - the 400-point power spectrum is the one of the definition. */
#include "qwen_asr_fft.h"

#include <math.h>
#include <stdint.h>
#include <time.h>

#include "check.h"
#include "qwen_asr_mem.h"

static const double PI = 3.14159265358979323846;

static uint32_t rng_state = 12345;
static float rng(void) { /* uniform in [-1, 1) */
    rng_state = rng_state * 1664525u + 1013904223u;
    return (float)((double)rng_state / 2147483648.0 - 1.0);
}

static void power_by_definition(const float *x, double *power) {
    for (int k = 0; k < QWEN_FFT_BINS; k++) {
        double re = 0, im = 0;
        for (int n = 0; n < QWEN_FFT_N; n++) {
            const double a = 2 * PI * (double)((k * n) % QWEN_FFT_N) / QWEN_FFT_N;
            re += (double)x[n] * cos(a);
            im -= (double)x[n] * sin(a);
        }
        power[k] = re * re + im * im;
    }
}

/* Signal to error in dB over all bins. */
static double snr_db(const float *got, const double *want) {
    double signal = 0, noise = 0;
    for (int k = 0; k < QWEN_FFT_BINS; k++) {
        const double d = (double)got[k] - want[k];
        signal += want[k] * want[k];
        noise += d * d;
    }
    return noise > 0 ? 10 * log10(signal / noise) : 400;
}

static void random_frames_agree_with_the_definition(const qwen_fft *fft) {
    float x[QWEN_FFT_N], power[QWEN_FFT_BINS];
    double want[QWEN_FFT_BINS];
    for (int round = 0; round < 50; round++) {
        for (int n = 0; n < QWEN_FFT_N; n++) x[n] = rng() * (round % 2 ? 1.0f : 1e-4f);
        qwen_fft_power(fft, x, power);
        power_by_definition(x, want);
        const double snr = snr_db(power, want);
        CHECKF(snr > 130, "round %d: %.1f dB", round, snr);
        for (int k = 0; k < QWEN_FFT_BINS; k++)
            CHECKF(fabs((double)power[k] - want[k]) <= 2e-7 * want[k] + 1e-24, "round %d bin %d: %g, not %g", round, k,
                   (double)power[k], want[k]);
    }
}

/* A pure tone of 1.0 at bin k: 200^2 there, and what rounding leaves elsewhere is more than 130 dB below. The log-
   mel floor lies 80 dB below the peak. */
static void tones_do_not_leak(const qwen_fft *fft) {
    float x[QWEN_FFT_N], power[QWEN_FFT_BINS];
    for (int k = 1; k < 200; k++) {
        for (int n = 0; n < QWEN_FFT_N; n++) x[n] = (float)cos(2 * PI * (double)((k * n) % QWEN_FFT_N) / QWEN_FFT_N);
        qwen_fft_power(fft, x, power);
        CHECKF(fabs((double)power[k] - 40000.0) < 0.02, "bin %d: %g", k, (double)power[k]);
        for (int j = 0; j < QWEN_FFT_BINS; j++)
            if (j != k) CHECKF((double)power[j] < 40000.0 * 1e-13, "tone %d, bin %d: %g", k, j, (double)power[j]);
    }
}

static void single_samples_are_flat(const qwen_fft *fft) {
    float x[QWEN_FFT_N], power[QWEN_FFT_BINS];
    for (int n = 0; n < QWEN_FFT_N; n++) {
        memset(x, 0, sizeof x);
        x[n] = 1.0f;
        qwen_fft_power(fft, x, power);
        for (int k = 0; k < QWEN_FFT_BINS; k++) CHECK(fabs((double)power[k] - 1.0) < 1e-6);
    }
    memset(x, 0, sizeof x);
    qwen_fft_power(fft, x, power);
    for (int k = 0; k < QWEN_FFT_BINS; k++) CHECK(power[k] == 0.0f);
}

static void running_out_of_memory_is_null(void) {
    const long before = qwen_test_live_allocs();
    qwen_test_fail_alloc(1);
    qwen_fft *fft = qwen_fft_open();
    CHECK(!fft && qwen_test_alloc_failed());
    qwen_test_fail_alloc(0);
    qwen_fft_close(fft);
    qwen_fft_close(NULL);
    CHECK(qwen_test_live_allocs() == before);
}

static void print_speed(const qwen_fft *fft) {
    float x[QWEN_FFT_N], power[QWEN_FFT_BINS];
    for (int n = 0; n < QWEN_FFT_N; n++) x[n] = rng();
    double best = 1e9;
    float sum = 0;
    for (int round = 0; round < 10; round++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < 500; i++) {
            x[i % QWEN_FFT_N] += 1e-3f;
            qwen_fft_power(fft, x, power);
            sum += power[i % QWEN_FFT_BINS];
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double us = ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) * 1e-3) / 500;
        if (us < best) best = us;
    }
    CHECK(sum > 0);
    printf("fft: %.2f us a frame\n", best);
}

int main(void) {
    qwen_fft *fft = qwen_fft_open();
    CHECK(fft != NULL);
    if (fft) {
        random_frames_agree_with_the_definition(fft);
        tones_do_not_leak(fft);
        single_samples_are_flat(fft);
        print_speed(fft);
    }
    qwen_fft_close(fft);
    running_out_of_memory_is_null();
    return check_done("fft");
}
