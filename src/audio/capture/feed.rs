//! The audio callback's side: floats into a ring, and nothing that could wait.
//!
//! No lock, no allocation, no message: a callback that is late costs samples in the driver, where nobody counts them. What does not
//! fit into the ring is counted here and told by the worker.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cpal::{ErrorKind, FromSample};

use super::CaptureError;
use crate::audio::SourceInfo;

/// What the worker may be behind before samples are lost.
const RING_SECONDS: usize = 3;
/// Errors in a row, without samples between them, that are the end: a second of them at the pace below.
const MANY_ERRORS: u64 = 100;

/// What callback, owner and worker tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Grows with every callback that brought samples.
    heartbeat: AtomicU64,
    /// Frames that found no room in the ring.
    dropped_frames: AtomicU64,
    /// The system said that it lost samples.
    overruns: AtomicU64,
    errors_in_a_row: AtomicU64,
    /// The first error that ends the recording.
    fatal: OnceLock<CaptureError>,
    /// The first error of another kind: the reason, should samples stop coming.
    first_error: OnceLock<CaptureError>,
    /// Callbacks from now on are of no use.
    closed: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Acquire)
    }

    pub(super) fn dropped_frames(&self) -> u64 {
        self.dropped_frames.load(Ordering::Relaxed)
    }

    pub(super) fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    pub(super) fn fail(&self, error: CaptureError) {
        let _ = self.fatal.set(error);
    }

    pub(super) fn fatal(&self) -> Option<&CaptureError> {
        self.fatal.get()
    }

    pub(super) fn first_error(&self) -> Option<&CaptureError> {
        self.first_error.get()
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// The error callback. Some systems call it 100,000 times a second when their server is gone.
    pub(super) fn error(&self, error: &cpal::Error, device: &str) {
        match error.kind() {
            ErrorKind::Xrun => drop(self.overruns.fetch_add(1, Ordering::Relaxed)),
            ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {}
            ErrorKind::DeviceNotAvailable
            | ErrorKind::StreamInvalidated
            | ErrorKind::PermissionDenied
            | ErrorKind::HostUnavailable => self.fail(CaptureError::from_cpal(error, device)),
            _ => {
                let first = self.first_error.get_or_init(|| CaptureError::from_cpal(error, device));
                if self.errors_in_a_row.fetch_add(1, Ordering::Relaxed) >= MANY_ERRORS {
                    self.fail(first.clone().into_gone());
                }
                // It brings no samples, so nothing is lost by slowing it down.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// What the audio callback owns.
#[derive(Debug)]
pub(super) struct Feed {
    ring: rtrb::Producer<f32>,
    shared: Arc<Shared>,
    channels: usize,
}

impl Feed {
    pub(super) fn new(info: &SourceInfo, shared: Arc<Shared>) -> (Self, rtrb::Consumer<f32>) {
        let channels = usize::from(info.channels);
        let (ring, reader) = rtrb::RingBuffer::new(info.rate as usize * channels * RING_SECONDS);
        (Self { ring, shared, channels }, reader)
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// The callback: interleaved samples of any format.
    pub(super) fn push<T: Copy>(&mut self, samples: &[T])
    where
        f32: FromSample<T>,
    {
        if samples.is_empty() || self.shared.closed.load(Ordering::Relaxed) {
            return;
        }
        // Whole frames only, or left and right would change places.
        let room = self.ring.slots().min(samples.len()) / self.channels * self.channels;
        if let Ok(chunk) = self.ring.write_chunk_uninit(room) {
            // Not `Into`: that turns the integer 16384 into 16384.0.
            chunk.fill_from_iter(samples[..room].iter().map(|&x| f32::from_sample_(x)));
        }
        let dropped = (samples.len() - room) / self.channels;
        if dropped > 0 {
            self.shared.dropped_frames.fetch_add(dropped as u64, Ordering::Relaxed);
        }
        self.shared.errors_in_a_row.store(0, Ordering::Relaxed);
        self.shared.heartbeat.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpal::{I24, U24};

    fn info(rate: u32, channels: u16) -> SourceInfo {
        SourceInfo { device: "fake".into(), host: "fake".into(), rate, channels, format: "f32".into() }
    }

    fn through<T: Copy>(samples: &[T]) -> Vec<f32>
    where
        f32: FromSample<T>,
    {
        let (mut feed, mut ring) = Feed::new(&info(8_000, 1), Shared::new());
        feed.push(samples);
        let n = ring.slots();
        ring.read_chunk(n).expect("as many as there are").into_iter().collect()
    }

    #[test]
    fn every_format_comes_out_at_its_scale() {
        let expected = [0.0, 0.5, -0.5, -1.0];
        assert_eq!(through(&[0_i8, 64, -64, -128]), expected);
        assert_eq!(through(&[0_i16, 16_384, -16_384, -32_768]), expected);
        let i24 = [0, 1 << 22, -(1 << 22), -(1 << 23)].map(|x| I24::new(x).expect("in range"));
        assert_eq!(through(&i24), expected);
        assert_eq!(through(&[0_i32, 1 << 30, -(1 << 30), i32::MIN]), expected);
        assert_eq!(through(&[0_i64, 1 << 62, -(1 << 62), i64::MIN]), expected);
        assert_eq!(through(&[128_u8, 192, 64, 0]), expected);
        assert_eq!(through(&[1_u16 << 15, 3 << 14, 1 << 14, 0]), expected);
        let u24 = [1 << 23, 3 << 22, 1 << 22, 0].map(|x| U24::new(x).expect("in range"));
        assert_eq!(through(&u24), expected);
        assert_eq!(through(&[1_u32 << 31, 3 << 30, 1 << 30, 0]), expected);
        assert_eq!(through(&[1_u64 << 63, 3 << 62, 1 << 62, 0]), expected);
        assert_eq!(through(&[0.0_f32, 0.5, -0.5, -1.0]), expected);
        assert_eq!(through(&[0.0_f64, 0.5, -0.5, -1.0]), expected);
    }

    #[test]
    fn what_does_not_fit_is_counted_in_whole_frames() {
        let shared = Shared::new();
        let (mut feed, mut ring) = Feed::new(&info(1_000, 2), shared.clone());
        feed.push(&vec![0.25_f32; 5_999]);
        assert_eq!((ring.slots(), shared.dropped_frames()), (5_998, 0));
        feed.push(&[0.5_f32; 200]);
        assert_eq!((ring.slots(), shared.dropped_frames()), (6_000, 99));
        feed.push(&[0.5_f32; 2]);
        assert_eq!((ring.slots(), shared.dropped_frames(), shared.heartbeat()), (6_000, 100, 3));
        ring.read_chunk(6_000).expect("there").commit_all();
        feed.push(&[0.5_f32; 2]);
        assert_eq!((ring.slots(), shared.dropped_frames()), (2, 100));
    }

    #[test]
    fn a_storm_of_errors_is_slowed_down_and_ends_the_recording() {
        let shared = Shared::new();
        let error = |text: &'static str| cpal::Error::with_message(ErrorKind::BackendError, text);
        let begun = std::time::Instant::now();
        shared.error(&error("first"), "Yeti");
        for _ in 0..MANY_ERRORS {
            assert_eq!(shared.fatal(), None);
            shared.error(&error("again"), "Yeti");
        }
        assert_eq!(shared.fatal().map(ToString::to_string).as_deref(), Some("Yeti is gone: first"));
        assert!(begun.elapsed() > Duration::from_secs(1));
    }

    #[test]
    fn the_first_fatal_error_is_kept_and_overruns_are_counted() {
        let shared = Shared::new();
        shared.error(&cpal::Error::new(ErrorKind::Xrun), "Yeti");
        shared.error(&cpal::Error::new(ErrorKind::RealtimeDenied), "Yeti");
        assert_eq!((shared.overruns(), shared.fatal()), (1, None));
        shared.error(&cpal::Error::with_message(ErrorKind::StreamInvalidated, "disconnected"), "Yeti");
        shared.error(&cpal::Error::with_message(ErrorKind::DeviceNotAvailable, "no entity"), "Yeti");
        assert_eq!(shared.fatal().map(ToString::to_string).as_deref(), Some("Yeti is gone: disconnected"));
    }
}
