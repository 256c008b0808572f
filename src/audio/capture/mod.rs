//! Microphones.
//!
//! Three threads share the work, so that none can hold up another. The *owner* opens the device, keeps the stream and
//! closes it: calls into sound systems can block for ever, and when they do only this thread hangs. The system's *callback*
//! converts samples to floats, puts them into a wait-free ring and counts (`feed`). The *worker* empties the ring, mixes,
//! resamples, delivers, watches that samples keep coming, and decides when the recording is over (`worker`).
//!
//! A device is opened at its own rate, format and channels. Asking for 16 kHz gives noise on Bluetooth headsets and 8-bit
//! samples on some virtual devices; the [`Intake`] does it better.

mod device;
mod error;
mod feed;
mod stream;
mod worker;

use std::io;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

pub use device::{AudioHost, InputDevice, devices};
pub use error::CaptureError;

use super::source::Events;
use super::{Consumer, Intake, LiveSource, SourceInfo, StopHandle};
use feed::{Feed, Shared};
use worker::Worker;

/// What to record from, and how patient to be. The default is what people want.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// A device's name, a part of it, or its id; `None` for the default one.
    pub device: Option<String>,
    /// The sound system.
    pub host: AudioHost,
    /// How long to go on after stop.
    pub tail: Tail,
    /// How long a device may take to open.
    pub open_within: Duration,
    /// How long a device may take to give its first samples: Bluetooth headsets take seconds.
    pub first_samples_within: Duration,
    /// A device that gives no samples for so long is lost.
    pub lost_after: Duration,
}

/// The end of a recording. People stop while their last word is still on its way through the sound system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// At least so long after stop: what sound systems hold back.
    pub at_least: Duration,
    /// At most so long.
    pub at_most: Duration,
    /// So long without speech, counted also from before the stop, is the end.
    pub calm: Duration,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            at_least: Duration::from_millis(150),
            at_most: Duration::from_millis(500),
            calm: Duration::from_millis(300),
        }
    }
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            device: None,
            host: AudioHost::default(),
            tail: Tail::default(),
            open_within: Duration::from_secs(5),
            first_samples_within: Duration::from_secs(5),
            lost_after: Duration::from_secs(2),
        }
    }
}

/// Opens a microphone and listens. Returns when the device is open; what is said is heard from
/// [`SourceEvent::Started`](super::SourceEvent::Started) on.
pub fn capture(options: &CaptureOptions, consumer: impl Consumer) -> Result<LiveSource, CaptureError> {
    let backend = stream::CpalBackend::new(options.host, options.device.clone());
    start(Box::new(backend), options, consumer)
}

/// What the owner thread does with a device; tests have one without hardware. Every call may block for ever.
trait Backend: Send + 'static {
    /// Finds the device and says how it will be opened.
    fn open(&mut self) -> Result<SourceInfo, CaptureError>;
    /// Starts the callbacks.
    fn run(&mut self, feed: Feed) -> Result<(), CaptureError>;
    /// Ends the callbacks.
    fn close(&mut self);
}

fn start(
    mut backend: Box<dyn Backend>,
    options: &CaptureOptions,
    consumer: impl Consumer,
) -> Result<LiveSource, CaptureError> {
    let (opened_to, opened) = bounded(1);
    let (go, going) = bounded::<Feed>(1);
    let (close, closed) = bounded::<()>(1);
    let owner = spawn("capture-owner", move || {
        // Whoever waited may be gone by now: then there is nothing to run and nothing to close.
        let open = backend.open();
        if opened_to.send(open).is_err() {
            return;
        }
        let Ok(feed) = going.recv() else { return };
        let shared = feed.shared();
        if let Err(e) = backend.run(feed) {
            shared.fail(e);
        }
        // The worker drops its end when it has heard enough.
        let _ = closed.recv();
        shared.close();
        backend.close();
    })?;

    let info = match opened.recv_timeout(options.open_within) {
        Ok(info) => info?,
        Err(RecvTimeoutError::Timeout) => {
            return Err(CaptureError::Slow { device: wanted(options), seconds: options.open_within.as_secs() });
        }
        Err(RecvTimeoutError::Disconnected) => {
            return Err(CaptureError::Failed {
                device: wanted(options),
                detail: "it crashed while opening".to_owned(),
            });
        }
    };
    let unsupported = || CaptureError::Unsupported {
        device: info.device.clone(),
        detail: format!("{} Hz with {} channels", info.rate, info.channels),
    };
    let intake = Intake::new(info.rate, usize::from(info.channels)).ok_or_else(unsupported)?;
    let shared = Shared::new();
    let (feed, ring) = Feed::new(&info, shared.clone());
    let (events, told) = Events::new();
    let (stop, woken) = StopHandle::new();
    let worker = Worker::new(info.clone(), options, intake, ring, shared, events, stop.clone(), woken);
    let worker = spawn("capture", move || worker.run(consumer, close))?;
    // The owner waits for this and for nothing else.
    let _ = go.send(feed);
    Ok(LiveSource::new(info, told, stop, worker, vec![owner]))
}

fn wanted(options: &CaptureOptions) -> String {
    options.device.clone().unwrap_or_else(|| "the default microphone".to_owned())
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>, CaptureError> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(run).map_err(|e: io::Error| CaptureError::Failed {
        device: "the microphone".to_owned(),
        detail: format!("no thread for it: {e}"),
    })
}

#[cfg(test)]
mod tests;
