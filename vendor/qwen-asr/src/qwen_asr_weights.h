/*
 * qwen_asr_weights.h - tensor names -> weight structs. Rank 4. The only file that knows tensor names.
 *
 * Matrices stay where they are mapped. Vectors (norms, biases) and the three convolution kernels (reordered to channels last, in their stored type) are
 * small copies. Every shape is compared with config.json; a missing tensor is an error with its name.
 */
#ifndef QWEN_ASR_WEIGHTS_H
#define QWEN_ASR_WEIGHTS_H

#include "qwen_asr_config.h"
#include "qwen_asr_mat.h"
#include "qwen_asr_safetensors.h"

typedef struct qwen_linear_weights {
    qwen_mat w;         /* [out, in] */
    const float *bias;  /* [out] or NULL */
} qwen_linear_weights;

typedef struct qwen_norm_weights {
    const float *w, *b; /* [width]; b NULL for RMSNorm */
} qwen_norm_weights;

typedef struct qwen_encoder_layer {
    qwen_norm_weights attn_norm, ffn_norm; /* self_attn_layer_norm, final_layer_norm */
    qwen_linear_weights q, k, v, out;      /* [d, d] + [d] */
    qwen_linear_weights fc1, fc2;          /* [ffn, d] + [ffn], [d, ffn] + [d] */
} qwen_encoder_layer;

typedef struct qwen_encoder_weights {
    qwen_linear_weights conv[3];           /* [C, 9*Cin] channels last, Cin = 1, C, C; + [C] */
    qwen_linear_weights conv_out;          /* [d, 16*C], columns as stored: c*16 + f; no bias */
    qwen_encoder_layer *layers;            /* [n_layers] */
    qwen_norm_weights post_norm;
    qwen_linear_weights proj1, proj2;      /* [d, d] + [d], [H, d] + [H] */
} qwen_encoder_weights;

typedef struct qwen_decoder_layer {
    qwen_norm_weights attn_norm, ffn_norm, q_norm, k_norm;
    qwen_mat q, k, v, o;                   /* [nq*dh, H], [nk*dh, H], [nk*dh, H], [H, nq*dh] */
    qwen_mat gate, up, down;               /* [I, H], [I, H], [H, I] */
} qwen_decoder_layer;

typedef struct qwen_decoder_weights {
    qwen_mat embed;                        /* [V, H] */
    qwen_mat head;                         /* [V, H]; the same bytes as embed when tied */
    qwen_decoder_layer *layers;            /* [n_layers] */
    qwen_norm_weights norm;
} qwen_decoder_weights;

typedef struct qwen_weights {
    qwen_encoder_weights encoder;
    qwen_decoder_weights decoder;
    uint64_t n_parameters;                 /* in use; a tied head counts once */
    uint64_t mapped_bytes;
    qwen_tensors *tensors;                 /* owned; keeps the mapping */
    float *pool;                           /* owned; all small float copies */
    void *conv_copy[3];                    /* owned */
} qwen_weights;

qwen_status qwen_weights_open(qwen_weights *out, const char *dir, const qwen_config *config, bool no_mmap, qwen_error *err);
void qwen_weights_close(qwen_weights *w); /* safe on a zeroed one */

#endif
