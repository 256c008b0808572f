/*
 * qwen_asr_kernels_avx2.c - the vector primitives on AVX2, FMA and F16C (Intel since Haswell, AMD since Excavator).
 *
 * Its own unit because of its flags; static functions and one init only.
 */
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "this unit is compiled with -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VL 8
#define TILE_M 3 /* 12 sums + 3 rows of x + 1 vector of w = 16 registers */
#define FN static inline __attribute__((always_inline))

typedef __m256 vf;
typedef __m128 v4;

FN vf v_zero(void) { return _mm256_setzero_ps(); }
FN vf v_set1(float f) { return _mm256_set1_ps(f); }
FN vf v_load(const float *p) { return _mm256_loadu_ps(p); }
FN void v_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
FN vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
FN vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
FN vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
FN vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
FN vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
FN vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
FN vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
FN vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
FN int v_any_ne(vf a, vf b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NEQ_UQ)) != 0; }

/* All ones in the first n lanes. */
FN __m256i mask_of(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

FN vf v_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, mask_of(n)); }
FN void v_store_n(float *p, vf v, size_t n) { _mm256_maskstore_ps(p, mask_of(n), v); }

FN vf widen_bf16_reg(__m128i h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }
FN __m128i load_u16(const uint16_t *p) { return _mm_loadu_si128((const __m128i *)p); }

FN __m128i load_u16_n(const uint16_t *p, size_t n) { /* there is no masked load of 16-bit elements */
    uint16_t t[8] = {0};
    memcpy(t, p, n * sizeof *t);
    return load_u16(t);
}

FN vf v_load_bf16(const uint16_t *p) { return widen_bf16_reg(load_u16(p)); }
FN vf v_load_bf16_n(const uint16_t *p, size_t n) { return widen_bf16_reg(load_u16_n(p, n)); }
FN vf v_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(load_u16(p)); }
FN vf v_load_f16_n(const uint16_t *p, size_t n) { return _mm256_cvtph_ps(load_u16_n(p, n)); }

/* 2^n in two factors: one alone cannot reach the subnormals. */
FN vf v_ldexp(vf a, vf n) {
    const __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
    const __m256i e1 = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i e2 = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(e1)), _mm256_castsi256_ps(e2));
}

FN v4 v4_load(const float *p) { return _mm_loadu_ps(p); }
FN void v4_store(float *p, v4 v) { _mm_storeu_ps(p, v); }
FN v4 v4_add(v4 a, v4 b) { return _mm_add_ps(a, b); }

/* ((l0 + l1) + (l2 + l3)) + ((l4 + l5) + (l6 + l7)) of each. */
FN v4 v_reduce4(vf a, vf b, vf c, vf d) {
    const vf s = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

#include "qwen_asr_kernels_simd.h"

void qwen_kernels_init_avx2(qwen_kernels *k) { fill_table(k, "avx2"); }
