/*
 * qwen_asr_json.c - a bounded pull parser. Grammar: RFC 8259. Stricter than it has to be: bytes must be UTF-8 and
 * escaped surrogates must come in pairs, so that every string handed out is well-formed.
 *
 * Nothing recurses: the state of the open containers is two flags for each level, so depth costs no stack. Strings
 * without escapes are handed out where they lie in the text; only the others are copied.
 */
#include "qwen_asr_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "qwen_asr_num.h"

bool qwen_str_is(qwen_str s, const char *literal) {
    const size_t n = strlen(literal);
    return s.len == n && memcmp(s.data, literal, n) == 0;
}

/* True if qwen_utf8_next's answer stands for broken bytes, not for a U+FFFD that was written out. */
static bool utf8_broken(uint32_t c, size_t used, const char *bytes) {
    return c == 0xFFFD && !(used == 3 && (unsigned char)bytes[0] == 0xEF);
}

void qwen_str_show(char *out, size_t cap, qwen_str s) {
    size_t n = 0;
    for (size_t i = 0, used = 0; i < s.len; i += used) {
        const uint32_t c = qwen_utf8_next(s.data + i, s.len - i, &used);
        const bool bad = c < 0x20 || (c >= 0x7F && c < 0xA0) || utf8_broken(c, used, s.data + i);
        const size_t add = bad ? 1 : used;
        if (n + add >= cap) break;
        if (bad) out[n] = '?';
        else memcpy(out + n, s.data + i, add);
        n += add;
    }
    out[n] = '\0';
}

/* ---- errors -------------------------------------------------------------------------------------------------- */

static qwen_status fail_nomem(qwen_json *j) {
    if (j->status == QWEN_OK) j->status = qwen_fail(j->err, QWEN_ERR_NOMEM, "%s: out of memory", j->name);
    return j->status;
}

static qwen_status fail_here(qwen_json *j, qwen_status status, const char *fmt, va_list ap) {
    if (j->status != QWEN_OK) return j->status;
    char text[320];
    if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = '\0';
    j->status = j->path[0] ? qwen_fail(j->err, status, "%s: %s: %s", j->name, j->path, text)
                           : qwen_fail(j->err, status, "%s: %s", j->name, text);
    return j->status;
}

qwen_status qwen_json_fail(qwen_json *j, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const qwen_status s = fail_here(j, QWEN_ERR_FORMAT, fmt, ap);
    va_end(ap);
    return s;
}

qwen_status qwen_json_refuse(qwen_json *j, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const qwen_status s = fail_here(j, QWEN_ERR_UNSUPPORTED, fmt, ap);
    va_end(ap);
    return s;
}

/* A breach of the grammar, at j->pos. */
static qwen_status syntax(qwen_json *j, const char *what) {
    if (j->status != QWEN_OK) return j->status;
    size_t line = 1, start = 0;
    for (size_t i = 0; i < j->pos; i++) {
        if (j->text[i] != '\n') continue;
        line++;
        start = i + 1;
    }
    j->status =
        qwen_fail(j->err, QWEN_ERR_FORMAT, "%s: line %zu, column %zu: %s", j->name, line, j->pos - start + 1, what);
    return j->status;
}

/* ---- paths for messages -------------------------------------------------------------------------------------- */

static void path_cut(qwen_json *j) { j->path[j->path_len[j->depth]] = '\0'; }

static void path_set_key(qwen_json *j, qwen_str key) {
    size_t n = j->path_len[j->depth];
    if (n && n + 1 < sizeof j->path) j->path[n++] = '.';
    if (n + 4 <= sizeof j->path) qwen_str_show(j->path + n, sizeof j->path - n, key);
    else j->path[n] = '\0';
}

/* ---- tokens -------------------------------------------------------------------------------------------------- */

static void skip_space(qwen_json *j) {
    while (j->pos < j->len) {
        const char c = j->text[j->pos];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        j->pos++;
    }
}

/* The next character after white space, or NUL at the end (a NUL in the text is no token either). */
static char next_char(qwen_json *j) {
    skip_space(j);
    return j->pos < j->len ? j->text[j->pos] : '\0';
}

static qwen_status read_hex4(qwen_json *j, uint32_t *out) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, j->pos++) {
        const char c = j->pos < j->len ? j->text[j->pos] : '\0';
        uint32_t digit = 0;
        if (c >= '0' && c <= '9') digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f') digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F') digit = (uint32_t)(c - 'A') + 10;
        else return syntax(j, "expected four hexadecimal digits after \\u");
        v = v << 4 | digit;
    }
    *out = v;
    return QWEN_OK;
}

/* The escape after a backslash, at j->pos; moves behind it. */
static qwen_status read_escape(qwen_json *j, uint32_t *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char c = j->pos < j->len ? j->text[j->pos] : '\0';
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        *out = (unsigned char)to[found - from];
        j->pos++;
        return QWEN_OK;
    }
    if (c != 'u') return syntax(j, "unknown escape in a string");
    j->pos++;
    QWEN_TRY(read_hex4(j, out));
    if (*out >= 0xDC00 && *out <= 0xDFFF) return syntax(j, "second half of a surrogate pair without the first");
    if (*out < 0xD800 || *out > 0xDBFF) return QWEN_OK;
    uint32_t low = 0;
    if (j->len - j->pos < 2 || j->text[j->pos] != '\\' || j->text[j->pos + 1] != 'u')
        return syntax(j, "first half of a surrogate pair without the second");
    j->pos += 2;
    QWEN_TRY(read_hex4(j, &low));
    if (low < 0xDC00 || low > 0xDFFF) return syntax(j, "first half of a surrogate pair without the second");
    *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
    return QWEN_OK;
}

/* Moves over characters that stand for themselves, up to a quote or a backslash. */
static qwen_status skip_plain(qwen_json *j) {
    while (j->pos < j->len) {
        const unsigned char c = (unsigned char)j->text[j->pos];
        if (c == '"' || c == '\\') return QWEN_OK;
        if (c < 0x20) return syntax(j, "control character in a string");
        size_t used = 1;
        if (c >= 0x80) {
            const uint32_t cp = qwen_utf8_next(j->text + j->pos, j->len - j->pos, &used);
            if (utf8_broken(cp, used, j->text + j->pos)) return syntax(j, "the text is not UTF-8");
        }
        j->pos += used;
    }
    return syntax(j, "a string is not closed");
}

/* The string at j->pos, which is its quote. scratch NULL: only checks it. */
static qwen_status read_string(qwen_json *j, qwen_buf *scratch, qwen_str *out) {
    size_t start = ++j->pos;
    bool escaped = false;
    if (scratch) qwen_buf_clear(scratch);
    for (;;) {
        QWEN_TRY(skip_plain(j));
        const bool end = j->text[j->pos] == '"';
        if (end && !escaped) {
            *out = (qwen_str){j->text + start, j->pos - start};
            break;
        }
        if (scratch && !qwen_buf_append(scratch, j->text + start, j->pos - start)) return fail_nomem(j);
        if (end) {
            *out = scratch ? (qwen_str){scratch->data, scratch->len} : (qwen_str){NULL, 0};
            break;
        }
        escaped = true;
        j->pos++;
        uint32_t c = 0;
        QWEN_TRY(read_escape(j, &c));
        if (scratch && !qwen_buf_put_utf8(scratch, c)) return fail_nomem(j);
        start = j->pos;
    }
    j->pos++;
    return QWEN_OK;
}

static size_t digits(qwen_json *j) {
    const size_t start = j->pos;
    while (j->pos < j->len && j->text[j->pos] >= '0' && j->text[j->pos] <= '9') j->pos++;
    return j->pos - start;
}

/* Moves over the number at j->pos; *token is its text, *whole: no fraction and no exponent. */
static qwen_status scan_number(qwen_json *j, qwen_str *token, bool *whole) {
    const size_t start = j->pos;
    *whole = true;
    if (j->text[j->pos] == '-') j->pos++;
    const bool zero = j->pos < j->len && j->text[j->pos] == '0';
    const size_t n = digits(j);
    if (n == 0 || (zero && n > 1)) return syntax(j, n ? "a number has a leading zero" : "expected a digit");
    if (j->pos < j->len && j->text[j->pos] == '.') {
        *whole = false;
        j->pos++;
        if (!digits(j)) return syntax(j, "expected a digit after the decimal point");
    }
    if (j->pos < j->len && (j->text[j->pos] | 0x20) == 'e') {
        *whole = false;
        j->pos++;
        if (j->pos < j->len && (j->text[j->pos] == '+' || j->text[j->pos] == '-')) j->pos++;
        if (!digits(j)) return syntax(j, "expected a digit in the exponent");
    }
    *token = (qwen_str){j->text + start, j->pos - start};
    return QWEN_OK;
}

/*
 * Value of a checked number token. Not strtod, which reads "0,5" where the host program chose such a locale. Exact
 * (correctly rounded) for up to 15 digits and powers of ten up to 22, where digits and power are both exact doubles; a
 * few units in the last place otherwise, which no model file needs.
 */
static double number_value(qwen_str t) {
    static const double ten[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t m = 0;
    int64_t shift = 0, e = 0;
    size_t i = t.data[0] == '-';
    bool fraction = false, e_minus = false;
    for (; i < t.len && (t.data[i] | 0x20) != 'e'; i++) {
        if (t.data[i] == '.') {
            fraction = true;
        } else if (m < UINT64_MAX / 10 - 1) {
            m = m * 10 + (uint64_t)(t.data[i] - '0');
            shift -= fraction;
        } else {
            shift += !fraction; /* digits beyond the 19th */
        }
    }
    for (i++; i < t.len; i++) {
        if (t.data[i] == '-') e_minus = true;
        else if (t.data[i] != '+' && e < 1000000) e = e * 10 + (t.data[i] - '0');
    }
    int64_t p = shift + (e_minus ? -e : e);
    double v = (double)m;
    for (int steps = 0; p != 0 && v != 0 && steps < 32; steps++) { /* 32 * 22 is beyond any double */
        const int64_t k = p > 22 ? 22 : p < -22 ? -22 : p;
        v = k > 0 ? v * ten[k] : v / ten[-k];
        p -= k;
    }
    if (p < 0) v = 0;
    return t.data[0] == '-' ? -v : v;
}

static bool scan_word(qwen_json *j, const char *word) {
    const size_t n = strlen(word);
    if (j->len - j->pos < n || memcmp(j->text + j->pos, word, n) != 0) return false;
    j->pos += n;
    return true;
}

/* ---- the interface ------------------------------------------------------------------------------------------- */

void qwen_json_open(qwen_json *j, const char *name, const char *text, size_t len, qwen_error *err) {
    memset(j, 0, sizeof *j);
    j->name = name;
    j->text = text;
    j->len = len;
    j->err = err;
}

void qwen_json_close(qwen_json *j) {
    qwen_buf_free(&j->key);
    qwen_buf_free(&j->value);
}

qwen_json_kind qwen_json_peek(qwen_json *j) {
    if (j->status != QWEN_OK) return QWEN_JSON_ERROR;
    const char c = next_char(j);
    if (c == '{') return QWEN_JSON_OBJECT;
    if (c == '[') return QWEN_JSON_ARRAY;
    if (c == '"') return QWEN_JSON_STRING;
    if (c == 't') return QWEN_JSON_TRUE;
    if (c == 'f') return QWEN_JSON_FALSE;
    if (c == 'n') return QWEN_JSON_NULL;
    if (c == '-' || (c >= '0' && c <= '9')) return QWEN_JSON_NUMBER;
    syntax(j, j->pos == j->len ? "the text ends where a value is expected" : "expected a value");
    return QWEN_JSON_ERROR;
}

/* Complains that the value that comes next is not what was expected. */
static qwen_status wrong_kind(qwen_json *j, const char *expected) {
    static const char *const names[] = {"", "an object", "an array", "a string", "a number", "true", "false", "null"};
    const qwen_json_kind kind = qwen_json_peek(j);
    if (kind == QWEN_JSON_ERROR) return j->status;
    if (kind != QWEN_JSON_STRING) return qwen_json_fail(j, "is %s, expected %s", names[kind], expected);
    qwen_str s;
    char shown[48];
    QWEN_TRY(read_string(j, &j->value, &s));
    qwen_str_show(shown, sizeof shown, s);
    return qwen_json_fail(j, "is \"%s\", expected %s", shown, expected);
}

static qwen_status enter(qwen_json *j, bool is_array) {
    if (qwen_json_peek(j) != (is_array ? QWEN_JSON_ARRAY : QWEN_JSON_OBJECT))
        return wrong_kind(j, is_array ? "an array" : "an object");
    if (j->depth == QWEN_JSON_MAX_DEPTH) return syntax(j, "nested deeper than 64 levels");
    j->pos++;
    j->depth++;
    j->first[j->depth] = true;
    j->is_array[j->depth] = is_array;
    j->path_len[j->depth] = (unsigned char)strlen(j->path);
    return QWEN_OK;
}

qwen_status qwen_json_object(qwen_json *j) { return enter(j, false); }
qwen_status qwen_json_array(qwen_json *j) { return enter(j, true); }

/* Moves to the next member of the open container: false at its end, which is consumed, or on error. */
static bool next_member(qwen_json *j, bool is_array) {
    if (j->status != QWEN_OK) return false;
    if (j->depth == 0 || j->is_array[j->depth] != is_array) {
        j->status = qwen_fail(j->err, QWEN_ERR_INTERNAL, "%s: read as another container than was entered", j->name);
        return false;
    }
    path_cut(j);
    const char c = next_char(j);
    if (c == (is_array ? ']' : '}')) {
        j->pos++;
        j->depth--;
        return false;
    }
    if (!j->first[j->depth]) {
        if (c != ',') {
            syntax(j, j->pos == j->len ? "the text ends inside a container"
                      : is_array       ? "expected ',' or ']'"
                                       : "expected ',' or '}'");
            return false;
        }
        j->pos++;
    }
    j->first[j->depth] = false;
    return true;
}

bool qwen_json_key(qwen_json *j, qwen_str *key) {
    *key = (qwen_str){"", 0};
    if (!next_member(j, false)) return false;
    if (next_char(j) != '"') {
        syntax(j, j->pos == j->len ? "the text ends inside a container" : "expected a key in quotes");
        return false;
    }
    if (read_string(j, &j->key, key) != QWEN_OK) return false;
    path_set_key(j, *key);
    if (next_char(j) != ':') {
        syntax(j, "expected ':' after a key");
        return false;
    }
    j->pos++;
    return true;
}

bool qwen_json_element(qwen_json *j) { return next_member(j, true); }

qwen_status qwen_json_string(qwen_json *j, qwen_str *out) {
    *out = (qwen_str){"", 0};
    if (qwen_json_peek(j) != QWEN_JSON_STRING) return wrong_kind(j, "a string");
    return read_string(j, &j->value, out);
}

qwen_status qwen_json_bool(qwen_json *j, bool *out) {
    const qwen_json_kind kind = qwen_json_peek(j);
    if (kind != QWEN_JSON_TRUE && kind != QWEN_JSON_FALSE) return wrong_kind(j, "true or false");
    *out = kind == QWEN_JSON_TRUE;
    return scan_word(j, *out ? "true" : "false") ? QWEN_OK : syntax(j, "expected a value");
}

qwen_status qwen_json_number(qwen_json *j, double *out) {
    qwen_str token;
    bool whole = false;
    if (qwen_json_peek(j) != QWEN_JSON_NUMBER) return wrong_kind(j, "a number");
    QWEN_TRY(scan_number(j, &token, &whole));
    const double v = number_value(token);
    if (v - v != 0) return qwen_json_fail(j, "the number is too large"); /* infinity */
    *out = v;
    return QWEN_OK;
}

qwen_status qwen_json_size(qwen_json *j, size_t *out, size_t min, size_t max) {
    qwen_str token;
    bool whole = false;
    if (qwen_json_peek(j) != QWEN_JSON_NUMBER) return wrong_kind(j, "a whole number");
    QWEN_TRY(scan_number(j, &token, &whole));
    char shown[32];
    qwen_str_show(shown, sizeof shown, token);
    const char *dots = token.len >= sizeof shown ? "..." : "";
    if (!whole) return qwen_json_fail(j, "is %s%s, expected a whole number", shown, dots);
    if (token.data[0] == '-') {
        if (!qwen_str_is(token, "-0") || min > 0)
            return qwen_json_fail(j, "is %s%s, expected at least %zu", shown, dots, min);
        token = (qwen_str){"0", 1};
    }
    size_t v = 0;
    for (size_t i = 0; i < token.len; i++) {
        if (!qwen_mul_ok(v, 10, &v) || !qwen_add_ok(v, (size_t)(token.data[i] - '0'), &v) || v > max)
            return qwen_json_fail(j, "is %s%s, expected at most %zu", shown, dots, max);
    }
    if (v < min) return qwen_json_fail(j, "is %s, expected at least %zu", shown, min);
    *out = v;
    return QWEN_OK;
}

/* Moves over a value that is no container, or into one. */
static qwen_status skip_step(qwen_json *j) {
    qwen_str text;
    bool whole = false;
    switch (qwen_json_peek(j)) {
    case QWEN_JSON_OBJECT: return enter(j, false);
    case QWEN_JSON_ARRAY: return enter(j, true);
    case QWEN_JSON_STRING: return read_string(j, NULL, &text);
    case QWEN_JSON_NUMBER: return scan_number(j, &text, &whole);
    case QWEN_JSON_TRUE: return scan_word(j, "true") ? QWEN_OK : syntax(j, "expected a value");
    case QWEN_JSON_FALSE: return scan_word(j, "false") ? QWEN_OK : syntax(j, "expected a value");
    case QWEN_JSON_NULL: return scan_word(j, "null") ? QWEN_OK : syntax(j, "expected a value");
    case QWEN_JSON_ERROR: break;
    }
    return j->status;
}

qwen_status qwen_json_skip(qwen_json *j) {
    const int base = j->depth;
    do {
        QWEN_TRY(skip_step(j));
        qwen_str key;
        while (j->depth > base) {
            if (j->is_array[j->depth] ? qwen_json_element(j) : qwen_json_key(j, &key)) break;
            if (j->status != QWEN_OK) return j->status;
        }
    } while (j->depth > base);
    return QWEN_OK;
}

qwen_status qwen_json_end(qwen_json *j) {
    if (j->status != QWEN_OK) return j->status;
    if (j->depth != 0) return syntax(j, "the text ends inside a container");
    skip_space(j);
    return j->pos == j->len ? QWEN_OK : syntax(j, "more text after the end");
}
