/*
 * qwen_asr_json.h - a bounded pull parser for the JSON files of a model directory. Rank 2.
 *
 * RFC 8259, UTF-8, strict. One pass, no tree: the caller asks for the next key or element and reads or skips its value, so a
 * 10 MB vocab.json costs no memory. Depth is limited to QWEN_JSON_MAX_DEPTH; anything deeper is an error, not a crash.
 * The first error sticks: every later call fails too, so a caller may check once at the end of an object.
 *
 *     qwen_json j;  qwen_json_open(&j, "config.json", bytes, n, err);
 *     QWEN_TRY(qwen_json_object(&j));
 *     while (qwen_json_key(&j, &key)) {               // key: qwen_str of the unescaped key
 *         if (qwen_str_is(key, "vocab_size")) QWEN_TRY(qwen_json_size(&j, &n, 1, 1 << 24));
 *         else QWEN_TRY(qwen_json_skip(&j));
 *     }
 *     QWEN_TRY(qwen_json_end(&j));                    // no trailing garbage, no earlier error
 */
#ifndef QWEN_ASR_JSON_H
#define QWEN_ASR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_buf.h"
#include "qwen_asr_status.h"

#define QWEN_JSON_MAX_DEPTH 64

/* Bytes that are not NUL-terminated and not owned. */
typedef struct qwen_str {
    const char *data;
    size_t len;
} qwen_str;

bool qwen_str_is(qwen_str s, const char *literal);
/* Copies s into out [cap], cap >= 4, for a message: NUL-terminated, control characters and broken UTF-8 as '?', cut between characters. */
void qwen_str_show(char *out, size_t cap, qwen_str s);

typedef enum qwen_json_kind {
    QWEN_JSON_ERROR = 0, QWEN_JSON_OBJECT, QWEN_JSON_ARRAY, QWEN_JSON_STRING, QWEN_JSON_NUMBER, QWEN_JSON_TRUE, QWEN_JSON_FALSE, QWEN_JSON_NULL
} qwen_json_kind;

typedef struct qwen_json {
    const char *name; /* file name for messages; must outlive the parser */
    const char *text;
    size_t len, pos;
    int depth;
    bool first[QWEN_JSON_MAX_DEPTH + 1];     /* no element seen yet at this depth */
    bool is_array[QWEN_JSON_MAX_DEPTH + 1];
    qwen_buf key, value; /* the last key and the last string, if they held escapes; reused */
    char path[128];      /* where we are, for messages: "thinker_config.text_config.hidden_size"; cut if longer */
    unsigned char path_len[QWEN_JSON_MAX_DEPTH + 1]; /* length of the path of the container open at this depth */
    qwen_error *err;     /* of the caller, may be NULL */
    qwen_status status;  /* QWEN_OK until the first error */
} qwen_json;

/* text [len] must outlive the parser. Never fails. */
void qwen_json_open(qwen_json *j, const char *name, const char *text, size_t len, qwen_error *err);
/* Frees the scratch; safe to call twice. */
void qwen_json_close(qwen_json *j);

/* What kind of value comes next; does not move. */
qwen_json_kind qwen_json_peek(qwen_json *j);

/* Enter an object / array, which must come next. */
qwen_status qwen_json_object(qwen_json *j);
qwen_status qwen_json_array(qwen_json *j);

/* In an object: moves to the next value and gives its key (valid until the next key is read at any depth); false at the
 * closing brace (which is consumed) or on error. */
bool qwen_json_key(qwen_json *j, qwen_str *key);
/* In an array: true if another element comes; false at the closing bracket (consumed) or on error. */
bool qwen_json_element(qwen_json *j);

/* Values. Messages give the path of the value: "config.json: thinker_config.text_config.vocab_size: ...". */
qwen_status qwen_json_string(qwen_json *j, qwen_str *out); /* unescaped; valid until the next string is read */
qwen_status qwen_json_bool(qwen_json *j, bool *out);
qwen_status qwen_json_number(qwen_json *j, double *out);
qwen_status qwen_json_size(qwen_json *j, size_t *out, size_t min, size_t max); /* an integer in [min, max]; says which bound it broke */
qwen_status qwen_json_skip(qwen_json *j); /* any value */

/* After the outermost value: QWEN_OK if the text ends here and nothing failed before, else the first error. */
qwen_status qwen_json_end(qwen_json *j);

/* Lets a caller report its own complaint about the current value in the same form ("name: path: ..."), as QWEN_ERR_FORMAT, or the
 * earlier error if there was one; sticks. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
qwen_status qwen_json_fail(qwen_json *j, const char *fmt, ...);
/* The same as QWEN_ERR_UNSUPPORTED. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
qwen_status qwen_json_refuse(qwen_json *j, const char *fmt, ...);

#endif
