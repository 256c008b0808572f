/*
 * qwen_asr_ops.c - cuts each operation into independent pieces of output and gives them to the pool.
 *
 * How outputs are cut changes speed only: every output element is one kernel sum over its own inputs.
 */
#include "qwen_asr_ops.h"

#include <math.h>
#include <string.h>

#include "qwen_asr_blas.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

/* Below these sizes waking a worker costs more than the work (about 1 us against a few ns per element). */
#define ROWS_PER_ITEM 8
#define INLINE_ELEMENTS 8192
#define ELEMENTS_PER_ITEM 16384
/* Rows of one im2col block: 64 * 4320 floats are 1.1 MB, which stays near a core while 480 output channels pass over it. */
#define CONV_ROWS 64
#define QUERY_ROWS 16

qwen_status qwen_ops_open(qwen_ops *out, const qwen_kernels *kernels, int n_threads, size_t max_keys, size_t max_conv_k,
                          size_t max_k, const int32_t *cancel, qwen_error *err) {
    memset(out, 0, sizeof *out);
    size_t conv = 0, floats = 0;
    const size_t most = qwen_max_size(max_keys, max_k);
    if (!qwen_mul_ok(max_conv_k, CONV_ROWS, &conv) || !qwen_add_ok(qwen_max_size(conv, most), QWEN_GEMM_SCRATCH + 15, &floats))
        return qwen_fail(err, QWEN_ERR_ARG, "scratch for %zu keys and %zu columns does not fit in memory", max_keys, max_conv_k);
    QWEN_TRY(qwen_pool_open(&out->pool, n_threads, err));
    out->kernels = kernels;
    out->cancel = cancel;
    out->scratch_floats = floats - floats % 16; /* rows stay 64-byte aligned */
    size_t total = 0;
    if (qwen_mul_ok(out->scratch_floats, qwen_pool_threads(out->pool), &total)) out->scratch = qwen_alloc(total, sizeof(float));
    if (out->scratch) return QWEN_OK;
    const size_t threads = qwen_pool_threads(out->pool);
    qwen_ops_close(out);
    return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the scratch space of %zu threads (%zu bytes each)", threads, floats * sizeof(float));
}

void qwen_ops_close(qwen_ops *ops) {
    qwen_pool_close(ops->pool);
    qwen_free(ops->scratch);
    memset(ops, 0, sizeof *ops);
}

bool qwen_cancelled(const qwen_ops *ops) { return ops->cancel && __atomic_load_n(ops->cancel, __ATOMIC_RELAXED) != 0; }

static float *scratch_of(const qwen_ops *ops, size_t worker) { return ops->scratch + worker * ops->scratch_floats; }

/* ---- products --------------------------------------------------------------------------------------------------- */

typedef struct linear_job {
    const qwen_ops *ops;
    float *y;
    const float *x, *bias;
    const qwen_mat *w;
    size_t ldy, ldx, M, block; /* block: outputs per item */
} linear_job;

static void add_bias(float *y, size_t ldy, size_t M, const float *bias, size_t n, const qwen_kernels *k) {
    for (size_t m = 0; bias && m < M; m++) k->add(y + m * ldy, bias, n);
}

static void linear_item(void *arg, size_t item, size_t worker) {
    const linear_job *j = arg;
    const size_t n0 = item * j->block, n = qwen_min_size(j->block, j->w->rows - n0);
    const qwen_kernels *k = j->ops->kernels;
    k->gemm[j->w->dtype](j->y + n0, j->ldy, j->x, j->ldx, j->M, qwen_mat_row(j->w, n0), j->w->cols, n, j->w->cols, scratch_of(j->ops, worker));
    add_bias(j->y + n0, j->ldy, j->M, j->bias ? j->bias + n0 : NULL, n, k);
}

void qwen_linear(const qwen_ops *ops, float *y, size_t ldy, const float *x, size_t ldx, size_t M, const qwen_mat *w, const float *bias) {
    if (M == 0) return;
    if (qwen_blas_takes(M)) {
        qwen_blas_linear(ops->kernels, y, ldy, x, ldx, M, w, ops->scratch, ops->scratch_floats * qwen_pool_threads(ops->pool));
        add_bias(y, ldy, M, bias, w->rows, ops->kernels);
        return;
    }
    /* About eight items per thread even the load out; 16 rows at least keep an item worth its atomic operation. */
    size_t block = qwen_ceil_div(w->rows, 8 * qwen_pool_threads(ops->pool));
    block = qwen_min_size(qwen_max_size(qwen_ceil_div(block, 16) * 16, 16), 512);
    linear_job j = {ops, y, x, bias, w, ldy, ldx, M, block};
    qwen_pool_run(ops->pool, qwen_ceil_div(w->rows, block), linear_item, &j);
}

const char *qwen_gemm_backend(void) { return QWEN_BLAS_NAME; }

/* ---- row-wise maps ---------------------------------------------------------------------------------------------- */

typedef struct norm_job {
    const qwen_kernels *k;
    float *y;
    const float *x, *w, *b;
    size_t M, width;
    float eps;
} norm_job;

static void norm_item(void *arg, size_t item, size_t worker) {
    (void)worker;
    const norm_job *j = arg;
    const size_t end = qwen_min_size(j->M, (item + 1) * ROWS_PER_ITEM);
    for (size_t m = item * ROWS_PER_ITEM; m < end; m++) {
        float *y = j->y + m * j->width;
        const float *x = j->x + m * j->width;
        if (j->b) j->k->layer_norm(y, x, j->w, j->b, j->eps, j->width);
        else j->k->rms_norm(y, x, j->w, j->eps, j->width);
    }
}

static void run_norm(const qwen_ops *ops, norm_job *j) {
    const size_t items = qwen_ceil_div(j->M, ROWS_PER_ITEM);
    if (j->M * j->width > INLINE_ELEMENTS) qwen_pool_run(ops->pool, items, norm_item, j);
    else for (size_t i = 0; i < items; i++) norm_item(j, i, 0);
}

void qwen_layer_norm(const qwen_ops *ops, float *y, const float *x, size_t M, size_t width, const float *w, const float *b, float eps) {
    norm_job j = {ops->kernels, y, x, w, b, M, width, eps};
    run_norm(ops, &j);
}

void qwen_rms_norm(const qwen_ops *ops, float *y, const float *x, size_t M, size_t width, const float *w, float eps) {
    norm_job j = {ops->kernels, y, x, w, NULL, M, width, eps};
    run_norm(ops, &j);
}

typedef enum map_kind { MAP_GELU, MAP_SILU_MUL, MAP_ADD } map_kind;

typedef struct map_job {
    const qwen_kernels *k;
    map_kind kind;
    float *y;
    const float *x;
    size_t n;
} map_job;

static void map_item(void *arg, size_t item, size_t worker) {
    (void)worker;
    const map_job *j = arg;
    const size_t i = item * ELEMENTS_PER_ITEM, n = qwen_min_size(ELEMENTS_PER_ITEM, j->n - i);
    if (j->kind == MAP_GELU) j->k->gelu(j->y + i, n);
    else if (j->kind == MAP_SILU_MUL) j->k->silu_mul(j->y + i, j->x + i, n);
    else j->k->add(j->y + i, j->x + i, n);
}

static void run_map(const qwen_ops *ops, map_kind kind, float *y, const float *x, size_t n) {
    map_job j = {ops->kernels, kind, y, x, n};
    qwen_pool_run(ops->pool, qwen_ceil_div(n, ELEMENTS_PER_ITEM), map_item, &j);
}

void qwen_gelu(const qwen_ops *ops, float *x, size_t n) { run_map(ops, MAP_GELU, x, NULL, n); }
void qwen_silu_mul(const qwen_ops *ops, float *gate, const float *up, size_t n) { run_map(ops, MAP_SILU_MUL, gate, up, n); }
void qwen_add(const qwen_ops *ops, float *y, const float *x, size_t n) { run_map(ops, MAP_ADD, y, x, n); }

/* ---- convolution ------------------------------------------------------------------------------------------------ */

typedef struct conv_job {
    const qwen_ops *ops;
    float *y;
    const float *x, *bias;
    const qwen_mat *w;
    size_t H, W, C, W2, n_rows; /* n_rows = H2 * W2 outputs */
} conv_job;

/* The nine neighbours of output row r, zeros outside the map, side by side: cols [9*C]. */
static void gather(const conv_job *j, size_t r, float *cols) {
    const size_t oy = r / j->W2, ox = r % j->W2;
    for (size_t ky = 0; ky < 3; ky++) {
        for (size_t kx = 0; kx < 3; kx++, cols += j->C) {
            const size_t iy = 2 * oy + ky, ix = 2 * ox + kx; /* one more than the input's index: the padding */
            if (iy == 0 || ix == 0 || iy > j->H || ix > j->W) memset(cols, 0, j->C * sizeof *cols);
            else memcpy(cols, j->x + ((iy - 1) * j->W + ix - 1) * j->C, j->C * sizeof *cols);
        }
    }
}

static void conv_item(void *arg, size_t item, size_t worker) {
    const conv_job *j = arg;
    const size_t r0 = item * CONV_ROWS, n = qwen_min_size(CONV_ROWS, j->n_rows - r0), K = 9 * j->C, N = j->w->rows;
    float *scratch = scratch_of(j->ops, worker), *cols = scratch + QWEN_GEMM_SCRATCH;
    for (size_t i = 0; i < n; i++) gather(j, r0 + i, cols + i * K);
    const qwen_kernels *k = j->ops->kernels;
    float *y = j->y + r0 * N;
    k->gemm[j->w->dtype](y, N, cols, K, n, j->w->data, K, N, K, scratch);
    add_bias(y, N, n, j->bias, N, k);
    k->gelu(y, n * N);
}

void qwen_conv3x3_s2_gelu(const qwen_ops *ops, float *y, const float *x, size_t H, size_t W, size_t C, const qwen_mat *w, const float *bias) {
    if (H == 0 || W == 0) return;
    const size_t H2 = (H - 1) / 2 + 1, W2 = (W - 1) / 2 + 1;
    conv_job j = {ops, y, x, bias, w, H, W, C, W2, H2 * W2};
    qwen_pool_run(ops->pool, qwen_ceil_div(j.n_rows, CONV_ROWS), conv_item, &j);
}

/* ---- attention -------------------------------------------------------------------------------------------------- */

typedef struct attention_job {
    const qwen_ops *ops;
    float *out;
    const float *q, *k, *v;
    size_t M, heads, group, dh;
    size_t q_stride, key_stride, head_stride; /* floats between rows of q, between keys, between kv heads */
    size_t pos0, all_keys;                    /* row m sees all_keys keys if > 0, else pos0 + m + 1 */
    size_t row_blocks;
} attention_job;

static void attention_item(void *arg, size_t item, size_t worker) {
    const attention_job *j = arg;
    const size_t head = item / j->row_blocks, m0 = item % j->row_blocks * QUERY_ROWS;
    const size_t end = qwen_min_size(j->M, m0 + QUERY_ROWS), kv = head / j->group * j->head_stride;
    const float scale = 1.0f / sqrtf((float)j->dh);
    for (size_t m = m0; m < end; m++)
        j->ops->kernels->attend(j->out + (m * j->heads + head) * j->dh, j->q + m * j->q_stride + head * j->dh, j->k + kv, j->v + kv,
                                j->key_stride, j->all_keys ? j->all_keys : j->pos0 + m + 1, j->dh, scale, scratch_of(j->ops, worker));
}

static void run_attention(const qwen_ops *ops, attention_job *j) {
    j->row_blocks = qwen_ceil_div(j->M, QUERY_ROWS);
    qwen_pool_run(ops->pool, j->heads * j->row_blocks, attention_item, j);
}

void qwen_attention_full(const qwen_ops *ops, float *out, const float *qkv, size_t N, size_t heads, size_t dh) {
    const size_t d = heads * dh;
    attention_job j = {.ops = ops, .out = out, .q = qkv, .k = qkv + d, .v = qkv + 2 * d, .M = N, .heads = heads, .group = 1, .dh = dh,
                       .q_stride = 3 * d, .key_stride = 3 * d, .head_stride = dh, .all_keys = N};
    run_attention(ops, &j);
}

void qwen_attention_causal(const qwen_ops *ops, float *out, const float *q, size_t M, size_t pos0, size_t heads, size_t kv_heads, size_t dh,
                           const float *k_cache, const float *v_cache, size_t max_pos) {
    attention_job j = {.ops = ops, .out = out, .q = q, .k = k_cache, .v = v_cache, .M = M, .heads = heads, .group = heads / kv_heads, .dh = dh,
                       .q_stride = heads * dh, .key_stride = dh, .head_stride = max_pos * dh, .pos0 = pos0};
    run_attention(ops, &j);
}
