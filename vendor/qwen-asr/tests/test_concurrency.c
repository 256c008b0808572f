/* test_concurrency.c - four threads, one model, different clips: the same text as alone, and nothing for ThreadSanitizer to say. */
#include <pthread.h>

#include "speech.h"

typedef struct job {
    const qwen_model *model;
    const float *pcm;
    size_t n;
    char *text;
    qwen_error err;
} job;

static void *transcribe(void *arg) {
    job *j = arg;
    qwen_stream_params p = qwen_stream_params_default();
    p.no_segmenter = 1;
    p.n_threads = 2;
    p.max_tokens = 40;
    if (qwen_transcribe_audio(&j->text, j->model, &p, j->pcm, j->n, &j->err) != QWEN_OK) j->text = NULL;
    return NULL;
}

int main(void) {
    static const char *const clips[4] = {"s7.99", "s8.50", "s1.01", "s20.3"};
    static const char *const models[2] = {"parity/tiny-b", "tiny-qwen3-asr"};
    for (size_t k = 0; k < 2; k++) {
        char path[1024];
        qwen_model *m = NULL;
        qwen_error err = {0};
        job alone[4] = {{0}}, together[4] = {{0}};
        pthread_t threads[4];
        if (snprintf(path, sizeof path, "%s/%s", check_data(), models[k]) >= (int)sizeof path) return 2;
        CHECKF(qwen_model_open(&m, path, NULL, &err) == QWEN_OK, "%s", err.msg);
        for (size_t i = 0; m && i < 4; i++) {
            alone[i].pcm = speech_clip(clips[i], &alone[i].n);
            alone[i].model = m;
            together[i] = alone[i];
            transcribe(&alone[i]);
        }
        for (size_t i = 0; m && i < 4; i++) CHECK(pthread_create(&threads[i], NULL, transcribe, &together[i]) == 0);
        for (size_t i = 0; m && i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        for (size_t i = 0; m && i < 4; i++) {
            CHECKF(alone[i].text && together[i].text && strcmp(alone[i].text, together[i].text) == 0, "%s: \"%s\" alone, \"%s\" together (%s)", clips[i],
                   alone[i].text ? alone[i].text : "-", together[i].text ? together[i].text : "-", together[i].err.msg);
            qwen_text_free(alone[i].text);
            qwen_text_free(together[i].text);
            free((void *)(uintptr_t)alone[i].pcm);
        }
        qwen_model_close(m);
    }
    return check_done("concurrency");
}
