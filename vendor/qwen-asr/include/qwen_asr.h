/*
 * qwen_asr.h - speech to text with Qwen3-ASR (0.6B, 1.7B and any model of the same architecture) on the CPU.
 *
 * The one public header. Everything below is C11, needs libc, libm and pthreads, prints nothing, reads no environment
 * variable and keeps no global state. Pull, not callbacks: feed samples, call step until it answers QWEN_AGAIN,
 * collect events after each step.
 *
 *     qwen_model *model = NULL;
 *     qwen_stream *stream = NULL;
 *     qwen_error err;
 *     if (qwen_model_open(&model, "models/qwen3-asr-0.6b", NULL, &err) != QWEN_OK) return complain(err.msg);
 *     qwen_stream_params params = qwen_stream_params_default();
 *     if (qwen_stream_open(&stream, model, &params, &err) != QWEN_OK) return complain(err.msg);
 *     while (n_left > 0) {                         // pcm: 16 kHz mono float32 in [-1, 1]
 *         size_t taken = 0;
 *         if (qwen_stream_feed(stream, pcm, n_left, &taken, &err) < 0) return complain(err.msg);
 *         pcm += taken, n_left -= taken;
 *         qwen_status status;
 *         while ((status = qwen_stream_step(stream, &err)) == QWEN_OK)
 *             for (qwen_event ev; qwen_stream_next(stream, &ev) == QWEN_OK;) show(&ev);
 *         if (status < 0) return complain(err.msg);
 *     }
 *     qwen_stream_finish(stream, &err);            // no more audio will come
 *     ... step and next as above, until step answers QWEN_AGAIN ...
 *     qwen_stream_close(stream);
 *     qwen_model_close(model);
 *
 * Threads: a qwen_model is immutable after open; any number of threads may open streams on it at the same time. A qwen_stream
 * belongs to one thread at a time and owns its worker threads. Close every stream before its model. fork() after
 * qwen_stream_open is not supported: the workers exist in the parent only.
 *
 * The model's weights are a memory mapping of the files. Truncating a file while a model is open raises SIGBUS, as for
 * every mapping; set qwen_model_params.no_mmap where the files are not under your control.
 *
 * Not here: resampling, audio file formats, microphones, downloads, language models that polish text.
 */
#ifndef QWEN_ASR_H
#define QWEN_ASR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QWEN_API __attribute__((visibility("default")))
#define QWEN_MUST_CHECK __attribute__((warn_unused_result))
#else
#define QWEN_API
#define QWEN_MUST_CHECK
#endif

/* Samples per second of all audio in this interface. */
#define QWEN_SAMPLE_RATE 16000

/* What a call answers. Negative values are errors; qwen_error.msg then holds a sentence for a person. */
typedef enum qwen_status {
    QWEN_OK = 0,
    QWEN_AGAIN = 1,            /* nothing to do now: feed more, or everything is done */
    QWEN_ERR_ARG = -1,         /* the caller broke a rule written in this header, or gave an unusable setting */
    QWEN_ERR_NOMEM = -2,       /* memory or a thread could not be had */
    QWEN_ERR_IO = -3,          /* a file could not be opened or read */
    QWEN_ERR_FORMAT = -4,      /* a file's content is damaged or contradicts another file */
    QWEN_ERR_UNSUPPORTED = -5, /* well-formed, but not a model this engine computes */
    QWEN_ERR_CANCELLED = -6,   /* the cancel flag was seen */
    QWEN_ERR_STATE = -7,       /* call not possible in this state, e.g. feed after finish */
    QWEN_ERR_INTERNAL = -8     /* a bug, or damaged weights: e.g. a logit that is not a number */
} qwen_status;

/* Filled by the call that failed; owned by the caller; may be NULL everywhere. Untouched on success. */
typedef struct qwen_error {
    qwen_status status;
    char msg[508]; /* UTF-8, NUL-terminated, one sentence that names the file, the field and the numbers */
} qwen_error;

typedef struct qwen_model qwen_model;   /* weights, tokenizer, sizes; immutable after open */
typedef struct qwen_stream qwen_stream; /* one recording being transcribed; one thread at a time */

/* ---- model ---------------------------------------------------------------------------------------------------- */

/* CPU features for qwen_model_params.cpu_disable. */
#define QWEN_CPU_AVX2 (1u << 0)   /* AVX2 + FMA + F16C */
#define QWEN_CPU_AVX512 (1u << 1) /* AVX-512 F, BW, VL, DQ */
#define QWEN_CPU_NEON (1u << 2)   /* baseline on aarch64 */

typedef struct qwen_model_params {
    uint32_t cpu_disable; /* QWEN_CPU_* bits not to use even if present; ~0u selects the scalar kernels. Default 0 */
    int32_t no_mmap;      /* nonzero: read the weights into memory instead of mapping the files. Default 0 */
} qwen_model_params;

QWEN_API qwen_model_params qwen_model_params_default(void);

/*
 * Opens the model directory `dir` (released or transformers-native layout) and checks every size against every tensor.
 * params: NULL for the defaults. On success *out is the model; on failure *out is NULL.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_model_open(qwen_model **out, const char *dir, const qwen_model_params *params,
                                                     qwen_error *err);

/* Closes the model. NULL is allowed. All its streams must have been closed. */
QWEN_API void qwen_model_close(qwen_model *model);

typedef struct qwen_model_info {
    const char *kernels;    /* "scalar", "avx2", "avx512", "neon"; valid as long as the model */
    const char *gemm;       /* "native", "openblas" or "accelerate"; valid for ever */
    uint64_t n_parameters;  /* weights in use; a tied output head counts once */
    uint64_t mapped_bytes;  /* bytes of weight files mapped (or read, with no_mmap) */
    uint32_t encoder_layers, encoder_width;
    uint32_t decoder_layers, decoder_width;
    uint32_t vocab_size;
} qwen_model_info;

QWEN_API qwen_model_info qwen_model_describe(const qwen_model *model);

/* ---- languages ------------------------------------------------------------------------------------------------ */

#define QWEN_N_LANGUAGES 30

/* Canonical English name of language i, 0 <= i < QWEN_N_LANGUAGES ("Chinese", "English", ...), else NULL. */
QWEN_API const char *qwen_language_name(size_t i);

/* ISO code of language i ("zh", "en", "yue", ...), else NULL. */
QWEN_API const char *qwen_language_code(size_t i);

/*
 * Canonical name of a language given by name or ISO code in any case, e.g. "en", "ENGLISH", " zh ". *out is NULL for
 * a NULL or blank `name` (automatic). Unknown: QWEN_ERR_ARG with a sentence that lists the languages.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_language_find(const char **out, const char *name, qwen_error *err);

/* ---- stream --------------------------------------------------------------------------------------------------- */

typedef struct qwen_stream_params {
    const char *language;  /* name or ISO code to force, NULL or blank: detected per segment. Copied by open */
    const char *context;   /* hot words or free text for the system prompt, UTF-8, NULL: none. Copied by open */
    int32_t n_threads;     /* threads computing, the caller's included; 0: one per physical core, at most 8 */
    int32_t no_segmenter;  /* nonzero: the whole audio is one segment, untrimmed, at most max_audio_s long */
    float max_audio_s;     /* with no_segmenter only: seconds of room. Default 60 */
    int32_t max_tokens;    /* tokens per segment; 0: follows the segment's length, 64 + 20 a second */
    int32_t token_events;  /* nonzero: a QWEN_EVENT_TEXT after every decoded token that changes the text of a finished segment */
    int32_t partial_ms;    /* > 0: while a segment is being spoken it is decoded again for every so many ms of new speech, and in every
                              pause, and a QWEN_EVENT_TEXT says what it holds so far. 0: only finished segments. 1000 is a good pace.
                              The final text is the same for every value */
    const int32_t *cancel; /* NULL, or a flag that must outlive the stream; nonzero, set atomically by any thread, makes
                              the running step return QWEN_ERR_CANCELLED; looked at between the parts of a layer */
} qwen_stream_params;

QWEN_API qwen_stream_params qwen_stream_params_default(void);

/* Opens a stream and makes every allocation of the computation; later only the text of a segment takes and gives back a few kilobytes. params: NULL for the
 * defaults. *out is NULL on failure. */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_stream_open(qwen_stream **out, const qwen_model *model,
                                                      const qwen_stream_params *params, qwen_error *err);

/* Closes the stream at any moment, from the thread that uses it. NULL is allowed. */
QWEN_API void qwen_stream_close(qwen_stream *stream);

/*
 * Takes up to n samples [n] (16 kHz mono; values outside [-1, 1] are clipped, a NaN or infinity becomes 0 and is counted)
 * and sets *n_taken. QWEN_OK: all taken. QWEN_AGAIN: the buffer is full, call step, then feed the rest.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_stream_feed(qwen_stream *stream, const float *pcm, size_t n, size_t *n_taken,
                                                      qwen_error *err);

/*
 * Changes partial_ms of a running stream, from the next step on: to 0 while the caller is behind and wants finished segments only, and back.
 * A stream that was opened without partials stays without. The final text is the same for every value.
 */
QWEN_API void qwen_stream_set_partials(qwen_stream *stream, int32_t partial_ms);

/* Says that no more audio will come. Calling it again does nothing. */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_stream_finish(qwen_stream *stream, qwen_error *err);

/*
 * Does one bounded unit of work: a window of the encoder, a block of the prompt, or one token. QWEN_OK: something
 * was done, look for events and call again. QWEN_AGAIN: nothing to do before more audio comes; after finish: all done.
 * After an error only close is possible.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_stream_step(qwen_stream *stream, qwen_error *err);

typedef enum qwen_event_kind {
    QWEN_EVENT_TEXT = 1,   /* text of the segment being spoken or decoded, so far; never ends inside a character.
                              An empty text takes back what was shown of a segment that turned out to hold no speech */
    QWEN_EVENT_SEGMENT = 2 /* a segment is final */
} qwen_event_kind;

/* Why decoding of a segment ended. */
typedef enum qwen_stop_reason {
    QWEN_STOP_EOS = 0,       /* the model said so: the ordinary case */
    QWEN_STOP_MAX_TOKENS = 1 /* the token limit was reached; the text may be cut short */
} qwen_stop_reason;

/* Why the audio was cut at the end of a segment. */
typedef enum qwen_cut_reason {
    QWEN_CUT_PAUSE = 0,  /* inside a pause between words */
    QWEN_CUT_LENGTH = 1, /* without a pause, where it was quietest: the segment reached its longest length, or its decode ran in circles */
    QWEN_CUT_END = 2     /* the audio ended */
} qwen_cut_reason;

typedef struct qwen_event {
    qwen_event_kind kind;
    qwen_stop_reason stop;      /* SEGMENT only */
    qwen_cut_reason cut;        /* SEGMENT only */
    const char *text;           /* UTF-8, NUL-terminated; valid until the next call on the stream */
    size_t text_bytes;          /* its length without the NUL (the text may hold a NUL itself) */
    size_t stable_bytes;        /* so many bytes of it are settled: until the segment is final they stay and only grow; SEGMENT: all */
    const char *separator;      /* what joins it to the texts before it: "" or " " (none where either side is Han,
                                   Kana or Thai, or where one of them is empty); a literal */
    const char *language;       /* name as the model (or the caller) gave it, "" if none; same lifetime as text */
    uint64_t start_sample;      /* the decoded audio is [start_sample, end_sample) of all samples fed */
    uint64_t end_sample;
    uint32_t n_audio_tokens;    /* SEGMENT: encoder rows */
    uint32_t n_tokens;          /* tokens generated so far, the end token not counted */
} qwen_event;

/*
 * Takes the waiting event. QWEN_OK: *ev is filled. QWEN_AGAIN: there is none. A text event not taken is replaced by the next one; a
 * segment must be taken before the next step, which otherwise answers QWEN_ERR_STATE.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_stream_next(qwen_stream *stream, qwen_event *ev);

/* What a stream did; times in seconds of wall clock spent in step. */
typedef struct qwen_stream_stats {
    uint64_t samples_fed;
    uint64_t samples_repaired; /* NaN or infinity replaced by 0 */
    uint64_t samples_clipped;  /* outside [-1, 1] */
    uint64_t samples_done;     /* every sample before this one has been dealt with */
    uint64_t segments;         /* of the segmenter, begun; one whose decode ran in circles gives several events */
    uint64_t audio_tokens, prompt_tokens, text_tokens; /* of finished segments */
    uint64_t partials;         /* decodes of a segment that was still being spoken, finished ones */
    uint64_t contradictions;   /* of these, how many disagreed with text that had been called settled */
    uint64_t frames, chunks, windows, prompt_rows; /* work really done, partials included: feature rows, conv chunks of 1 s, encoder
                                                      windows, decoder rows before the first new token */
    uint64_t draft_offered, draft_accepted; /* tokens of earlier decodes verified in a batch, and kept */
    double mel_s, encode_s, prefill_s, decode_s;
} qwen_stream_stats;

QWEN_API qwen_stream_stats qwen_stream_describe(const qwen_stream *stream);

/* ---- in one call ------------------------------------------------------------------------------------------------ */

/*
 * Transcribes pcm [n] as a stream that is fed at once and finished would: the texts of the segments, joined by their
 * separators. *text: NUL-terminated UTF-8, given back with qwen_text_free; NULL on failure.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_transcribe_audio(char **text, const qwen_model *model, const qwen_stream_params *params,
                                                           const float *pcm, size_t n, qwen_error *err);

QWEN_API void qwen_text_free(char *text); /* NULL is allowed */

/* ---- live audio ------------------------------------------------------------------------------------------------- */

/*
 * The buffer between a thread that captures and one that transcribes. It holds the samples pushed and not yet pulled, so its memory,
 * all of it taken by new, does not grow with the recording. Threads: one that pushes and one that pulls, at the same time; end and
 * describe from any thread; free when no other call is running or will come.
 */
typedef struct qwen_live_audio qwen_live_audio;

/* max_samples: how far the reader may be behind; 0: 60 s. *out is NULL on failure. */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_live_audio_new(qwen_live_audio **out, size_t max_samples, qwen_error *err);

QWEN_API void qwen_live_audio_free(qwen_live_audio *live); /* NULL is allowed */

/*
 * Takes the first *n_taken of the samples pcm [n]; never waits for the reader. QWEN_OK: all taken. QWEN_AGAIN: the buffer is full; the rest
 * must be pushed again, before anything newer, or it is missing. QWEN_ERR_STATE: after end, nothing is taken.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_live_audio_push(qwen_live_audio *live, const float *pcm, size_t n, size_t *n_taken);

/*
 * Moves the oldest samples, at most room (which is not 0), to out; they leave the buffer. If there are none it waits for the first: up to
 * timeout_ms, not at all for 0, without limit for a negative value.
 * QWEN_OK and *n > 0: so many samples. QWEN_AGAIN, *n = 0: none came in time, call again.
 * QWEN_OK and *n == 0: the end, as read() says it: end was called and every sample has been pulled. Nothing else gives this answer.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_live_audio_pull(qwen_live_audio *live, float *out, size_t room, int32_t timeout_ms, size_t *n);

/* Says that no more samples will come and wakes the reader, who still gets those that are there. May be called again. */
QWEN_API void qwen_live_audio_end(qwen_live_audio *live);

/* At one moment: pushed = pulled + level. */
typedef struct qwen_live_audio_stats {
    uint64_t pushed;  /* samples taken in */
    uint64_t pulled;  /* samples taken out */
    uint64_t refused; /* samples that were offered and not taken; counted each time they are offered */
    uint64_t level;   /* samples in the buffer now */
    int32_t ended;    /* end was called */
} qwen_live_audio_stats;

QWEN_API qwen_live_audio_stats qwen_live_audio_describe(qwen_live_audio *live);

/*
 * qwen_transcribe_audio for samples that are still coming: pulls from live and transcribes until the end of it. The text is that of
 * qwen_transcribe_audio for the same samples, however they are cut and timed. Blocks; params->cancel ends it within a tenth of a second also while
 * no audio comes. After a failure live keeps what was not pulled, and it is still the caller's to free.
 */
QWEN_API QWEN_MUST_CHECK qwen_status qwen_transcribe_stream_live(char **text, const qwen_model *model, const qwen_stream_params *params,
                                                                 qwen_live_audio *live, qwen_error *err);

#ifdef __cplusplus
}
#endif
#endif
