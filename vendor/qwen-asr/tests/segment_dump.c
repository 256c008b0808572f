/*
 * segment_dump.c - prints where a WAV file (16 kHz mono 16-bit) is cut: start and end in seconds, length, reason. For
 * looking at the segmenter's constants; no test. With a second argument n, the samples are fed n at a time.
 *
 *     make build/segment_dump && build/segment_dump FILE.wav [n]
 */
#include "qwen_asr_segment.h"
#include "wav.h"

static const char *const reason[] = {"pause", "length", "end"};

static void take_all(qwen_segmenter *s) {
    for (qwen_segment g; qwen_segmenter_next(s, &g);)
        printf("%8.3f %8.3f %7.3f %s\n", (double)g.start / 16000, (double)g.end / 16000, (double)(g.end - g.start) / 16000, reason[g.cut]);
}

int main(int argc, char **argv) {
    size_t n = 0;
    uint32_t rate = 0;
    float *pcm = argc > 1 ? wav_read(argv[1], &n, &rate) : NULL;
    if (!pcm || rate != 16000) {
        fprintf(stderr, "usage: segment_dump FILE.wav [samples a push]   (16 kHz mono 16-bit)\n");
        return 2;
    }
    const size_t step = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) + !strtoul(argv[2], NULL, 10) : 1600;
    qwen_segmenter *s = NULL;
    qwen_error err;
    if (qwen_segmenter_open(&s, NULL, &err) != QWEN_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    for (size_t at = 0; at < n;) {
        size_t take = qwen_segmenter_room(s);
        take = take < step ? take : step;
        take = take < n - at ? take : n - at;
        qwen_segmenter_feed(s, pcm + at, take);
        at += take;
        take_all(s);
    }
    qwen_segmenter_finish(s);
    take_all(s);
    qwen_segmenter_close(s);
    free(pcm);
    return 0;
}
