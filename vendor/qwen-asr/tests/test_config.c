/* config.json: both layouts give sizes; whatever is missing, absurd or of another kind of model is a sentence that
 * names the field. */
#include "check.h"
#include "model_dir.h"
#include "qwen_asr_config.h"
#include "qwen_asr_mem.h"

static qwen_error err;

static qwen_status open_config(qwen_config *c, const char *dir) {
    err = (qwen_error){0};
    const qwen_status s = qwen_config_open(c, dir, &err);
    CHECK(err.status == s && qwen_test_live_allocs() == 0);
    return s;
}

static qwen_config open_good(const char *name) {
    char dir[MODEL_PATH_MAX];
    qwen_config c = {0};
    CHECKF(open_config(&c, model_dir_path(dir, check_data(), name)) == QWEN_OK, "%s: %s", name, err.msg);
    return c;
}

static void the_released_layout_is_read(void) {
    const qwen_config c = open_good("parity/tiny-a");
    const qwen_audio_config *a = &c.audio;
    const qwen_text_config *t = &c.text;
    CHECK(!c.native && c.audio_token_id == 653);
    CHECK(a->n_mels == 128 && a->conv_channels == 16 && a->conv_bins == 16 && a->width == 72 && a->n_layers == 2 &&
          a->n_heads == 3);
    CHECK(a->head_dim == 24 && a->ffn == 136 && a->output_width == 64 && a->window_chunks == 8);
    CHECK(t->width == 64 && t->ffn == 160 && t->n_layers == 3 && t->n_heads == 4 && t->n_kv_heads == 2 &&
          t->head_dim == 32);
    CHECK(t->vocab_size == 704 && t->max_positions == 65536 && t->rms_eps == 1e-6f && t->rope_theta == 1e6 &&
          t->tie_head == 1);
    CHECK(open_good("parity/tiny-b").text.tie_head == 0);
    CHECK(open_good("tiny-qwen3-asr").text.vocab_size == 1197);
}

static void the_native_layout_is_read(void) {
    const qwen_config c = open_good("parity/tiny-c-hf");
    CHECK(c.native && c.audio_token_id == 653 && c.audio.width == 56 && c.audio.n_heads == 7 &&
          c.audio.output_width == 88);
    CHECK(c.text.width == 88 && c.text.n_heads == 3 && c.text.n_kv_heads == 1 && c.text.head_dim == 128 &&
          c.text.rope_theta == 1e6 && c.text.tie_head == 1);
}

/* A copy of model in which `from` in file became `to`. */
typedef struct change {
    const char *from, *to;
    qwen_status status;
    const char *message;
} change;

static void try_changes(const char *model, const char *file, const change *changes, size_t n) {
    char dir[MODEL_DIR_MAX];
    size_t n_bytes = 0;
    model_dir_copy(dir, model);
    char *bytes = model_dir_read(dir, file, &n_bytes);
    for (size_t i = 0; i < n; i++) {
        qwen_config c;
        model_dir_write(dir, file, bytes, n_bytes);
        model_dir_replace(dir, file, changes[i].from, changes[i].to);
        const qwen_status s = open_config(&c, dir);
        CHECKF(s == changes[i].status && strstr(err.msg, changes[i].message), "%s -> %s gave %d, \"%s\"",
               changes[i].from, changes[i].to, (int)s, err.msg);
    }
    free(bytes);
    model_dir_remove(dir);
}

static void hostile_values_are_refused_by_name(void) {
#define A "config.json: thinker_config.audio_config"
#define T "config.json: thinker_config.text_config"
    static const change changes[] = {
        {"\"d_model\": 72", "\"d_model\": 0", QWEN_ERR_FORMAT, A ".d_model: is 0, expected at least 4"},
        {"\"d_model\": 72", "\"d_model\": -72", QWEN_ERR_FORMAT, A ".d_model: is -72, expected at least 4"},
        {"\"d_model\": 72", "\"d_model\": 72.5", QWEN_ERR_FORMAT, A ".d_model: is 72.5, expected a whole number"},
        {"\"d_model\": 72", "\"d_model\": 72000000000000000000000000", QWEN_ERR_FORMAT,
         A ".d_model: is 72000000000000000000000000, expected at most 65536"},
        {"\"d_model\": 72", "\"d_model\": \"72\"", QWEN_ERR_FORMAT, A ".d_model: is \"72\", expected a whole number"},
        {"\"d_model\": 72", "\"d_model\": null", QWEN_ERR_FORMAT, A ".d_model: is null, expected a whole number"},
        {"\"d_model\": 72", "\"d_model\": true", QWEN_ERR_FORMAT, A ".d_model: is true"},
        {"\"d_model\": 72", "\"d_model\": [72]", QWEN_ERR_FORMAT, A ".d_model: is an array"},
        {"\"d_model\": 72", "\"d_model\": 72, \"d_model\": 72", QWEN_ERR_FORMAT, A ".d_model: appears twice"},
        {"\"d_model\": 72", "\"no_model\": 72", QWEN_ERR_FORMAT, A ".d_model is missing"},
        {"\"d_model\": 72", "\"d_model\": 74", QWEN_ERR_FORMAT,
         "d_model 74 is not divisible by encoder_attention_heads 3"},
        {"\"d_model\": 72", "\"d_model\": 75", QWEN_ERR_UNSUPPORTED, "d_model is 75, expected an even number"},
        {"\"encoder_layers\": 2", "\"encoder_layers\": 1025", QWEN_ERR_FORMAT,
         A ".encoder_layers: is 1025, expected at most 1024"},
        {"\"encoder_layers\": 2", "\"encoder_layers\": 0", QWEN_ERR_FORMAT, A ".encoder_layers: is 0"},
        {"\"encoder_attention_heads\": 3", "\"encoder_attention_heads\": 0", QWEN_ERR_FORMAT,
         A ".encoder_attention_heads: is 0"},
        {"\"encoder_ffn_dim\": 136", "\"encoder_ffn_dim\": 0", QWEN_ERR_FORMAT, A ".encoder_ffn_dim: is 0"},
        {"\"downsample_hidden_size\": 16", "\"downsample_hidden_size\": 0", QWEN_ERR_FORMAT,
         A ".downsample_hidden_size: is 0"},
        {"\"num_mel_bins\": 128", "\"num_mel_bins\": 0", QWEN_ERR_FORMAT, A ".num_mel_bins: is 0"},
        {"\"num_mel_bins\": 128", "\"num_mel_bins\": 80", QWEN_ERR_FORMAT,
         "preprocessor_config.json: feature_size: is 128, but num_mel_bins in config.json is 80"},
        {"\"n_window\": 50", "\"n_window\": 40", QWEN_ERR_UNSUPPORTED,
         A ".n_window: is 40; this engine computes only 50"},
        {"\"n_window_infer\": 800", "\"n_window_infer\": 850", QWEN_ERR_UNSUPPORTED,
         A ": n_window_infer is 850, expected a multiple of 100"},
        {"\"n_window_infer\": 800", "\"other\": 850", QWEN_ERR_FORMAT, A ".n_window_infer is missing"},
        {"\"activation_function\": \"gelu\"", "\"activation_function\": \"relu\"", QWEN_ERR_UNSUPPORTED,
         A ".activation_function: is \"relu\""},
        {"\"scale_embedding\": false", "\"scale_embedding\": true", QWEN_ERR_UNSUPPORTED,
         A ".scale_embedding: is true"},
        {"\"output_dim\": 64", "\"output_dim\": 65", QWEN_ERR_FORMAT,
         "thinker_config: audio_config.output_dim is 65, but text_config.hidden_size is 64"},
        {"\"hidden_size\": 64", "\"hidden_sizes\": 64", QWEN_ERR_FORMAT, T ".hidden_size is missing"},
        {"\"hidden_size\": 64", "\"hidden_size\": 1e3", QWEN_ERR_FORMAT,
         T ".hidden_size: is 1e3, expected a whole number"},
        {"\"intermediate_size\": 160", "\"intermediate_size\": 0", QWEN_ERR_FORMAT, T ".intermediate_size: is 0"},
        {"\"num_hidden_layers\": 3", "\"num_hidden_layers\": 100000", QWEN_ERR_FORMAT,
         T ".num_hidden_layers: is 100000, expected at most 1024"},
        {"\"num_attention_heads\": 4", "\"num_attention_heads\": 5", QWEN_ERR_FORMAT,
         "num_attention_heads 5 is not divisible by num_key_value_heads 2"},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 0", QWEN_ERR_FORMAT, T ".num_key_value_heads: is 0"},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 8", QWEN_ERR_FORMAT,
         "is not divisible by num_key_value_heads 8"},
        {"\"head_dim\": 32", "\"head_dim\": 33", QWEN_ERR_FORMAT, T ": head_dim is 33, expected an even number"},
        {"\"head_dim\": 32", "\"head_dim\": 1", QWEN_ERR_FORMAT, T ".head_dim: is 1, expected at least 2"},
        {"\"vocab_size\": 704", "\"vocab_size\": 99999999", QWEN_ERR_FORMAT,
         T ".vocab_size: is 99999999, expected at most 16777216"},
        {"\"max_position_embeddings\": 65536", "\"max_position_embeddings\": 0", QWEN_ERR_FORMAT,
         T ".max_position_embeddings: is 0"},
        {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 0", QWEN_ERR_FORMAT,
         T ".rms_norm_eps: is 0, expected 1e-12 to 0.1"},
        {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": -1e-06", QWEN_ERR_FORMAT, T ".rms_norm_eps: is -1e-06"},
        {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": NaN", QWEN_ERR_FORMAT, "expected a value"},
        {"\"rms_norm_eps\": 1e-06", "\"rms_norm_ep\": 1e-06", QWEN_ERR_FORMAT, T ".rms_norm_eps is missing"},
        {"\"rope_theta\": 1000000", "\"rope_theta\": 0", QWEN_ERR_FORMAT, T ".rope_theta: is 0, expected 1 to 1e+12"},
        {"\"rope_theta\": 1000000", "\"rope_theta\": 1e999", QWEN_ERR_FORMAT, T ".rope_theta: the number is too large"},
        {"\"rope_theta\": 1000000", "\"rope_thet\": 1000000", QWEN_ERR_FORMAT, T ".rope_theta is missing"},
        {"\"rope_theta\": 1000000", "\"rope_theta\": 10000, \"rope_parameters\": {\"rope_theta\": 20000}",
         QWEN_ERR_FORMAT, "rope_parameters.rope_theta: is 20000, but elsewhere the file says 10000"},
        {"\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"", QWEN_ERR_UNSUPPORTED,
         T ".rope_scaling.rope_type: is \"yarn\""},
        {"\"type\": \"default\"", "\"type\": \"linear\"", QWEN_ERR_UNSUPPORTED, T ".rope_scaling.type: is \"linear\""},
        {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", QWEN_ERR_UNSUPPORTED, T ".hidden_act: is \"gelu\""},
        {"\"attention_bias\": false", "\"attention_bias\": true", QWEN_ERR_UNSUPPORTED, T ".attention_bias: is true"},
        {"\"audio_token_id\": 653", "\"audio_token_id\": -1", QWEN_ERR_FORMAT, "thinker_config.audio_token_id: is -1"},
        {"\"text_config\": {", "\"tex_config\": {", QWEN_ERR_FORMAT,
         "config.json: thinker_config.text_config is missing"},
        {"\"audio_config\": {", "\"audio_confi\": {", QWEN_ERR_FORMAT,
         "config.json: thinker_config.audio_config is missing"},
        {"\"audio_config\": {", "\"audio_config\": 5, \"x\": {", QWEN_ERR_FORMAT,
         A ": is a number, expected an object"},
        {"\"thinker_config\": {", "\"think_config\": {", QWEN_ERR_FORMAT, "config.json: audio_config is missing"},
        {"\"thinker_config\": {\n    \"model_type\": \"qwen3_asr\"",
         "\"thinker_config\": {\n    \"model_type\": \"whisper\"", QWEN_ERR_UNSUPPORTED,
         "thinker_config.model_type: is \"whisper\""},
        {"{", "", QWEN_ERR_FORMAT, "config.json: is \"architectures\", expected an object"},
        {"{", "[{", QWEN_ERR_FORMAT, "config.json: is an array, expected an object"},
        {"\"d_model\": 72", "\"d_model\": 72,,", QWEN_ERR_FORMAT, "config.json: line "},
    };
    try_changes("parity/tiny-a", "config.json", changes, sizeof changes / sizeof *changes);
    static const change extractor[] = {
        {"\"hop_length\": 160", "\"hop_length\": 128", QWEN_ERR_UNSUPPORTED,
         "preprocessor_config.json: hop_length: is 128; this engine computes only 160"},
        {"\"n_fft\": 400", "\"n_fft\": 512", QWEN_ERR_UNSUPPORTED, "preprocessor_config.json: n_fft: is 512"},
        {"\"sampling_rate\": 16000", "\"sampling_rate\": 8000", QWEN_ERR_UNSUPPORTED,
         "preprocessor_config.json: sampling_rate: is 8000"},
        {"\"feature_size\": 128", "\"feature_size\": 80", QWEN_ERR_FORMAT,
         "preprocessor_config.json: feature_size: is 80"},
    };
    try_changes("parity/tiny-a", "preprocessor_config.json", extractor, sizeof extractor / sizeof *extractor);
    static const change native[] = {
        {"\"rope_theta\": 1000000.0", "\"rope_thet\": 1", QWEN_ERR_FORMAT,
         "config.json: text_config.rope_parameters.rope_theta is missing"},
        {"\"rope_type\": \"default\"", "\"rope_type\": \"llama3\"", QWEN_ERR_UNSUPPORTED,
         "config.json: text_config.rope_parameters.rope_type: is \"llama3\""},
        {"\"use_sliding_window\": false", "\"use_sliding_window\": true", QWEN_ERR_UNSUPPORTED,
         "text_config.use_sliding_window: is true"},
        {"\"full_attention\"", "\"sliding_attention\"", QWEN_ERR_UNSUPPORTED,
         "text_config.layer_types: is \"sliding_attention\""},
        {"\"model_type\": \"qwen3_asr\"", "\"model_type\": \"qwen3\"", QWEN_ERR_UNSUPPORTED,
         "config.json: model_type: is \"qwen3\""},
        {"\"hidden_size\": 88", "\"hidden_size\": 0", QWEN_ERR_FORMAT, "config.json: text_config.hidden_size: is 0"},
    };
    try_changes("parity/tiny-c-hf", "config.json", native, sizeof native / sizeof *native);
    static const change processor[] = {
        {"\"sampling_rate\": 16000", "\"sampling_rate\": 44100", QWEN_ERR_UNSUPPORTED,
         "processor_config.json: feature_extractor.sampling_rate: is 44100"},
    };
    try_changes("parity/tiny-c-hf", "processor_config.json", processor, 1);
}

static void a_missing_tie_key_is_told_apart(void) {
    char dir[MODEL_DIR_MAX];
    qwen_config c;
    model_dir_copy(dir, "tiny-qwen3-asr");
    model_dir_replace(dir, "config.json", "\"tie_word_embeddings\": true,", "");
    CHECK(open_config(&c, dir) == QWEN_OK && c.text.tie_head == -1);
    model_dir_remove(dir);
    model_dir_copy(dir, "tiny-qwen3-asr");
    model_dir_replace(dir, "config.json", "\"tie_word_embeddings\": true,", "\"tie_word_embeddings\": null,");
    CHECK(open_config(&c, dir) == QWEN_OK && c.text.tie_head == -1);
    model_dir_remove(dir);
    model_dir_copy(dir, "parity/tiny-c-hf"); /* native: the top level has the key too */
    model_dir_replace(dir, "config.json", "    \"tie_word_embeddings\": true,\n", "");
    CHECK(open_config(&c, dir) == QWEN_OK && c.text.tie_head == 1);
    model_dir_replace(dir, "config.json", "\"tie_word_embeddings\": true,\n", "");
    CHECK(open_config(&c, dir) == QWEN_OK && c.text.tie_head == -1);
    model_dir_remove(dir);
}

static void files_that_are_missing_or_endless_are_sentences(void) {
    char dir[MODEL_DIR_MAX], path[MODEL_PATH_MAX];
    qwen_config c;
    model_dir_copy(dir, "tiny-qwen3-asr");
    model_dir_drop(dir, "preprocessor_config.json");
    CHECK(open_config(&c, dir) == QWEN_OK);
    static char deep[20000] = "{\"x\":";
    memset(deep + 5, '[', 10000);
    model_dir_write(dir, "config.json", deep, strlen(deep));
    CHECK(open_config(&c, dir) == QWEN_ERR_FORMAT &&
          strstr(err.msg, "config.json: line 1, column 69: nested deeper than 64 levels"));
    model_dir_write(dir, "config.json", "", 0);
    CHECK(open_config(&c, dir) == QWEN_ERR_FORMAT && strstr(err.msg, "the text ends where a value is expected"));
    model_dir_drop(dir, "config.json");
    CHECK(open_config(&c, dir) == QWEN_ERR_IO && strstr(err.msg, dir) && strstr(err.msg, "/config.json: no such file"));
    CHECK(open_config(&c, model_dir_path(path, dir, "none")) == QWEN_ERR_IO &&
          strstr(err.msg, "none: no such directory"));
    CHECK(open_config(&c, model_dir_path(path, dir, "vocab.json")) == QWEN_ERR_IO &&
          strstr(err.msg, "is a file, expected the directory"));
    model_dir_remove(dir);
}

static void short_memory_leaves_nothing_behind(void) {
    char dir[MODEL_PATH_MAX];
    for (long n = 1;; n++) {
        qwen_config c;
        err = (qwen_error){0};
        qwen_test_fail_alloc(n);
        const qwen_status s = qwen_config_open(&c, model_dir_path(dir, check_data(), "parity/tiny-c-hf"), &err);
        const int failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECK(qwen_test_live_allocs() == 0);
        if (!failed) {
            CHECK(s == QWEN_OK && n > 4);
            break;
        }
        CHECKF(s == QWEN_ERR_NOMEM && strstr(err.msg, "out of memory"), "allocation %ld: %d, \"%s\"", n, (int)s,
               err.msg);
    }
}

static void frames_give_the_rows_of_the_table(void) {
    static const size_t table[][2] = {{0, 0},     {1, 1},     {8, 1},      {9, 2},     {30, 4},
                                      {99, 13},   {100, 13},  {101, 14},   {799, 104}, {800, 104},
                                      {804, 105}, {850, 111}, {2030, 264}, {3000, 390}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CHECKF(qwen_audio_rows(table[i][0]) == table[i][1], "%zu frames gave %zu rows", table[i][0],
               qwen_audio_rows(table[i][0]));
}

int main(void) {
    the_released_layout_is_read();
    the_native_layout_is_read();
    hostile_values_are_refused_by_name();
    a_missing_tie_key_is_told_apart();
    files_that_are_missing_or_endless_are_sentences();
    short_memory_leaves_nothing_behind();
    frames_give_the_rows_of_the_table();
    return check_done("test_config");
}
