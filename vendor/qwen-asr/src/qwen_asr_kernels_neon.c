/*
 * qwen_asr_kernels_neon.c - the vector primitives on AArch64 Advanced SIMD, which every AArch64 processor has.
 *
 * Its own unit so that the body of the vector kernels stays out of the baseline files; static functions and one init only.
 */
#if !defined(__aarch64__) || !defined(__ARM_NEON)
#error "this unit is for AArch64"
#endif

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VL 4
#define TILE_M 4 /* 16 sums, enough to cover the latency of four multipliers */
#define FN static inline __attribute__((always_inline))

typedef float32x4_t vf;
typedef float32x4_t v4;

FN vf v_zero(void) { return vdupq_n_f32(0); }
FN vf v_set1(float f) { return vdupq_n_f32(f); }
FN vf v_load(const float *p) { return vld1q_f32(p); }
FN void v_store(float *p, vf v) { vst1q_f32(p, v); }
FN vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
FN vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
FN vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
FN vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
FN vf v_min(vf a, vf b) { return vminq_f32(a, b); }
FN vf v_max(vf a, vf b) { return vmaxq_f32(a, b); }
FN vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
FN vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
FN int v_any_ne(vf a, vf b) { return vminvq_u32(vceqq_f32(a, b)) == 0; }

FN vf v_load_n(const float *p, size_t n) {
    float t[VL] = {0};
    memcpy(t, p, n * sizeof *t);
    return v_load(t);
}

FN void v_store_n(float *p, vf v, size_t n) {
    float t[VL];
    v_store(t, v);
    memcpy(p, t, n * sizeof *t);
}

FN uint16x4_t load_u16_n(const uint16_t *p, size_t n) {
    uint16_t t[VL] = {0};
    memcpy(t, p, n * sizeof *t);
    return vld1_u16(t);
}

FN vf widen_bf16_reg(uint16x4_t h) { return vreinterpretq_f32_u32(vshll_n_u16(h, 16)); }
FN vf widen_f16_reg(uint16x4_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(h)); }

FN vf v_load_bf16(const uint16_t *p) { return widen_bf16_reg(vld1_u16(p)); }
FN vf v_load_bf16_n(const uint16_t *p, size_t n) { return widen_bf16_reg(load_u16_n(p, n)); }
FN vf v_load_f16(const uint16_t *p) { return widen_f16_reg(vld1_u16(p)); }
FN vf v_load_f16_n(const uint16_t *p, size_t n) { return widen_f16_reg(load_u16_n(p, n)); }

/* 2^n in two factors: one alone cannot reach the subnormals. */
FN vf v_ldexp(vf a, vf n) {
    const int32x4_t i = vcvtq_s32_f32(n), half = vshrq_n_s32(i, 1), bias = vdupq_n_s32(127);
    const int32x4_t e1 = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t e2 = vshlq_n_s32(vaddq_s32(vsubq_s32(i, half), bias), 23);
    return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(e1)), vreinterpretq_f32_s32(e2));
}

FN v4 v4_load(const float *p) { return vld1q_f32(p); }
FN void v4_store(float *p, v4 v) { vst1q_f32(p, v); }
FN v4 v4_add(v4 a, v4 b) { return vaddq_f32(a, b); }

/* (l0 + l1) + (l2 + l3) of each. */
FN v4 v_reduce4(vf a, vf b, vf c, vf d) { return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)); }

#include "qwen_asr_kernels_simd.h"

void qwen_kernels_init_neon(qwen_kernels *k) { fill_table(k, "neon"); }
