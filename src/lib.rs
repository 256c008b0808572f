//! Speech to text on your own laptop: Qwen3-ASR models, computed on the CPU by an engine of our own, behind a safe
//! interface.
//!
//! A [`Model`] is opened once and shared. A [`Transcriber`] turns whole recordings into text; a [`Stream`] takes samples
//! as they come. Both give the same text, whatever the number of threads and the sizes in which samples arrive.
//!
#![cfg_attr(feature = "files", doc = "```")]
#![cfg_attr(not(feature = "files"), doc = "```ignore")]
//! use diy_typeless::audio::AudioReader;
//! use diy_typeless::{Model, Options, Transcriber};
//!
//! // A small model and a recording that come with the sources.
//! let model = Model::open("tests/data/tiny-qwen3-asr")?;
//! let samples = AudioReader::open("tests/data/speech/short_seen_001.flac")?.read_all()?;
//!
//! let transcript = Transcriber::new(&model, Options::default())?.transcribe(&samples)?;
//! assert_eq!(
//!     transcript.text,
//!     "How many stones are in the market? Peter said the meeting is hot. Brother busy likes."
//! );
//! for segment in &transcript.segments {
//!     println!("{:6.2} {:6.2}  {}", segment.start, segment.end, segment.text);
//! }
//! # Ok::<(), diy_typeless::Error>(())
//! ```
//!
//! # Features
//!
//! - `files`: the module `audio`, which reads WAV, FLAC, MP3, M4A/AAC and Ogg Vorbis at any rate. Without it samples come
//!   from elsewhere: 16 kHz, mono, -1 to 1.
//! - `live`: audio that is still coming, from files at the pace of a clock, and [`Session`]: dictation with text while one
//!   speaks and a recording on disk.
//! - `capture`: the microphone.
//! - `openblas`, `accelerate`: products of many rows by a BLAS library. Sums then come out in its order: the promise
//!   above holds for the engine's own kernels only, which are the default.
//! - `bindgen`: for work on this crate.
//!
//! # What it does not do
//!
//! The crate prints nothing, reads no environment variables, keeps no global state and starts no threads but those of
//! streams, sources and sessions, which end with what they belong to.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("diy-typeless maps whole models into memory and needs a 64-bit target");
#[cfg(all(feature = "accelerate", not(target_os = "macos")))]
compile_error!("the feature `accelerate` needs macOS; on other systems use `openblas`, or neither");
#[cfg(all(feature = "accelerate", feature = "openblas"))]
compile_error!("the features `accelerate` and `openblas` exclude each other: choose one BLAS library");

#[cfg(feature = "files")]
pub mod audio;
mod engine;
mod error;
#[cfg(feature = "live")]
mod session;
mod sys;

// Brings the library's link flags with it.
#[cfg(feature = "openblas")]
use openblas_src as _;

pub use engine::{
    CancelHandle, CpuFeatures, CutReason, Event, Events, Language, LiveAudio, LiveFeed, LiveStats, Model, ModelInfo,
    ModelOptions, Options, Progress, Pulled, SAMPLE_RATE, Segment, Stats, StopReason, Stream, Text, Transcriber,
    Transcript, Transcription, Update, languages,
};
pub use error::Error;
#[cfg(feature = "live")]
pub use session::{ModelSource, Outcome, Session, SessionConsumer, SessionEvent, SessionHandle, SessionOptions};
