/*
 * qwen_asr_model.h - what qwen_model holds: everything that streams share. Rank 7. Immutable once open, so no lock.
 */
#ifndef QWEN_ASR_MODEL_H
#define QWEN_ASR_MODEL_H

#include "qwen_asr_audio.h"
#include "qwen_asr_config.h"
#include "qwen_asr_kernels.h"
#include "qwen_asr_prompt.h"
#include "qwen_asr_tokenizer.h"
#include "qwen_asr_weights.h"

struct qwen_model {
    qwen_config config;
    qwen_weights weights;
    qwen_tokenizer *tokenizer;
    qwen_special special;
    qwen_mel *mel;
    qwen_kernels kernels;
};

#endif
