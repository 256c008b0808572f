/*
 * qwen_asr_kernels_scalar.c - the kernels as specified, one element at a time: what every other table is compared with.
 *
 * Products are rounded and then added (compiled with -ffp-contract=off); dots run over LANES sums side by side, which any
 * baseline compiler turns into its vector registers (about 10 GFLOP/s on a 3.5 GHz core with SSE2) and which keeps the
 * rounding error small. Norms sum in double. exp, erf come from libm.
 */
#include <math.h>
#include <string.h>

#include "qwen_asr_kernels.h"
#include "qwen_asr_num.h"

#define LANES 16

/* sum of a[i] * b[i]: lane l takes i = l, l + LANES, ...; then lanes are added pairwise, far halves first. */
static float dot(const float *a, const float *b, size_t n) {
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l];
    for (size_t l = 0; i < n; i++, l++) lane[l] += a[i] * b[i];
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

static void widen_f32(float *dst, const void *src, size_t n) {
    if (n) memcpy(dst, src, n * sizeof *dst);
}

static void widen_bf16(float *dst, const void *src, size_t n) {
    const uint16_t *s = src;
    for (size_t i = 0; i < n; i++) dst[i] = qwen_bf16_to_float(s[i]);
}

static void widen_f16(float *dst, const void *src, size_t n) {
    const uint16_t *s = src;
    for (size_t i = 0; i < n; i++) dst[i] = qwen_f16_to_float(s[i]);
}

typedef struct product {
    float *y;
    const float *x;
    size_t ldy, ldx, M;
} product;

/* Adds x[., k0 .. k0+kc) . w[k0 .. k0+kc) of one row of w to column n of y. The first chunk stores. */
static void column_chunk(const product *p, size_t n, size_t k0, const float *w, size_t kc) {
    for (size_t m = 0; m < p->M; m++) {
        const float s = dot(p->x + m * p->ldx + k0, w, kc);
        float *y = p->y + m * p->ldy + n;
        *y = k0 == 0 ? s : *y + s;
    }
}

static void gemm(const product *p, const void *w, size_t element, size_t ldw, size_t N, size_t K,
                 void (*widen)(float *dst, const void *src, size_t n), float *scratch) {
    for (size_t n = 0; n < N; n++) {
        const unsigned char *row = (const unsigned char *)w + n * ldw * element;
        size_t k0 = 0;
        do { /* K = 0 has one empty chunk, whose sum is 0 */
            const size_t kc = qwen_min_size(K - k0, QWEN_GEMM_KC);
            widen(scratch, row + k0 * element, kc);
            column_chunk(p, n, k0, scratch, kc);
            k0 += kc;
        } while (k0 < K);
    }
}

static void gemm_f32(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K,
                     float *scratch) {
    gemm(&(product){y, x, ldy, ldx, M}, w, sizeof(float), ldw, N, K, widen_f32, scratch);
}

static void gemm_bf16(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K,
                      float *scratch) {
    gemm(&(product){y, x, ldy, ldx, M}, w, sizeof(uint16_t), ldw, N, K, widen_bf16, scratch);
}

static void gemm_f16(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K,
                     float *scratch) {
    gemm(&(product){y, x, ldy, ldx, M}, w, sizeof(uint16_t), ldw, N, K, widen_f16, scratch);
}

static void add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, float eps, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    const double r = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) y[i] = (float)(((double)x[i] - mean) * r) * w[i] + b[i];
}

static void rms_norm(float *y, const float *x, const float *w, float eps, size_t n) {
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
    const double r = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) y[i] = w[i] * (float)((double)x[i] * r);
}

static void gelu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.707106781f));
}

static void silu_mul(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void rope(float *x, const float *cos_row, const float *sin_row, size_t half) {
    for (size_t i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        x[i] = a * cos_row[i] - b * sin_row[i];
        x[i + half] = b * cos_row[i] + a * sin_row[i];
    }
}

static void attend(float *out, const float *q, const float *k, const float *v, size_t stride, size_t n_keys, size_t dh, float scale,
                   float *scores) {
    float max = -INFINITY, sum = 0;
    for (size_t j = 0; j < n_keys; j++) {
        scores[j] = scale * dot(q, k + j * stride, dh);
        if (scores[j] > max) max = scores[j];
    }
    for (size_t j = 0; j < n_keys; j++) {
        scores[j] = expf(scores[j] - max);
        sum += scores[j];
    }
    for (size_t i = 0; i < dh; i++) out[i] = 0;
    for (size_t j = 0; j < n_keys; j++)
        for (size_t i = 0; i < dh; i++) out[i] += scores[j] * v[j * stride + i];
    for (size_t i = 0; i < dh; i++) out[i] /= sum;
}

static size_t argmax(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) return SIZE_MAX;
        if (x[i] > x[best]) best = i;
    }
    return best;
}

void qwen_kernels_init_scalar(qwen_kernels *k) {
    k->name = "scalar";
    k->gemm[QWEN_F32] = gemm_f32;
    k->gemm[QWEN_BF16] = gemm_bf16;
    k->gemm[QWEN_F16] = gemm_f16;
    k->widen[QWEN_F32] = widen_f32;
    k->widen[QWEN_BF16] = widen_bf16;
    k->widen[QWEN_F16] = widen_f16;
    k->add = add;
    k->layer_norm = layer_norm;
    k->rms_norm = rms_norm;
    k->gelu = gelu;
    k->silu_mul = silu_mul;
    k->rope = rope;
    k->attend = attend;
    k->argmax = argmax;
}
