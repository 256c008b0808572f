/*
 * qwen_asr_encoder.h - log-mel features to audio embeddings. Rank 5. Math: SPEC section 4.
 *
 * Attention is full inside a window of window_chunks seconds and zero across windows, and chunks are convolved one by one, so a window is computed
 * from its own frames alone: qwen_encoder_window is the unit of work, of caching and of cancelling, and memory does not depend on the clip's length.
 */
#ifndef QWEN_ASR_ENCODER_H
#define QWEN_ASR_ENCODER_H

#include "qwen_asr_config.h"
#include "qwen_asr_ops.h"
#include "qwen_asr_status.h"
#include "qwen_asr_weights.h"

#define QWEN_CHUNK_FRAMES 100
#define QWEN_CHUNK_ROWS 13

typedef struct qwen_encoder {
    const qwen_audio_config *config;
    const qwen_encoder_weights *weights;
    const qwen_ops *ops;
    float *position;                  /* [13, d] sinusoids */
    float *map_a, *map_b;             /* feature maps of one chunk, channels last */
    float *rows;                      /* [13, 16*C] input of conv_out */
    float *x, *y;                     /* [window rows, d] */
    float *qkv;                       /* [window rows, 3d] */
    float *ffn;                       /* [window rows, ffn] */
} qwen_encoder;

/* Where tests look inside; any pointer may be NULL. Sizes as for the whole clip. */
typedef struct qwen_encoder_taps {
    float *stem;       /* [rows, d] after conv_out + position embedding */
    float *last_layer; /* [rows, d] before the last norm */
} qwen_encoder_taps;

qwen_status qwen_encoder_open(qwen_encoder *out, const qwen_audio_config *config, const qwen_encoder_weights *weights, const qwen_ops *ops,
                              qwen_error *err);
void qwen_encoder_close(qwen_encoder *e); /* safe on a zeroed one */

/* Windows of a clip of T frames. */
size_t qwen_encoder_windows(const qwen_encoder *e, size_t n_frames);

/* Encodes window i of the clip mel [T, n_mels] into its rows of out [qwen_audio_rows(T), output_width] (out is the whole clip's).
 * QWEN_ERR_CANCELLED if the flag was seen. */
qwen_status qwen_encoder_window(qwen_encoder *e, const float *mel, size_t T, size_t i, float *out, const qwen_encoder_taps *taps,
                                qwen_error *err);

#endif
