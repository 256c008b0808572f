/*
 * qwen_asr_model.c - opens a model directory: config, weights, tokenizer, and what they must agree on.
 */
#include "qwen_asr_model.h"

#include "qwen_asr_map.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_ops.h"

qwen_model_params qwen_model_params_default(void) {
    const qwen_model_params p = {0, 0};
    return p;
}

static qwen_status open_parts(qwen_model *m, const char *dir, const qwen_model_params *p, qwen_error *err) {
    QWEN_TRY(qwen_dir_check(dir, err));
    qwen_kernels_init(&m->kernels, qwen_cpu_detect() & ~p->cpu_disable);
    QWEN_TRY(qwen_config_open(&m->config, dir, err));
    QWEN_TRY(qwen_tokenizer_open(&m->tokenizer, dir, err));
    QWEN_TRY(qwen_special_open(&m->special, m->tokenizer, m->config.audio_token_id, m->config.text.vocab_size, err));
    if (qwen_tokenizer_size(m->tokenizer) > m->config.text.vocab_size)
        return qwen_fail(err, QWEN_ERR_FORMAT, "%s: the tokenizer's files hold ids up to %zu, config.json says vocab_size %zu", dir,
                         qwen_tokenizer_size(m->tokenizer) - 1, m->config.text.vocab_size);
    QWEN_TRY(qwen_weights_open(&m->weights, dir, &m->config, p->no_mmap != 0, err));
    return qwen_mel_open(&m->mel, m->config.audio.n_mels, err);
}

qwen_status qwen_model_open(qwen_model **out, const char *dir, const qwen_model_params *params, qwen_error *err) {
    if (!out) return qwen_fail(err, QWEN_ERR_ARG, "qwen_model_open: out is NULL");
    *out = NULL;
    if (!dir || !*dir) return qwen_fail(err, QWEN_ERR_ARG, "no model directory was given");
    const qwen_model_params defaults = qwen_model_params_default();
    qwen_model *m = qwen_alloc_zero(1, sizeof *m);
    if (!m) return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for a model");
    const qwen_status status = open_parts(m, dir, params ? params : &defaults, err);
    if (status == QWEN_OK) *out = m;
    else qwen_model_close(m);
    return status;
}

void qwen_model_close(qwen_model *m) {
    if (!m) return;
    qwen_mel_close(m->mel);
    qwen_weights_close(&m->weights);
    qwen_tokenizer_close(m->tokenizer);
    qwen_free(m);
}

qwen_model_info qwen_model_describe(const qwen_model *m) {
    const qwen_model_info info = {
        .kernels = m->kernels.name,
        .gemm = qwen_gemm_backend(),
        .n_parameters = m->weights.n_parameters,
        .mapped_bytes = m->weights.mapped_bytes,
        .encoder_layers = (uint32_t)m->config.audio.n_layers,
        .encoder_width = (uint32_t)m->config.audio.width,
        .decoder_layers = (uint32_t)m->config.text.n_layers,
        .decoder_width = (uint32_t)m->config.text.width,
        .vocab_size = (uint32_t)m->config.text.vocab_size,
    };
    return info;
}
