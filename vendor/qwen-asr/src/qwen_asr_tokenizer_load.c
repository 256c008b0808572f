/*
 * qwen_asr_tokenizer_load.c - the tokenizer files of a model directory become the tables of qwen_asr_tokenizer.c.
 * MODEL.md, tokenizer and files.
 *
 * Released layout: vocab.json, merges.txt, and the added tokens in tokenizer_config.json. Native layout: all of it in
 * tokenizer.json. Vocabulary strings are written in the byte alphabet of GPT-2 (every byte is a printable character);
 * they are turned into raw bytes here, once. Nothing is allocated by a number that a file states before that number was
 * compared with what the file really holds.
 */
#include "qwen_asr_tokenizer_load.h"

#include <string.h>

#include "qwen_asr_map.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define MAX_FILE ((size_t)64 << 20) /* real ones have up to 12 MB */
#define MAX_ID ((size_t)1 << 24)

static bool push_entry(qwen_entries *e, qwen_entry item) {
    if (e->n == e->cap) {
        const size_t cap = e->cap ? 2 * e->cap : 1024;
        qwen_entry *v = qwen_grow(e->v, e->n, cap, sizeof *v);
        if (!v) return false;
        e->v = v;
        e->cap = cap;
    }
    e->v[e->n++] = item;
    return true;
}

/* Room for n bytes more in the arena, growing by doubling. */
static bool reserve_arena(qwen_buf *arena, size_t n) {
    size_t need = 0;
    if (!qwen_add_ok(arena->len, n, &need) || need > UINT32_MAX) return false;
    return need <= arena->cap || qwen_buf_reserve(arena, qwen_max_size(need, 2 * arena->cap));
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static qwen_status open_file(qwen_loader *l, qwen_map *file, const char *path) {
    QWEN_TRY(qwen_map_open(file, path, false, 0, l->err));
    if (file->size <= MAX_FILE) return QWEN_OK;
    return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: %zu bytes are too many for a tokenizer file", path, file->size);
}

static qwen_status json_of(qwen_loader *l, qwen_json *j, const char *path, const qwen_map *file) {
    qwen_json_open(j, path, (const char *)file->data, file->size, l->err);
    return file->size ? QWEN_OK : qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: the file is empty", path);
}

/* {"token": id, ...} */
static qwen_status read_vocab(qwen_loader *l, qwen_json *j) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        qwen_buf *arena = &l->t->arena;
        if (!reserve_arena(arena, key.len)) return qwen_loader_no_memory(l);
        qwen_entry e = {.at = (uint32_t)arena->len};
        bool spelled = false;
        if (!qwen_loader_raw(l, arena, key, &spelled)) return qwen_loader_no_memory(l);
        if (!spelled && !qwen_buf_append(arena, key.data, key.len)) return qwen_loader_no_memory(l);
        if (key.len == 0) return qwen_json_fail(j, "a token without a character");
        e.len = (uint32_t)(arena->len - e.at);
        e.literal = !spelled;
        size_t id = 0;
        QWEN_TRY(qwen_json_size(j, &id, 0, MAX_ID));
        e.id = (uint32_t)id;
        if (!push_entry(&l->vocab, e)) return qwen_loader_no_memory(l);
    }
    return j->status;
}

/* The value of an added token: an object with "content", "special", flags, and "id" unless the caller knows it (id !=
 * SIZE_MAX). */
static qwen_status read_added(qwen_loader *l, qwen_json *j, size_t id) {
    qwen_buf *arena = &l->t->arena;
    qwen_entry e = {0};
    qwen_str key, content;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        bool flag = false;
        if (qwen_str_is(key, "content")) {
            QWEN_TRY(qwen_json_string(j, &content));
            if (!reserve_arena(arena, content.len)) return qwen_loader_no_memory(l);
            e.at = (uint32_t)arena->len;
            e.len = (uint32_t)content.len;
            if (!qwen_buf_append(arena, content.data, content.len)) return qwen_loader_no_memory(l);
        } else if (qwen_str_is(key, "special")) {
            QWEN_TRY(qwen_json_bool(j, &e.special));
        } else if (qwen_str_is(key, "lstrip") || qwen_str_is(key, "rstrip") || qwen_str_is(key, "single_word")) {
            QWEN_TRY(qwen_json_bool(j, &flag));
            if (flag) return qwen_json_fail(j, "is true; this engine matches added tokens as they are written");
        } else if (qwen_str_is(key, "id") && id == SIZE_MAX) {
            QWEN_TRY(qwen_json_size(j, &id, 0, MAX_ID));
        } else {
            QWEN_TRY(qwen_json_skip(j));
        }
    }
    if (j->status != QWEN_OK) return j->status;
    if (id == SIZE_MAX) return qwen_json_fail(j, "an added token has no id");
    if (e.len == 0) return qwen_json_fail(j, "the added token with id %zu has no content", id);
    e.id = (uint32_t)id;
    return push_entry(&l->added, e) ? QWEN_OK : qwen_loader_no_memory(l);
}

/* added_tokens_decoder: {"151643": {...}, ...} */
static qwen_status read_added_decoder(qwen_loader *l, qwen_json *j) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        size_t id = 0;
        for (size_t i = 0; i < key.len; i++) {
            if (key.data[i] < '0' || key.data[i] > '9') return qwen_json_fail(j, "the key is not a token id");
            id = id * 10 + (size_t)(key.data[i] - '0');
            if (id > MAX_ID) return qwen_json_fail(j, "the token id is too large");
        }
        if (key.len == 0) return qwen_json_fail(j, "a key is empty, expected a token id");
        QWEN_TRY(read_added(l, j, id));
    }
    return j->status;
}

static qwen_status read_tokenizer_config(qwen_loader *l, qwen_json *j) {
    qwen_str key;
    bool seen = false;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (!qwen_str_is(key, "added_tokens_decoder")) {
            QWEN_TRY(qwen_json_skip(j));
            continue;
        }
        seen = true;
        QWEN_TRY(read_added_decoder(l, j));
    }
    QWEN_TRY(qwen_json_end(j));
    return seen ? QWEN_OK : qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: added_tokens_decoder is missing", l->added_name);
}

/* "model" of tokenizer.json, everything but the merges, which need the whole vocabulary. */
static qwen_status read_model(qwen_loader *l, qwen_json *j) {
    qwen_str key, type;
    bool flag = false;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "vocab")) {
            QWEN_TRY(read_vocab(l, j));
        } else if (qwen_str_is(key, "type")) {
            QWEN_TRY(qwen_json_string(j, &type));
            if (!qwen_str_is(type, "BPE")) return qwen_json_fail(j, "the tokenizer is not of type BPE");
        } else if (qwen_str_is(key, "ignore_merges") || qwen_str_is(key, "byte_fallback")) {
            QWEN_TRY(qwen_json_bool(j, &flag));
            if (flag) return qwen_json_fail(j, "is true; the tokenizer of Qwen has it false");
        } else {
            QWEN_TRY(qwen_json_skip(j));
        }
    }
    return j->status;
}

static qwen_status read_native(qwen_loader *l, qwen_json *j) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "model")) {
            QWEN_TRY(read_model(l, j));
        } else if (qwen_str_is(key, "added_tokens")) {
            QWEN_TRY(qwen_json_array(j));
            while (qwen_json_element(j)) QWEN_TRY(read_added(l, j, SIZE_MAX));
        } else {
            QWEN_TRY(qwen_json_skip(j));
        }
    }
    return qwen_json_end(j);
}

/* ---- merges ---------------------------------------------------------------------------------------------- */

/* Where a merge was read, for messages: "path: what number". */
typedef struct place {
    const char *path, *what;
    size_t number;
} place;

/* Id of the token whose raw bytes are scratch from `from` on. */
static qwen_status merge_token(qwen_loader *l, size_t from, qwen_str as_written, bool spelled, place at,
                               uint32_t *out) {
    const qwen_entry *e = spelled ? qwen_loader_find(l, l->scratch.data + from, l->scratch.len - from) : NULL;
    if (e) {
        *out = e->id;
        return QWEN_OK;
    }
    char shown[QWEN_SHOWN];
    qwen_str_show(shown, sizeof shown, as_written);
    return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: %s %zu: \"%s\" is not a token of the vocabulary", at.path, at.what,
                     at.number, shown);
}

/* Token whose raw bytes are scratch. Tokens were numbered as they were learned, so it mostly is the one after that of
 * the last merge, and asking for that one first saves a third of all look-ups. */
static bool find_merged(const qwen_loader *l, uint32_t *id) {
    const size_t guess = l->n_merges ? (size_t)l->merges[l->n_merges - 1].id + 1 : SIZE_MAX;
    if (guess < l->t->n_tokens) {
        const qwen_token *t = &l->t->tokens[guess];
        *id = (uint32_t)guess;
        if (t->kind == QWEN_TOKEN_BPE && t->len == l->scratch.len &&
            memcmp(l->t->arena.data + t->at, l->scratch.data, t->len) == 0)
            return true;
    }
    const qwen_entry *e = qwen_loader_find(l, l->scratch.data, l->scratch.len);
    if (e) *id = e->id;
    return e != NULL;
}

static qwen_status add_merge(qwen_loader *l, qwen_str left, qwen_str right, place at) {
    qwen_merge m = {.rank = (uint32_t)l->n_merges};
    bool spelled = false;
    qwen_buf_clear(&l->scratch);
    if (!qwen_loader_raw(l, &l->scratch, left, &spelled)) return qwen_loader_no_memory(l);
    QWEN_TRY(merge_token(l, 0, left, spelled, at, &m.left));
    const size_t n_left = l->scratch.len;
    if (!qwen_loader_raw(l, &l->scratch, right, &spelled)) return qwen_loader_no_memory(l);
    QWEN_TRY(merge_token(l, n_left, right, spelled, at, &m.right));
    if (!find_merged(l, &m.id)) {
        char a[QWEN_SHOWN], b[QWEN_SHOWN];
        qwen_str_show(a, sizeof a, left);
        qwen_str_show(b, sizeof b, right);
        return qwen_fail(l->err, QWEN_ERR_FORMAT,
                         "%s: %s %zu: \"%s\" and \"%s\" together are not a token of the vocabulary", at.path, at.what,
                         at.number, a, b);
    }
    if (l->n_merges == l->merges_cap) {
        const size_t cap = l->merges_cap ? 2 * l->merges_cap : 1024;
        qwen_merge *v = qwen_grow(l->merges, l->n_merges, cap, sizeof *v);
        if (!v) return qwen_loader_no_memory(l);
        l->merges = v;
        l->merges_cap = cap;
    }
    l->merges[l->n_merges++] = m;
    return QWEN_OK;
}

/* "left right" */
static qwen_status add_merge_text(qwen_loader *l, qwen_str both, place at) {
    const char *blank = both.len ? memchr(both.data, ' ', both.len) : NULL;
    const size_t n = blank ? (size_t)(blank - both.data) : 0;
    const qwen_str right = {both.data + n + 1, n ? both.len - n - 1 : 0};
    if (right.len == 0 || memchr(right.data, ' ', right.len)) {
        char shown[QWEN_SHOWN];
        qwen_str_show(shown, sizeof shown, both);
        return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: %s %zu: \"%s\" is not two tokens with a space between them",
                         at.path, at.what, at.number, shown);
    }
    return add_merge(l, (qwen_str){both.data, n}, right, at);
}

/* merges.txt: a line for each merge, best first. The first line may be a "#version" header; later ones that start with
 * '#' are merges. */
static qwen_status read_merge_lines(qwen_loader *l, const char *path, const qwen_map *file) {
    const char *text = (const char *)file->data;
    place at = {path, "line", 0};
    for (size_t i = 0, end; i < file->size; i = end + 1) {
        const char *newline = memchr(text + i, '\n', file->size - i);
        end = newline ? (size_t)(newline - text) : file->size;
        qwen_str line = {text + i, end - i};
        at.number++;
        while (line.len && (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == ' ')) line.len--;
        if (line.len == 0 || (at.number == 1 && line.len >= 8 && memcmp(line.data, "#version", 8) == 0)) continue;
        QWEN_TRY(add_merge_text(l, line, at));
    }
    return QWEN_OK;
}

/* model.merges of tokenizer.json: pairs ["a", "b"], in older files strings "a b". */
static qwen_status read_merge_array(qwen_loader *l, qwen_json *j, const char *path) {
    place at = {path, "model.merges, number", 0};
    qwen_str s;
    qwen_buf left = {0};
    qwen_status status = qwen_json_array(j);
    while (status == QWEN_OK && qwen_json_element(j)) {
        at.number++;
        if (qwen_json_peek(j) == QWEN_JSON_STRING) {
            status = qwen_json_string(j, &s);
            if (status == QWEN_OK) status = add_merge_text(l, s, at);
            continue;
        }
        size_t n = 0;
        qwen_buf_clear(&left);
        status = qwen_json_array(j);
        while (status == QWEN_OK && qwen_json_element(j)) {
            status = qwen_json_string(j, &s);
            if (status != QWEN_OK) break;
            if (n == 0 && !qwen_buf_append(&left, s.data, s.len)) status = qwen_loader_no_memory(l);
            else if (n == 1) status = add_merge(l, (qwen_str){left.data, left.len}, s, at);
            n++;
        }
        if (status == QWEN_OK) status = j->status;
        if (status == QWEN_OK && n != 2)
            status = qwen_json_fail(j, "number %zu has %zu tokens, expected 2", at.number, n);
    }
    qwen_buf_free(&left);
    return status == QWEN_OK ? j->status : status;
}

static qwen_status read_native_merges(qwen_loader *l, qwen_json *j) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (!qwen_str_is(key, "model")) {
            QWEN_TRY(qwen_json_skip(j));
            continue;
        }
        QWEN_TRY(qwen_json_object(j));
        while (qwen_json_key(j, &key)) {
            if (qwen_str_is(key, "merges")) QWEN_TRY(read_merge_array(l, j, j->name));
            else QWEN_TRY(qwen_json_skip(j));
        }
        QWEN_TRY(j->status);
    }
    return qwen_json_end(j);
}

/* The table that encoding looks pairs up in. A pair that comes twice has its last rank, as in the official code. */
static qwen_status make_merges(qwen_loader *l, const char *path) {
    if (l->n_merges == 0) return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: there are no merges", path);
    size_t n = 16;
    while (n < l->n_merges + l->n_merges / 3) n *= 2;
    qwen_merge *table = qwen_alloc(n, sizeof *table);
    if (!table) return qwen_loader_no_memory(l);
    for (size_t i = 0; i < n; i++) table[i].left = QWEN_NO_TOKEN;
    for (size_t i = 0; i < l->n_merges; i++) {
        const qwen_merge *m = &l->merges[i];
        size_t slot = qwen_merge_slot(m->left, m->right, n - 1);
        while (table[slot].left != QWEN_NO_TOKEN && !(table[slot].left == m->left && table[slot].right == m->right))
            slot = (slot + 1) & (n - 1);
        table[slot] = *m;
    }
    l->t->merges = table;
    l->t->merge_mask = n - 1;
    return QWEN_OK;
}

/* ---- the two layouts ------------------------------------------------------------------------------------- */

/* Opens path and lets read go over its JSON. */
static qwen_status with_json(qwen_loader *l, const char *path, qwen_status (*read)(qwen_loader *, qwen_json *)) {
    qwen_map file = {0};
    qwen_json j = {0};
    qwen_status s = open_file(l, &file, path);
    if (s == QWEN_OK) s = json_of(l, &j, path, &file);
    if (s == QWEN_OK) s = read(l, &j);
    qwen_json_close(&j);
    qwen_map_close(&file);
    return s;
}

static qwen_status read_vocab_file(qwen_loader *l, qwen_json *j) {
    QWEN_TRY(read_vocab(l, j));
    return qwen_json_end(j);
}

static qwen_status load_released(qwen_loader *l, const char *vocab, const char *merges, const char *config) {
    qwen_map file = {0};
    l->vocab_name = vocab;
    l->added_name = config;
    l->t->source = "tokenizer_config.json";
    QWEN_TRY(with_json(l, vocab, read_vocab_file));
    QWEN_TRY(with_json(l, config, read_tokenizer_config));
    QWEN_TRY(qwen_loader_vocab(l));
    qwen_status s = open_file(l, &file, merges);
    if (s == QWEN_OK) s = read_merge_lines(l, merges, &file);
    qwen_map_close(&file);
    return s == QWEN_OK ? make_merges(l, merges) : s;
}

static qwen_status load_native(qwen_loader *l, const char *path) {
    l->vocab_name = l->added_name = path;
    l->t->source = "tokenizer.json";
    QWEN_TRY(with_json(l, path, read_native));
    QWEN_TRY(qwen_loader_vocab(l));
    QWEN_TRY(with_json(l, path, read_native_merges)); /* a second pass: the merges may stand before the vocabulary */
    return make_merges(l, path);
}

static qwen_status load(qwen_loader *l, const char *dir) {
    char *vocab = qwen_path_join(dir, "vocab.json"), *merges = qwen_path_join(dir, "merges.txt");
    char *config = qwen_path_join(dir, "tokenizer_config.json"), *native = qwen_path_join(dir, "tokenizer.json");
    qwen_status s = QWEN_OK;
    if (!vocab || !merges || !config || !native) {
        s = qwen_loader_no_memory(l);
    } else if (qwen_path_exists(vocab)) {
        s = load_released(l, vocab, merges, config);
    } else if (qwen_path_exists(native)) {
        s = load_native(l, native);
    } else {
        s = qwen_fail(l->err, QWEN_ERR_IO,
                      "%s: there is no tokenizer: neither vocab.json (with merges.txt) nor tokenizer.json", dir);
    }
    qwen_free(vocab);
    qwen_free(merges);
    qwen_free(config);
    qwen_free(native);
    return s;
}

qwen_status qwen_tokenizer_open(qwen_tokenizer **out, const char *dir, qwen_error *err) {
    *out = NULL;
    qwen_loader l = {.err = err};
    l.t = qwen_alloc_zero(1, sizeof *l.t);
    if (!l.t) return qwen_loader_no_memory(&l);
    qwen_loader_alphabet(&l);
    const qwen_status s = load(&l, dir);
    qwen_free(l.vocab.v);
    qwen_free(l.added.v);
    qwen_free(l.slots);
    qwen_free(l.merges);
    qwen_buf_free(&l.scratch);
    if (s == QWEN_OK) *out = l.t;
    else qwen_tokenizer_close(l.t);
    return s;
}
