/*
 * qwen_asr_language.c - the thirty languages Qwen3-ASR was trained to name, and how a person may write them.
 *
 * The model knows English names only ("language German<asr_text>"); ISO 639 codes, with or without a region, are a
 * convenience of this engine. Order and spelling of the names: MODEL.md, languages.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "qwen_asr.h"
#include "qwen_asr_buf.h"
#include "qwen_asr_status.h"
#include "qwen_asr_unicode.h"

typedef struct language {
    const char *name, *code;
} language;

static const language LANGUAGES[QWEN_N_LANGUAGES] = {
    {"Chinese", "zh"}, {"English", "en"}, {"Cantonese", "yue"}, {"Arabic", "ar"},     {"German", "de"},
    {"French", "fr"},  {"Spanish", "es"}, {"Portuguese", "pt"}, {"Indonesian", "id"}, {"Italian", "it"},
    {"Korean", "ko"},  {"Russian", "ru"}, {"Thai", "th"},       {"Vietnamese", "vi"}, {"Japanese", "ja"},
    {"Turkish", "tr"}, {"Hindi", "hi"},   {"Malay", "ms"},      {"Dutch", "nl"},      {"Swedish", "sv"},
    {"Danish", "da"},  {"Finnish", "fi"}, {"Polish", "pl"},     {"Czech", "cs"},      {"Filipino", "fil"},
    {"Persian", "fa"}, {"Greek", "el"},   {"Romanian", "ro"},   {"Hungarian", "hu"},  {"Macedonian", "mk"},
};

const char *qwen_language_name(size_t i) { return i < QWEN_N_LANGUAGES ? LANGUAGES[i].name : NULL; }
const char *qwen_language_code(size_t i) { return i < QWEN_N_LANGUAGES ? LANGUAGES[i].code : NULL; }

static char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static bool same_word(const char *s, size_t n, const char *word) {
    if (strlen(word) != n) return false;
    for (size_t i = 0; i < n; i++)
        if (ascii_lower(s[i]) != ascii_lower(word[i])) return false;
    return true;
}

/* Strips white space of any script from both ends of *s [*n]. */
static void strip(const char **s, size_t *n) {
    size_t first = 0, end = 0;
    for (size_t i = 0, used = 0; i < *n; i += used) {
        if (qwen_is_py_space(qwen_utf8_next(*s + i, *n - i, &used))) continue;
        if (end == 0) first = i;
        end = i + used;
    }
    *s += first;
    *n = end - first;
}

/* Length of the code in front of a region: 2 for "en-US", "zh_CN.UTF-8"; n if there is no region. */
static size_t code_length(const char *s, size_t n) {
    for (size_t i = 0; i + 1 < n; i++)
        if (s[i] == '-' || s[i] == '_') return i;
    return n;
}

static qwen_status unknown(const char *s, size_t n, qwen_error *err) {
    char list[sizeof err->msg] = "", shown[32] = "";
    size_t used = 0;
    for (size_t i = 0; i < QWEN_N_LANGUAGES && used < sizeof list; i++) {
        const int k = snprintf(list + used, sizeof list - used, "%s%s (%s)", i ? ", " : "", LANGUAGES[i].name,
                               LANGUAGES[i].code);
        if (k > 0) used += (size_t)k;
    }
    size_t n_shown = 0; /* whole characters only, no control characters, which could play tricks on a terminal */
    for (size_t i = 0, step = 0; i < n && n_shown + 4 < sizeof shown; i += step) {
        const uint32_t c = qwen_utf8_next(s + i, n - i, &step);
        const bool bad = c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xFFFD;
        if (bad) shown[n_shown++] = '?';
        else memcpy(shown + n_shown, s + i, step), n_shown += step;
    }
    return qwen_fail(err, QWEN_ERR_ARG, "\"%s\" is no language of this model; it knows %s", shown, list);
}

qwen_status qwen_language_find(const char **out, const char *name, qwen_error *err) {
    *out = NULL;
    if (!name) return QWEN_OK;
    size_t n = strlen(name);
    strip(&name, &n);
    if (n == 0) return QWEN_OK;
    const size_t n_code = code_length(name, n);
    for (size_t i = 0; i < QWEN_N_LANGUAGES && !*out; i++)
        if (same_word(name, n, LANGUAGES[i].name) || same_word(name, n_code, LANGUAGES[i].code))
            *out = LANGUAGES[i].name;
    if (!*out && same_word(name, n_code, "tl"))
        *out = "Filipino"; /* the older code of Tagalog, still common in locales */
    return *out ? QWEN_OK : unknown(name, n, err);
}
