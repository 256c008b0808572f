/*
 * qwen_asr_kernels_simd.h - the vector kernels, written once over a dozen primitives. Included by the instruction set units only,
 * after they defined the primitives; everything here is static, so nothing compiled with their flags can reach baseline code.
 *
 * The unit defines (n: 1 <= n <= VL elements, the others read as 0 and are not written, nothing outside is touched):
 *   VL, vf, v4                    lanes; vector of VL floats; vector of 4 floats
 *   TILE_M                        rows of x in the register tile: TILE_M * 4 sums and 4 + 1 operands must fit the registers
 *   v_zero() v_set1(f) v_load(p) v_load_n(p, n) v_store(p, v) v_store_n(p, v, n)
 *   v_load_bf16(p) v_load_f16(p) v_load_bf16_n(p, n) v_load_f16_n(p, n)
 *   v_add v_sub v_mul v_div v_min v_max   if b of v_max(a, b) is NaN, so is the result; likewise v_min
 *   v_fma(a, b, c) a*b + c, fused   v_fnma(a, b, c) c - a*b, fused
 *   v_ldexp(a, n) a * 2^n for integers -150 <= n <= 128, underflow gradual, NaN a stays
 *   v_any_ne(a, b)                is any lane unequal or unordered?
 *   v_reduce4(a, b, c, d)         the four lane sums, each in the same fixed tree; v4_load v4_store v4_add
 *
 * Products. A tile holds the sums of mr rows of x and nr rows of w in registers and marches along K, so one vector of either
 * serves several fused multiply-adds; at the end of a chunk the sums of four w rows are added across lanes together. However a
 * product is tiled, each element sees the same operations in the same order, which is what makes rows independent of M.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "qwen_asr_kernels.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#define NO_UNROLL _Pragma("GCC unroll 1")
#endif

#define PANEL_ROWS 4 /* rows of w that lie interleaved in scratch: vector i of row r at (i*4 + r)*VL */
#define PANEL_FLOATS (PANEL_ROWS * QWEN_GEMM_KC)
#define BLOCK_ROWS 8    /* rows of w per pass: two panels, 16 KB widened, half of a small L1 cache */
#define STRIPE_ROWS 120 /* most rows of x per pass: 240 KB of a chunk, which stays in L2 while w passes */
#define STRIPE_UNIT 12  /* rows of a stripe but the last: a multiple of this, hence of TILE_M */
#define DIRECT_M 24     /* up to here widening in registers beats widening into scratch (Zen 4: even at 24 with AVX2, at 48 with AVX-512) */

_Static_assert(BLOCK_ROWS * QWEN_GEMM_KC <= QWEN_GEMM_SCRATCH, "scratch holds one block");
_Static_assert(TILE_M <= 4, "emit_tile");
_Static_assert(STRIPE_UNIT % TILE_M == 0 && STRIPE_ROWS % STRIPE_UNIT == 0, "stripes hold whole tiles");
_Static_assert(QWEN_GEMM_KC % VL == 0, "only the last vector of a row is partial");

INLINE size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* ---- products --------------------------------------------------------------------------------------------------- */

/* Element i of a row of weights and its VL-1 (n-1) successors. The type is a constant wherever this is inlined. */
INLINE vf load_w(const void *w, size_t i, qwen_dtype type) {
    if (type == QWEN_F32) return v_load((const float *)w + i);
    return type == QWEN_BF16 ? v_load_bf16((const uint16_t *)w + i) : v_load_f16((const uint16_t *)w + i);
}

INLINE vf load_w_n(const void *w, size_t i, size_t n, qwen_dtype type) {
    if (type == QWEN_F32) return v_load_n((const float *)w + i, n);
    return type == QWEN_BF16 ? v_load_bf16_n((const uint16_t *)w + i, n) : v_load_f16_n((const uint16_t *)w + i, n);
}

INLINE size_t size_of(qwen_dtype type) { return type == QWEN_F32 ? sizeof(float) : sizeof(uint16_t); }

INLINE const void *weight_at(const void *w, size_t i, qwen_dtype type) { return (const unsigned char *)w + i * size_of(type); }

/* The address may lie beyond the matrix: prefetching never faults. */
INLINE void prefetch_l2(uintptr_t p) { __builtin_prefetch((const void *)p, 0, 2); }

static __attribute__((noinline)) void emit_some(float *y, v4 sums, size_t n, bool first) {
    float s[4];
    v4_store(s, sums);
    for (size_t i = 0; i < n; i++) y[i] = first ? s[i] : y[i] + s[i];
}

/* Stores the first n (at most 4 count) sums into a row of y, or adds them to it. */
INLINE void emit(float *y, v4 sums, size_t n, bool first) {
    if (n >= 4) v4_store(y, first ? sums : v4_add(v4_load(y), sums));
    else emit_some(y, sums, n, first);
}

/* One chunk of K for mr rows of x (from x, stride ldx) against nr rows of w: y[m*ldy + n], n < n_valid, gets its sum. */
typedef struct chunk {
    float *y;
    const float *x;
    size_t ldy, ldx, kc, n_valid;
    bool first;
} chunk;

INLINE void emit_row(const chunk *c, const vf *a, size_t m, const size_t nr) {
    float *y = c->y + m * c->ldy;
    emit(y, v_reduce4(a[0], a[1], a[2], a[3]), c->n_valid, c->first);
    if (nr == 8 && c->n_valid > 4) emit(y + 4, v_reduce4(a[4], a[5], a[6], a[7]), c->n_valid - 4, c->first);
}

/* Not a loop: that leaves no doubt that acc stays in registers. */
INLINE void emit_tile(const chunk *c, const vf *acc, const size_t mr, const size_t nr) {
    emit_row(c, acc, 0, nr);
    if (mr > 1) emit_row(c, acc + nr, 1, nr);
    if (mr > 2) emit_row(c, acc + 2 * nr, 2, nr);
    if (mr > 3) emit_row(c, acc + 3 * nr, 3, nr);
}

INLINE void direct_step(vf *acc, const float *x, size_t ldx, const void *const *w, size_t k, const size_t mr, const size_t nr,
                        const qwen_dtype type) {
    vf a[TILE_M];
    UNROLL for (size_t m = 0; m < mr; m++) a[m] = v_load(x + m * ldx);
    UNROLL for (size_t n = 0; n < nr; n++) {
        const vf b = load_w(w[n], k, type);
        UNROLL for (size_t m = 0; m < mr; m++) acc[m * nr + n] = v_fma(a[m], b, acc[m * nr + n]);
    }
}

/* w: nr pointers to the chunk's first weight. ahead: address of as many bytes that will be needed soon, or 0. */
INLINE void tile_direct(const chunk *c, const void *const *w, uintptr_t ahead, const size_t mr, const size_t nr, const qwen_dtype type) {
    vf acc[TILE_M * 8];
    UNROLL for (size_t i = 0; i < mr * nr; i++) acc[i] = v_zero();
    const float *x = c->x;
    const size_t ldx = c->ldx, kc = c->kc;
    const size_t line = 64 / size_of(type);
    size_t k = 0;
    for (; k + line <= kc; k += line) {
        if (ahead) {
            UNROLL for (size_t n = 0; n < nr; n++) prefetch_l2(ahead + n * 64);
            ahead += nr * 64;
        }
        NO_UNROLL for (size_t i = 0; i < line; i += VL) direct_step(acc, x + k + i, ldx, w, k + i, mr, nr, type);
    }
    for (; k + VL <= kc; k += VL) direct_step(acc, x + k, ldx, w, k, mr, nr, type);
    if (k < kc) {
        UNROLL for (size_t n = 0; n < nr; n++) {
            const vf b = load_w_n(w[n], k, kc - k, type);
            UNROLL for (size_t m = 0; m < mr; m++) acc[m * nr + n] = v_fma(v_load_n(x + m * ldx + k, kc - k), b, acc[m * nr + n]);
        }
    }
    emit_tile(c, acc, mr, nr);
}

/* w: a panel, its last vectors filled up with zeros. */
INLINE void tile_packed(const chunk *c, const float *w, const size_t mr) {
    vf acc[TILE_M * PANEL_ROWS];
    UNROLL for (size_t i = 0; i < mr * PANEL_ROWS; i++) acc[i] = v_zero();
    UNROLL for (size_t m = 0; m < mr; m++) __builtin_prefetch(c->y + m * c->ldy, 1);
    const float *x = c->x;
    const size_t ldx = c->ldx, kc = c->kc;
    size_t k = 0;
    for (; k + VL <= kc; k += VL, w += PANEL_ROWS * VL) {
        vf a[TILE_M];
        UNROLL for (size_t m = 0; m < mr; m++) a[m] = v_load(x + m * ldx + k);
        UNROLL for (size_t n = 0; n < PANEL_ROWS; n++) {
            const vf b = v_load(w + n * VL);
            UNROLL for (size_t m = 0; m < mr; m++) acc[m * PANEL_ROWS + n] = v_fma(a[m], b, acc[m * PANEL_ROWS + n]);
        }
    }
    if (k < kc) {
        UNROLL for (size_t m = 0; m < mr; m++) {
            const vf a = v_load_n(x + m * ldx + k, kc - k);
            UNROLL for (size_t n = 0; n < PANEL_ROWS; n++) acc[m * PANEL_ROWS + n] = v_fma(a, v_load(w + n * VL), acc[m * PANEL_ROWS + n]);
        }
    }
    emit_tile(c, acc, mr, PANEL_ROWS);
}

/* One set of registers per tile height; separate functions so that each gets its own allocation. */
static __attribute__((noinline)) void tile_packed_full(const chunk *c, const float *w) { tile_packed(c, w, TILE_M); }
static __attribute__((noinline)) void tile_packed_2(const chunk *c, const float *w) { tile_packed(c, w, 2); }
static __attribute__((noinline)) void tile_packed_1(const chunk *c, const float *w) { tile_packed(c, w, 1); }

/* Widens kc weights, from k0, of n (up to 8) rows into panels. Rows beyond n of a panel that is used are zero. */
INLINE void pack(float *panels, const void *w, size_t ldw, size_t n, size_t k0, size_t kc, const qwen_dtype type) {
    for (size_t r = 0; r < BLOCK_ROWS && r / PANEL_ROWS * PANEL_ROWS < n; r++) {
        float *dst = panels + r / PANEL_ROWS * PANEL_FLOATS + r % PANEL_ROWS * VL;
        const void *row = weight_at(w, (r < n ? r : 0) * ldw, type);
        size_t k = 0;
        for (; k + VL <= kc; k += VL, dst += PANEL_ROWS * VL) v_store(dst, r < n ? load_w(row, k0 + k, type) : v_zero());
        if (k < kc) v_store(dst, r < n ? load_w_n(row, k0 + k, kc - k, type) : v_zero());
    }
}

/* The block that will be packed next: lines are asked for while the products of this one run. */
typedef struct next_block {
    const unsigned char *w;
    size_t rows, row_bytes, stride, done; /* bytes per row asked for so far */
} next_block;

INLINE void prefetch_some(next_block *b, size_t bytes) {
    for (const size_t end = min_size(b->row_bytes, b->done + bytes); b->done < end; b->done += 64)
        for (size_t r = 0; r < b->rows; r++) __builtin_prefetch(b->w + r * b->stride + b->done);
}

/* All M rows of a stripe against the packed block; c describes the first row. */
static void stripe(chunk c, size_t M, const float *panels, next_block next) {
    const size_t n = c.n_valid, share = next.row_bytes / (M / TILE_M + 1) + 1;
    float *y = c.y;
    for (size_t m = 0; m < M;) {
        const size_t left = M - m, mr = left >= TILE_M ? TILE_M : left >= 2 ? 2 : 1;
        prefetch_some(&next, share);
        for (size_t p = 0; p * PANEL_ROWS < n; p++) {
            c.y = y + p * PANEL_ROWS;
            c.n_valid = n - p * PANEL_ROWS < PANEL_ROWS ? n - p * PANEL_ROWS : PANEL_ROWS;
            if (mr == TILE_M) tile_packed_full(&c, panels + p * PANEL_FLOATS);
            else if (mr == 2) tile_packed_2(&c, panels + p * PANEL_FLOATS);
            else tile_packed_1(&c, panels + p * PANEL_FLOATS);
        }
        m += mr;
        y += mr * c.ldy;
        c.x += mr * c.ldx;
    }
}

/* The next mr rows of x against the eight rows of w, four at a time. */
INLINE void direct_rows(chunk *c, const void *const *w, uintptr_t ahead, const size_t mr, const qwen_dtype type) {
    tile_direct(c, w, ahead, mr, 4, type);
    if (c->n_valid > 4) {
        chunk right = *c;
        right.y += 4;
        right.n_valid -= 4;
        tile_direct(&right, w + 4, ahead ? ahead + c->kc * 4 * size_of(type) : 0, mr, 4, type);
    }
    c->y += mr * c->ldy;
    c->x += mr * c->ldx;
}

/* Few rows: weights are read once and widened in registers, eight rows side by side for as many independent sums. Memory likes one
 * stream better than eight: what the block after the next needs is fetched into L2 in the order of addresses, if from_memory. */
INLINE void gemm_direct(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K,
                        const qwen_dtype type, const bool from_memory) {
    const size_t size = size_of(type);
    for (size_t n0 = 0; n0 < N; n0 += BLOCK_ROWS) {
        const size_t n = min_size(N - n0, BLOCK_ROWS);
        for (size_t k0 = 0; k0 < K; k0 += QWEN_GEMM_KC) {
            const void *rows[BLOCK_ROWS]; /* those beyond N repeat the last one; their sums are dropped */
            for (size_t r = 0; r < BLOCK_ROWS; r++) rows[r] = weight_at(w, (n0 + min_size(r, n - 1)) * ldw + k0, type);
            chunk c = {y + n0, x + k0, ldy, ldx, min_size(K - k0, QWEN_GEMM_KC), n, k0 == 0};
            const uintptr_t ahead = from_memory ? (uintptr_t)w + ((n0 + 2 * BLOCK_ROWS) * ldw + k0 * BLOCK_ROWS) * size : 0;
            size_t m = 0;
            for (; m + TILE_M <= M; m += TILE_M) direct_rows(&c, rows, ahead, TILE_M, type);
            for (; m + 2 <= M; m += 2) direct_rows(&c, rows, ahead, 2, type);
            if (m < M) tile_direct(&c, rows, ahead, 1, BLOCK_ROWS, type);
        }
    }
}

INLINE void gemm(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K, float *scratch,
                 const qwen_dtype type) {
    if (K == 0) {
        for (size_t m = 0; m < M; m++)
            for (size_t n = 0; n < N; n++) y[m * ldy + n] = 0;
    } else if (M <= DIRECT_M) {
        gemm_direct(y, ldy, x, ldx, M, w, ldw, N, K, type, true);
    } else {
        const size_t size = size_of(type);
        const size_t n_stripes = (M + STRIPE_ROWS - 1) / STRIPE_ROWS, share = (M + n_stripes - 1) / n_stripes;
        const size_t rows = (share + STRIPE_UNIT - 1) / STRIPE_UNIT * STRIPE_UNIT; /* even shares: no stripe of one row */
        for (size_t m0 = 0; m0 < M; m0 += rows) {
            for (size_t k0 = 0; k0 < K; k0 += QWEN_GEMM_KC) {
                for (size_t n0 = 0; n0 < N; n0 += BLOCK_ROWS) {
                    const size_t n = min_size(N - n0, BLOCK_ROWS), kc = min_size(K - k0, QWEN_GEMM_KC);
                    pack(scratch, weight_at(w, n0 * ldw, type), ldw, n, k0, kc, type);
                    next_block next = {weight_at(w, (n0 + n) * ldw + k0, type), min_size(N - n0 - n, BLOCK_ROWS), kc * size, ldw * size, 0};
                    stripe((chunk){y + m0 * ldy + n0, x + m0 * ldx + k0, ldy, ldx, kc, n, k0 == 0}, min_size(M - m0, rows), scratch, next);
                }
            }
        }
    }
}

static void gemm_f32(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K,
                     float *scratch) {
    gemm(y, ldy, x, ldx, M, w, ldw, N, K, scratch, QWEN_F32);
}

static void gemm_bf16(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K,
                      float *scratch) {
    gemm(y, ldy, x, ldx, M, w, ldw, N, K, scratch, QWEN_BF16);
}

static void gemm_f16(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N, size_t K,
                     float *scratch) {
    gemm(y, ldy, x, ldx, M, w, ldw, N, K, scratch, QWEN_F16);
}

INLINE void widen(float *dst, const void *src, size_t n, const qwen_dtype type) {
    size_t i = 0;
    for (; i + VL <= n; i += VL) v_store(dst + i, load_w(src, i, type));
    if (i < n) v_store_n(dst + i, load_w_n(src, i, n - i, type), n - i);
}

static void widen_bf16(float *dst, const void *src, size_t n) { widen(dst, src, n, QWEN_BF16); }
static void widen_f16(float *dst, const void *src, size_t n) { widen(dst, src, n, QWEN_F16); }

/* ---- functions of one element ------------------------------------------------------------------------------------ */

/* e^x within about 1 ulp: x = n ln 2 + r with |r| <= ln(2)/2, ln 2 in two parts; r^2 and up by tools/erf_fit.py. Below -104 the result is 0,
 * above 88.73 infinite; NaN stays NaN. */
INLINE vf v_exp(vf x) {
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    const vf big = v_set1(0x1.8p23f); /* adding it leaves no bits for a fraction: rounds to the nearest integer */
    const vf n = v_sub(v_fma(x, v_set1(1.44269504f), big), big);
    vf r = v_fnma(n, v_set1(0x1.62e4p-1f), x);   /* 15 bits of ln 2: n times them is exact */
    r = v_fnma(n, v_set1(1.42860677e-6f), r);    /* the rest */
    vf p = v_set1(0.00138144672f);
    p = v_fma(p, r, v_set1(0.00836878084f));
    p = v_fma(p, r, v_set1(0.0416683927f));
    p = v_fma(p, r, v_set1(0.166665196f));
    p = v_fma(p, r, v_set1(0.49999994f));
    p = v_fma(p, v_mul(r, r), r);
    return v_ldexp(v_add(p, v_set1(1.0f)), n);
}

/* The exact GELU, |error| <= 2.2e-7 max(1, |x|): erf(z) = z P(z^2) / Q(z^2) on |z| <= 4, where it rounds to 1; P, Q by tools/erf_fit.py. */
INLINE vf v_gelu(vf x) {
    const vf z = v_min(v_set1(4.0f), v_max(v_set1(-4.0f), v_mul(x, v_set1(0.707106781f))));
    const vf s = v_mul(z, z);
    vf p = v_set1(1.98681209e-06f), q = v_set1(3.74204683e-05f);
    p = v_fma(p, s, v_set1(0.000284565467f));
    q = v_fma(q, s, v_set1(0.00118555501f));
    p = v_fma(p, s, v_set1(0.00388326612f));
    q = v_fma(q, s, v_set1(0.0152070895f));
    p = v_fma(p, s, v_set1(0.0531014986f));
    q = v_fma(q, s, v_set1(0.115349188f));
    p = v_fma(p, s, v_set1(0.193543047f));
    q = v_fma(q, s, v_set1(0.504855633f));
    p = v_fma(p, s, v_set1(1.12837911f));
    q = v_fma(q, s, v_set1(1.0f));
    const vf erf = v_min(v_set1(1.0f), v_max(v_set1(-1.0f), v_div(v_mul(z, p), q)));
    return v_mul(v_mul(v_set1(0.5f), x), v_add(v_set1(1.0f), erf));
}

INLINE vf v_silu_mul(vf g, vf up) {
    return v_mul(v_div(g, v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), g)))), up);
}

static void add(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + VL <= n; i += VL) v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    if (i < n) v_store_n(y + i, v_add(v_load_n(y + i, n - i), v_load_n(x + i, n - i)), n - i);
}

static void gelu(float *x, size_t n) {
    size_t i = 0;
    for (; i + VL <= n; i += VL) v_store(x + i, v_gelu(v_load(x + i)));
    if (i < n) v_store_n(x + i, v_gelu(v_load_n(x + i, n - i)), n - i);
}

static void silu_mul(float *gate, const float *up, size_t n) {
    size_t i = 0;
    for (; i + VL <= n; i += VL) v_store(gate + i, v_silu_mul(v_load(gate + i), v_load(up + i)));
    if (i < n) v_store_n(gate + i, v_silu_mul(v_load_n(gate + i, n - i), v_load_n(up + i, n - i)), n - i);
}

static void rope(float *x, const float *cos_row, const float *sin_row, size_t half) {
    float *hi = x + half;
    size_t i = 0;
    for (; i + VL <= half; i += VL) {
        const vf a = v_load(x + i), b = v_load(hi + i), c = v_load(cos_row + i), s = v_load(sin_row + i);
        v_store(x + i, v_fnma(b, s, v_mul(a, c)));
        v_store(hi + i, v_fma(a, s, v_mul(b, c)));
    }
    if (i < half) {
        const size_t n = half - i;
        const vf a = v_load_n(x + i, n), b = v_load_n(hi + i, n), c = v_load_n(cos_row + i, n), s = v_load_n(sin_row + i, n);
        v_store_n(x + i, v_fnma(b, s, v_mul(a, c)), n);
        v_store_n(hi + i, v_fma(a, s, v_mul(b, c)), n);
    }
}

/* ---- norms ------------------------------------------------------------------------------------------------------ */

INLINE float lane_sum(vf v) {
    float s[4];
    v4_store(s, v_reduce4(v, v_zero(), v_zero(), v_zero()));
    return s[0];
}

/* v with lanes n and up set to 0. */
INLINE vf first_lanes(vf v, size_t n) {
    float t[VL] = {0};
    v_store_n(t, v, n);
    return v_load(t);
}

/* Sum of x[i], or of (x[i] - center)^2. */
INLINE float row_sum(const float *x, size_t n, float center, const bool squared) {
    const vf c = v_set1(center);
    vf acc[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        UNROLL for (size_t u = 0; u < 4; u++) {
            const vf v = v_load(x + i + u * VL), d = v_sub(v, c);
            acc[u] = squared ? v_fma(d, d, acc[u]) : v_add(acc[u], v);
        }
    }
    for (; i < n; i += VL) {
        const size_t left = min_size(n - i, VL);
        const vf v = v_load_n(x + i, left), d = first_lanes(v_sub(v, c), left);
        acc[0] = squared ? v_fma(d, d, acc[0]) : v_add(acc[0], v);
    }
    return lane_sum(v_add(v_add(acc[0], acc[1]), v_add(acc[2], acc[3])));
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, float eps, size_t n) {
    const float mean = row_sum(x, n, 0, false) / (float)n;
    const float r = 1 / sqrtf(row_sum(x, n, mean, true) / (float)n + eps);
    const vf vm = v_set1(mean), vr = v_set1(r);
    size_t i = 0;
    for (; i + VL <= n; i += VL) v_store(y + i, v_fma(v_mul(v_sub(v_load(x + i), vm), vr), v_load(w + i), v_load(b + i)));
    if (i < n)
        v_store_n(y + i, v_fma(v_mul(v_sub(v_load_n(x + i, n - i), vm), vr), v_load_n(w + i, n - i), v_load_n(b + i, n - i)), n - i);
}

static void rms_norm(float *y, const float *x, const float *w, float eps, size_t n) {
    const vf r = v_set1(1 / sqrtf(row_sum(x, n, 0, true) / (float)n + eps));
    size_t i = 0;
    for (; i + VL <= n; i += VL) v_store(y + i, v_mul(v_load(w + i), v_mul(v_load(x + i), r)));
    if (i < n) v_store_n(y + i, v_mul(v_load_n(w + i, n - i), v_mul(v_load_n(x + i, n - i), r)), n - i);
}

/* ---- attention -------------------------------------------------------------------------------------------------- */

INLINE float lane_max(vf v) {
    float t[VL], max;
    v_store(t, v);
    max = t[0];
    for (size_t l = 1; l < VL; l++) max = t[l] > max ? t[l] : max;
    return max;
}

/* s[j] = exp(scale * s[j] - largest); returns their sum: lane l adds j = l, l + VL, ..., then the lanes are added. */
static float softmax_terms(float *s, size_t n, float scale) {
    const vf vs = v_set1(scale);
    vf max = v_set1(-INFINITY), sum = v_zero();
    float top = -INFINITY;
    size_t j = 0;
    for (; j + VL <= n; j += VL) {
        const vf v = v_mul(v_load(s + j), vs);
        v_store(s + j, v);
        max = v_max(max, v);
    }
    for (; j < n; j++) {
        s[j] *= scale;
        top = s[j] > top ? s[j] : top;
    }
    const float rest = lane_max(max);
    const vf largest = v_set1(rest > top ? rest : top);
    for (j = 0; j < n; j += VL) {
        const size_t left = min_size(n - j, VL);
        const vf e = first_lanes(v_exp(v_sub(v_load_n(s + j, left), largest)), left);
        v_store_n(s + j, e, left);
        sum = v_add(sum, e);
    }
    return lane_sum(sum);
}

/* out[0 .. blocks*VL) = inv * sum_j p[j] v[j*stride ..], j increasing. */
INLINE void weigh(float *out, const float *p, const float *v, size_t stride, size_t n_keys, float inv, const size_t blocks) {
    vf acc[8];
    UNROLL for (size_t b = 0; b < blocks; b++) acc[b] = v_zero();
    for (size_t j = 0; j < n_keys; j++, v += stride) {
        const vf pj = v_set1(p[j]);
        UNROLL for (size_t b = 0; b < blocks; b++) acc[b] = v_fma(pj, v_load(v + b * VL), acc[b]);
    }
    UNROLL for (size_t b = 0; b < blocks; b++) v_store(out + b * VL, v_mul(acc[b], v_set1(inv)));
}

static void weigh_n(float *out, const float *p, const float *v, size_t stride, size_t n_keys, float inv, size_t n) {
    vf acc = v_zero();
    for (size_t j = 0; j < n_keys; j++) acc = v_fma(v_set1(p[j]), v_load_n(v + j * stride, n), acc);
    v_store_n(out, v_mul(acc, v_set1(inv)), n);
}

static void attend(float *out, const float *q, const float *k, const float *v, size_t stride, size_t n_keys, size_t dh, float scale,
                   float *scores) {
    gemm_direct(scores, n_keys, q, dh, 1, k, stride, n_keys, dh, QWEN_F32, false); /* keys are strided and usually in a cache */
    const float inv = 1 / softmax_terms(scores, n_keys, scale);
    size_t i = 0;
    for (; i + 8 * VL <= dh; i += 8 * VL) weigh(out + i, scores, v + i, stride, n_keys, inv, 8);
    for (; i + 4 * VL <= dh; i += 4 * VL) weigh(out + i, scores, v + i, stride, n_keys, inv, 4);
    for (; i + VL <= dh; i += VL) weigh(out + i, scores, v + i, stride, n_keys, inv, 1);
    if (i < dh) weigh_n(out + i, scores, v + i, stride, n_keys, inv, dh - i);
}

/* Blocks keep their largest value; only the best block is searched for its index. */
#define ARGMAX_BLOCK 1024

static size_t argmax(const float *x, size_t n) {
    const size_t whole = n - n % VL;
    float best = -INFINITY;
    size_t at = 0;
    for (size_t i = 0, end; i < whole; i = end) {
        end = min_size(i + ARGMAX_BLOCK, whole);
        vf max = v_load(x + i);
        for (size_t j = i; j < end; j += VL) {
            const vf v = v_load(x + j);
            if (v_any_ne(v, v)) return SIZE_MAX;
            max = v_max(max, v);
        }
        const float top = lane_max(max);
        if (top > best) {
            best = top;
            at = i;
        }
    }
    if (whole)
        while (x[at] != best) at++; /* all -infinity: best is that, and so is x[0] */
    else best = x[0];
    for (size_t i = whole; i < n; i++) {
        if (isnan(x[i])) return SIZE_MAX;
        if (x[i] > best) {
            best = x[i];
            at = i;
        }
    }
    return at;
}

/* The slots that every instruction set fills from here. widen[QWEN_F32] stays memcpy. */
INLINE void fill_table(qwen_kernels *k, const char *name) {
    k->name = name;
    k->gemm[QWEN_F32] = gemm_f32;
    k->gemm[QWEN_BF16] = gemm_bf16;
    k->gemm[QWEN_F16] = gemm_f16;
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
