/*
 * checkkern.c - every kernel of every instruction set this machine has, against a sum in double precision, at every length.
 *
 *     checkkern [seed]      check;  a failure is repeated by giving the printed seed
 *     checkkern --bench     time instead (checkkern_bench.h)
 *
 * Levels are added one by one (scalar, AVX2, AVX-512; scalar, NEON); a slot that a level did not change is not checked again. Inputs and
 * outputs end at an unmapped page or at canaries (guard.h), starts are unaligned, strides odd, values random, tiny, huge and zero of
 * both signs. Bounds follow from the number of roundings a result has seen, u = 2^-24 each.
 */
#include <math.h>
#include <signal.h>
#include <stdbool.h>

#include "check.h"
#include "checkkern_bench.h"
#include "guard.h"
#include "qwen_asr.h"

#define U 0x1p-24
#define MAX_LEN 7680
static const size_t widths[] = {160, 192, 448, 512, 896, 1024, 2048, 3072, 3584, 4320, MAX_LEN};
#define N_WIDTHS (sizeof widths / sizeof *widths)
#define N_LENGTHS (258 + N_WIDTHS) /* 0 .. 257 and the widths of the released models */

static size_t length_of(size_t i) { return i <= 257 ? i : widths[i - 258]; }

/* ---- values ------------------------------------------------------------------------------------------------------ */

static uint64_t rng;

static uint32_t random_bits(void) { /* xorshift64* (Vigna 2016) */
    rng ^= rng >> 12;
    rng ^= rng << 25;
    rng ^= rng >> 27;
    return (uint32_t)((rng * 0x2545F4914F6CDD1Du) >> 32);
}

static float random_float(void) { return (float)(random_bits() >> 7) * 0x1p-24f - 1.0f; } /* [-1, 1) */

typedef enum values { PLAIN, WILD, N_VALUES } values;

/* PLAIN: [-1, 1). WILD: zeros of both signs, subnormals and magnitudes from 2^-60 to 2^60 among them. */
static float draw(values kind) {
    const float f = random_float();
    if (kind == PLAIN) return f;
    switch (random_bits() % 8) {
    case 0: return copysignf(0, f);
    case 1: return f * 0x1p-130f;
    case 2: return f * 0x1p60f;
    case 3: return f * 0x1p-60f;
    default: return f;
    }
}

static void fill(float *p, size_t n, values kind) {
    for (size_t i = 0; i < n; i++) p[i] = draw(kind);
}

static double widened(const void *w, qwen_dtype t, size_t i) { /* decoded here by the definition of the formats */
    if (t == QWEN_F32) return (double)((const float *)w)[i];
    const uint16_t h = ((const uint16_t *)w)[i];
    const int e_bits = t == QWEN_BF16 ? 8 : 5, m_bits = 15 - e_bits;
    const int e = h >> m_bits & ((1 << e_bits) - 1), m = h & ((1 << m_bits) - 1), bias = (1 << (e_bits - 1)) - 1;
    const double sign = h >> 15 ? -1 : 1;
    if (e == (1 << e_bits) - 1) return m ? NAN : sign * INFINITY;
    return sign * (e ? ldexp(m + (1 << m_bits), e - bias - m_bits) : ldexp(m, 1 - bias - m_bits));
}

static void fill_weights(void *w, size_t n, qwen_dtype t, values kind) {
    for (size_t i = 0; i < n; i++) {
        if (t == QWEN_F32) {
            ((float *)w)[i] = draw(kind);
        } else if (t == QWEN_BF16) {
            const float f = draw(kind);
            uint32_t u;
            memcpy(&u, &f, sizeof u);
            ((uint16_t *)w)[i] = (uint16_t)(u >> 16);
        } else { /* any finite half of magnitude below 2, or with PLAIN at least 2^-14 */
            uint16_t h = (uint16_t)(random_bits() & 0xBFFF);
            if (kind == PLAIN) h |= 0x0400;
            ((uint16_t *)w)[i] = h;
        }
    }
}

static bool close_to(double got, double want, double bound) {
    return got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= bound;
}

/* ---- one check per slot ------------------------------------------------------------------------------------------- */

static guard gx, gy, gw, gb;
static float *scratch;
static const qwen_kernels *k; /* the level being checked */

/* Bytes of unmapped-page distance: 0 in most cases, else a few odd elements, so that ends are unaligned too. */
static size_t gap_of(size_t i) { return i % 3 == 2 ? 4 * (1 + i % 7) : 0; }

/* |error| of a sum of K products: (K / 4 steps in a lane at most, per chunk; tree; chunks) roundings, and underflow. */
static double dot_bound(size_t K, double magnitude) {
    const size_t steps = (K < QWEN_GEMM_KC ? K : QWEN_GEMM_KC) / 4 + 8 + K / QWEN_GEMM_KC;
    return (double)steps * U * magnitude + (double)K * 0x1p-149;
}

typedef struct gemm_case {
    size_t M, N, K, ldx, ldw, ldy;
    qwen_dtype type;
} gemm_case;

static void compare_gemm(const gemm_case *c, const float *y, const float *x, const void *w) {
    int wrong = 0;
    for (size_t m = 0; m < c->M; m++) {
        for (size_t n = 0; n < c->N; n++) {
            double sum = 0, magnitude = 0;
            for (size_t i = 0; i < c->K; i++) {
                const double p = (double)x[m * c->ldx + i] * widened(w, c->type, n * c->ldw + i);
                sum += p;
                magnitude += fabs(p);
            }
            wrong += !close_to((double)y[m * c->ldy + n], sum, dot_bound(c->K, magnitude));
        }
        for (size_t n = c->N; n < c->ldy && m + 1 < c->M; n++) wrong += y[m * c->ldy + n] != 12345.0f; /* between rows */
    }
    CHECKF(!wrong, "%s gemm %s M=%zu N=%zu K=%zu: %d elements", k->name, qwen_dtype_name(c->type), c->M, c->N, c->K, wrong);
}

static size_t matrix_size(size_t rows, size_t stride, size_t cols) { return rows ? (rows - 1) * stride + cols : 0; }

static void check_gemm_case(const gemm_case *c, values kind, size_t gap) {
    const size_t element = qwen_dtype_size(c->type);
    const size_t nx = matrix_size(c->M, c->ldx, c->K), nw = matrix_size(c->N, c->ldw, c->K), ny = matrix_size(c->M, c->ldy, c->N);
    float *x = guard_take(&gx, nx * sizeof *x, gap), *y = guard_take(&gy, ny * sizeof *y, gap);
    void *w = guard_take(&gw, nw * element, gap / 4 * element);
    fill(x, nx, kind);
    fill_weights(w, nw, c->type, kind);
    for (size_t i = 0; i < ny; i++) y[i] = 12345.0f;
    k->gemm[c->type](y, c->ldy, x, c->ldx, c->M, w, c->ldw, c->N, c->K, scratch);
    compare_gemm(c, y, x, w);
    CHECK(guard_intact(&gx) && guard_intact(&gy) && guard_intact(&gw));
}

static void check_gemm(qwen_dtype t) {
    for (size_t i = 0; i < N_LENGTHS; i++) {
        const size_t K = length_of(i);
        for (size_t j = 0; j < 3; j++) {
            static const size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 9, 13}, cols[] = {1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 17};
            const size_t M = rows[(i * 3 + j) % 9], N = cols[(i * 2 + j * 5) % 11];
            const gemm_case c = {M, N, K, K + (j ? 3 : 0), K + j, N + 2 * j, t};
            check_gemm_case(&c, (values)(random_bits() % N_VALUES), gap_of(i + j));
        }
    }
    const gemm_case empty[] = {{0, 3, 5, 5, 5, 3, t}, {3, 0, 5, 5, 5, 0, t}, {3, 2, 0, 0, 0, 2, t}, {9, 9, 0, 0, 0, 9, t}};
    for (size_t i = 0; i < 4; i++) check_gemm_case(&empty[i], PLAIN, 0);
}

/* Row i of any M-row call, and column n of any N-column call, are the bits of the 1-row, 1-column call. */
static void check_independence(qwen_dtype t, size_t N, size_t K) {
    enum { ROWS = 257 };
    const size_t element = qwen_dtype_size(t), ldx = K + 1, ldw = K + 3;
    float *x = guard_take(&gx, matrix_size(ROWS, ldx, K) * sizeof *x, 4), *y = guard_take(&gy, ROWS * N * sizeof *y, 0);
    void *w = guard_take(&gw, matrix_size(N, ldw, K) * element, 2 * element);
    float *one = guard_take(&gb, ROWS * N * sizeof *one, 0);
    fill(x, matrix_size(ROWS, ldx, K), PLAIN);
    fill_weights(w, matrix_size(N, ldw, K), t, PLAIN);
    for (size_t m = 0; m < ROWS; m++)
        for (size_t n = 0; n < N; n++)
            k->gemm[t](one + m * N + n, N, x + m * ldx, ldx, 1, (unsigned char *)w + n * ldw * element, ldw, 1, K, scratch);
    for (size_t M = 1; M <= ROWS; M++) {
        const size_t m0 = random_bits() % (ROWS - M + 1);
        k->gemm[t](y, N, x + m0 * ldx, ldx, M, w, ldw, N, K, scratch);
        CHECKF(!memcmp(y, one + m0 * N, M * N * sizeof *y), "%s gemm %s: %zu rows from %zu (N=%zu K=%zu) differ from single ones", k->name,
               qwen_dtype_name(t), M, m0, N, K);
    }
}

static void check_widen(qwen_dtype t) {
    const size_t element = qwen_dtype_size(t);
    for (size_t i = 0; i < N_LENGTHS; i++) {
        const size_t n = length_of(i);
        float *y = guard_take(&gy, n * sizeof *y, gap_of(i));
        void *w = guard_take(&gw, n * element, gap_of(i) / 4 * element);
        fill_weights(w, n, t, WILD);
        k->widen[t](y, w, n);
        int wrong = 0;
        for (size_t j = 0; j < n; j++) wrong += !((double)y[j] == widened(w, t, j) && !signbit(y[j]) == !signbit(widened(w, t, j)));
        CHECKF(!wrong && guard_intact(&gy) && guard_intact(&gw), "%s widen %s n=%zu: %d elements", k->name, qwen_dtype_name(t), n, wrong);
    }
    if (t == QWEN_F32) return;
    uint16_t all[256]; /* every 16-bit pattern, NaN and infinities included */
    float y[256];
    int wrong = 0;
    for (uint32_t h = 0; h < 65536; h += 256) {
        for (uint32_t j = 0; j < 256; j++) all[j] = (uint16_t)(h + j);
        k->widen[t](y, all, 256);
        for (size_t j = 0; j < 256; j++) wrong += !close_to((double)y[j], widened(all, t, j), 0);
    }
    CHECKF(!wrong, "%s widen %s: %d of 65536 patterns", k->name, qwen_dtype_name(t), wrong);
}

static void check_add(void) {
    for (size_t i = 0; i < N_LENGTHS; i++) {
        const size_t n = length_of(i);
        float *y = guard_take(&gy, n * sizeof *y, gap_of(i)), *x = guard_take(&gx, n * sizeof *x, gap_of(i + 1));
        float *want = guard_take(&gb, n * sizeof *want, 0);
        fill(x, n, WILD);
        fill(y, n, WILD);
        for (size_t j = 0; j < n; j++) want[j] = y[j] + x[j];
        k->add(y, x, n);
        CHECKF((n == 0 || !memcmp(y, want, n * sizeof *y)) && guard_intact(&gy) && guard_intact(&gx), "%s add n=%zu", k->name, n);
    }
}

/* layer: with b, else the root mean square norm. */
static void check_norm(bool layer) {
    for (size_t i = 0; i < N_LENGTHS; i++) {
        const size_t n = length_of(i);
        const bool in_place = i % 2;
        const float eps = 1e-5f, offset = layer ? 3.0f : 0.0f;
        float *x = guard_take(&gx, n * sizeof *x, gap_of(i)), *y = in_place ? x : guard_take(&gy, n * sizeof *y, gap_of(i + 2));
        float *w = guard_take(&gw, n * sizeof *w, gap_of(i + 1)), *b = guard_take(&gb, n * sizeof *b, 0);
        double sum = 0, squares = 0, *want = qwen_alloc(n, sizeof *want);
        fill(w, n, PLAIN);
        fill(b, n, PLAIN);
        fill(x, n, PLAIN);
        for (size_t j = 0; j < n; j++) sum += (double)(x[j] += offset);
        const double mean = layer ? sum / (double)n : 0;
        for (size_t j = 0; j < n; j++) squares += ((double)x[j] - mean) * ((double)x[j] - mean);
        const double r = 1 / sqrt(squares / (double)n + (double)eps);
        for (size_t j = 0; j < n; j++) want[j] = ((double)x[j] - mean) * r * (double)w[j] + (layer ? (double)b[j] : 0);
        if (layer) k->layer_norm(y, x, w, b, eps, n);
        else k->rms_norm(y, x, w, eps, n);
        int wrong = 0;
        /* x - mean loses up to (n/16 + 8) u |x|, which r <= 1/sqrt(eps) can magnify when n is 1 or 2. */
        const double steps = (double)n / 16 + 12, bound = steps * U * ((layer ? 4 * r + 4 : 0) + 4);
        for (size_t j = 0; j < n; j++) wrong += !close_to((double)y[j], want[j], bound);
        CHECKF(!wrong, "%s %s n=%zu: %d elements", k->name, layer ? "layer_norm" : "rms_norm", n, wrong);
        CHECK(guard_intact(&gx) && guard_intact(&gw) && guard_intact(&gb) && (in_place || guard_intact(&gy)));
        qwen_free(want);
    }
}

static double exact_gelu(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }

static void check_gelu(void) {
    double worst = 0;
    for (size_t i = 0; i < N_LENGTHS + 300; i++) {
        const size_t n = i < N_LENGTHS ? length_of(i) : MAX_LEN;
        float *x = guard_take(&gx, n * sizeof *x, gap_of(i)), *was = guard_take(&gb, n * sizeof *was, 0);
        fill(was, n, i < N_LENGTHS ? WILD : PLAIN);
        for (size_t j = 0; j < n; j++) was[j] *= i % 4 == 0 ? 1 : i % 4 == 1 ? 3 : i % 4 == 2 ? 7 : 30;
        if (n) memcpy(x, was, n * sizeof *x);
        k->gelu(x, n);
        int wrong = 0;
        for (size_t j = 0; j < n; j++) {
            const double error = fabs((double)x[j] - exact_gelu((double)was[j])) / fmax(1, fabs((double)was[j]));
            if (error > worst) worst = error;
            wrong += !(error <= 2.5e-7);
        }
        CHECKF(!wrong && guard_intact(&gx), "%s gelu n=%zu: %d elements", k->name, n, wrong);
    }
    float s[] = {0.0f, -0.0f, NAN, -1000.0f, 1000.0f, 3e38f, -3e38f, INFINITY, 1e-40f, -5.7f, 5.7f, 0, 0, 0, 0, 0, 0};
    k->gelu(s, sizeof s / sizeof *s);
    CHECK(s[0] == 0 && s[1] == 0 && isnan(s[2]) && s[3] == 0 && s[4] == 1000.0f && s[5] == 3e38f && s[6] == 0 && s[7] == INFINITY);
    printf("  %-7s gelu: |error| / max(1, |x|) <= %.2e\n", k->name, worst);
}

static void check_silu_mul(void) {
    double worst = 0;
    for (size_t i = 0; i < N_LENGTHS + 100; i++) {
        const size_t n = i < N_LENGTHS ? length_of(i) : MAX_LEN;
        float *g = guard_take(&gx, n * sizeof *g, gap_of(i)), *up = guard_take(&gw, n * sizeof *up, gap_of(i + 1));
        float *was = guard_take(&gb, n * sizeof *was, 0);
        fill(up, n, PLAIN);
        for (size_t j = 0; j < n; j++) was[j] = i % 2 ? random_float() * 100 : draw(WILD);
        if (n) memcpy(g, was, n * sizeof *g);
        k->silu_mul(g, up, n);
        int wrong = 0;
        for (size_t j = 0; j < n; j++) {
            const double x = (double)was[j], want = x / (1 + exp(-x)) * (double)up[j];
            /* exp within 2 ulp and three roundings; exp(-x) above 88.7 is infinite: then the result is 0 in place of less than 1e-36 */
            const double error = fabs((double)g[j] - want), bound = 6 * U * fabs(want) + (x < -87 ? 1e-35 : 0x1p-148);
            if (x > -87 && fabs(want) > 1e-36 && error / fabs(want) > worst) worst = error / fabs(want);
            wrong += !(error <= bound);
        }
        CHECKF(!wrong && guard_intact(&gx) && guard_intact(&gw), "%s silu_mul n=%zu: %d elements", k->name, n, wrong);
    }
    float g[] = {0.0f, -0.0f, NAN, -1000.0f, 1000.0f, 3e38f, -3e38f, INFINITY, -88.9f, -104.5f, 1, 1, 1, 1, 1, 1, 1};
    float up[17];
    for (size_t j = 0; j < 17; j++) up[j] = 1;
    k->silu_mul(g, up, 17);
    CHECK(g[0] == 0 && g[1] == 0 && isnan(g[2]) && g[3] == 0 && g[4] == 1000.0f && g[5] == 3e38f && g[6] == 0 && g[7] == INFINITY);
    CHECK(fabsf(g[8]) < 1e-36f && fabsf(g[9]) < 1e-36f);
    printf("  %-7s silu_mul: relative error <= %.2e\n", k->name, worst);
}

static void check_rope(void) {
    for (size_t i = 0; i < N_LENGTHS; i++) {
        const size_t n = length_of(i);
        float *x = guard_take(&gx, 2 * n * sizeof *x, gap_of(i)), *was = guard_take(&gb, 2 * n * sizeof *was, 0);
        float *c = guard_take(&gy, n * sizeof *c, gap_of(i + 1)), *s = guard_take(&gw, n * sizeof *s, gap_of(i + 2));
        fill(x, 2 * n, WILD);
        for (size_t j = 0; j < n; j++) {
            const float angle = random_float() * 7;
            c[j] = cosf(angle);
            s[j] = sinf(angle);
        }
        if (n) memcpy(was, x, 2 * n * sizeof *x);
        k->rope(x, c, s, n);
        int wrong = 0;
        for (size_t j = 0; j < n; j++) {
            const double a = (double)was[j], b = (double)was[j + n], cj = (double)c[j], sj = (double)s[j];
            const double bound = 3 * U * (fabs(a) + fabs(b)) + 0x1p-148;
            wrong += !close_to((double)x[j], a * cj - b * sj, bound) || !close_to((double)x[j + n], b * cj + a * sj, bound);
        }
        CHECKF(!wrong && guard_intact(&gx) && guard_intact(&gy) && guard_intact(&gw), "%s rope half=%zu: %d pairs", k->name, n, wrong);
    }
}

static void check_attend_case(size_t n_keys, size_t dh, size_t stride, float scale, size_t gap) {
    const size_t n = matrix_size(n_keys, stride, dh);
    float *q = guard_take(&gx, dh * sizeof *q, gap), *out = guard_take(&gy, dh * sizeof *out, gap);
    float *kv = guard_take(&gw, 2 * n * sizeof *kv, gap), *s = guard_take(&gb, n_keys * sizeof *s, gap);
    double *p = qwen_alloc(n_keys, sizeof *p), max = -INFINITY, sum = 0, spread = 0;
    fill(q, dh, PLAIN);
    fill(kv, 2 * n, PLAIN);
    k->attend(out, q, kv, kv + n, stride, n_keys, dh, scale, s);
    for (size_t j = 0; j < n_keys; j++) {
        double dot = 0, magnitude = 0;
        for (size_t i = 0; i < dh; i++) {
            const double t = (double)q[i] * (double)kv[j * stride + i];
            dot += t;
            magnitude += fabs(t);
        }
        p[j] = (double)scale * dot;
        max = fmax(max, p[j]);
        spread = fmax(spread, dot_bound(dh, (double)scale * magnitude) + 4 * U * fabs(p[j])); /* error of an exponent */
    }
    for (size_t j = 0; j < n_keys; j++) sum += p[j] = exp(p[j] - max);
    int wrong = 0;
    for (size_t i = 0; i < dh; i++) {
        double want = 0, magnitude = 0;
        for (size_t j = 0; j < n_keys; j++) {
            want += p[j] / sum * (double)kv[n + j * stride + i];
            magnitude += p[j] / sum * fabs((double)kv[n + j * stride + i]);
        }
        wrong += !close_to((double)out[i], want, magnitude * (2 * spread + ((double)n_keys + 16) * 2 * U));
    }
    CHECKF(!wrong && guard_intact(&gx) && guard_intact(&gy) && guard_intact(&gw) && guard_intact(&gb),
           "%s attend keys=%zu dh=%zu: %d elements", k->name, n_keys, dh, wrong);
    qwen_free(p);
}

static void check_attend(void) {
    for (size_t i = 1; i <= 257; i++) check_attend_case(i, i % 3 == 0 ? 128 : 64, 128 + i % 5, 0.125f, gap_of(i));
    for (size_t dh = 1; dh <= 257; dh++) check_attend_case(1 + dh % 23, dh, dh + dh % 7, 0.3f, gap_of(dh));
    check_attend_case(1000, 128, 128, 0.0883883476f, 0);
    check_attend_case(104, 64, 2688, 0.125f, 4);
    check_attend_case(300, 64, 64, 40.0f, 0); /* a few keys take all: the others underflow */
    float q[70], kv[3 * 70], out[70], s[3];
    fill(q, 70, PLAIN);
    fill(kv, 210, PLAIN);
    q[69] = NAN;
    k->attend(out, q, kv, kv, 70, 3, 70, 1, s);
    CHECK(isnan(out[0]) && isnan(out[69]));
}

static void check_argmax(void) {
    for (size_t i = 1; i < N_LENGTHS; i++) {
        const size_t n = length_of(i);
        float *x = guard_take(&gx, n * sizeof *x, gap_of(i));
        fill(x, n, WILD);
        size_t want = 0;
        for (size_t j = 1; j < n; j++) want = x[j] > x[want] ? j : want;
        CHECKF(k->argmax(x, n) == want, "%s argmax n=%zu", k->name, n);
        const size_t a = random_bits() % n, b = random_bits() % n;
        x[a] = x[b] = 0x1p70f;
        CHECKF(k->argmax(x, n) == (a < b ? a : b), "%s argmax n=%zu: two equal at %zu, %zu", k->name, n, a, b);
        x[b] = NAN;
        CHECKF(k->argmax(x, n) == SIZE_MAX, "%s argmax n=%zu: NaN at %zu", k->name, n, b);
        for (size_t j = 0; j < n; j++) x[j] = -INFINITY;
        CHECKF(k->argmax(x, n) == 0, "%s argmax n=%zu: all -infinity", k->name, n);
        for (size_t j = 0; j < n; j++) x[j] = j == a ? 0.0f : -0.0f;
        CHECKF(k->argmax(x, n) == 0, "%s argmax n=%zu: zeros of both signs are equal", k->name, n);
        CHECK(guard_intact(&gx));
    }
}

/* ---- levels ------------------------------------------------------------------------------------------------------- */

static const char *volatile checking = "";

/* A read or write beyond an end arrives here. */
static void on_fault(int signal) {
    char line[128];
    const int n = snprintf(line, sizeof line, "checkkern: signal %d (memory beyond an end?) in %s %s\n", signal, k ? k->name : "", checking);
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) _exit(3);
    _exit(2);
}

/* Runs the check of a slot unless the level before had the same pointer there. */
#define SLOT(slot, call)                                      \
    do {                                                      \
        if (!before || before->slot != level->slot) {         \
            checking = #slot;                                 \
            call;                                             \
            done++;                                           \
        }                                                     \
    } while (0)

static int check_level(const qwen_kernels *before, const qwen_kernels *level) {
    int done = 0;
    k = level;
    for (int t = 0; t < QWEN_N_DTYPES; t++) {
        SLOT(widen[t], check_widen((qwen_dtype)t));
        SLOT(gemm[t], check_gemm((qwen_dtype)t); check_independence((qwen_dtype)t, 13, 530); check_independence((qwen_dtype)t, 1, 64);
             check_independence((qwen_dtype)t, 20, 75));
    }
    SLOT(add, check_add());
    SLOT(layer_norm, check_norm(true));
    SLOT(rms_norm, check_norm(false));
    SLOT(gelu, check_gelu());
    SLOT(silu_mul, check_silu_mul());
    SLOT(rope, check_rope());
    SLOT(attend, check_attend());
    SLOT(argmax, check_argmax());
    return done;
}

typedef struct level_info {
    const char *name;
    uint32_t needs;
} level_info;

static const level_info levels[] = {
    {"scalar", 0},
#if defined(__x86_64__)
    {"AVX2", QWEN_CPU_AVX2},
    {"AVX-512", QWEN_CPU_AVX2 | QWEN_CPU_AVX512},
#elif defined(__aarch64__)
    {"NEON", QWEN_CPU_NEON},
#endif
};

int main(int argc, char **argv) {
    const uint32_t cpu = qwen_cpu_detect();
    const bool timing = argc > 1 && !strcmp(argv[1], "--bench");
    qwen_kernels tables[sizeof levels / sizeof *levels];
    size_t n = 0;
    const unsigned long long seed = argc > 1 && !timing ? strtoull(argv[1], NULL, 10) : (unsigned long long)(bench_now() * 1e6);
    if (!timing) printf("checkkern: seed %llu, %d cores\n", seed, qwen_cpu_cores());
    fflush(stdout);
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    rng = seed * 2 + 1;
    gx = guard_open((size_t)8 << 20), gy = guard_open((size_t)8 << 20), gw = guard_open((size_t)8 << 20), gb = guard_open((size_t)8 << 20);
    scratch = qwen_alloc(QWEN_GEMM_SCRATCH, sizeof *scratch);
    if (!scratch) return 1;
    char ran[256] = "";
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if ((cpu & levels[i].needs) != levels[i].needs) {
            SKIP("no %s here: its kernels were NOT checked", levels[i].name);
            continue;
        }
        qwen_kernels_init(&tables[n++], levels[i].needs);
        if (timing) continue;
        const int done = check_level(n > 1 ? &tables[n - 2] : NULL, &tables[n - 1]);
        CHECKF(done > 0, "%s adds nothing", levels[i].name);
        const size_t used = strlen(ran);
        snprintf(ran + used, sizeof ran - used, "%s%s %d slots", used ? ", " : "", levels[i].name, done);
    }
    CHECK(qwen_cpu_cores() >= 1);
    const int status = timing ? bench_main(tables, n) : 0;
    qwen_free(scratch);
    guard_close(&gx), guard_close(&gy), guard_close(&gw), guard_close(&gb);
    if (timing) return status;
    printf("checkkern: ran %s\n", ran);
    return check_done("checkkern");
}
