/*
 * qwen_asr.c - a recording in one call, on top of the stream. Rank 9. No math here.
 */
#include "qwen_asr.h"

#include "qwen_asr_buf.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_status.h"

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

static qwen_status transcribe(qwen_stream *s, const float *pcm, size_t n, qwen_buf *text, qwen_error *err) {
    while (n > 0) {
        size_t taken = 0;
        const qwen_status status = qwen_stream_feed(s, pcm, n, &taken, err);
        if (status < 0) return status;
        pcm += taken;
        n -= taken;
        QWEN_TRY(drain(s, text, err));
    }
    QWEN_TRY(qwen_stream_finish(s, err));
    return drain(s, text, err);
}

qwen_status qwen_transcribe_audio(char **text, const qwen_model *model, const qwen_stream_params *params, const float *pcm, size_t n,
                                  qwen_error *err) {
    if (!text) return qwen_fail(err, QWEN_ERR_ARG, "qwen_transcribe_audio: text is NULL");
    *text = NULL;
    if (!pcm && n) return qwen_fail(err, QWEN_ERR_ARG, "qwen_transcribe_audio: pcm is NULL");
    qwen_stream *s = NULL;
    QWEN_TRY(qwen_stream_open(&s, model, params, err));
    qwen_buf out = {0};
    qwen_status status = qwen_buf_reserve(&out, 256) ? QWEN_OK : qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the text");
    if (status == QWEN_OK) status = transcribe(s, pcm, n, &out, err);
    qwen_stream_close(s);
    if (status == QWEN_OK) *text = out.data;
    else qwen_buf_free(&out);
    return status;
}

void qwen_text_free(char *text) { qwen_free(text); }
