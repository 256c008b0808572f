//! Audio on its way to the engine: files of any common format become 16 kHz mono samples.
//!
//! Everything that the engine hears passes one [`Intake`], whether it comes from a file or from a device: mean over the
//! channels, one resampler, one clamp, one rounding to 16 bits. So a recording that was saved as a 16-bit WAV and is read
//! again gives exactly the samples that were heard the first time.
//!
//! ```no_run
//! let mut reader = diy_typeless::audio::AudioReader::open("memo.m4a")?;
//! while let Some(block) = reader.next_block()? {
//!     println!("{} samples at 16 kHz", block.len());
//! }
//! # Ok::<(), diy_typeless::audio::AudioError>(())
//! ```
//!
//! This module knows nothing of models: it ends where the samples are right.

#[cfg(feature = "capture")]
pub mod capture;
mod error;
mod file;
mod intake;
#[cfg(feature = "live")]
mod journal;
#[cfg(feature = "live")]
mod meter;
#[cfg(feature = "live")]
mod player;
mod resample;
mod riff;
#[cfg(feature = "live")]
mod source;

pub use error::AudioError;
pub use file::{AudioReader, Source};
pub use intake::Intake;
#[cfg(feature = "live")]
pub use journal::{Journal, JournalError, JournalEvent, JournalFeed, JournalReport};
#[cfg(feature = "live")]
pub use player::{play_file, play_samples};
pub use resample::{MAX_RATE, MIN_RATE, Resampler};
#[cfg(feature = "live")]
pub use source::{Consumer, LiveSource, SourceEvent, SourceInfo, SourceReport, StopHandle};

/// Samples per second of everything this module gives out.
pub const SAMPLE_RATE: u32 = 16_000;
