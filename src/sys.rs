//! The C interface of the engine, `vendor/qwen-asr/include/qwen_asr.h`, as Rust sees it.
//!
//! `sys/bindings.rs` is made by bindgen and checked in, so that building this crate needs no libclang. With feature
//! `bindgen` it is made anew by `build.rs`, into `OUT_DIR`, and used from there; `tests/bindings.rs` says when the two
//! differ and how to update the checked-in one. Without it `build.rs` refuses a header that the checked-in one was not
//! made from.
#![allow(
    non_camel_case_types,
    unreachable_pub,
    missing_docs,
    dead_code,
    clippy::all,
    reason = "written by a program, in the words of C; the header documents it"
)]

#[cfg(feature = "bindgen")]
include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

#[cfg(not(feature = "bindgen"))]
#[rustfmt::skip]
mod bindings;
#[cfg(not(feature = "bindgen"))]
pub(crate) use bindings::*;
