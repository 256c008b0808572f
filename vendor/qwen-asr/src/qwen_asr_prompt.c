/*
 * qwen_asr_prompt.c - the chat template as token ids, split at the audio; the only place that writes special tokens
 * out.
 *
 * MODEL.md, prompt. Both halves are written as text and tokenised at once, as the official code does it: so a context
 * that begins with a line break merges with the one before it, and special tokens written inside a context count as
 * such.
 */
#include "qwen_asr_prompt.h"

#include <string.h>

#define IM_START "<|im_start|>"
#define IM_END "<|im_end|>"
#define END_OF_TEXT "<|endoftext|>"
#define AUDIO_START "<|audio_start|>"
#define AUDIO_END "<|audio_end|>"
#define AUDIO_PAD "<|audio_pad|>"
#define ASR_TEXT "<asr_text>"

static qwen_status find_special(int32_t *out, const qwen_tokenizer *t, const char *literal, size_t vocab_size,
                                qwen_error *err) {
    *out = qwen_tokenizer_added(t, literal);
    if (*out < 0)
        return qwen_fail(err, QWEN_ERR_FORMAT,
                         "%s: the token %s is missing; this is not the tokenizer of a Qwen3-ASR model",
                         qwen_tokenizer_source(t), literal);
    if ((size_t)*out >= vocab_size)
        return qwen_fail(err, QWEN_ERR_FORMAT, "%s: the token %s has the id %d, but config.json says vocab_size %zu",
                         qwen_tokenizer_source(t), literal, (int)*out, vocab_size);
    return QWEN_OK;
}

qwen_status qwen_special_open(qwen_special *out, const qwen_tokenizer *t, int32_t config_audio_id, size_t vocab_size,
                              qwen_error *err) {
    QWEN_TRY(find_special(&out->im_start, t, IM_START, vocab_size, err));
    QWEN_TRY(find_special(&out->im_end, t, IM_END, vocab_size, err));
    QWEN_TRY(find_special(&out->end_of_text, t, END_OF_TEXT, vocab_size, err));
    QWEN_TRY(find_special(&out->audio_start, t, AUDIO_START, vocab_size, err));
    QWEN_TRY(find_special(&out->audio_end, t, AUDIO_END, vocab_size, err));
    QWEN_TRY(find_special(&out->audio_pad, t, AUDIO_PAD, vocab_size, err));
    QWEN_TRY(find_special(&out->asr_text, t, ASR_TEXT, vocab_size, err));
    out->eos[0] = out->im_end;
    out->eos[1] = out->end_of_text;
    if (config_audio_id < 0 || config_audio_id == out->audio_pad) return QWEN_OK;
    return qwen_fail(err, QWEN_ERR_FORMAT,
                     "%s: the token " AUDIO_PAD " has the id %d, but config.json says audio_token_id %d",
                     qwen_tokenizer_source(t), (int)out->audio_pad, (int)config_audio_id);
}

static qwen_status tokenize(qwen_ids *out, const qwen_tokenizer *t, const char *const *parts, size_t n,
                            qwen_error *err) {
    qwen_buf text = {0};
    qwen_status s = QWEN_OK;
    for (size_t i = 0; i < n && s == QWEN_OK; i++)
        if (!qwen_buf_puts(&text, parts[i]))
            s = qwen_fail(err, QWEN_ERR_NOMEM, "out of memory while the prompt was built");
    if (s == QWEN_OK) s = qwen_tokenizer_encode(t, text.data, text.len, out, err);
    qwen_buf_free(&text);
    return s;
}

qwen_status qwen_prompt_open(qwen_prompt *out, const qwen_tokenizer *t, const qwen_special *s, const char *context,
                             const char *language, const char *prefix, qwen_error *err) {
    *out = (qwen_prompt){{0}, {0}};
    const char *before[] = {IM_START "system\n", context ? context : "", IM_END "\n" IM_START "user\n" AUDIO_START};
    const char *after[] = {AUDIO_END IM_END "\n" IM_START "assistant\n", language ? "language " : "",
                           language ? language : "", language ? ASR_TEXT : "", prefix ? prefix : ""};
    qwen_status status = tokenize(&out->before, t, before, sizeof before / sizeof *before, err);
    if (status == QWEN_OK) status = tokenize(&out->after, t, after, sizeof after / sizeof *after, err);
    /* The literals are those of s, so the slot for the audio is where it should be; a context cannot swallow the marker
     * that follows it. */
    if (status == QWEN_OK &&
        (out->before.data[out->before.len - 1] != s->audio_start || out->after.data[0] != s->audio_end))
        status = qwen_fail(err, QWEN_ERR_INTERNAL, "the prompt lost its place for the audio");
    if (status != QWEN_OK) qwen_prompt_close(out);
    return status;
}

void qwen_prompt_close(qwen_prompt *p) {
    qwen_ids_free(&p->before);
    qwen_ids_free(&p->after);
}
