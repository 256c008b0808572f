//! The buffer between the thread that captures and the thread that transcribes, which the engine owns.
//!
//! Its lock is in C, and its layout is known there alone. What the C side asks of its callers, one thread that pushes and
//! one that pulls, is what the two types here cannot but keep: each half is one value, and its calls need it `&mut`.

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::sys;

use super::SAMPLE_RATE;
use super::call::{Failure, call};

/// The end that gives samples out again, for the thread that transcribes. Holds what was pushed and not yet pulled, in
/// memory that was all taken at the start.
///
/// ```
/// use std::time::Duration;
/// use diy_typeless::{LiveAudio, Pulled};
///
/// let (mut audio, mut feed) = LiveAudio::new(60.0)?;
/// std::thread::spawn(move || {
///     for _ in 0..10 {
///         assert_eq!(feed.push(&[0.0; 160]), 160);
///     }
///     // The end of the feed is the end of the audio.
/// });
/// let (mut block, mut heard) = ([0.0; 1_600], 0);
/// loop {
///     match audio.pull(&mut block, Duration::from_millis(100)) {
///         Pulled::Samples(n) => heard += n,
///         Pulled::Nothing => {}
///         Pulled::End => break,
///     }
/// }
/// assert_eq!(heard, 1_600);
/// # Ok::<(), diy_typeless::Error>(())
/// ```
pub struct LiveAudio(Arc<Handle>);

/// The end that takes samples, for the thread that has them. Dropping it is the end of the audio.
pub struct LiveFeed(Arc<Handle>);

/// What [`LiveAudio::pull`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pulled {
    /// So many samples, at the beginning of the block.
    Samples(usize),
    /// None came in time: more will.
    Nothing,
    /// The feed is gone and every sample was pulled.
    End,
}

/// What went through a buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveStats {
    /// Samples taken in.
    pub pushed: u64,
    /// Samples given out.
    pub pulled: u64,
    /// Samples there was no room for, counted each time they were offered.
    pub refused: u64,
    /// Samples in the buffer.
    pub level: u64,
    /// The feed is gone.
    pub ended: bool,
}

/// The C object; freed when the second of its two ends is dropped.
struct Handle(NonNull<sys::qwen_live_audio>);

// SAFETY: the object has no thread affinity: it may be freed on another thread than the one that made it.
unsafe impl Send for Handle {}

// SAFETY: everything in the object is under the lock inside it. Push is called by the one `LiveFeed` and pull by the one
// `LiveAudio`, both with `&mut`; end and describe are allowed on any thread.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from qwen_live_audio_new and is freed only here, when no end is left to call anything.
        unsafe { sys::qwen_live_audio_free(self.0.as_ptr()) }
    }
}

impl LiveAudio {
    /// Makes a buffer with room for so many seconds.
    #[allow(clippy::new_ret_no_self, reason = "a buffer has two ends")]
    pub fn new(seconds: f32) -> Result<(Self, LiveFeed), Error> {
        let samples = (f64::from(seconds) * f64::from(SAMPLE_RATE)).round();
        if !(samples >= 1.0 && samples <= f64::from(i32::MAX)) {
            return Err(Error::Options {
                message: format!("a live buffer of {seconds} s: a positive number of seconds is needed, at most a day"),
            });
        }
        let mut live = ptr::null_mut();
        call(|error| {
            // SAFETY: `live` and `error` are live for the call.
            unsafe { sys::qwen_live_audio_new(&raw mut live, samples as usize, error) }
        })
        .map_err(Failure::into_error)?;
        let live = NonNull::new(live)
            .ok_or_else(|| Error::Internal { message: "the engine made a live buffer and gave none".to_owned() })?;
        let handle = Arc::new(Handle(live));
        Ok((Self(handle.clone()), LiveFeed(handle)))
    }

    /// Moves the oldest samples to `block`, as many as there are and it has room for. If there are none, waits for the first,
    /// at most so long.
    pub fn pull(&mut self, block: &mut [f32], wait: Duration) -> Pulled {
        if block.is_empty() {
            return Pulled::Nothing;
        }
        // Part of a millisecond is a wait all the same.
        let wait_ms = i32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        let mut n = 0;
        // SAFETY: the object is alive as long as `self`; `block` has room for `block.len()` floats, which is not 0; `n` is live
        // for the call; nobody else pulls (`&mut`, and there is one `LiveAudio` to a handle).
        let status = unsafe {
            sys::qwen_live_audio_pull(self.0.0.as_ptr(), block.as_mut_ptr(), block.len(), wait_ms, &raw mut n)
        };
        match (status, n) {
            (sys::qwen_status::QWEN_OK, 0) => Pulled::End,
            (sys::qwen_status::QWEN_OK, n) => Pulled::Samples(n.min(block.len())),
            _ => Pulled::Nothing,
        }
    }

    /// Counts.
    pub fn stats(&self) -> LiveStats {
        self.0.stats()
    }
}

impl LiveFeed {
    /// Takes samples (16 kHz, mono, -1 to 1), as many as there is room for, and says how many that were. Never waits for the
    /// reader. Those left are to be pushed again before newer ones, or they are missing.
    #[must_use = "samples there was no room for are still the caller's"]
    pub fn push(&mut self, samples: &[f32]) -> usize {
        let mut taken = 0;
        // SAFETY: the object is alive as long as `self`; `samples` holds `samples.len()` floats; `taken` is live for the call;
        // nobody else pushes (`&mut`, and there is one `LiveFeed` to a handle). The status says nothing that `taken` does not.
        let _ =
            unsafe { sys::qwen_live_audio_push(self.0.0.as_ptr(), samples.as_ptr(), samples.len(), &raw mut taken) };
        taken.min(samples.len())
    }

    /// Counts.
    pub fn stats(&self) -> LiveStats {
        self.0.stats()
    }
}

impl Drop for LiveFeed {
    fn drop(&mut self) {
        // SAFETY: the object is alive as long as `self`; end may be called from any thread.
        unsafe { sys::qwen_live_audio_end(self.0.0.as_ptr()) }
    }
}

impl Handle {
    fn stats(&self) -> LiveStats {
        // SAFETY: the object is alive as long as `self`; describe may be called from any thread.
        let stats = unsafe { sys::qwen_live_audio_describe(self.0.as_ptr()) };
        LiveStats {
            pushed: stats.pushed,
            pulled: stats.pulled,
            refused: stats.refused,
            level: stats.level,
            ended: stats.ended != 0,
        }
    }
}

impl fmt::Debug for LiveAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveAudio").field(&self.stats()).finish()
    }
}

impl fmt::Debug for LiveFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveFeed").field(&self.stats()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn samples_come_out_in_their_order_and_what_has_no_room_is_left_to_the_caller() {
        let (mut audio, mut feed) = LiveAudio::new(0.01).expect("memory");
        let all: Vec<f32> = (0..1_000_u16).map(|i| f32::from(i) / 1_000.0).collect();
        let (mut given, mut heard, mut block) = (0, Vec::new(), [0.0; 37]);
        assert_eq!(feed.push(&all), 160);
        given += 160;
        while heard.len() < all.len() {
            if let Pulled::Samples(n) = audio.pull(&mut block, Duration::ZERO) {
                heard.extend_from_slice(&block[..n]);
            }
            given += feed.push(&all[given..]);
        }
        assert_eq!(heard, all);
        assert_eq!(audio.pull(&mut block, Duration::ZERO), Pulled::Nothing);
        assert!(audio.stats().refused > 0);
        drop(feed);
        assert_eq!(audio.pull(&mut block, Duration::MAX), Pulled::End);
        let stats = audio.stats();
        assert_eq!((stats.pushed, stats.pulled, stats.level, stats.ended), (1_000, 1_000, 0, true));
    }

    #[test]
    fn the_reader_wakes_for_samples_and_for_the_end() {
        let (mut audio, mut feed) = LiveAudio::new(1.0).expect("memory");
        let begun = Instant::now();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(feed.push(&[0.5; 3]), 3);
            std::thread::sleep(Duration::from_millis(20));
        });
        let mut block = [0.0; 100];
        assert_eq!(audio.pull(&mut block, Duration::from_secs(60)), Pulled::Samples(3));
        assert_eq!(audio.pull(&mut block, Duration::from_secs(60)), Pulled::End);
        assert!(begun.elapsed() < Duration::from_secs(5));
        writer.join().expect("no panic");
    }

    #[test]
    fn a_feed_without_a_reader_is_harmless_and_odd_sizes_are_refused() {
        let (audio, mut feed) = LiveAudio::new(1.0).expect("memory");
        drop(audio);
        assert_eq!(feed.push(&[0.0; 20_000]), 16_000);
        for seconds in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e9] {
            assert!(matches!(LiveAudio::new(seconds), Err(Error::Options { .. })), "{seconds}");
        }
    }
}
