/*
 * qwen_asr.c - a recording in one call, on top of the stream. Rank 9. No math here.
 */
#include "qwen_asr.h"

#include "qwen_asr_buf.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_status.h"

/* Samples pulled at once, and how long a cancel may go unseen while none come. */
#define LIVE_BLOCK 4096
#define LIVE_WAIT_MS 50

/* Steps until the stream has nothing to do and appends every finished segment to text. */
static qwen_status drain(qwen_stream *s, qwen_buf *text, qwen_error *err) {
    for (;;) {
        const qwen_status status = qwen_stream_step(s, err);
        if (status == QWEN_AGAIN) return QWEN_OK;
        if (status != QWEN_OK) return status;
        for (qwen_event ev; qwen_stream_next(s, &ev) == QWEN_OK;) {
            if (ev.kind != QWEN_EVENT_SEGMENT) continue;
            if (!qwen_buf_puts(text, ev.separator) || !qwen_buf_append(text, ev.text, ev.text_bytes))
                return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the text of %zu bytes", text->len);
        }
    }
}

static qwen_status feed(qwen_stream *s, const float *pcm, size_t n, qwen_buf *text, qwen_error *err) {
    while (n > 0) {
        size_t taken = 0;
        const qwen_status status = qwen_stream_feed(s, pcm, n, &taken, err);
        if (status < 0) return status;
        pcm += taken;
        n -= taken;
        QWEN_TRY(drain(s, text, err));
    }
    return QWEN_OK;
}

/* Where the samples come from: pcm [n], or live if it is not NULL. */
typedef struct source {
    const float *pcm;
    size_t n;
    qwen_live_audio *live;
    const int32_t *cancel; /* NULL, or what ends waiting for live; a step looks at it by itself */
} source;

static qwen_status feed_live(qwen_stream *s, const source *from, qwen_buf *text, qwen_error *err) {
    float pcm[LIVE_BLOCK];
    for (;;) {
        size_t n = 0;
        const qwen_status status = qwen_live_audio_pull(from->live, pcm, LIVE_BLOCK, LIVE_WAIT_MS, &n);
        if (status < 0) return qwen_fail(err, status, "the live audio cannot be read");
        if (from->cancel && __atomic_load_n(from->cancel, __ATOMIC_RELAXED) != 0)
            return qwen_fail(err, QWEN_ERR_CANCELLED, "transcription was cancelled");
        if (status == QWEN_OK && n == 0) return QWEN_OK;
        QWEN_TRY(feed(s, pcm, n, text, err));
    }
}

static qwen_status transcribe(char **text, const qwen_model *model, const qwen_stream_params *params, const source *from, qwen_error *err) {
    qwen_stream *s = NULL;
    QWEN_TRY(qwen_stream_open(&s, model, params, err));
    qwen_buf out = {0};
    qwen_status status = qwen_buf_reserve(&out, 256) ? QWEN_OK : qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the text");
    if (status == QWEN_OK) status = from->live ? feed_live(s, from, &out, err) : feed(s, from->pcm, from->n, &out, err);
    if (status == QWEN_OK) status = qwen_stream_finish(s, err);
    if (status == QWEN_OK) status = drain(s, &out, err);
    qwen_stream_close(s);
    if (status == QWEN_OK) *text = out.data;
    else qwen_buf_free(&out);
    return status;
}

qwen_status qwen_transcribe_audio(char **text, const qwen_model *model, const qwen_stream_params *params, const float *pcm, size_t n,
                                  qwen_error *err) {
    if (!text) return qwen_fail(err, QWEN_ERR_ARG, "qwen_transcribe_audio: text is NULL");
    *text = NULL;
    if (!pcm && n) return qwen_fail(err, QWEN_ERR_ARG, "qwen_transcribe_audio: pcm is NULL");
    return transcribe(text, model, params, &(source){.pcm = pcm, .n = n}, err);
}

qwen_status qwen_transcribe_stream_live(char **text, const qwen_model *model, const qwen_stream_params *params, qwen_live_audio *live,
                                        qwen_error *err) {
    if (!text) return qwen_fail(err, QWEN_ERR_ARG, "qwen_transcribe_stream_live: text is NULL");
    *text = NULL;
    if (!live) return qwen_fail(err, QWEN_ERR_ARG, "qwen_transcribe_stream_live: live is NULL");
    return transcribe(text, model, params, &(source){.live = live, .cancel = params ? params->cancel : NULL}, err);
}

void qwen_text_free(char *text) { qwen_free(text); }
