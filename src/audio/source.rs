//! What live audio is to those who use it, whether a microphone gives it or a file that is played as if it were one.
//!
//! A running source has threads of its own. It hands 16 kHz mono blocks, after the [`Intake`](super::Intake), to a
//! [`Consumer`] on its worker thread, and tells what the user should know as [`SourceEvent`]s through a channel. The
//! last event is always [`SourceEvent::Ended`]: by then every sample was delivered and the consumer was dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Takes the samples of a source, on the source's worker thread. A closure that takes `&[f32]` is one.
///
/// It should be quick and must not wait for other threads for long: while it runs, a microphone's samples pile up in a
/// buffer of a few seconds.
pub trait Consumer: Send + 'static {
    /// The next samples, 16 kHz mono on the 16-bit grid. Never empty.
    fn samples(&mut self, block: &[f32]);

    /// Whether it would rather not be given more now. A file waits then; a microphone cannot.
    fn busy(&self) -> bool {
        false
    }
}

impl<F: FnMut(&[f32]) + Send + 'static> Consumer for F {
    fn samples(&mut self, block: &[f32]) {
        self(block);
    }
}

/// Where the samples come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// The device's name, or the file's.
    pub device: String,
    /// `pulse`, `alsa`, `coreaudio`, `wasapi`; `file` for what is played.
    pub host: String,
    /// Samples per second before resampling.
    pub rate: u32,
    /// Channels before mixing.
    pub channels: u16,
    /// Of one sample, as the device gives it: `i16`, `f32`.
    pub format: String,
}

/// What happened to a source. [`message`](Self::message) and [`hint`](Self::hint) say it in words.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SourceEvent {
    /// The first samples are there: what is said from now on is heard.
    Started(SourceInfo),
    /// How loud the last tenth of a second was, about ten times a second.
    Level {
        /// Root mean square, dB below full scale.
        rms_dbfs: f32,
        /// The loudest sample, dB below full scale.
        peak_dbfs: f32,
    },
    /// Every sample of the last 3 s was exactly 0, as no microphone's are.
    Silent {
        /// Nothing else was heard since the start.
        since_start: bool,
    },
    /// Nothing was heard since the start but, perhaps, noise.
    Quiet {
        /// The loudest tenth of a second so far.
        rms_dbfs: f32,
    },
    /// Samples reached full scale.
    Clipping,
    /// Samples were lost because something did not keep up.
    Overrun {
        /// As many 16 kHz samples are missing.
        dropped_samples: u64,
    },
    /// Something about the source that the user should know, in words.
    Notice(String),
    /// The source broke off. What was heard was delivered.
    Lost {
        /// What happened, as a sentence without a full stop.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// The last event: everything was delivered, the consumer is gone.
    Ended,
}

impl SourceEvent {
    /// A sentence for the user; `None` for what is not a message.
    pub fn message(&self) -> Option<String> {
        Some(match self {
            Self::Started(_) | Self::Level { .. } | Self::Ended => return None,
            Self::Silent { since_start: true } => "the microphone gives only digital silence".to_owned(),
            Self::Silent { since_start: false } => "the microphone went silent: it may have been muted".to_owned(),
            Self::Quiet { rms_dbfs } => format!("{rms_dbfs:.0} dB, nothing heard: is the microphone muted?"),
            Self::Clipping => "the microphone is too loud, samples are cut off".to_owned(),
            Self::Overrun { dropped_samples } => {
                format!("{:.2} s of sound were lost: the machine did not keep up", *dropped_samples as f64 / 16_000.0)
            }
            Self::Notice(text) => text.clone(),
            Self::Lost { reason, .. } => reason.clone(),
        })
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Silent { .. } if cfg!(target_os = "macos") => {
                "allow the microphone for your terminal: System Settings > Privacy & Security > Microphone"
            }
            Self::Silent { .. } => {
                "it is muted, or this program has no permission to use the microphone (look into the privacy settings)"
            }
            Self::Quiet { .. } => "`diy-typeless devices` lists the inputs, `--device NAME` takes another one",
            Self::Clipping => "lower the input level, or move away from the microphone",
            Self::Overrun { .. } => "close what keeps the machine busy",
            Self::Lost { hint, .. } => hint,
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// What a source did, from its start to its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceReport {
    /// 16 kHz samples that were delivered.
    pub samples: u64,
    /// 16 kHz samples that are known to be missing.
    pub dropped_samples: u64,
    /// Samples at full scale.
    pub clipped_samples: u64,
    /// Device samples that were not numbers and became silence.
    pub repaired_samples: u64,
    /// The loudest sample, dB below full scale; -120 when there was none.
    pub peak_dbfs: f32,
    /// Root mean square of everything, dB below full scale; -120 for silence.
    pub rms_dbfs: f32,
    /// Seconds that were clearly louder than the noise, by a simple measure.
    pub active_seconds: f32,
    /// From the start to the first samples; `None` when there were none.
    pub first_samples_after: Option<Duration>,
    /// Why the source broke off, if it did.
    pub lost: Option<String>,
}

/// Asks a source to stop, from any thread, any number of times, also after its end.
#[derive(Debug, Clone)]
pub struct StopHandle {
    shared: Arc<StopShared>,
}

#[derive(Debug)]
struct StopShared {
    asked: OnceLock<Instant>,
    at_once: AtomicBool,
    wake: Sender<()>,
}

impl StopHandle {
    /// Returns the receiver that wakes the worker.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (wake, woken) = bounded(1);
        let shared = StopShared { asked: OnceLock::new(), at_once: AtomicBool::new(false), wake };
        (Self { shared: Arc::new(shared) }, woken)
    }

    /// Lets the source end. A microphone goes on for up to half a second: the last word is still on its way.
    pub fn stop(&self) {
        self.shared.asked.get_or_init(Instant::now);
        // A full channel means that the worker will wake up anyway.
        let _ = self.shared.wake.try_send(());
    }

    /// Lets the source end without waiting for a last word.
    pub fn stop_at_once(&self) {
        self.shared.at_once.store(true, Ordering::Release);
        self.stop();
    }

    /// When it was first asked to stop.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.shared.asked.get().copied()
    }

    #[cfg(feature = "capture")]
    pub(super) fn at_once(&self) -> bool {
        self.shared.at_once.load(Ordering::Acquire)
    }
}

/// A source that runs. Dropping it stops it at once.
#[derive(Debug)]
pub struct LiveSource {
    info: SourceInfo,
    events: Receiver<SourceEvent>,
    stop: StopHandle,
    worker: Option<JoinHandle<SourceReport>>,
    /// Threads that may be stuck in a driver: waited for a little, then left alone.
    helpers: Vec<JoinHandle<()>>,
    patience: Duration,
}

impl LiveSource {
    pub(super) fn new(
        info: SourceInfo,
        events: Receiver<SourceEvent>,
        stop: StopHandle,
        worker: JoinHandle<SourceReport>,
        helpers: Vec<JoinHandle<()>>,
    ) -> Self {
        Self { info, events, stop, worker: Some(worker), helpers, patience: Duration::from_secs(1) }
    }

    /// What is being listened to.
    pub fn info(&self) -> &SourceInfo {
        &self.info
    }

    /// What happens. Clones of the receiver share the events: each goes to one of them.
    pub fn events(&self) -> &Receiver<SourceEvent> {
        &self.events
    }

    /// Asks it to stop and returns at once; the rest of the audio still comes, then [`SourceEvent::Ended`].
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// For other threads and signal handlers.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Stops, waits until everything was delivered, and for the device at most a second more: a driver that hangs is left
    /// behind. A panic of the consumer goes on here.
    pub fn finish(mut self) -> SourceReport {
        self.stop.stop();
        let report = self.worker.take().map(JoinHandle::join);
        self.leave();
        match report {
            Some(Ok(report)) => report,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => SourceReport::default(),
        }
    }

    fn leave(&mut self) {
        let deadline = Instant::now() + self.patience;
        for helper in self.helpers.drain(..) {
            while !helper.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            if helper.is_finished() {
                let _ = helper.join();
            }
        }
    }
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.stop.stop_at_once();
            let _ = worker.join();
            self.leave();
        }
    }
}

/// The worker's end of the events. Nobody may be reading: levels then give way, and memory does not grow.
#[derive(Debug, Clone)]
pub(super) struct Events {
    to: Sender<SourceEvent>,
}

/// Room for more messages than a source has in its life; levels take at most half of it.
const EVENT_ROOM: usize = 512;

impl Events {
    pub(super) fn new() -> (Self, Receiver<SourceEvent>) {
        let (to, from) = bounded(EVENT_ROOM);
        (Self { to }, from)
    }

    pub(super) fn send(&self, event: SourceEvent) {
        let room = if matches!(event, SourceEvent::Level { .. }) { EVENT_ROOM / 2 } else { EVENT_ROOM };
        if self.to.len() < room {
            // Full or without a reader: there is nobody to tell.
            let _ = self.to.try_send(event);
        }
    }
}

/// Sends [`SourceEvent::Ended`] when the worker leaves, however it leaves.
pub(super) struct SendEnded(pub(super) Events);

impl Drop for SendEnded {
    fn drop(&mut self) {
        self.0.send(SourceEvent::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_reader_levels_give_way_and_messages_are_kept() {
        let (events, reader) = Events::new();
        for _ in 0..10_000 {
            events.send(SourceEvent::Level { rms_dbfs: -20.0, peak_dbfs: -10.0 });
        }
        events.send(SourceEvent::Clipping);
        events.send(SourceEvent::Ended);
        let all: Vec<_> = reader.try_iter().collect();
        assert_eq!(all.len(), EVENT_ROOM / 2 + 2);
        assert_eq!(all[all.len() - 2..], [SourceEvent::Clipping, SourceEvent::Ended]);
    }

    #[test]
    fn what_the_user_must_act_on_has_a_sentence_and_a_hint() {
        let lost = SourceEvent::Lost { reason: "it is gone".into(), hint: "plug it in".into() };
        for event in [
            SourceEvent::Silent { since_start: true },
            SourceEvent::Silent { since_start: false },
            SourceEvent::Quiet { rms_dbfs: -78.0 },
            SourceEvent::Clipping,
            SourceEvent::Overrun { dropped_samples: 8_000 },
            lost,
        ] {
            assert!(event.message().is_some_and(|text| !text.ends_with('.')), "{event:?}");
            assert!(event.hint().is_some(), "{event:?}");
        }
        let silent = SourceEvent::Silent { since_start: true }.hint().expect("has one").to_lowercase();
        assert!(silent.contains("permission") || silent.contains("privacy"), "{silent}");
        assert_eq!(
            SourceEvent::Quiet { rms_dbfs: -78.4 }.message().as_deref(),
            Some("-78 dB, nothing heard: is the microphone muted?")
        );
    }
}
