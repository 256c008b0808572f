/*
 * test_oom.c - fails the n-th allocation of opening a model, opening a stream and transcribing, for every n: each time the answer
 * is "out of memory" and nothing leaks.
 */
#include <stdbool.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_status.h"
#include "speech.h"

static const float *clip;
static size_t clip_n;

/* live: with the segmenter, and decoded while it is being spoken. */
static qwen_status scenario(const char *dir, bool live, qwen_error *err) {
    qwen_model *m = NULL;
    char *text = NULL;
    qwen_status status = qwen_model_open(&m, dir, NULL, err);
    if (status == QWEN_OK) {
        qwen_stream_params p = qwen_stream_params_default();
        p.language = "en";
        p.context = "hot words: Caf\xC3\xA9 <|im_start|>";
        p.n_threads = 2;
        p.token_events = 1;
        p.no_segmenter = !live;
        p.partial_ms = live ? 300 : 0;
        p.max_audio_s = 4;
        p.max_tokens = 12;
        status = qwen_transcribe_audio(&text, m, &p, clip, clip_n, err);
        if (status == QWEN_OK && !*text) status = qwen_fail(err, QWEN_ERR_INTERNAL, "no text: this test walks too few paths");
    }
    qwen_text_free(text);
    qwen_model_close(m);
    return status;
}

int main(void) {
    clip = speech_babble(3.0, 200, 0, 3, &clip_n);
    static const char *const models[] = {"parity/tiny-a", "parity/tiny-b", "parity/tiny-c-hf"};
    for (size_t k = 0; k < 2 * (sizeof models / sizeof *models); k++) {
        const char *name = models[k / 2];
        const bool live = k % 2 == 1;
        char path[1024];
        if (snprintf(path, sizeof path, "%s/%s", check_data(), name) >= (int)sizeof path) return 2;
        long n = 1;
        for (;; n++) {
            qwen_error err = {0};
            qwen_test_fail_alloc(n);
            const qwen_status s = scenario(path, live, &err);
            const int hit = qwen_test_alloc_failed();
            qwen_test_fail_alloc(0);
            CHECKF(qwen_test_live_allocs() == 0, "%s, allocation %ld: %ld blocks leaked", name, n, qwen_test_live_allocs());
            if (!hit) {
                CHECKF(s == QWEN_OK, "%s", err.msg);
                break;
            }
            CHECKF(s == QWEN_ERR_NOMEM && err.msg[0], "%s, allocation %ld: status %d, \"%s\"", name, n, (int)s, err.msg);
            if (check_failed > 20) break;
        }
        printf("  %s%s: %ld allocations\n", name, live ? ", live" : "", n - 1);
        CHECK(n > 30);
    }
    free((void *)(uintptr_t)clip);
    return check_done("oom");
}
