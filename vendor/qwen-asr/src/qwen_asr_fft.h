/*
 * qwen_asr_fft.h - power spectrum of one real frame of 400 samples. Rank 2.
 */
#ifndef QWEN_ASR_FFT_H
#define QWEN_ASR_FFT_H

#include <stddef.h>

#define QWEN_FFT_N 400
#define QWEN_FFT_BINS 201

typedef struct qwen_fft qwen_fft; /* tables; immutable, shared between threads */

qwen_fft *qwen_fft_open(void); /* NULL: out of memory */
void qwen_fft_close(qwen_fft *fft);

/* power[k] = |sum_n x[n] exp(-2 pi i k n / 400)|^2, k = 0..200. x [400], power [201]. Double arithmetic inside: the
   log-mel gate is 1e-4 where the power spans 80 dB. */
void qwen_fft_power(const qwen_fft *fft, const float *x, float *power);

#endif
