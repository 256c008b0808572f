/*
 * checkkern_bench.h - `checkkern --bench`: nanoseconds, GFLOP/s or GB/s and speed-up over scalar, per kernel and instruction set.
 *
 * One thread, best of several runs. The many-row shapes are those of the 0.6B model; the one-row products walk over more weights than
 * any cache holds, as a decode step does.
 */
#ifndef QWEN_CHECKKERN_BENCH_H
#define QWEN_CHECKKERN_BENCH_H

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "qwen_asr_kernels.h"
#include "qwen_asr_mem.h"

#define BENCH_WEIGHTS ((size_t)96 << 20) /* bytes, three times a large last-level cache */
#define BENCH_FLOATS ((size_t)512 * 8192)

typedef struct bench {
    float *x, *y, *scratch;
    unsigned char *w;
    double scalar_s[64]; /* seconds of the scalar table, by row of the output */
    int row;
} bench;

static double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best time of one call, over at least 3 calls and 0.15 s (once if a call takes longer than a second). */
#define BENCH_TIME(seconds, call)                                                      \
    do {                                                                               \
        double bench_best = 1e9, bench_total = 0;                                      \
        for (int bench_i = 0; bench_total < 0.15 || (bench_i < 3 && bench_total < 1); bench_i++) { \
            const double bench_t0 = bench_now();                                       \
            call;                                                                      \
            const double bench_dt = bench_now() - bench_t0;                            \
            bench_total += bench_dt;                                                   \
            if (bench_dt < bench_best) bench_best = bench_dt;                          \
        }                                                                              \
        (seconds) = bench_best;                                                        \
    } while (0)

static void bench_line(bench *b, const char *isa, const char *what, double seconds, double amount, const char *unit) {
    if (!strcmp(isa, "scalar")) b->scalar_s[b->row] = seconds;
    printf("  %-7s %-34s %12.0f ns %8.2f %s %7.1fx\n", isa, what, seconds * 1e9, amount / seconds * 1e-9, unit, b->scalar_s[b->row] / seconds);
    b->row++;
}

static void bench_gemm(bench *b, const qwen_kernels *k) {
    static const size_t shapes[][3] = {{104, 3584, 896}, {400, 3584, 896}, {104, 1024, 3072}, {400, 1024, 3072}, {64, 480, 4320},
                                       {16, 1024, 1024}, {8, 1024, 1024},  {5, 1024, 1024},   {4, 1024, 1024},   {2, 1024, 1024}};
    char what[64];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const size_t M = shapes[i][0], N = shapes[i][1], K = shapes[i][2];
        for (int t = 0; t < QWEN_N_DTYPES; t++) {
            if (i > 0 && t != QWEN_BF16) continue; /* the other types differ only while widening */
            double s;
            BENCH_TIME(s, k->gemm[t](b->y, N, b->x, K, M, b->w, K, N, K, b->scratch));
            snprintf(what, sizeof what, "gemm %s M%zu N%zu K%zu", qwen_dtype_name((qwen_dtype)t), M, N, K);
            bench_line(b, k->name, what, s, 2.0 * (double)(M * N * K), "GFLOP/s");
        }
    }
    for (size_t K = 1024; K <= 3072; K += 2048) {
        for (int t = 0; t < QWEN_N_DTYPES; t++) {
            const size_t N = BENCH_WEIGHTS / K / qwen_dtype_size((qwen_dtype)t);
            double s;
            BENCH_TIME(s, k->gemm[t](b->y, N, b->x, K, 1, b->w, K, N, K, b->scratch));
            snprintf(what, sizeof what, "gemv %s K%zu, from memory", qwen_dtype_name((qwen_dtype)t), K);
            bench_line(b, k->name, what, s, (double)BENCH_WEIGHTS, "GB/s   ");
        }
    }
}

static void bench_rows(bench *b, const qwen_kernels *k) {
    const size_t n = 4096;
    float *y = b->y, *x = b->x;
    double s;
    BENCH_TIME(s, for (int i = 0; i < 64; i++) k->widen[QWEN_BF16](y, b->w, n));
    bench_line(b, k->name, "widen bf16 4096", s / 64, (double)n, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) k->widen[QWEN_F16](y, b->w, n));
    bench_line(b, k->name, "widen f16 4096", s / 64, (double)n, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) k->add(y, x, n));
    bench_line(b, k->name, "add 4096", s / 64, (double)n, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) k->layer_norm(y, x, x + n, x + 2 * n, 1e-5f, 896));
    bench_line(b, k->name, "layer_norm 896", s / 64, 896, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) k->rms_norm(y, x, x + n, 1e-6f, 1024));
    bench_line(b, k->name, "rms_norm 1024", s / 64, 1024, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) { memcpy(y, x, n * sizeof *y); k->gelu(y, n); });
    bench_line(b, k->name, "gelu 4096", s / 64, (double)n, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) { memcpy(y, x, n * sizeof *y); k->silu_mul(y, x + n, n); });
    bench_line(b, k->name, "silu_mul 4096", s / 64, (double)n, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) { memcpy(y, x, 128 * sizeof *y); k->rope(y, x, x + 64, 64); });
    bench_line(b, k->name, "rope 2*64", s / 64, 128, "G/s    ");
    BENCH_TIME(s, for (int i = 0; i < 64; i++) k->attend(y, x, x + n, x + 2 * n, 3 * 896, 104, 64, 0.125f, b->scratch));
    bench_line(b, k->name, "attend 104 keys, dh 64, stride 2688", s / 64, 4 * 104 * 64, "GFLOP/s");
    BENCH_TIME(s, for (int i = 0; i < 16; i++) k->attend(y, x, x + n, x + 32 * n, 128, 900, 128, 0.09f, b->scratch));
    bench_line(b, k->name, "attend 900 keys, dh 128", s / 16, 4 * 900 * 128, "GFLOP/s");
    volatile size_t sink;
    BENCH_TIME(s, sink = k->argmax(x, 151936));
    (void)sink;
    bench_line(b, k->name, "argmax 151936", s, 151936, "G/s    ");
}

static int bench_main(const qwen_kernels *tables, size_t n_tables) {
    bench b = {.x = qwen_alloc(BENCH_FLOATS, sizeof(float)), .y = qwen_alloc(BENCH_FLOATS, sizeof(float)),
               .scratch = qwen_alloc(QWEN_GEMM_SCRATCH, sizeof(float)), .w = qwen_alloc(BENCH_WEIGHTS, 1)};
    if (!b.x || !b.y || !b.scratch || !b.w) return 1;
    uint32_t r = 1;
    for (size_t i = 0; i < BENCH_FLOATS; i++) b.x[i] = (float)((r = r * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1;
    for (size_t i = 0; i < BENCH_WEIGHTS; i++) b.w[i] = (unsigned char)(i % 4 == 3 || i % 4 == 1 ? 0x3C : i * 7); /* small numbers in each type */
    for (size_t i = 0; i < n_tables; i++) {
        b.row = 0;
        bench_gemm(&b, &tables[i]);
        bench_rows(&b, &tables[i]);
    }
    qwen_free(b.x);
    qwen_free(b.y);
    qwen_free(b.scratch);
    qwen_free(b.w);
    return 0;
}

#endif
