/*
 * qwen_asr_encoder.h - log-mel features to audio embeddings. Rank 5. Math: MODEL.md, Audio encoder.
 *
 * Chunks of 100 frames are convolved one by one, and attention is full inside a window of window_chunks chunks and zero across windows. So there are two
 * units of work, of caching and of cancelling: a chunk, computed from its own frames, and a window, computed from its own chunks. Memory for the work
 * itself does not depend on the clip's length.
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

qwen_status qwen_encoder_open(qwen_encoder *out, const qwen_audio_config *config, const qwen_encoder_weights *weights, const qwen_ops *ops,
                              qwen_error *err);
void qwen_encoder_close(qwen_encoder *e); /* safe on a zeroed one */

/* Windows of a clip of T frames. */
size_t qwen_encoder_windows(const qwen_encoder *e, size_t n_frames);

/* Chunks of a clip of T frames. */
size_t qwen_encoder_chunks(size_t n_frames);

/* Conv stem of chunk c of the clip mel [T, n_mels] into its rows of stem [qwen_audio_rows(T), d] (the whole clip's), positions added. */
qwen_status qwen_encoder_chunk(qwen_encoder *e, const float *mel, size_t T, size_t c, float *stem, qwen_error *err);

/* Layers and projector over window i: from its rows of stem [qwen_audio_rows(T), d] to its rows of out [qwen_audio_rows(T), output_width]. last_layer:
 * NULL, or [qwen_audio_rows(T), d] for tests: the residual stream before the last norm. QWEN_ERR_CANCELLED if the flag was seen. */
qwen_status qwen_encoder_window(qwen_encoder *e, const float *stem, size_t T, size_t i, float *out, float *last_layer, qwen_error *err);

#endif
