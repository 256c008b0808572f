/*
 * test_prompt.c - the prompt has the official ids in every parity case (with context, language and prefix), the special
 * tokens come from the tokenizer's files, and a tokenizer without one of them is refused by name.
 */
#include "check.h"
#include "model_dir.h"
#include "qwen_asr_json.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_prompt.h"
#include "qwen_asr_safetensors.h"

static qwen_tokenizer *open_tokenizer(const char *dir) {
    qwen_tokenizer *t = NULL;
    qwen_error err = {0};
    CHECKF(qwen_tokenizer_open(&t, dir, &err) == QWEN_OK, "%s", err.msg);
    if (!t) exit(check_done("test_prompt"));
    return t;
}

/* One case of parity/manifest.json. */
typedef struct parity_case {
    qwen_buf context, language, prefix, golden; /* golden: file below parity/ */
    bool has_language;
    size_t audio_tokens;
} parity_case;

static void read_case(qwen_json *j, parity_case *c) {
    qwen_str key, s;
    qwen_buf_clear(&c->context);
    qwen_buf_clear(&c->language);
    qwen_buf_clear(&c->prefix);
    qwen_buf_clear(&c->golden);
    c->has_language = false;
    CHECK(qwen_json_object(j) == QWEN_OK);
    while (qwen_json_key(j, &key)) {
        qwen_buf *to = qwen_str_is(key, "context")    ? &c->context
                       : qwen_str_is(key, "language") ? &c->language
                       : qwen_str_is(key, "prefix")   ? &c->prefix
                       : qwen_str_is(key, "file")     ? &c->golden
                                                      : NULL;
        if (to && qwen_json_peek(j) == QWEN_JSON_STRING) {
            CHECK(qwen_json_string(j, &s) == QWEN_OK && qwen_buf_append(to, s.data, s.len));
            if (to == &c->language) c->has_language = true;
        } else if (qwen_str_is(key, "audio_tokens")) {
            CHECK(qwen_json_size(j, &c->audio_tokens, 1, 100000) == QWEN_OK);
        } else {
            CHECK(qwen_json_skip(j) == QWEN_OK);
        }
    }
}

static void check_case(const parity_case *c, const qwen_tokenizer *t, const qwen_special *special) {
    char parity[MODEL_DIR_MAX], path[MODEL_PATH_MAX];
    qwen_tensors *golden = NULL;
    qwen_prompt prompt = {{0}, {0}};
    qwen_error err = {0};
    snprintf(parity, sizeof parity, "%s/parity", check_data());
    CHECKF(qwen_tensors_open_file(&golden, model_dir_path(path, parity, c->golden.data), false, &err) == QWEN_OK, "%s",
           err.msg);
    const qwen_tensor *want = golden ? qwen_tensors_find(golden, "prompt_ids") : NULL;
    CHECKF(want && want->type == QWEN_TENSOR_I32 && want->n_dims == 1, "%s", path);
    CHECKF(qwen_prompt_open(&prompt, t, special, c->context.data, c->has_language ? c->language.data : NULL,
                            c->prefix.data, &err) == QWEN_OK,
           "%s", err.msg);
    for (size_t i = 0; i < c->audio_tokens; i++) CHECK(qwen_ids_push(&prompt.before, special->audio_pad));
    for (size_t i = 0; i < prompt.after.len; i++) CHECK(qwen_ids_push(&prompt.before, prompt.after.data[i]));
    CHECKF(want && prompt.before.len == want->shape[0] && memcmp(prompt.before.data, want->data, want->bytes) == 0,
           "%s: %zu ids", path, prompt.before.len);
    qwen_prompt_close(&prompt);
    qwen_tensors_close(golden);
}

/* A model of the manifest: "dir" comes before "cases". */
static size_t check_model(qwen_json *j, parity_case *c) {
    char dir[MODEL_DIR_MAX] = "";
    size_t n = 0;
    qwen_str key, s;
    qwen_tokenizer *t = NULL;
    qwen_special special = {0};
    CHECK(qwen_json_object(j) == QWEN_OK);
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "dir")) {
            CHECK(qwen_json_string(j, &s) == QWEN_OK);
            snprintf(dir, sizeof dir, "%s/parity/%.*s", check_data(), (int)s.len, s.data);
            t = open_tokenizer(dir);
            CHECK(qwen_special_open(&special, t, -1, qwen_tokenizer_size(t), NULL) == QWEN_OK);
        } else if (qwen_str_is(key, "cases") && t) {
            CHECK(qwen_json_array(j) == QWEN_OK);
            for (; qwen_json_element(j); n++) {
                read_case(j, c);
                check_case(c, t, &special);
            }
        } else {
            CHECK(qwen_json_skip(j) == QWEN_OK);
        }
    }
    qwen_tokenizer_close(t);
    return n;
}

static void every_parity_case_has_the_official_ids(void) {
    char dir[MODEL_DIR_MAX];
    size_t n = 0, cases = 0;
    parity_case c = {.audio_tokens = 0};
    qwen_str key;
    qwen_json j;
    qwen_error err = {0};
    snprintf(dir, sizeof dir, "%s/parity", check_data());
    char *bytes = model_dir_read(dir, "manifest.json", &n);
    qwen_json_open(&j, "manifest.json", bytes, n, &err);
    CHECK(qwen_json_object(&j) == QWEN_OK);
    while (qwen_json_key(&j, &key)) {
        if (!qwen_str_is(key, "models")) {
            CHECK(qwen_json_skip(&j) == QWEN_OK);
            continue;
        }
        CHECK(qwen_json_object(&j) == QWEN_OK);
        while (qwen_json_key(&j, &key)) cases += check_model(&j, &c);
    }
    CHECKF(qwen_json_end(&j) == QWEN_OK, "%s", err.msg);
    CHECKF(cases >= 20, "%zu cases", cases);
    qwen_json_close(&j);
    qwen_buf_free(&c.context);
    qwen_buf_free(&c.language);
    qwen_buf_free(&c.prefix);
    qwen_buf_free(&c.golden);
    free(bytes);
}

static void check_prompt(const qwen_tokenizer *t, const qwen_special *special, const char *context,
                         const char *language, const char *prefix, const char *before, const char *after) {
    qwen_prompt p;
    qwen_buf got = {0};
    CHECK(qwen_prompt_open(&p, t, special, context, language, prefix, NULL) == QWEN_OK);
    CHECK(qwen_tokenizer_decode(t, p.before.data, p.before.len, false, &got));
    CHECKF(strcmp(got.data, before) == 0, "%s", got.data);
    qwen_buf_clear(&got);
    CHECK(qwen_tokenizer_decode(t, p.after.data, p.after.len, false, &got));
    CHECKF(strcmp(got.data, after) == 0, "%s", got.data);
    qwen_prompt_close(&p);
    qwen_prompt_close(&p); /* twice is fine */
    qwen_buf_free(&got);
}

static void the_template_is_written_around_the_audio(const qwen_tokenizer *t, const qwen_special *s) {
    check_prompt(t, s, NULL, NULL, NULL, "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n<|audio_start|>",
                 "<|audio_end|><|im_end|>\n<|im_start|>assistant\n");
    check_prompt(t, s, "\n Qwen, Typeless", "Thai", "and so",
                 "<|im_start|>system\n\n Qwen, Typeless<|im_end|>\n<|im_start|>user\n<|audio_start|>",
                 "<|audio_end|><|im_end|>\n<|im_start|>assistant\nlanguage Thai<asr_text>and so");
    check_prompt(t, s, "<|im_end|><|im_<", "", "",
                 "<|im_start|>system\n<|im_end|><|im_<<|im_end|>\n<|im_start|>user\n<|audio_start|>",
                 "<|audio_end|><|im_end|>\n<|im_start|>assistant\nlanguage <asr_text>");
    check_prompt(t, s, "a\xFFz", NULL, "",
                 "<|im_start|>system\na\xEF\xBF\xBDz<|im_end|>\n<|im_start|>user\n<|audio_start|>",
                 "<|audio_end|><|im_end|>\n<|im_start|>assistant\n");
}

/* With the released vocabulary the ids are known by heart. */
static void the_released_ids_are_these(void) {
    char dir[MODEL_DIR_MAX], path[MODEL_PATH_MAX];
    snprintf(dir, sizeof dir, "%s/qwen-full", check_data());
    if (access(model_dir_path(path, dir, "vocab.json"), R_OK) != 0) {
        SKIP("the released ids: tests/data/qwen-full is not there, tools/qwen_full_vocab.py makes it");
        return;
    }
    static const int32_t before[] = {151644, 8948, 198, 151645, 198, 151644, 872, 198, 151669};
    static const int32_t after[] = {151670, 151645, 198, 151644, 77091, 198, 11528, 6364, 151704};
    qwen_tokenizer *t = open_tokenizer(dir);
    qwen_special s;
    qwen_prompt p;
    CHECK(qwen_special_open(&s, t, 151676, 151936, NULL) == QWEN_OK && s.audio_pad == 151676 && s.eos[0] == 151645 &&
          s.eos[1] == 151643);
    CHECK(qwen_prompt_open(&p, t, &s, "", "English", NULL, NULL) == QWEN_OK);
    CHECK(p.before.len == 9 && memcmp(p.before.data, before, sizeof before) == 0);
    CHECK(p.after.len == 9 && memcmp(p.after.data, after, sizeof after) == 0);
    qwen_prompt_close(&p);
    qwen_tokenizer_close(t);
}

static void a_missing_or_contradicting_special_token_is_named(const qwen_tokenizer *t) {
    static const char *const literals[] = {"<|im_start|>",  "<|im_end|>",    "<|endoftext|>", "<|audio_start|>",
                                           "<|audio_end|>", "<|audio_pad|>", "<asr_text>"};
    qwen_special s;
    qwen_error err = {0};
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        char dir[MODEL_DIR_MAX], from[64];
        model_dir_copy(dir, "parity/tiny-a");
        snprintf(from, sizeof from, "\"content\": \"%s\"", literals[i]);
        model_dir_replace(dir, "tokenizer_config.json", from, "\"content\": \"<another>\"");
        qwen_tokenizer *without = open_tokenizer(dir);
        CHECK(qwen_special_open(&s, without, -1, 704, &err) == QWEN_ERR_FORMAT);
        CHECKF(strstr(err.msg, literals[i]) && strstr(err.msg, "tokenizer_config.json"), "%s", err.msg);
        qwen_tokenizer_close(without);
        model_dir_remove(dir);
    }
    CHECK(qwen_special_open(&s, t, 653, 704, &err) == QWEN_OK);
    CHECK(qwen_special_open(&s, t, 652, 704, &err) == QWEN_ERR_FORMAT);
    CHECKF(strstr(err.msg, "<|audio_pad|>") && strstr(err.msg, "653") && strstr(err.msg, "652"), "%s", err.msg);
    CHECK(qwen_special_open(&s, t, -1, 653, &err) == QWEN_ERR_FORMAT);
    CHECKF(strstr(err.msg, "<|audio_pad|>") && strstr(err.msg, "653"), "%s", err.msg);
}

static void without_memory_there_is_no_prompt(const qwen_tokenizer *t, const qwen_special *special) {
    for (long n = 1;; n++) {
        const long live = qwen_test_live_allocs();
        qwen_prompt p;
        qwen_error err = {0};
        qwen_test_fail_alloc(n);
        const qwen_status s = qwen_prompt_open(&p, t, special, "some context", "English", "prefix", &err);
        const bool failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECKF(s == (failed ? QWEN_ERR_NOMEM : QWEN_OK), "allocation %ld: %s", n, err.msg);
        qwen_prompt_close(&p);
        CHECK(qwen_test_live_allocs() == live);
        if (!failed) break;
    }
}

int main(void) {
    char dir[MODEL_DIR_MAX];
    qwen_special special;
    snprintf(dir, sizeof dir, "%s/parity/tiny-a", check_data());
    qwen_tokenizer *t = open_tokenizer(dir);
    CHECK(qwen_special_open(&special, t, 653, 704, NULL) == QWEN_OK);
    every_parity_case_has_the_official_ids();
    the_template_is_written_around_the_audio(t, &special);
    the_released_ids_are_these();
    a_missing_or_contradicting_special_token_is_named(t);
    without_memory_there_is_no_prompt(t, &special);
    qwen_tokenizer_close(t);
    return check_done("test_prompt");
}
