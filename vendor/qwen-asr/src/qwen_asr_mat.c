/* qwen_asr_mat.c - see the header. */
#include "qwen_asr_mat.h"

size_t qwen_dtype_size(qwen_dtype t) { return t == QWEN_F32 ? 4 : 2; }

const char *qwen_dtype_name(qwen_dtype t) { return t == QWEN_F32 ? "F32" : t == QWEN_BF16 ? "BF16" : "F16"; }

const void *qwen_mat_row(const qwen_mat *w, size_t r) {
    return (const unsigned char *)w->data + r * w->cols * qwen_dtype_size(w->dtype);
}
