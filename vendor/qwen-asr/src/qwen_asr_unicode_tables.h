/*
 * qwen_asr_unicode_tables.h - shapes of the generated tables. Private to qwen_asr_unicode.c, and to its test, which
 * draws characters from one.
 */
#ifndef QWEN_ASR_UNICODE_TABLES_H
#define QWEN_ASR_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

typedef struct qwen_char_range {
    uint32_t first, last;
} qwen_char_range;

typedef struct qwen_case_range {
    uint32_t first, last, step; /* first, first + step, ... last */
    int32_t delta;              /* the mapped character is that far away */
} qwen_case_range;

typedef struct qwen_class_range {
    uint32_t first, last, combining_class;
} qwen_class_range;

typedef struct qwen_char_triple {
    uint32_t a, b, c;
} qwen_char_triple;

extern const qwen_char_range qwen_letters[], qwen_numbers[];
extern const qwen_case_range qwen_lower_case[], qwen_upper_case[];
extern const qwen_class_range qwen_combining[]; /* canonical combining classes other than 0 */
extern const qwen_char_range
    qwen_nfc_joins[]; /* characters that NFC may change, or combine with what stands before them */
extern const qwen_char_triple qwen_decompositions[]; /* a -> b c, one canonical step; c = 0: a -> b */
extern const qwen_char_triple qwen_compositions[];   /* a b -> c */
extern const size_t qwen_n_letters, qwen_n_numbers, qwen_n_lower_case, qwen_n_upper_case, qwen_n_combining,
    qwen_n_nfc_joins, qwen_n_decompositions, qwen_n_compositions;

#endif
