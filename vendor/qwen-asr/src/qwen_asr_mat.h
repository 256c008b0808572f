/*
 * qwen_asr_mat.h - what a weight matrix is to the code that multiplies by it. Rank 1.
 */
#ifndef QWEN_ASR_MAT_H
#define QWEN_ASR_MAT_H

#include <stddef.h>

/* Element types of stored weights. The order is that of qwen_kernels.gemm[] and .widen[]. */
typedef enum qwen_dtype { QWEN_F32 = 0, QWEN_BF16 = 1, QWEN_F16 = 2, QWEN_N_DTYPES = 3 } qwen_dtype;

/* Bytes of one element. */
size_t qwen_dtype_size(qwen_dtype t);

/* Name as safetensors spells it: "F32", "BF16", "F16". */
const char *qwen_dtype_name(qwen_dtype t);

/* W [rows, cols], row-major, contiguous, as it lies in the file; aligned to its element. y = x W^T. Not owned. */
typedef struct qwen_mat {
    const void *data;
    qwen_dtype dtype;
    size_t rows, cols;
} qwen_mat;

/* Start of row r. */
const void *qwen_mat_row(const qwen_mat *w, size_t r);

#endif
