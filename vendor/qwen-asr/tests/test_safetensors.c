/* Weight files: what is in them can be read, and a hostile, damaged or incomplete one is a sentence, never a crash. */
#include <stdint.h>

#include "check.h"
#include "model_dir.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_safetensors.h"

static char dir[MODEL_DIR_MAX];
static qwen_error err;

/* Writes dir/name: header length (of text, or as given), header text, n_data bytes 0, 1, 2, ... */
static void write_tensors(const char *name, const char *header, long long header_len, size_t n_data) {
    const size_t n = strlen(header), total = 8 + n + n_data;
    unsigned char *bytes = malloc(total);
    if (!bytes) model_dir_die("build", name);
    const uint64_t len = header_len < 0 ? n : (uint64_t)header_len;
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(len >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++) bytes[8 + n + i] = (unsigned char)i;
    model_dir_write(dir, name, bytes, total);
    free(bytes);
}

/* Opens and closes dir/name, both ways, which must agree. */
static qwen_status open_file(const char *name) {
    char path[MODEL_PATH_MAX];
    qwen_tensors *t = NULL;
    qwen_error other = {0};
    err = (qwen_error){0};
    const qwen_status s = qwen_tensors_open_file(&t, model_dir_path(path, dir, name), false, &err);
    CHECK((s == QWEN_OK) == (t != NULL) && err.status == s);
    qwen_tensors_close(t);
    CHECK(qwen_tensors_open_file(&t, path, true, &other) == s && strcmp(err.msg, other.msg) == 0);
    qwen_tensors_close(t);
    CHECK(qwen_test_live_allocs() == 0);
    return s;
}

static qwen_status open_dir(const char *d) {
    qwen_tensors *t = NULL;
    err = (qwen_error){0};
    const qwen_status s = qwen_tensors_open(&t, d, false, &err);
    CHECK((s == QWEN_OK) == (t != NULL) && err.status == s);
    qwen_tensors_close(t);
    CHECK(qwen_test_live_allocs() == 0);
    return s;
}

static void tensors_are_found_with_type_shape_and_bytes(void) {
    /* Every header length modulo 8: data that would lie unaligned is copied. */
    for (int pad = 0; pad < 9; pad++) {
        char header[512], path[MODEL_PATH_MAX];
        snprintf(header, sizeof header,
                 "{\"__metadata__\":{\"format\":\"pt\"},\"b.f32\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":["
                 "0,24]},"
                 "\"a.i64\":{\"data_offsets\":[24,32],\"shape\":[],\"dtype\":\"I64\",\"extra\":[1]},"
                 "\"c.bf16\":{\"dtype\":\"BF16\",\"shape\":[1,1,3],\"data_offsets\":[32,38]},\"empty\":{\"dtype\":"
                 "\"U8\",\"shape\":[0,5],\"data_offsets\":[38,38]}}%*s",
                 pad, "");
        write_tensors("t.safetensors", header, -1, 38);
        for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
            qwen_tensors *t = NULL;
            CHECKF(qwen_tensors_open_file(&t, model_dir_path(path, dir, "t.safetensors"), no_mmap, &err) == QWEN_OK,
                   "%s", err.msg);
            if (!t) continue;
            CHECK(qwen_tensors_count(t) == 4 && qwen_tensors_bytes(t) == 8 + strlen(header) + 38);
            CHECK(strcmp(qwen_tensors_source(t), "t.safetensors") == 0);
            const qwen_tensor *f = qwen_tensors_find(t, "b.f32"), *i = qwen_tensors_find(t, "a.i64"),
                              *c = qwen_tensors_find(t, "c.bf16");
            CHECK(f && f->type == QWEN_TENSOR_F32 && f->n_dims == 2 && f->shape[0] == 2 && f->shape[1] == 3 &&
                  f->bytes == 24);
            CHECK(f && f->data[0] == 0 && f->data[23] == 23 && (uintptr_t)f->data % 8 == 0 &&
                  strcmp(f->name, "b.f32") == 0);
            CHECK(i && i->type == QWEN_TENSOR_OTHER && strcmp(i->type_name, "I64") == 0 && i->n_dims == 0 &&
                  i->bytes == 8 && i->data[0] == 24);
            CHECK(i && (uintptr_t)i->data % 8 == 0);
            CHECK(c && c->type == QWEN_TENSOR_BF16 && c->n_dims == 3 && c->data[5] == 37 &&
                  strcmp(c->file, "t.safetensors") == 0);
            CHECK(qwen_tensors_find(t, "empty") && !qwen_tensors_find(t, "b.f3") && !qwen_tensors_find(t, "") &&
                  !qwen_tensors_find(t, "__metadata__"));
            qwen_tensors_close(t);
        }
    }
    write_tensors("t.safetensors", "{}", -1, 0);
    CHECK(open_file("t.safetensors") == QWEN_OK);
}

static void hostile_headers_are_refused(void) {
    static const struct {
        const char *header;
        long long header_len;
        size_t n_data;
        const char *message;
    } cases[] = {
        {"", 0, 0, "t.safetensors: line 1, column 1"},
        {"{}", 3, 0, "t.safetensors is incomplete (10 bytes, the header alone ends at byte 11)"},
        {"{}", 99999999, 0, "is incomplete"},
        {"{}", 100000001, 0, "is not a safetensors file: its header would have 100000001 bytes"},
        {"{}", 0x7FFFFFFFFFFFFFFF, 0, "is not a safetensors file"},
        {"{}", 1, 1, "the text ends inside a container"},
        {"[]", -1, 0, "is an array, expected an object"},
        {"{}x", -1, 0, "more text after the end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 3,
         "t.safetensors is incomplete (65 of 66 bytes); download the model again, ./download_model.sh resumes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 5,
         "is damaged: 1 bytes follow the last tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", -1, 8,
         "the 4 bytes before a belong to no tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[4,12]}}",
         -1, 12, "t.safetensors: b overlaps a: begins at byte 4, before byte 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         -1, 4, "overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_"
         "offsets\":[1,5]}}",
         -1, 5, "t.safetensors: b: is not aligned: begins at byte 1, no multiple of the 4 bytes of an element"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}", -1, 8,
         "a: ends at byte 4, before it begins at byte 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", -1, 8,
         "a: has 4 bytes, but type and shape need 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", -1, 0,
         "a: the shape has more elements than can be counted"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", -1, 0,
         "more elements than can be counted"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551615],\"data_offsets\":[0,18446744073709551615]}}", -1, 0,
         "is incomplete"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551616],\"data_offsets\":[0,0]}}", -1, 0,
         "a.shape: is 18446744073709551616, expected at most"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[18446744073709551614,18446744073709551615]}}", -1, 1,
         "belong to no tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,0]}}", -1, 0,
         "a.shape: is -1, expected at least 0"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,0]}}", -1, 0,
         "a.shape: is 1.5, expected a whole number"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", -1, 1,
         "a.shape: more than 8 dimensions"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", -1, 1,
         "a.shape: is a number, expected an array"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", -1, 1,
         "a.data_offsets: expected two numbers"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", -1, 1,
         "a.data_offsets: expected two numbers"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\"0\",\"1\"]}}", -1, 1,
         "a.data_offsets: is \"0\", expected a whole number"},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1, "a.dtype: unknown type \"Q4\""},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1,
         "a.dtype: is a number, expected a string"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1, "a: has no dtype"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", -1, 1, "a: has no shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", -1, 1, "a: has no data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1,
         "a.shape: appears twice"},
        {"{\"a\":5}", -1, 0, "a: is a number, expected an object"},
        {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1, "control character"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
         "offsets\":[1,2]}}",
         -1, 2, "t.safetensors: a appears twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_tensors("t.safetensors", cases[i].header, cases[i].header_len, cases[i].n_data);
        const qwen_status s = open_file("t.safetensors");
        CHECKF(s == QWEN_ERR_FORMAT && strstr(err.msg, cases[i].message), "%s gave %d, \"%s\"", cases[i].header, (int)s,
               err.msg);
    }
    for (size_t n = 0; n < 8; n++) {
        model_dir_write(dir, "t.safetensors", "\0\0\0\0\0\0\0", n);
        CHECKF(open_file("t.safetensors") == QWEN_ERR_FORMAT && strstr(err.msg, "not even a header"), "%s", err.msg);
    }
    static char deep[20000] = "{\"a\":{\"x\":";
    memset(deep + 10, '[', 10000);
    write_tensors("t.safetensors", deep, -1, 0);
    CHECK(open_file("t.safetensors") == QWEN_ERR_FORMAT && strstr(err.msg, "nested deeper than 64 levels"));
    model_dir_drop(dir, "t.safetensors");
    CHECK(open_file("t.safetensors") == QWEN_ERR_IO && strstr(err.msg, "t.safetensors: no such file"));
}

static void more_tensors_than_any_model_has_are_refused(void) {
    const size_t n = 65537;
    char *header = malloc(n * 64 + 16);
    if (!header) return;
    for (size_t limit = n - 1; limit <= n; limit++) {
        size_t at = 0;
        header[at++] = '{';
        for (size_t i = 0; i < limit; i++)
            at += (size_t)sprintf(header + at, "%s\"t%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                                  i ? "," : "", (i * 40503) % 65537);
        memcpy(header + at, "}", 2);
        write_tensors("t.safetensors", header, -1, 0);
        const qwen_status s = open_file("t.safetensors");
        CHECKF(limit < n ? s == QWEN_OK : s == QWEN_ERR_FORMAT && strstr(err.msg, "more than 65536 tensors"), "%s",
               err.msg);
    }
    free(header);
}

static void a_truncated_file_is_refused_wherever_it_ends(void) {
    char source[MODEL_PATH_MAX];
    size_t n = 0;
    snprintf(source, sizeof source, "%s/parity/tiny-a", check_data());
    char *bytes = model_dir_read(source, "model.safetensors", &n);
    const size_t header_end =
        8 + (size_t)((unsigned char)bytes[0] | (unsigned char)bytes[1] << 8 | (unsigned char)bytes[2] << 16);
    char whole[64];
    snprintf(whole, sizeof whole, "of %zu bytes)", n);
    for (size_t cut = 0; cut < header_end; cut++) {
        model_dir_write(dir, "model.safetensors", bytes, cut);
        CHECKF(open_dir(dir) == QWEN_ERR_FORMAT && strstr(err.msg, "model.safetensors is incomplete") &&
                   strstr(err.msg, "download_model.sh resumes"),
               "%zu bytes: %s", cut, err.msg);
    }
    for (size_t i = 0; i <= 16; i++) {
        const size_t cut = i * n / 16;
        model_dir_write(dir, "model.safetensors", bytes, cut);
        const qwen_status s = open_file("model.safetensors");
        if (i == 16) CHECKF(s == QWEN_OK, "%s", err.msg);
        else CHECKF(s == QWEN_ERR_FORMAT && strstr(err.msg, "is incomplete"), "%zu bytes: %s", cut, err.msg);
        if (i < 16 && cut >= header_end) CHECKF(strstr(err.msg, whole) && strstr(err.msg, dir), "%s", err.msg);
    }
    model_dir_write(dir, "model.safetensors", bytes, n - 1);
    CHECK(open_dir(dir) == QWEN_ERR_FORMAT && strstr(err.msg, whole));
    model_dir_drop(dir, "model.safetensors");
    free(bytes);
}

static const char shard_a[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}";
static const char shard_b[] = "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"extra\":{\"dtype\":"
                              "\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}";

static void write_index(const char *text) { model_dir_write(dir, "model.safetensors.index.json", text, strlen(text)); }

static void shards_are_one_set(void) {
    write_tensors("one.safetensors", shard_a, -1, 2);
    write_tensors("two.safetensors", shard_b, -1, 4);
    write_index(
        "{\"metadata\":{\"total_size\":6},\"weight_map\":{\"b\":\"two.safetensors\",\"a\":\"one.safetensors\"}}");
    qwen_tensors *t = NULL;
    CHECKF(qwen_tensors_open(&t, dir, false, &err) == QWEN_OK, "%s", err.msg);
    if (t) {
        CHECK(qwen_tensors_count(t) == 3 && qwen_tensors_find(t, "a") && qwen_tensors_find(t, "b"));
        CHECK(strcmp(qwen_tensors_find(t, "a")->file, "one.safetensors") == 0 &&
              qwen_tensors_find(t, "a")->data[1] == 1);
        CHECK(qwen_tensors_find(t, "extra")); /* in a shard, not in the index: there all the same */
        CHECK(strcmp(qwen_tensors_source(t), "model.safetensors.index.json") == 0);
    }
    qwen_tensors_close(t);
    /* The index goes before a single file that was left lying about. */
    write_tensors("model.safetensors", "{}", -1, 0);
    CHECK(qwen_tensors_open(&t, dir, false, &err) == QWEN_OK && qwen_tensors_count(t) == 3);
    qwen_tensors_close(t);
    model_dir_drop(dir, "model.safetensors");
}

static void hostile_indexes_are_refused(void) {
    static const struct {
        const char *index;
        qwen_status status;
        const char *message;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"three.safetensors\"}}", QWEN_ERR_IO,
         "three.safetensors: no such file, but model.safetensors.index.json names it"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"one.safetensors\"}}", QWEN_ERR_FORMAT,
         "model.safetensors.index.json: weight_map.c: is not in one.safetensors, where the index says it is"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"extra\":\"two.safetensors\"}}",
         QWEN_ERR_FORMAT, "weight_map.b: is in two.safetensors, the index says one.safetensors"},
        {"{\"weight_map\":{\"a\\u0000\":\"one.safetensors\"}}", QWEN_ERR_FORMAT, "is not in one.safetensors"},
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", QWEN_ERR_FORMAT,
         "\"../one.safetensors\" is not the plain name of a file"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", QWEN_ERR_FORMAT, "is not the plain name"},
        {"{\"weight_map\":{\"a\":\"sub/one.safetensors\"}}", QWEN_ERR_FORMAT, "is not the plain name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", QWEN_ERR_FORMAT, "is not the plain name"},
        {"{\"weight_map\":{\"a\":\"\"}}", QWEN_ERR_FORMAT, "is not the plain name"},
        {"{\"weight_map\":{\"a\":\"one\\u0000.safetensors\"}}", QWEN_ERR_FORMAT, "is not the plain name"},
        {"{\"weight_map\":{\"a\":5}}", QWEN_ERR_FORMAT, "weight_map.a: is a number, expected a string"},
        {"{\"weight_map\":[]}", QWEN_ERR_FORMAT, "weight_map: is an array, expected an object"},
        {"{\"weight_map\":{}}", QWEN_ERR_FORMAT, "weight_map is empty"},
        {"{}", QWEN_ERR_FORMAT, "weight_map is missing"},
        {"", QWEN_ERR_FORMAT, "model.safetensors.index.json: line 1"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\"}", QWEN_ERR_FORMAT, "ends inside"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_index(cases[i].index);
        const qwen_status s = open_dir(dir);
        CHECKF(s == cases[i].status && strstr(err.msg, cases[i].message), "%s gave %d, \"%s\"", cases[i].index, (int)s,
               err.msg);
    }
    write_index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    write_tensors("two.safetensors", shard_a, -1, 2);
    CHECKF(open_dir(dir) == QWEN_ERR_FORMAT && strstr(err.msg, "a is stored both in "), "%s", err.msg);

    static char many[20000] = "{\"weight_map\":{";
    size_t at = strlen(many);
    for (int i = 0; i < 257; i++) at += (size_t)sprintf(many + at, "%s\"t%d\":\"shard%d\"", i ? "," : "", i, i);
    memcpy(many + at, "}}", 3);
    write_index(many);
    CHECKF(open_dir(dir) == QWEN_ERR_FORMAT && strstr(err.msg, "more than 256 files"), "%s", err.msg);
    write_index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    write_tensors("two.safetensors", shard_b, -1, 4);
}

static void a_directory_without_weights_says_what_is_missing(void) {
    char empty[MODEL_DIR_MAX], path[MODEL_PATH_MAX];
    model_dir_new(empty);
    CHECK(open_dir(empty) == QWEN_ERR_IO && strstr(err.msg, empty) &&
          strstr(err.msg, "neither model.safetensors nor model.safetensors.index.json"));
    CHECK(strstr(err.msg, "download_model.sh"));
    CHECK(open_dir(model_dir_path(path, empty, "nothing")) == QWEN_ERR_IO &&
          strstr(err.msg, "nothing: no such directory"));
    model_dir_write(empty, "file", "x", 1);
    CHECK(open_dir(model_dir_path(path, empty, "file")) == QWEN_ERR_IO &&
          strstr(err.msg, "is a file, expected the directory"));
    model_dir_remove(empty);
}

static void short_memory_leaves_nothing_behind(void) {
    for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
        for (long n = 1;; n++) {
            qwen_tensors *t = NULL;
            err = (qwen_error){0};
            qwen_test_fail_alloc(n);
            const qwen_status s = qwen_tensors_open(&t, dir, no_mmap, &err);
            const int failed = qwen_test_alloc_failed();
            qwen_test_fail_alloc(0);
            qwen_tensors_close(t);
            CHECK(qwen_test_live_allocs() == 0);
            if (!failed) {
                CHECKF(s == QWEN_OK && n > 10, "%s", err.msg);
                break;
            }
            CHECKF(s == QWEN_ERR_NOMEM && t == NULL && strstr(err.msg, "out of memory"), "allocation %ld: %d, \"%s\"",
                   n, (int)s, err.msg);
        }
    }
}

int main(void) {
    model_dir_new(dir);
    tensors_are_found_with_type_shape_and_bytes();
    hostile_headers_are_refused();
    more_tensors_than_any_model_has_are_refused();
    model_dir_drop(dir, "t.safetensors");
    a_truncated_file_is_refused_wherever_it_ends();
    shards_are_one_set();
    hostile_indexes_are_refused();
    a_directory_without_weights_says_what_is_missing();
    short_memory_leaves_nothing_behind();
    model_dir_remove(dir);
    return check_done("test_safetensors");
}
