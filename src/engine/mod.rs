//! The engine behind a safe interface: the only place that calls C, and the only one with `unsafe` code.
//!
//! What has to be true, and what makes it so:
//!
//! - Streams are closed before their model: a [`Stream`] holds a clone of its [`Model`], whose last clone closes it.
//! - A model is shared between threads, a stream is not: `Model` is `Send + Sync`, `Stream` is `Send` only.
//! - A live buffer has one thread that pushes and one that pulls: each end is one value, and neither can be cloned.
//! - The cancel flag outlives the stream that looks at it: it is shared, and the stream holds a share.
//! - No panic crosses C: the engine is asked, it never calls back.
//! - Nothing borrowed from C leaves this module: text is checked and copied when it is taken.

mod call;
mod cancel;
mod event;
mod language;
mod live_audio;
mod model;
mod options;
mod stream;
mod transcriber;
mod transcript;

pub use cancel::CancelHandle;
pub use event::{CutReason, Event, Segment, StopReason, Text};
pub use language::{Language, languages};
pub use live_audio::{LiveAudio, LiveFeed, LiveStats, Pulled};
pub use model::{CpuFeatures, Model, ModelInfo, ModelOptions};
pub use options::Options;
pub use stream::{Events, Progress, Stats, Stream};
pub use transcriber::{Transcriber, Transcription, Update};
pub use transcript::Transcript;

/// Samples per second of all audio the engine takes.
pub const SAMPLE_RATE: u32 = crate::sys::QWEN_SAMPLE_RATE;

/// Where a sample is in the recording, in seconds.
fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
