/*
 * qwen_asr_audio.h - samples to log-mel features. Rank 3.
 *
 * Math: MODEL.md, "Log-mel features" (Whisper's features: 400-sample periodic Hann window, hop 160, reflection at both
 * ends, 128 slaney mel bands to 8 kHz, log10, floor at the clip's maximum - 8, (x + 4) / 4).
 *
 * Two steps, so that a growing clip can keep what is final: qwen_mel_raw computes log10 mel rows of chosen frames;
 * qwen_mel_finish applies the clip-wide maximum. Only the frames whose window touches the reflected right end (the
 * last two or so) change when audio is appended.
 */
#ifndef QWEN_ASR_AUDIO_H
#define QWEN_ASR_AUDIO_H

#include <stddef.h>

#include "qwen_asr_fft.h"
#include "qwen_asr_status.h"

#define QWEN_MEL_HOP 160
#define QWEN_MEL_MIN_SAMPLES 201 /* fewer cannot be reflected */

typedef struct qwen_mel qwen_mel; /* tables; immutable, shared between threads */

qwen_status qwen_mel_open(qwen_mel **out, size_t n_mels, qwen_error *err);
void qwen_mel_close(qwen_mel *mel);

/* Frames of a clip of n samples: n / 160. */
size_t qwen_mel_frames(size_t n_samples);

/* Frames [0, result) of a clip of n samples stay what they are, whatever is appended to it. */
size_t qwen_mel_stable_frames(size_t n_samples);

/* rows[(t - t0) * n_mels + i] = log10(max(mel_i(frame t), 1e-10)) for t0 <= t < t1 <= frames(n). pcm [n] is the
   whole clip, n >= 201. */
void qwen_mel_raw(const qwen_mel *mel, const float *pcm, size_t n, size_t t0, size_t t1, float *rows);

/* features[i] = (max(raw[i], max - 8) + 4) / 4 over n_values values; max is the largest raw value of the whole
   clip. In place allowed. */
void qwen_mel_finish(float *features, const float *raw, size_t n_values, float max);

#endif
