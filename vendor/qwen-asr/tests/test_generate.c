/*
 * test_generate.c - decoding a growing clip again and again gives, each time, exactly what decoding it once from nothing gives: with caches and
 * drafts, without, and with deliberately wrong drafts. And it does much less work.
 */
#include "qwen_asr_generate.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_model.h"
#include "speech.h"

#define MAX_TOKENS 60

typedef struct rig {
    qwen_model *model;
    qwen_ops ops;
    qwen_prompt prompt;
    qwen_encoder encoder;
    qwen_decoder decoder;
    qwen_generate g;
} rig;

static void rig_open(rig *r, const char *name) {
    char path[1024];
    qwen_error err = {0};
    memset(r, 0, sizeof *r);
    if (snprintf(path, sizeof path, "%s/%s", check_data(), name) >= (int)sizeof path) exit(2);
    bool ok = qwen_model_open(&r->model, path, NULL, &err) == QWEN_OK;
    const qwen_config *c = ok ? &r->model->config : NULL;
    ok = ok && qwen_ops_open(&r->ops, &r->model->kernels, 2, 4096, 9 * c->audio.conv_channels, 16384, NULL, &err) == QWEN_OK &&
         qwen_prompt_open(&r->prompt, r->model->tokenizer, &r->model->special, "Caf\xC3\xA9", NULL, NULL, &err) == QWEN_OK &&
         qwen_encoder_open(&r->encoder, &c->audio, &r->model->weights.encoder, &r->ops, &err) == QWEN_OK &&
         qwen_decoder_open(&r->decoder, &c->text, &r->model->weights.decoder, &r->ops, 2048, &err) == QWEN_OK;
    const qwen_recognizer parts = {r->model ? r->model->mel : NULL, r->model ? r->model->tokenizer : NULL, r->model ? &r->model->special : NULL, &r->prompt, &r->ops,
                                   &r->encoder, &r->decoder};
    ok = ok && qwen_generate_open(&r->g, &parts, 30 * QWEN_SAMPLE_RATE, MAX_TOKENS, &err) == QWEN_OK;
    CHECKF(ok, "%s", err.msg);
    if (!ok) exit(check_done("generate"));
}

static void rig_close(rig *r) {
    qwen_generate_close(&r->g);
    qwen_decoder_close(&r->decoder);
    qwen_encoder_close(&r->encoder);
    qwen_prompt_close(&r->prompt);
    qwen_ops_close(&r->ops);
    qwen_model_close(r->model);
}

static void finish(rig *r) {
    qwen_error err = {0};
    qwen_status status;
    while ((status = qwen_generate_step(&r->g, &err)) == QWEN_OK) {}
    CHECKF(status == QWEN_AGAIN, "%s", err.msg);
}

static void same_tokens(const rig *cached, const rig *plain, const char *what, size_t n) {
    CHECKF(cached->g.n_tokens == plain->g.n_tokens && memcmp(cached->g.tokens, plain->g.tokens, plain->g.n_tokens * sizeof(int32_t)) == 0 &&
               cached->g.stop == plain->g.stop && cached->g.raw_text.len == plain->g.raw_text.len,
           "%s, %zu samples: %zu tokens instead of %zu", what, n, cached->g.n_tokens, plain->g.n_tokens);
    CHECK(cached->g.n_rows == plain->g.n_rows || cached->g.n_rows * plain->g.n_rows == 0);
    if (cached->g.n_rows == plain->g.n_rows)
        CHECKF(memcmp(cached->g.embeddings, plain->g.embeddings, plain->g.n_rows * plain->encoder.config->output_width * sizeof(float)) == 0,
               "%s, %zu samples: the encoder's rows differ", what, n);
}

/* Decodes prefixes of pcm of growing (now and then shrinking) length, every one also from nothing. */
static void growing_clip(const char *model, const float *pcm, size_t n, uint32_t seed, bool steady) {
    rig cached, plain;
    rig_open(&cached, model);
    rig_open(&plain, model);
    size_t given_up = 0;
    qwen_error err = {0};
    for (size_t len = 3000; len <= n; len += 4000 + speech_random(&seed) % 40000) {
        const size_t cut = speech_random(&seed) % 5 == 0 && len > 30000 ? len - speech_random(&seed) % 20000 : len;
        const uint32_t kind = speech_random(&seed) % 4;
        if (kind == 1) { /* a decode that is given up half way */
            qwen_generate_begin(&cached.g, 77, pcm, cut, MAX_TOKENS);
            for (uint32_t i = 0; i < seed % 11; i++) CHECK(qwen_generate_step(&cached.g, &err) >= 0);
            given_up++;
        }
        const size_t shorter = kind == 1 ? cut - 1000 : cut;
        qwen_generate_begin(&cached.g, 77, pcm, shorter, MAX_TOKENS);
        if (kind == 2) cached.g.n_draft = 0;
        if (kind == 3)
            for (size_t i = 0; i < cached.g.n_draft; i++) /* wrong from somewhere on */
                if (i >= cached.g.n_draft / 2) cached.g.draft[i] = (int32_t)(speech_random(&seed) % 600);
        finish(&cached);
        qwen_generate_forget(&plain.g);
        qwen_generate_begin(&plain.g, 77, pcm, shorter, MAX_TOKENS);
        finish(&plain);
        same_tokens(&cached, &plain, model, shorter);
    }
    const qwen_generate_work *w = &cached.g.work, *p = &plain.g.work;
    printf("  %s: frames %llu of %llu, chunks %llu of %llu, windows %llu of %llu, prompt rows %llu of %llu, draft %llu of %llu kept, %zu given up\n", model,
           (unsigned long long)w->frames, (unsigned long long)p->frames, (unsigned long long)w->chunks, (unsigned long long)p->chunks, (unsigned long long)w->windows,
           (unsigned long long)p->windows, (unsigned long long)w->prompt_rows, (unsigned long long)p->prompt_rows, (unsigned long long)w->draft_accepted,
           (unsigned long long)w->draft_offered, given_up);
    CHECKF(w->frames * 2 < p->frames && w->windows <= p->windows && w->chunks <= p->chunks, "the caches cost work");
    CHECKF(!steady || (w->windows < p->windows && w->chunks * 3 < p->chunks * 2), "the caches saved too little");
    CHECK(w->draft_offered > 0 && p->draft_offered == 0);
    rig_close(&cached);
    rig_close(&plain);
}

/* The last decode of a pause is the final one: beginning it again costs nothing. */
static void the_same_audio_is_not_decoded_twice(const float *pcm, size_t n) {
    rig r;
    rig_open(&r, "parity/tiny-b");
    qwen_generate_begin(&r.g, 5, pcm, n, MAX_TOKENS);
    finish(&r);
    const qwen_generate_work before = r.g.work;
    const size_t tokens = r.g.n_tokens;
    qwen_generate_begin(&r.g, 5, pcm, n, MAX_TOKENS);
    finish(&r);
    CHECK(r.g.n_tokens == tokens && r.g.work.frames == before.frames && r.g.work.prompt_rows == before.prompt_rows);
    qwen_generate_begin(&r.g, 6, pcm, n, MAX_TOKENS);
    finish(&r);
    CHECK(r.g.n_tokens == tokens && r.g.work.frames == 2 * before.frames);
    rig_close(&r);
}

int main(void) {
    size_t n = 0;
    float *pcm = speech_clip("s20.3", &n);
    the_same_audio_is_not_decoded_twice(pcm, 60000);
    static const char *const models[] = {"parity/tiny-a", "parity/tiny-b", "parity/tiny-c-hf", "tiny-qwen3-asr"};
    for (size_t k = 0; k < 4; k++) growing_clip(models[k], pcm, n, (uint32_t)k + 1, true);
    free(pcm);
    pcm = speech_babble(28, 10, 400, 5, &n); /* faint, then loud: the clip's maximum rises again and again */
    for (size_t i = 0; i < n; i++) pcm[i] *= (float)i / (float)n;
    growing_clip("tiny-qwen3-asr", pcm, n, 99, false);
    free(pcm);
    CHECK(qwen_test_live_allocs() == 0);
    return check_done("generate");
}
