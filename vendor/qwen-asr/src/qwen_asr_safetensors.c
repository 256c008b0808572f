/*
 * qwen_asr_safetensors.c - header -> checked tensors.
 *
 * The format (MODEL.md, "Files"): a little-endian u64 n, n bytes of JSON {name: {dtype, shape, data_offsets: [begin,
 * end)}}, then the data, which offsets count from. A file is accepted only if its tensors lie side by side from the
 * first byte of the data to the last, as the format demands: that excludes overlaps and says exactly how long a file
 * cut short ought to be. Header lengths that would leave the data unaligned are legal; such a file is copied so that
 * the data is aligned.
 */
#include "qwen_asr_safetensors.h"

#include <string.h>

#include "qwen_asr_buf.h"
#include "qwen_asr_json.h"
#include "qwen_asr_map.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define MAX_HEADER 100000000u /* the limit of the reference implementation of the format */
#define MAX_TENSORS 65536u    /* the 1.7B model has 708 */
#define MAX_SHARDS 256u
#define LENGTH_BYTES 8u
#define DATA_ALIGN 8u /* the largest element */

#define SINGLE_NAME "model.safetensors"
#define INDEX_NAME "model.safetensors.index.json"
#define RESUME_HINT "download the model again, ./download_model.sh resumes where it stopped"

typedef struct dtype_row {
    const char *name;
    size_t bytes;
    qwen_tensor_type type;
} dtype_row;

static const dtype_row dtypes[] = {
    {"BF16", 2, QWEN_TENSOR_BF16},         {"F32", 4, QWEN_TENSOR_F32},       {"F16", 2, QWEN_TENSOR_F16},
    {"I32", 4, QWEN_TENSOR_I32},           {"BOOL", 1, QWEN_TENSOR_OTHER},    {"U8", 1, QWEN_TENSOR_OTHER},
    {"I8", 1, QWEN_TENSOR_OTHER},          {"U16", 2, QWEN_TENSOR_OTHER},     {"I16", 2, QWEN_TENSOR_OTHER},
    {"U32", 4, QWEN_TENSOR_OTHER},         {"U64", 8, QWEN_TENSOR_OTHER},     {"I64", 8, QWEN_TENSOR_OTHER},
    {"F64", 8, QWEN_TENSOR_OTHER},         {"C64", 8, QWEN_TENSOR_OTHER},     {"F8_E4M3", 1, QWEN_TENSOR_OTHER},
    {"F8_E5M2", 1, QWEN_TENSOR_OTHER},     {"F8_E8M0", 1, QWEN_TENSOR_OTHER}, {"F8_E4M3FNUZ", 1, QWEN_TENSOR_OTHER},
    {"F8_E5M2FNUZ", 1, QWEN_TENSOR_OTHER},
};

typedef struct entry {
    qwen_tensor t;  /* name and data are set last */
    size_t name_at; /* in names */
    size_t begin;   /* in the data of its file */
} entry;

typedef struct weight_file {
    char *name; /* owned */
    qwen_map map;
} weight_file;

struct qwen_tensors {
    weight_file *files; /* [n_files], room for cap_files */
    size_t n_files, cap_files;
    entry *entries; /* [n] */
    size_t n, cap;
    uint32_t *order; /* [n] entries by name */
    qwen_buf names;  /* NUL-terminated, one after the other */
    const char *source;
};

static qwen_status fail_nomem(qwen_error *err, const char *what) {
    return qwen_fail(err, QWEN_ERR_NOMEM, "%s: out of memory for the list of tensors", what);
}

static const char *entry_name(const qwen_tensors *t, const entry *e) { return t->names.data + e->name_at; }

/* ---- sorting: heapsort, because qsort of the C library may allocate ------------------------------------------ */

typedef bool less_fn(const qwen_tensors *t, uint32_t a, uint32_t b);

static bool less_by_name(const qwen_tensors *t, uint32_t a, uint32_t b) {
    return strcmp(entry_name(t, &t->entries[a]), entry_name(t, &t->entries[b])) < 0;
}

/* By place; an empty tensor before the one that starts at the same byte. */
static bool less_by_place(const qwen_tensors *t, uint32_t a, uint32_t b) {
    const entry *x = &t->entries[a], *y = &t->entries[b];
    return x->begin != y->begin ? x->begin < y->begin : x->t.bytes < y->t.bytes;
}

static void sift_down(const qwen_tensors *t, uint32_t *v, size_t n, size_t root, less_fn *less) {
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && less(t, v[child], v[child + 1])) child++;
        if (!less(t, v[root], v[child])) return;
        const uint32_t tmp = v[root];
        v[root] = v[child];
        v[child] = tmp;
    }
}

static void sort_entries(const qwen_tensors *t, uint32_t *v, size_t n, less_fn *less) {
    for (size_t i = n / 2; i-- > 0;) sift_down(t, v, n, i, less);
    for (size_t end = n; end-- > 1;) {
        const uint32_t tmp = v[0];
        v[0] = v[end];
        v[end] = tmp;
        sift_down(t, v, end, 0, less);
    }
}

/* ---- one file ------------------------------------------------------------------------------------------------ */

static uint64_t read_u64(const unsigned char *p) {
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* Opens path so that its data section is aligned; *n_header is then known to lie inside the file. */
static qwen_status open_map(qwen_map *m, const char *path, bool no_mmap, size_t *n_header, qwen_error *err) {
    size_t skew = 0;
    for (int attempt = 0;; attempt++) {
        QWEN_TRY(qwen_map_open(m, path, no_mmap || attempt > 0, skew, err));
        if (m->size < LENGTH_BYTES)
            return qwen_fail(err, QWEN_ERR_FORMAT, "%s is incomplete (%zu bytes, not even a header); " RESUME_HINT,
                             path, m->size);
        const uint64_t n = read_u64(m->data);
        if (n > MAX_HEADER)
            return qwen_fail(err, QWEN_ERR_FORMAT,
                             "%s: is not a safetensors file: its header would have %llu bytes, %u are the most", path,
                             (unsigned long long)n, MAX_HEADER);
        if (n > m->size - LENGTH_BYTES)
            return qwen_fail(err, QWEN_ERR_FORMAT,
                             "%s is incomplete (%zu bytes, the header alone ends at byte %llu); " RESUME_HINT, path,
                             m->size, (unsigned long long)n + LENGTH_BYTES);
        *n_header = (size_t)n;
        skew = (LENGTH_BYTES + *n_header) % 64;
        if (((uintptr_t)m->data + skew) % DATA_ALIGN == 0) return QWEN_OK;
        qwen_map_close(m);
        if (attempt > 0) return qwen_fail(err, QWEN_ERR_IO, "%s: changed while it was read", path);
    }
}

static qwen_status read_shape(qwen_json *j, qwen_tensor *t) {
    QWEN_TRY(qwen_json_array(j));
    while (qwen_json_element(j)) {
        if (t->n_dims == QWEN_TENSOR_MAX_DIMS)
            return qwen_json_fail(j, "more than %d dimensions", QWEN_TENSOR_MAX_DIMS);
        QWEN_TRY(qwen_json_size(j, &t->shape[t->n_dims], 0, SIZE_MAX));
        t->n_dims++;
    }
    return j->status;
}

static qwen_status read_offsets(qwen_json *j, size_t offsets[2]) {
    int n = 0;
    QWEN_TRY(qwen_json_array(j));
    while (qwen_json_element(j)) {
        if (n == 2) return qwen_json_fail(j, "expected two numbers");
        QWEN_TRY(qwen_json_size(j, &offsets[n], 0, SIZE_MAX));
        n++;
    }
    QWEN_TRY(j->status);
    return n == 2 ? QWEN_OK : qwen_json_fail(j, "expected two numbers");
}

static qwen_status read_dtype(qwen_json *j, const dtype_row **out) {
    qwen_str s;
    QWEN_TRY(qwen_json_string(j, &s));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (!qwen_str_is(s, dtypes[i].name)) continue;
        *out = &dtypes[i];
        return QWEN_OK;
    }
    char shown[32];
    qwen_str_show(shown, sizeof shown, s);
    return qwen_json_fail(j, "unknown type \"%s\"", shown);
}

/* One {dtype, shape, data_offsets}, everything checked that does not depend on other tensors. */
static qwen_status read_entry(qwen_json *j, entry *e) {
    const dtype_row *dtype = NULL;
    size_t offsets[2] = {0, 0};
    bool has_type = false, has_shape = false, has_offsets = false;
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        bool *seen = NULL;
        if (qwen_str_is(key, "dtype")) seen = &has_type;
        else if (qwen_str_is(key, "shape")) seen = &has_shape;
        else if (qwen_str_is(key, "data_offsets")) seen = &has_offsets;
        if (seen && *seen) return qwen_json_fail(j, "appears twice");
        if (seen == &has_type) QWEN_TRY(read_dtype(j, &dtype));
        else if (seen == &has_shape) QWEN_TRY(read_shape(j, &e->t));
        else if (seen == &has_offsets) QWEN_TRY(read_offsets(j, offsets));
        else QWEN_TRY(qwen_json_skip(j));
        if (seen) *seen = true;
    }
    QWEN_TRY(j->status);
    if (!has_type || !has_shape || !has_offsets)
        return qwen_json_fail(j, "has no %s", !has_type ? "dtype" : !has_shape ? "shape" : "data_offsets");
    size_t bytes = dtype->bytes;
    for (int i = 0; i < e->t.n_dims; i++)
        if (!qwen_mul_ok(bytes, e->t.shape[i], &bytes))
            return qwen_json_fail(j, "the shape has more elements than can be counted");
    if (offsets[0] > offsets[1])
        return qwen_json_fail(j, "ends at byte %zu, before it begins at byte %zu", offsets[1], offsets[0]);
    if (offsets[1] - offsets[0] != bytes)
        return qwen_json_fail(j, "has %zu bytes, but type and shape need %zu", offsets[1] - offsets[0], bytes);
    if (offsets[0] % dtype->bytes != 0)
        return qwen_json_fail(j, "is not aligned: begins at byte %zu, no multiple of the %zu bytes of an element",
                              offsets[0], dtype->bytes);
    e->t.type = dtype->type;
    e->t.type_name = dtype->name;
    e->t.bytes = bytes;
    e->begin = offsets[0];
    return QWEN_OK;
}

static qwen_status add_entry(qwen_tensors *t, qwen_json *j, qwen_str name, const char *file, qwen_error *err) {
    if (t->n == MAX_TENSORS) return qwen_json_fail(j, "more than %u tensors", MAX_TENSORS);
    if (t->n == t->cap) {
        const size_t cap = t->cap ? 2 * t->cap : 256;
        entry *grown = qwen_grow(t->entries, t->n, cap, sizeof *grown);
        if (!grown) return fail_nomem(err, file);
        t->entries = grown;
        t->cap = cap;
    }
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < 0x20)
            return qwen_json_fail(j, "the name of a tensor has a control character");
    entry *e = &t->entries[t->n];
    *e = (entry){.name_at = t->names.len};
    e->t.file = file;
    if (!qwen_buf_append(&t->names, name.data, name.len) || !qwen_buf_append(&t->names, "", 1))
        return fail_nomem(err, file);
    QWEN_TRY(read_entry(j, e));
    t->n++;
    return QWEN_OK;
}

static qwen_status read_header(qwen_tensors *t, const weight_file *f, size_t n_header, qwen_error *err) {
    qwen_json j;
    qwen_str name;
    qwen_json_open(&j, f->name, (const char *)f->map.data + LENGTH_BYTES, n_header, err);
    qwen_status s = qwen_json_object(&j);
    while (s == QWEN_OK && qwen_json_key(&j, &name))
        s = qwen_str_is(name, "__metadata__") ? qwen_json_skip(&j) : add_entry(t, &j, name, f->name, err);
    if (s == QWEN_OK) s = qwen_json_end(&j);
    qwen_json_close(&j);
    return s;
}

/* The tensors [first, n) of file f: side by side from the first byte of its data to the last; then they get their
 * pointers. */
static qwen_status place_entries(qwen_tensors *t, size_t first, const weight_file *f, size_t n_header, const char *path,
                                 qwen_error *err) {
    const size_t count = t->n - first, n_data = f->map.size - LENGTH_BYTES - n_header;
    uint32_t *v = qwen_alloc(count, sizeof *v);
    if (!v) return fail_nomem(err, f->name);
    for (size_t i = 0; i < count; i++) v[i] = (uint32_t)(first + i);
    sort_entries(t, v, count, less_by_place);
    qwen_status s = QWEN_OK;
    size_t at = 0;
    for (size_t i = 0; i < count && s == QWEN_OK; i++) {
        const entry *e = &t->entries[v[i]];
        if (e->begin < at)
            s = qwen_fail(err, QWEN_ERR_FORMAT, "%s: %s overlaps %s: begins at byte %zu, before byte %zu", f->name,
                          entry_name(t, e), entry_name(t, &t->entries[v[i - 1]]), e->begin, at);
        else if (e->begin > at)
            s = qwen_fail(err, QWEN_ERR_FORMAT, "%s: the %zu bytes before %s belong to no tensor", f->name,
                          e->begin - at, entry_name(t, e));
        at = e->begin + e->t.bytes; /* no overflow: it is the end that the header states */
    }
    qwen_free(v);
    QWEN_TRY(s);
    size_t total = 0;
    if (!qwen_add_ok(at, LENGTH_BYTES + n_header, &total)) total = SIZE_MAX;
    if (at > n_data)
        return qwen_fail(err, QWEN_ERR_FORMAT, "%s is incomplete (%zu of %zu bytes); " RESUME_HINT, path, f->map.size,
                         total);
    if (at < n_data)
        return qwen_fail(err, QWEN_ERR_FORMAT,
                         "%s: is damaged: %zu bytes follow the last tensor (%zu bytes, expected %zu)", path,
                         n_data - at, f->map.size, total);
    for (size_t i = first; i < t->n; i++)
        t->entries[i].t.data = f->map.data + LENGTH_BYTES + n_header + t->entries[i].begin;
    return QWEN_OK;
}

static char *copy_text(const char *text, size_t n) {
    char *copy = qwen_alloc(n + 1, 1);
    if (!copy) return NULL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

/* Reserves a place for a file; its map stays closed. */
static qwen_status add_file(qwen_tensors *t, const char *name, size_t n_name, qwen_error *err) {
    if (t->n_files == t->cap_files) {
        const size_t cap = t->cap_files ? 2 * t->cap_files : 4;
        weight_file *grown = qwen_grow(t->files, t->n_files, cap, sizeof *grown);
        if (!grown) return fail_nomem(err, "weights");
        t->files = grown;
        t->cap_files = cap;
    }
    char *copy = copy_text(name, n_name);
    if (!copy) return fail_nomem(err, "weights");
    t->files[t->n_files++] = (weight_file){.name = copy};
    return QWEN_OK;
}

static qwen_status load_file(qwen_tensors *t, weight_file *f, const char *path, bool no_mmap, qwen_error *err) {
    const size_t first = t->n;
    size_t n_header = 0;
    QWEN_TRY(open_map(&f->map, path, no_mmap, &n_header, err));
    QWEN_TRY(read_header(t, f, n_header, err));
    return place_entries(t, first, f, n_header, path, err);
}

/* After the last file: names become pointers, the order by name is made, no name may appear twice. */
static qwen_status finish(qwen_tensors *t, qwen_error *err) {
    t->order = qwen_alloc(t->n, sizeof *t->order);
    if (!t->order) return fail_nomem(err, t->source);
    for (size_t i = 0; i < t->n; i++) {
        t->entries[i].t.name = entry_name(t, &t->entries[i]);
        t->order[i] = (uint32_t)i;
    }
    sort_entries(t, t->order, t->n, less_by_name);
    for (size_t i = 1; i < t->n; i++) {
        const qwen_tensor *a = &t->entries[t->order[i - 1]].t, *b = &t->entries[t->order[i]].t;
        if (strcmp(a->name, b->name) != 0) continue;
        if (a->file == b->file) return qwen_fail(err, QWEN_ERR_FORMAT, "%s: %s appears twice", a->file, a->name);
        return qwen_fail(err, QWEN_ERR_FORMAT, "%s: %s is stored both in %s and in %s", t->source, a->name, a->file,
                         b->file);
    }
    return QWEN_OK;
}

/* ---- shards -------------------------------------------------------------------------------------------------- */

/* A shard's name is used as a file of the model's own directory, and as nothing else. */
static bool shard_name_ok(qwen_str s) {
    if (s.len == 0 || s.len > 255 || s.data[0] == '.') return false;
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.data[i];
        if ((unsigned char)c < 0x20 || c == '/' || c == '\\' || (c == '.' && i + 1 < s.len && s.data[i + 1] == '.'))
            return false;
    }
    return true;
}

static size_t file_index(const qwen_tensors *t, qwen_str name) {
    for (size_t i = t->n_files; i-- > 0;) /* the last one first: an index is mostly in the order of its shards */
        if (qwen_str_is(name, t->files[i].name)) return i;
    return t->n_files;
}

/* Collects the shards. */
static qwen_status note_shard(qwen_tensors *t, qwen_json *j, qwen_str file, qwen_error *err) {
    if (!shard_name_ok(file)) {
        char shown[64];
        qwen_str_show(shown, sizeof shown, file);
        return qwen_json_fail(j, "\"%s\" is not the plain name of a file in the model's directory", shown);
    }
    if (file_index(t, file) < t->n_files) return QWEN_OK;
    if (t->n_files == MAX_SHARDS) return qwen_json_fail(j, "more than %u files", MAX_SHARDS);
    return add_file(t, file.data, file.len, err);
}

/* Is the tensor in the shard that the index names? */
static qwen_status check_shard(const qwen_tensors *t, qwen_json *j, qwen_str name, qwen_str file) {
    char shown[160];
    qwen_str_show(shown, sizeof shown, file);
    const bool has_nul = memchr(name.data, '\0', name.len) != NULL;
    char *copy = has_nul ? NULL : copy_text(name.data, name.len);
    if (!copy && !has_nul) {
        j->status = fail_nomem(j->err, j->name);
        return j->status;
    }
    const qwen_tensor *found = has_nul ? NULL : qwen_tensors_find(t, copy);
    qwen_free(copy);
    if (!found) return qwen_json_fail(j, "is not in %s, where the index says it is", shown);
    if (!qwen_str_is(file, found->file)) return qwen_json_fail(j, "is in %s, the index says %s", found->file, shown);
    return QWEN_OK;
}

/* Walks weight_map: without order yet, notes the shards; with it, compares. */
static qwen_status walk_index(qwen_tensors *t, const qwen_map *m, qwen_error *err) {
    qwen_json j;
    qwen_str key, file;
    bool has_map = false;
    qwen_json_open(&j, INDEX_NAME, (const char *)m->data, m->size, err);
    qwen_status s = qwen_json_object(&j);
    while (s == QWEN_OK && qwen_json_key(&j, &key)) {
        if (!qwen_str_is(key, "weight_map")) {
            s = qwen_json_skip(&j);
            continue;
        }
        has_map = true;
        s = qwen_json_object(&j);
        while (s == QWEN_OK && qwen_json_key(&j, &key)) {
            s = qwen_json_string(&j, &file);
            if (s == QWEN_OK) s = t->order ? check_shard(t, &j, key, file) : note_shard(t, &j, file, err);
        }
    }
    if (s == QWEN_OK) s = qwen_json_end(&j);
    if (s == QWEN_OK && !has_map) s = qwen_json_fail(&j, "weight_map is missing");
    if (s == QWEN_OK && t->n_files == 0) s = qwen_json_fail(&j, "weight_map is empty");
    qwen_json_close(&j);
    return s;
}

static qwen_status load_shards(qwen_tensors *t, const char *dir, bool no_mmap, qwen_error *err) {
    for (size_t i = 0; i < t->n_files; i++) {
        char *path = qwen_path_join(dir, t->files[i].name);
        if (!path) return fail_nomem(err, INDEX_NAME);
        const qwen_status s =
            qwen_path_exists(path)
                ? load_file(t, &t->files[i], path, no_mmap, err)
                : qwen_fail(err, QWEN_ERR_IO, "%s: no such file, but %s names it; " RESUME_HINT, path, INDEX_NAME);
        qwen_free(path);
        QWEN_TRY(s);
    }
    return QWEN_OK;
}

static qwen_status load_index(qwen_tensors *t, const char *dir, const char *index_path, bool no_mmap, qwen_error *err) {
    qwen_map m = {0};
    t->source = INDEX_NAME;
    QWEN_TRY(qwen_map_open(&m, index_path, no_mmap, 0, err));
    qwen_status s = walk_index(t, &m, err);
    if (s == QWEN_OK) s = load_shards(t, dir, no_mmap, err);
    if (s == QWEN_OK) s = finish(t, err);
    if (s == QWEN_OK) s = walk_index(t, &m, err);
    qwen_map_close(&m);
    return s;
}

/* ---- the interface ------------------------------------------------------------------------------------------- */

static qwen_status load_single(qwen_tensors *t, const char *path, bool no_mmap, qwen_error *err) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    QWEN_TRY(add_file(t, name, strlen(name), err));
    t->source = t->files[0].name;
    QWEN_TRY(load_file(t, &t->files[0], path, no_mmap, err));
    return finish(t, err);
}

static qwen_status load_dir(qwen_tensors *t, const char *dir, bool no_mmap, qwen_error *err) {
    QWEN_TRY(qwen_dir_check(dir, err));
    qwen_status s = QWEN_OK;
    char *single = qwen_path_join(dir, SINGLE_NAME);
    char *index = qwen_path_join(dir, INDEX_NAME);
    if (!single || !index) s = fail_nomem(err, dir);
    else if (qwen_path_exists(index)) s = load_index(t, dir, index, no_mmap, err);
    else if (qwen_path_exists(single)) s = load_single(t, single, no_mmap, err);
    else
        s = qwen_fail(err, QWEN_ERR_IO,
                      "%s: no weights: neither %s nor %s is there; ./download_model.sh fetches a model", dir,
                      SINGLE_NAME, INDEX_NAME);
    qwen_free(index);
    qwen_free(single);
    return s;
}

static qwen_status open_with(qwen_tensors **out, const char *path, bool is_dir, bool no_mmap, qwen_error *err) {
    *out = NULL;
    qwen_tensors *t = qwen_alloc_zero(1, sizeof *t);
    if (!t) return fail_nomem(err, path);
    const qwen_status s = is_dir ? load_dir(t, path, no_mmap, err) : load_single(t, path, no_mmap, err);
    if (s == QWEN_OK) *out = t;
    else qwen_tensors_close(t);
    return s;
}

qwen_status qwen_tensors_open(qwen_tensors **out, const char *dir, bool no_mmap, qwen_error *err) {
    return open_with(out, dir, true, no_mmap, err);
}

qwen_status qwen_tensors_open_file(qwen_tensors **out, const char *path, bool no_mmap, qwen_error *err) {
    return open_with(out, path, false, no_mmap, err);
}

void qwen_tensors_close(qwen_tensors *t) {
    if (!t) return;
    for (size_t i = 0; i < t->n_files; i++) {
        qwen_map_close(&t->files[i].map);
        qwen_free(t->files[i].name);
    }
    qwen_free(t->files);
    qwen_free(t->entries);
    qwen_free(t->order);
    qwen_buf_free(&t->names);
    qwen_free(t);
}

const qwen_tensor *qwen_tensors_find(const qwen_tensors *t, const char *name) {
    for (size_t low = 0, high = t->n; low < high;) {
        const size_t mid = low + (high - low) / 2;
        const qwen_tensor *at = &t->entries[t->order[mid]].t;
        const int c = strcmp(name, at->name);
        if (c == 0) return at;
        if (c < 0) high = mid;
        else low = mid + 1;
    }
    return NULL;
}

size_t qwen_tensors_count(const qwen_tensors *t) { return t->n; }

uint64_t qwen_tensors_bytes(const qwen_tensors *t) {
    uint64_t sum = 0;
    for (size_t i = 0; i < t->n_files; i++) sum += t->files[i].map.size;
    return sum;
}

const char *qwen_tensors_source(const qwen_tensors *t) { return t->source; }
