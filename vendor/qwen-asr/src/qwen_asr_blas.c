/*
 * qwen_asr_blas.c - compiled only with a BLAS backend (QWEN_BLAS). The one function it needs is declared here, since the header's
 * place differs between distributions; its C interface is the same in OpenBLAS, Accelerate and the reference BLAS.
 */
#include "qwen_asr_blas.h"

#include "qwen_asr_num.h"

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };

extern void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                        float beta, float *c, int ldc);

void qwen_blas_linear(const qwen_kernels *k, float *y, size_t ldy, const float *x, size_t ldx, size_t M, const qwen_mat *w, float *scratch,
                      size_t scratch_floats) {
    const size_t K = w->cols;
    size_t block = w->dtype == QWEN_F32 ? w->rows : qwen_max_size(scratch_floats / (K ? K : 1), 1);
    for (size_t n0 = 0; n0 < w->rows; n0 += block) {
        const size_t n = qwen_min_size(block, w->rows - n0);
        const float *b = qwen_mat_row(w, n0);
        if (w->dtype != QWEN_F32) {
            k->widen[w->dtype](scratch, qwen_mat_row(w, n0), n * K);
            b = scratch;
        }
        cblas_sgemm(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, (int)M, (int)n, (int)K, 1.0f, x, (int)ldx, b, (int)K, 0.0f, y + n0, (int)ldy);
    }
}
