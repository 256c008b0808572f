/*
 * qwen_asr_audio.c - samples to log-mel features.
 *
 * Math: MODEL.md, "Log-mel features" (Whisper's front end; the mel scale and the area norm are Slaney's Auditory
 * Toolbox). A mel band is a triangle over a handful of the 201 bins, so the filter bank is kept as runs of nonzero
 * weights: 394 of 25728 at 128 bands. The golden features were computed in float32 throughout; this code, with double
 * sums, stays within 2.7e-5 of them.
 */
#include "qwen_asr_audio.h"

#include <math.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define HALF (QWEN_FFT_N / 2)
#define MAX_MELS 1024

typedef struct mel_band {
    size_t first, n; /* bins [first, first + n) have nonzero weights */
    size_t at;       /* of their weights */
} mel_band;

struct qwen_mel {
    qwen_fft *fft;
    size_t n_mels;
    mel_band *bands;          /* [n_mels] */
    float *weights;           /* all bands, one after the other */
    float window[QWEN_FFT_N]; /* periodic Hann */
};

/* Slaney's scale: linear below 1 kHz (15 mel), logarithmic above, 27 mel per factor 6.4. */
static double mel_of_hz(double f) { return f < 1000 ? 3 * f / 200 : 15 + 27 * log(f / 1000) / log(6.4); }

static double hz_of_mel(double m) { return m < 15 ? 200 * m / 3 : 1000 * exp((m - 15) * log(6.4) / 27); }

/* Corner i, 0 <= i < n_mels + 2, of the triangles, in Hz. */
static double corner_hz(size_t i, size_t n_mels) {
    return hz_of_mel(mel_of_hz(QWEN_SAMPLE_RATE / 2.0) * (double)i / (double)(n_mels + 1));
}

/* Weight of bin k in a band with the corners left, centre, right. */
static float band_weight(size_t k, double left, double centre, double right) {
    const double f = (double)k * QWEN_SAMPLE_RATE / QWEN_FFT_N;
    const double up = (f - left) / (centre - left), down = (right - f) / (right - centre);
    const double w = up < down ? up : down;
    return w > 0 ? (float)(w * 2 / (right - left)) : 0.0f;
}

/* Fills bands, and weights too where there is room already; returns how many weights there are. */
static size_t make_bands(qwen_mel *mel) {
    size_t at = 0;
    for (size_t i = 0; i < mel->n_mels; i++) {
        const double left = corner_hz(i, mel->n_mels), centre = corner_hz(i + 1, mel->n_mels);
        const double right = corner_hz(i + 2, mel->n_mels);
        mel_band *b = &mel->bands[i];
        *b = (mel_band){.at = at};
        for (size_t k = 0; k < QWEN_FFT_BINS; k++) {
            const float w = band_weight(k, left, centre, right);
            if (w == 0.0f) continue; /* the weights of a triangle are one run */
            if (!b->n) b->first = k;
            if (mel->weights) mel->weights[at] = w;
            b->n++;
            at++;
        }
    }
    return at;
}

qwen_status qwen_mel_open(qwen_mel **out, size_t n_mels, qwen_error *err) {
    *out = NULL;
    if (n_mels < 1 || n_mels > MAX_MELS)
        return qwen_fail(err, QWEN_ERR_ARG, "%zu mel bands asked for, between 1 and %d are possible", n_mels, MAX_MELS);
    qwen_mel *mel = qwen_alloc_zero(1, sizeof *mel);
    if (!mel) return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the mel tables");
    mel->n_mels = n_mels;
    mel->fft = qwen_fft_open();
    mel->bands = qwen_alloc(n_mels, sizeof *mel->bands);
    if (mel->fft && mel->bands) mel->weights = qwen_alloc(make_bands(mel), sizeof *mel->weights);
    if (!mel->weights) {
        qwen_mel_close(mel);
        return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the mel tables");
    }
    make_bands(mel);
    for (size_t i = 0; i < QWEN_FFT_N; i++)
        mel->window[i] = (float)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * (double)i / QWEN_FFT_N));
    *out = mel;
    return QWEN_OK;
}

void qwen_mel_close(qwen_mel *mel) {
    if (!mel) return;
    qwen_fft_close(mel->fft);
    qwen_free(mel->bands);
    qwen_free(mel->weights);
    qwen_free(mel);
}

size_t qwen_mel_frames(size_t n_samples) { return n_samples / QWEN_MEL_HOP; }

/* Frame t sees the samples [160 t - 200, 160 t + 200). Its left end may be reflected: those samples are there from
   the start. */
size_t qwen_mel_stable_frames(size_t n_samples) {
    return n_samples < QWEN_MEL_MIN_SAMPLES ? 0 : (n_samples - HALF) / QWEN_MEL_HOP + 1;
}

/* x[i] = window[i] * clip sample 160 t - 200 + i, reflected at both ends without repeating the edge sample. */
static void window_frame(const qwen_mel *mel, const float *pcm, size_t n, size_t t, float *x) {
    const size_t centre = t * QWEN_MEL_HOP;
    if (centre >= HALF && centre + HALF <= n) {
        const float *p = pcm + (centre - HALF);
        for (size_t i = 0; i < QWEN_FFT_N; i++) x[i] = mel->window[i] * p[i];
        return;
    }
    for (size_t i = 0; i < QWEN_FFT_N; i++) {
        const size_t j = centre + i; /* HALF more than the sample's index */
        size_t at = j < HALF ? HALF - j : j - HALF;
        if (at >= n) at = 2 * (n - 1) - at;
        x[i] = mel->window[i] * pcm[at];
    }
}

void qwen_mel_raw(const qwen_mel *mel, const float *pcm, size_t n, size_t t0, size_t t1, float *rows) {
    float x[QWEN_FFT_N], power[QWEN_FFT_BINS];
    for (size_t t = t0; t < t1; t++) {
        window_frame(mel, pcm, n, t, x);
        qwen_fft_power(mel->fft, x, power);
        float *row = rows + (t - t0) * mel->n_mels;
        for (size_t i = 0; i < mel->n_mels; i++) {
            const mel_band *b = &mel->bands[i];
            const float *w = mel->weights + b->at;
            double sum = 0;
            for (size_t k = 0; k < b->n; k++) sum += (double)w[k] * (double)power[b->first + k];
            row[i] = (float)log10(sum > 1e-10 ? sum : 1e-10);
        }
    }
}

void qwen_mel_finish(float *features, const float *raw, size_t n_values, float max) {
    const float floor = max - 8.0f;
    for (size_t i = 0; i < n_values; i++) features[i] = ((raw[i] > floor ? raw[i] : floor) + 4.0f) / 4.0f;
}
