/*
 * qwen_asr_num.h - checked size arithmetic and the two 16-bit float formats. Rank 0.
 *
 * Sizes that come from a file are multiplied and added only through mul_ok / add_ok, before the first pointer is formed.
 * bf16 is the upper half of an IEEE binary32; f16 is IEEE binary16. Both widen to float exactly.
 */
#ifndef QWEN_ASR_NUM_H
#define QWEN_ASR_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* *out = a * b; false if that does not fit. */
static inline bool qwen_mul_ok(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }

/* *out = a + b; false if that does not fit. */
static inline bool qwen_add_ok(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

static inline size_t qwen_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t qwen_max_size(size_t a, size_t b) { return a > b ? a : b; }

/* a / b, rounded up; b > 0. */
static inline size_t qwen_ceil_div(size_t a, size_t b) { return a / b + (a % b != 0); }

static inline float qwen_bits_to_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t qwen_float_to_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float qwen_bf16_to_float(uint16_t h) { return qwen_bits_to_float((uint32_t)h << 16); }

/* IEEE binary16 -> binary32, exact, subnormals and NaN included. */
static inline float qwen_f16_to_float(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 31u;
    const uint32_t mantissa = h & 0x3FFu;
    if (exponent == 31) return qwen_bits_to_float(sign | 0x7F800000u | mantissa << 13);
    if (exponent) return qwen_bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
    const float tiny = (float)mantissa * 0x1p-24f; /* zero and subnormals: mantissa * 2^-24 */
    return sign ? -tiny : tiny;
}

#endif
