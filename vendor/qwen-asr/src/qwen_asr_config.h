/*
 * qwen_asr_config.h - config.json -> validated sizes. Rank 3.
 *
 * Both layouts (MODEL.md, "Files"). After qwen_config_open succeeded every size is positive, bounded, and consistent with the others.
 * A missing size or RoPE key is an error, never a default.
 */
#ifndef QWEN_ASR_CONFIG_H
#define QWEN_ASR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_status.h"

typedef struct qwen_audio_config {
    size_t n_mels;         /* num_mel_bins, 128 */
    size_t conv_channels;  /* downsample_hidden_size C */
    size_t conv_bins;      /* n_mels after three halvings: 16 */
    size_t width;          /* d_model */
    size_t n_layers, n_heads, head_dim, ffn;
    size_t output_width;   /* output_dim = decoder width */
    size_t window_chunks;  /* n_window_infer / 100: chunks of 1 s per attention window */
} qwen_audio_config;

typedef struct qwen_text_config {
    size_t width;          /* hidden_size H */
    size_t ffn;            /* intermediate_size */
    size_t n_layers, n_heads, n_kv_heads, head_dim;
    size_t vocab_size;
    size_t max_positions;  /* max_position_embeddings */
    float rms_eps;
    double rope_theta;
    int tie_head;          /* 1 tied, 0 separate, -1 the key is missing: tied only if no lm_head is stored, else refuse */
} qwen_text_config;

typedef struct qwen_config {
    bool native;           /* transformers-native layout (flat config, other tensor names) */
    qwen_audio_config audio;
    qwen_text_config text;
    int32_t audio_token_id; /* <|audio_pad|> as config.json states it, -1 if it does not */
} qwen_config;

/* Reads and checks dir/config.json (and the feature extractor's settings in preprocessor_config.json / processor_config.json, if there). */
qwen_status qwen_config_open(qwen_config *out, const char *dir, qwen_error *err);

/* Encoder rows of a clip of T frames: 13 per 100 frames plus out(T mod 100). MODEL.md, "Audio encoder". */
size_t qwen_audio_rows(size_t n_frames);

#endif
