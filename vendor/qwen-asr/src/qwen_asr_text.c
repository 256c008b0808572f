/*
 * qwen_asr_text.c - from what the model wrote to what the user reads: loops cut, "language X<asr_text>" taken off,
 * blanks stripped.
 *
 * The rules are those of the official post-processing, described in MODEL.md (output parsing, languages). They are
 * about code points, so the raw bytes are decoded once into an array, worked on in place and encoded again; a broken
 * sequence becomes U+FFFD. Case mappings are the simple ones, one character to one, where Python also knows "\u00DF" ->
 * "SS"; that can only show in a language's name.
 */
#include "qwen_asr_text.h"

#include <stdint.h>
#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_unicode.h"

#define REPEATS 20     /* this many in a row are a loop */
#define PATTERN_MAX 20 /* longest repeated pattern, in characters */
#define META_MAX 48    /* "language X" longer than this is text: the longest name has 10 characters */

static const char TAG[] = "<asr_text>";
static const char LANGUAGE[] = "language "; /* with the blank that must follow */

/* Code points [n] that are not owned. */
typedef struct span {
    const uint32_t *v;
    size_t n;
} span;

/* raw[n] as code points in a new block of at least *count elements, NULL: out of memory. */
static uint32_t *decode(const char *raw, size_t n, size_t *count) {
    uint32_t *v = qwen_alloc(n, sizeof *v);
    *count = 0;
    for (size_t i = 0, used = 0; v && i < n; i += used) v[(*count)++] = qwen_utf8_next(raw + i, n - i, &used);
    return v;
}

static bool append(qwen_buf *out, span s) {
    for (size_t i = 0; i < s.n; i++)
        if (!qwen_buf_put_utf8(out, s.v[i])) return false;
    return true;
}

static span strip(span s) {
    while (s.n && qwen_is_py_space(s.v[0])) s.v++, s.n--;
    while (s.n && qwen_is_py_space(s.v[s.n - 1])) s.n--;
    return s;
}

/* Does s, in lower case if fold is set, start with the ASCII text `word`? */
static bool starts_with(span s, const char *word, bool fold) {
    const size_t n = strlen(word);
    if (s.n < n) return false;
    for (size_t i = 0; i < n; i++)
        if ((fold ? qwen_to_lower(s.v[i]) : s.v[i]) != (unsigned char)word[i]) return false;
    return true;
}

/* Where `word` first is in s, s.n if nowhere. */
static size_t find(span s, const char *word, bool fold) {
    for (size_t i = 0; i < s.n; i++)
        if (starts_with((span){s.v + i, s.n - i}, word, fold)) return i;
    return s.n;
}

/* ---- repetitions ----------------------------------------------------------------------------------------- */

/* Every run of one character longer than REPEATS becomes one such character. */
static size_t squeeze_characters(uint32_t *v, size_t n) {
    size_t kept = 0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && v[end] == v[i]; end++) {}
        const size_t copies = end - i > REPEATS ? 1 : end - i;
        const uint32_t c = v[i];
        for (size_t k = 0; k < copies; k++) v[kept++] = c;
    }
    return kept;
}

/* How often the k characters at v repeat from there on. */
static size_t repeats(const uint32_t *v, size_t n, size_t k) {
    size_t same = k; /* v[0, same) has period k */
    while (same < n && v[same] == v[same - k]) same++;
    return same / k;
}

/* Patterns of up to PATTERN_MAX characters that come REPEATS times or more in a row become one; the shortest pattern at
 * the first place wins. */
static size_t squeeze_patterns(uint32_t *v, size_t n) {
    size_t kept = 0, i = 0;
    while (n - i >= (size_t)REPEATS * 2) {
        size_t k = 1, times = 0;
        for (; k <= PATTERN_MAX && k * REPEATS <= n - i; k++) {
            times = repeats(v + i, n - i, k);
            if (times >= REPEATS) break;
        }
        const bool found = times >= REPEATS;
        const size_t copy = found ? k : 1;
        for (size_t j = 0; j < copy; j++) v[kept++] = v[i + j]; /* kept <= i, so nothing unread is overwritten */
        i += found ? k * times : 1;
    }
    while (i < n) v[kept++] = v[i++];
    return kept;
}

static size_t fix_repetitions(uint32_t *v, size_t n) { return squeeze_patterns(v, squeeze_characters(v, n)); }

bool qwen_fix_repetitions(const char *s, size_t n, qwen_buf *out) {
    qwen_buf_clear(out);
    size_t count = 0;
    uint32_t *v = decode(s, n, &count);
    if (!v) return false;
    const bool ok = append(out, (span){v, fix_repetitions(v, count)});
    qwen_free(v);
    return ok;
}

/* ---- languages ------------------------------------------------------------------------------------------- */

static bool append_normalized(qwen_buf *out, span s) {
    s = strip(s);
    for (size_t i = 0; i < s.n; i++)
        if (!qwen_buf_put_utf8(out, i ? qwen_to_lower(s.v[i]) : qwen_to_upper(s.v[i]))) return false;
    return true;
}

bool qwen_normalize_language(const char *s, size_t n, qwen_buf *out) {
    size_t count = 0;
    uint32_t *v = decode(s, n, &count);
    if (!v) return false;
    const bool ok = append_normalized(out, (span){v, count});
    qwen_free(v);
    return ok;
}

/* The name after "language " in the first line of meta that starts so; empty if there is none. */
static span language_of(span meta) {
    for (size_t i = 0, end; i < meta.n; i = end + 1) {
        for (end = i; end < meta.n && !qwen_is_line_break(meta.v[end]); end++) {}
        const span line = strip((span){meta.v + i, end - i});
        const size_t skip = sizeof LANGUAGE - 1;
        if (starts_with(line, LANGUAGE, true)) return strip((span){line.v + skip, line.n - skip});
    }
    return (span){NULL, 0};
}

/* ---- the whole output ------------------------------------------------------------------------------------ */

/* s: stripped and without loops. */
static bool parse(span s, const char *forced, qwen_buf *language, qwen_buf *text) {
    if (forced) return qwen_buf_puts(language, forced) && append(text, s);
    const size_t at = find(s, TAG, false);
    if (at == s.n) return append(text, s);
    const span meta = {s.v, at};
    const size_t skip = at + sizeof TAG - 1;
    const span rest = strip((span){s.v + skip, s.n - skip});
    const bool silent = find(meta, "language none", true) < meta.n;
    return (silent || append_normalized(language, language_of(meta))) && append(text, rest);
}

/*
 * Could s, the beginning of an output without a tag so far, go on to "language X<asr_text>"? Then nothing of it is text
 * yet. True while s is a beginning of "language " or of the tag, and after "language " as long as the name stays on its
 * line and within META_MAX.
 */
static bool may_become_tag(span s) {
    const size_t n_word = sizeof LANGUAGE - 1, n_tag = sizeof TAG - 1;
    size_t word = 0, tag = 0;
    while (word < n_word && word < s.n && qwen_to_lower(s.v[word]) == (unsigned char)LANGUAGE[word]) word++;
    while (tag < n_tag && tag < s.n && s.v[tag] == (unsigned char)TAG[tag]) tag++;
    if (word == s.n || tag == s.n) return true;
    if (word < n_word || s.n > META_MAX) return false;
    for (size_t i = n_word; i < s.n; i++)
        if (qwen_is_line_break(s.v[i])) return false; /* s is stripped: more than the line break came */
    return true;
}

static bool parse_raw(const char *raw, size_t n, const char *forced, bool partial, qwen_buf *language, qwen_buf *text) {
    qwen_buf_clear(language);
    qwen_buf_clear(text);
    size_t count = 0;
    uint32_t *v = decode(raw, n, &count);
    if (!v) return false;
    const span all = strip((span){v, count});
    bool ok = true;
    if (all.n) {
        uint32_t *inside = v + (all.v - v);
        const span s = {inside, fix_repetitions(inside, all.n)};
        const bool wait = partial && !forced && find(s, TAG, false) == s.n && may_become_tag(s);
        if (!wait) ok = parse(s, forced, language, text);
    }
    qwen_free(v);
    return ok;
}

bool qwen_parse_output(const char *raw, size_t n, const char *forced, qwen_buf *language, qwen_buf *text) {
    return parse_raw(raw, n, forced, false, language, text);
}

bool qwen_parse_partial(const char *raw, size_t n, const char *forced, qwen_buf *language, qwen_buf *text) {
    return parse_raw(raw, n, forced, true, language, text);
}
