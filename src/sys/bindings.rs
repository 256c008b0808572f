// Made by bindgen from vendor/qwen-asr/include/qwen_asr.h. Do not edit: see src/sys.rs.
// Header: 27a26dfdd15d17f2

pub const QWEN_SAMPLE_RATE: u32 = 16000;
pub const QWEN_CPU_AVX2: u32 = 1;
pub const QWEN_CPU_AVX512: u32 = 2;
pub const QWEN_CPU_NEON: u32 = 4;
pub const QWEN_N_LANGUAGES: u32 = 30;
impl qwen_status {
    pub const QWEN_OK: qwen_status = qwen_status(0);
    pub const QWEN_AGAIN: qwen_status = qwen_status(1);
    pub const QWEN_ERR_ARG: qwen_status = qwen_status(-1);
    pub const QWEN_ERR_NOMEM: qwen_status = qwen_status(-2);
    pub const QWEN_ERR_IO: qwen_status = qwen_status(-3);
    pub const QWEN_ERR_FORMAT: qwen_status = qwen_status(-4);
    pub const QWEN_ERR_UNSUPPORTED: qwen_status = qwen_status(-5);
    pub const QWEN_ERR_CANCELLED: qwen_status = qwen_status(-6);
    pub const QWEN_ERR_STATE: qwen_status = qwen_status(-7);
    pub const QWEN_ERR_INTERNAL: qwen_status = qwen_status(-8);
}
#[repr(transparent)]
#[must_use]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct qwen_status(pub ::core::ffi::c_int);
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct qwen_error {
    pub status: qwen_status,
    pub msg: [::core::ffi::c_char; 508usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of qwen_error"][::core::mem::size_of::<qwen_error>() - 512usize];
    ["Alignment of qwen_error"][::core::mem::align_of::<qwen_error>() - 4usize];
    [
        "Offset of field: qwen_error::status",
    ][::core::mem::offset_of!(qwen_error, status) - 0usize];
    [
        "Offset of field: qwen_error::msg",
    ][::core::mem::offset_of!(qwen_error, msg) - 4usize];
};
#[repr(C)]
#[derive(Debug)]
pub struct qwen_model {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct qwen_stream {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct qwen_model_params {
    pub cpu_disable: u32,
    pub no_mmap: i32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of qwen_model_params"][::core::mem::size_of::<qwen_model_params>() - 8usize];
    [
        "Alignment of qwen_model_params",
    ][::core::mem::align_of::<qwen_model_params>() - 4usize];
    [
        "Offset of field: qwen_model_params::cpu_disable",
    ][::core::mem::offset_of!(qwen_model_params, cpu_disable) - 0usize];
    [
        "Offset of field: qwen_model_params::no_mmap",
    ][::core::mem::offset_of!(qwen_model_params, no_mmap) - 4usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct qwen_model_info {
    pub kernels: *const ::core::ffi::c_char,
    pub gemm: *const ::core::ffi::c_char,
    pub n_parameters: u64,
    pub mapped_bytes: u64,
    pub encoder_layers: u32,
    pub encoder_width: u32,
    pub decoder_layers: u32,
    pub decoder_width: u32,
    pub vocab_size: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of qwen_model_info"][::core::mem::size_of::<qwen_model_info>() - 56usize];
    [
        "Alignment of qwen_model_info",
    ][::core::mem::align_of::<qwen_model_info>() - 8usize];
    [
        "Offset of field: qwen_model_info::kernels",
    ][::core::mem::offset_of!(qwen_model_info, kernels) - 0usize];
    [
        "Offset of field: qwen_model_info::gemm",
    ][::core::mem::offset_of!(qwen_model_info, gemm) - 8usize];
    [
        "Offset of field: qwen_model_info::n_parameters",
    ][::core::mem::offset_of!(qwen_model_info, n_parameters) - 16usize];
    [
        "Offset of field: qwen_model_info::mapped_bytes",
    ][::core::mem::offset_of!(qwen_model_info, mapped_bytes) - 24usize];
    [
        "Offset of field: qwen_model_info::encoder_layers",
    ][::core::mem::offset_of!(qwen_model_info, encoder_layers) - 32usize];
    [
        "Offset of field: qwen_model_info::encoder_width",
    ][::core::mem::offset_of!(qwen_model_info, encoder_width) - 36usize];
    [
        "Offset of field: qwen_model_info::decoder_layers",
    ][::core::mem::offset_of!(qwen_model_info, decoder_layers) - 40usize];
    [
        "Offset of field: qwen_model_info::decoder_width",
    ][::core::mem::offset_of!(qwen_model_info, decoder_width) - 44usize];
    [
        "Offset of field: qwen_model_info::vocab_size",
    ][::core::mem::offset_of!(qwen_model_info, vocab_size) - 48usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct qwen_stream_params {
    pub language: *const ::core::ffi::c_char,
    pub context: *const ::core::ffi::c_char,
    pub n_threads: i32,
    pub no_segmenter: i32,
    pub max_audio_s: f32,
    pub max_tokens: i32,
    pub token_events: i32,
    pub partial_ms: i32,
    pub cancel: *const i32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of qwen_stream_params",
    ][::core::mem::size_of::<qwen_stream_params>() - 48usize];
    [
        "Alignment of qwen_stream_params",
    ][::core::mem::align_of::<qwen_stream_params>() - 8usize];
    [
        "Offset of field: qwen_stream_params::language",
    ][::core::mem::offset_of!(qwen_stream_params, language) - 0usize];
    [
        "Offset of field: qwen_stream_params::context",
    ][::core::mem::offset_of!(qwen_stream_params, context) - 8usize];
    [
        "Offset of field: qwen_stream_params::n_threads",
    ][::core::mem::offset_of!(qwen_stream_params, n_threads) - 16usize];
    [
        "Offset of field: qwen_stream_params::no_segmenter",
    ][::core::mem::offset_of!(qwen_stream_params, no_segmenter) - 20usize];
    [
        "Offset of field: qwen_stream_params::max_audio_s",
    ][::core::mem::offset_of!(qwen_stream_params, max_audio_s) - 24usize];
    [
        "Offset of field: qwen_stream_params::max_tokens",
    ][::core::mem::offset_of!(qwen_stream_params, max_tokens) - 28usize];
    [
        "Offset of field: qwen_stream_params::token_events",
    ][::core::mem::offset_of!(qwen_stream_params, token_events) - 32usize];
    [
        "Offset of field: qwen_stream_params::partial_ms",
    ][::core::mem::offset_of!(qwen_stream_params, partial_ms) - 36usize];
    [
        "Offset of field: qwen_stream_params::cancel",
    ][::core::mem::offset_of!(qwen_stream_params, cancel) - 40usize];
};
impl qwen_event_kind {
    pub const QWEN_EVENT_TEXT: qwen_event_kind = qwen_event_kind(1);
    pub const QWEN_EVENT_SEGMENT: qwen_event_kind = qwen_event_kind(2);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct qwen_event_kind(pub ::core::ffi::c_uint);
impl qwen_stop_reason {
    pub const QWEN_STOP_EOS: qwen_stop_reason = qwen_stop_reason(0);
    pub const QWEN_STOP_MAX_TOKENS: qwen_stop_reason = qwen_stop_reason(1);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct qwen_stop_reason(pub ::core::ffi::c_uint);
impl qwen_cut_reason {
    pub const QWEN_CUT_PAUSE: qwen_cut_reason = qwen_cut_reason(0);
    pub const QWEN_CUT_LENGTH: qwen_cut_reason = qwen_cut_reason(1);
    pub const QWEN_CUT_END: qwen_cut_reason = qwen_cut_reason(2);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct qwen_cut_reason(pub ::core::ffi::c_uint);
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct qwen_event {
    pub kind: qwen_event_kind,
    pub stop: qwen_stop_reason,
    pub cut: qwen_cut_reason,
    pub text: *const ::core::ffi::c_char,
    pub text_bytes: usize,
    pub stable_bytes: usize,
    pub separator: *const ::core::ffi::c_char,
    pub language: *const ::core::ffi::c_char,
    pub start_sample: u64,
    pub end_sample: u64,
    pub n_audio_tokens: u32,
    pub n_tokens: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of qwen_event"][::core::mem::size_of::<qwen_event>() - 80usize];
    ["Alignment of qwen_event"][::core::mem::align_of::<qwen_event>() - 8usize];
    [
        "Offset of field: qwen_event::kind",
    ][::core::mem::offset_of!(qwen_event, kind) - 0usize];
    [
        "Offset of field: qwen_event::stop",
    ][::core::mem::offset_of!(qwen_event, stop) - 4usize];
    [
        "Offset of field: qwen_event::cut",
    ][::core::mem::offset_of!(qwen_event, cut) - 8usize];
    [
        "Offset of field: qwen_event::text",
    ][::core::mem::offset_of!(qwen_event, text) - 16usize];
    [
        "Offset of field: qwen_event::text_bytes",
    ][::core::mem::offset_of!(qwen_event, text_bytes) - 24usize];
    [
        "Offset of field: qwen_event::stable_bytes",
    ][::core::mem::offset_of!(qwen_event, stable_bytes) - 32usize];
    [
        "Offset of field: qwen_event::separator",
    ][::core::mem::offset_of!(qwen_event, separator) - 40usize];
    [
        "Offset of field: qwen_event::language",
    ][::core::mem::offset_of!(qwen_event, language) - 48usize];
    [
        "Offset of field: qwen_event::start_sample",
    ][::core::mem::offset_of!(qwen_event, start_sample) - 56usize];
    [
        "Offset of field: qwen_event::end_sample",
    ][::core::mem::offset_of!(qwen_event, end_sample) - 64usize];
    [
        "Offset of field: qwen_event::n_audio_tokens",
    ][::core::mem::offset_of!(qwen_event, n_audio_tokens) - 72usize];
    [
        "Offset of field: qwen_event::n_tokens",
    ][::core::mem::offset_of!(qwen_event, n_tokens) - 76usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct qwen_stream_stats {
    pub samples_fed: u64,
    pub samples_repaired: u64,
    pub samples_clipped: u64,
    pub samples_done: u64,
    pub segments: u64,
    pub audio_tokens: u64,
    pub prompt_tokens: u64,
    pub text_tokens: u64,
    pub partials: u64,
    pub contradictions: u64,
    pub frames: u64,
    pub chunks: u64,
    pub windows: u64,
    pub prompt_rows: u64,
    pub draft_offered: u64,
    pub draft_accepted: u64,
    pub mel_s: f64,
    pub encode_s: f64,
    pub prefill_s: f64,
    pub decode_s: f64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of qwen_stream_stats",
    ][::core::mem::size_of::<qwen_stream_stats>() - 160usize];
    [
        "Alignment of qwen_stream_stats",
    ][::core::mem::align_of::<qwen_stream_stats>() - 8usize];
    [
        "Offset of field: qwen_stream_stats::samples_fed",
    ][::core::mem::offset_of!(qwen_stream_stats, samples_fed) - 0usize];
    [
        "Offset of field: qwen_stream_stats::samples_repaired",
    ][::core::mem::offset_of!(qwen_stream_stats, samples_repaired) - 8usize];
    [
        "Offset of field: qwen_stream_stats::samples_clipped",
    ][::core::mem::offset_of!(qwen_stream_stats, samples_clipped) - 16usize];
    [
        "Offset of field: qwen_stream_stats::samples_done",
    ][::core::mem::offset_of!(qwen_stream_stats, samples_done) - 24usize];
    [
        "Offset of field: qwen_stream_stats::segments",
    ][::core::mem::offset_of!(qwen_stream_stats, segments) - 32usize];
    [
        "Offset of field: qwen_stream_stats::audio_tokens",
    ][::core::mem::offset_of!(qwen_stream_stats, audio_tokens) - 40usize];
    [
        "Offset of field: qwen_stream_stats::prompt_tokens",
    ][::core::mem::offset_of!(qwen_stream_stats, prompt_tokens) - 48usize];
    [
        "Offset of field: qwen_stream_stats::text_tokens",
    ][::core::mem::offset_of!(qwen_stream_stats, text_tokens) - 56usize];
    [
        "Offset of field: qwen_stream_stats::partials",
    ][::core::mem::offset_of!(qwen_stream_stats, partials) - 64usize];
    [
        "Offset of field: qwen_stream_stats::contradictions",
    ][::core::mem::offset_of!(qwen_stream_stats, contradictions) - 72usize];
    [
        "Offset of field: qwen_stream_stats::frames",
    ][::core::mem::offset_of!(qwen_stream_stats, frames) - 80usize];
    [
        "Offset of field: qwen_stream_stats::chunks",
    ][::core::mem::offset_of!(qwen_stream_stats, chunks) - 88usize];
    [
        "Offset of field: qwen_stream_stats::windows",
    ][::core::mem::offset_of!(qwen_stream_stats, windows) - 96usize];
    [
        "Offset of field: qwen_stream_stats::prompt_rows",
    ][::core::mem::offset_of!(qwen_stream_stats, prompt_rows) - 104usize];
    [
        "Offset of field: qwen_stream_stats::draft_offered",
    ][::core::mem::offset_of!(qwen_stream_stats, draft_offered) - 112usize];
    [
        "Offset of field: qwen_stream_stats::draft_accepted",
    ][::core::mem::offset_of!(qwen_stream_stats, draft_accepted) - 120usize];
    [
        "Offset of field: qwen_stream_stats::mel_s",
    ][::core::mem::offset_of!(qwen_stream_stats, mel_s) - 128usize];
    [
        "Offset of field: qwen_stream_stats::encode_s",
    ][::core::mem::offset_of!(qwen_stream_stats, encode_s) - 136usize];
    [
        "Offset of field: qwen_stream_stats::prefill_s",
    ][::core::mem::offset_of!(qwen_stream_stats, prefill_s) - 144usize];
    [
        "Offset of field: qwen_stream_stats::decode_s",
    ][::core::mem::offset_of!(qwen_stream_stats, decode_s) - 152usize];
};
#[repr(C)]
#[derive(Debug)]
pub struct qwen_live_audio {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct qwen_live_audio_stats {
    pub pushed: u64,
    pub pulled: u64,
    pub refused: u64,
    pub level: u64,
    pub ended: i32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of qwen_live_audio_stats",
    ][::core::mem::size_of::<qwen_live_audio_stats>() - 40usize];
    [
        "Alignment of qwen_live_audio_stats",
    ][::core::mem::align_of::<qwen_live_audio_stats>() - 8usize];
    [
        "Offset of field: qwen_live_audio_stats::pushed",
    ][::core::mem::offset_of!(qwen_live_audio_stats, pushed) - 0usize];
    [
        "Offset of field: qwen_live_audio_stats::pulled",
    ][::core::mem::offset_of!(qwen_live_audio_stats, pulled) - 8usize];
    [
        "Offset of field: qwen_live_audio_stats::refused",
    ][::core::mem::offset_of!(qwen_live_audio_stats, refused) - 16usize];
    [
        "Offset of field: qwen_live_audio_stats::level",
    ][::core::mem::offset_of!(qwen_live_audio_stats, level) - 24usize];
    [
        "Offset of field: qwen_live_audio_stats::ended",
    ][::core::mem::offset_of!(qwen_live_audio_stats, ended) - 32usize];
};
unsafe extern "C" {
    pub fn qwen_model_params_default() -> qwen_model_params;
    #[must_use]
    pub fn qwen_model_open(
        out: *mut *mut qwen_model,
        dir: *const ::core::ffi::c_char,
        params: *const qwen_model_params,
        err: *mut qwen_error,
    ) -> qwen_status;
    pub fn qwen_model_close(model: *mut qwen_model);
    pub fn qwen_model_describe(model: *const qwen_model) -> qwen_model_info;
    pub fn qwen_language_name(i: usize) -> *const ::core::ffi::c_char;
    pub fn qwen_language_code(i: usize) -> *const ::core::ffi::c_char;
    #[must_use]
    pub fn qwen_language_find(
        out: *mut *const ::core::ffi::c_char,
        name: *const ::core::ffi::c_char,
        err: *mut qwen_error,
    ) -> qwen_status;
    pub fn qwen_stream_params_default() -> qwen_stream_params;
    #[must_use]
    pub fn qwen_stream_open(
        out: *mut *mut qwen_stream,
        model: *const qwen_model,
        params: *const qwen_stream_params,
        err: *mut qwen_error,
    ) -> qwen_status;
    pub fn qwen_stream_close(stream: *mut qwen_stream);
    #[must_use]
    pub fn qwen_stream_feed(
        stream: *mut qwen_stream,
        pcm: *const f32,
        n: usize,
        n_taken: *mut usize,
        err: *mut qwen_error,
    ) -> qwen_status;
    pub fn qwen_stream_set_partials(stream: *mut qwen_stream, partial_ms: i32);
    #[must_use]
    pub fn qwen_stream_finish(
        stream: *mut qwen_stream,
        err: *mut qwen_error,
    ) -> qwen_status;
    #[must_use]
    pub fn qwen_stream_step(
        stream: *mut qwen_stream,
        err: *mut qwen_error,
    ) -> qwen_status;
    #[must_use]
    pub fn qwen_stream_next(
        stream: *mut qwen_stream,
        ev: *mut qwen_event,
    ) -> qwen_status;
    pub fn qwen_stream_describe(stream: *const qwen_stream) -> qwen_stream_stats;
    #[must_use]
    pub fn qwen_transcribe_audio(
        text: *mut *mut ::core::ffi::c_char,
        model: *const qwen_model,
        params: *const qwen_stream_params,
        pcm: *const f32,
        n: usize,
        err: *mut qwen_error,
    ) -> qwen_status;
    pub fn qwen_text_free(text: *mut ::core::ffi::c_char);
    #[must_use]
    pub fn qwen_live_audio_new(
        out: *mut *mut qwen_live_audio,
        max_samples: usize,
        err: *mut qwen_error,
    ) -> qwen_status;
    pub fn qwen_live_audio_free(live: *mut qwen_live_audio);
    #[must_use]
    pub fn qwen_live_audio_push(
        live: *mut qwen_live_audio,
        pcm: *const f32,
        n: usize,
        n_taken: *mut usize,
    ) -> qwen_status;
    #[must_use]
    pub fn qwen_live_audio_pull(
        live: *mut qwen_live_audio,
        out: *mut f32,
        room: usize,
        timeout_ms: i32,
        n: *mut usize,
    ) -> qwen_status;
    pub fn qwen_live_audio_end(live: *mut qwen_live_audio);
    pub fn qwen_live_audio_describe(live: *mut qwen_live_audio) -> qwen_live_audio_stats;
    #[must_use]
    pub fn qwen_transcribe_stream_live(
        text: *mut *mut ::core::ffi::c_char,
        model: *const qwen_model,
        params: *const qwen_stream_params,
        live: *mut qwen_live_audio,
        err: *mut qwen_error,
    ) -> qwen_status;
}
