//! Dictation: audio that is still coming, turned into text while it comes.
//!
//! A [`Session`] joins a source of audio, a recording on disk and a model. Its threads: the source's own worker, which hands
//! every sample to the journal and to the buffer of the recogniser and never waits for either; the recogniser, the only one
//! that computes; and one that turns what all of them have to tell into [`SessionEvent`]s and brings things to their end.
//!
//! What holds, however fast the machine is: no sample is dropped, and the text is byte for byte that of
//! [`Transcriber::transcribe`](crate::Transcriber::transcribe) for the samples in the journal.
//!
//! ```
//! use diy_typeless::audio::play_file;
//! use diy_typeless::{ModelOptions, ModelSource, Session, SessionEvent, SessionOptions};
//!
//! let model = ModelSource::Load("tests/data/tiny-qwen3-asr".into(), ModelOptions::default());
//! let session = Session::start(model, SessionOptions::default(), |consumer| {
//!     // A file, as fast as it is understood; `audio::capture::capture` is the microphone.
//!     Ok(play_file("tests/data/speech/short_seen_001.flac", 0.0, consumer)?)
//! })?;
//! let handle = session.handle(); // for whoever is to call `handle.stop()`
//! for event in session.events() {
//!     if let SessionEvent::Partial { text, stable, .. } = event {
//!         println!("{}|{}", &text[..stable], &text[stable..]);
//!     }
//! }
//! let outcome = session.finish()?;
//! assert!(outcome.transcript.text.starts_with("How many stones are in the market?"));
//! # Ok::<(), diy_typeless::Error>(())
//! ```

mod backlog;
mod events;
mod recogniser;
mod supervisor;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::audio::{Journal, JournalReport, LiveSource, SourceReport, StopHandle};
use crate::engine::{CancelHandle, Model, ModelOptions, Options, Stats, Transcript};
use crate::error::Error;

pub use backlog::SessionConsumer;
pub use events::SessionEvent;

use recogniser::Recogniser;
use supervisor::Supervisor;

/// What can be chosen about a session.
///
/// ```
/// let mut options = diy_typeless::SessionOptions::default();
/// options.engine.language = Some("en".to_owned());
/// options.journal = Some("monday.wav".into());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// For the model. [`Options::partial_ms`] is 1000 here, unless changed: text while it is being spoken.
    pub engine: Options,
    /// A 16-bit WAV that is written as the audio comes. A new file: an existing one is an error and is not touched. `None`:
    /// the audio is not kept.
    pub journal: Option<PathBuf>,
    /// Whether the journal is wanted for itself, and not only until there is a text; see [`Outcome::text_saved`].
    pub keep_journal: bool,
    /// Seconds of audio the recogniser may be behind before the rest has to wait outside memory: in the journal, from where it
    /// is read back. Without journal it waits in memory all the same. Nothing is dropped in either case.
    pub buffer_seconds: f32,
    /// A source that can wait, a file, waits while the recogniser is behind by more than so many seconds. Infinity: it is
    /// played without regard, as a microphone would be.
    pub lead_seconds: f32,
    /// Makes the recogniser slow: for tests of what happens then.
    #[doc(hidden)]
    pub throttle: Duration,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            engine: Options { partial_ms: 1_000, ..Options::default() },
            journal: None,
            keep_journal: true,
            buffer_seconds: 60.0,
            lead_seconds: 2.0,
            throttle: Duration::ZERO,
        }
    }
}

/// How the model comes.
#[derive(Debug, Clone, Default)]
pub enum ModelSource {
    /// It is open.
    Open(Model),
    /// It is opened while the audio is already being heard: words spoken meanwhile are kept.
    Load(PathBuf, ModelOptions),
    /// There is none: the session only records.
    #[default]
    None,
}

/// What a session has brought.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was said: everything, unless [`aborted`](Self::aborted) or [`model_error`](Self::model_error) say otherwise; then it is
    /// what was final until that moment. Empty without model.
    pub transcript: Transcript,
    /// Length of the audio that was heard.
    pub audio_seconds: f64,
    /// The recording, if there is one.
    pub journal: Option<JournalReport>,
    /// [`SessionHandle::abort`] came before the text was complete.
    pub aborted: bool,
    /// Why the source broke off, if it did. What it gave until then is in the text and in the recording.
    pub device_lost: Option<String>,
    /// From the request to stop, or from the end of the source, to the final text.
    pub finish_seconds: f64,
    /// What recognition took.
    pub stats: Stats,
    /// Why there is no text, or not all of it: the model could not be opened, or recognition failed. The recording went on.
    pub model_error: Option<Error>,
    /// What the source did.
    pub source: SourceReport,
    keep_journal: bool,
}

impl Outcome {
    /// To be said when the text is where it will stay: deletes the recording if it was wanted for the text alone
    /// ([`SessionOptions::keep_journal`] is false) and the text is complete. Says whether it did.
    pub fn text_saved(&self) -> io::Result<bool> {
        match &self.journal {
            Some(journal) if !self.keep_journal && !self.aborted && self.model_error.is_none() => {
                std::fs::remove_file(&journal.path)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Dictation that is going on.
///
/// It goes on until the source ends by itself, or [`SessionHandle::stop`] or [`abort`](SessionHandle::abort) is called, which
/// can be at any moment. Dropping it is an abort that waits until all threads are gone.
pub struct Session {
    events: Receiver<SessionEvent>,
    handle: SessionHandle,
    supervisor: Option<JoinHandle<Outcome>>,
}

/// Stops a session from any thread, at any moment, any number of times.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    control: Arc<Control>,
    source: StopHandle,
}

#[derive(Debug, Default)]
struct Control {
    /// Of the recogniser.
    cancel: CancelHandle,
    /// When it was first asked to stop or abort.
    asked: OnceLock<Instant>,
}

impl Session {
    /// Starts everything. `source` is to start the audio: it gets what takes the samples and returns what gives them.
    ///
    /// Fails if an option is unusable, if the journal cannot be made, or if `source` fails. A model that cannot be opened is no
    /// failure here: recording goes on, and [`Outcome::model_error`] tells. (Without journal there would be nothing to go on for, so
    /// the session ends.)
    pub fn start(
        model: ModelSource,
        options: SessionOptions,
        source: impl FnOnce(SessionConsumer) -> Result<LiveSource, Error>,
    ) -> Result<Self, Error> {
        options.engine.check()?;
        let control = Arc::new(Control::default());
        let journal = options.journal.as_ref().map(Journal::create).transpose()?;
        let (journal, journal_feed) = journal.map(|(journal, feed)| (Arc::new(journal), feed)).unzip();
        let started = (|| {
            let wants_text = !matches!(model, ModelSource::None);
            let (consumer, reader) = backlog::pair(&options, wants_text, journal.as_ref(), journal_feed)?;
            let backlog = consumer.backlog();
            let recogniser =
                reader.map(|reader| Recogniser::spawn(model, reader, &options, &control.cancel)).transpose()?;
            Ok((source(consumer)?, backlog, recogniser))
        })();
        let (source, backlog, recogniser) = match started {
            Ok(started) => started,
            Err(error) => {
                // The recogniser may be opening its model: it looks at this when it has, and ends.
                control.cancel.cancel();
                if let Some(report) = journal.and_then(supervisor::finish_journal)
                    && report.samples == 0
                {
                    // Nobody wants it, and nobody will miss it if it stays.
                    let _ = std::fs::remove_file(report.path);
                }
                return Err(error);
            }
        };
        let handle = SessionHandle { control: control.clone(), source: source.stop_handle() };
        let (supervisor, events) = Supervisor::new(source, journal, recogniser, backlog, control, options.keep_journal);
        let supervisor = spawn("session", move || supervisor.run())?;
        Ok(Self { events, handle, supervisor: Some(supervisor) })
    }

    /// What happens. Need not be read: memory does not grow with levels and partial texts that nobody takes. Ends after
    /// [`SessionEvent::Ended`]. Clones of the receiver share the events: each goes to one of them.
    pub fn events(&self) -> &Receiver<SessionEvent> {
        &self.events
    }

    /// What stops it.
    pub fn handle(&self) -> SessionHandle {
        self.handle.clone()
    }

    /// Waits for the end, which comes when the source ends or the [`handle`](Self::handle) is used, and says what it brought.
    pub fn finish(mut self) -> Result<Outcome, Error> {
        let ended = self.supervisor.take().map(JoinHandle::join);
        match ended {
            Some(Ok(outcome)) => Ok(outcome),
            Some(Err(panic)) => {
                Err(Error::Internal { message: format!("the session crashed: {}", panic_text(panic.as_ref())) })
            }
            None => Err(Error::Internal { message: "the session has ended before".to_owned() }),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            self.handle.abort();
            // A panic in it was told as an event, and there is nobody else to tell.
            let _ = supervisor.join();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl SessionHandle {
    /// Ends the audio, with the last word still in it, and lets the rest become text.
    pub fn stop(&self) {
        self.control.asked.get_or_init(Instant::now);
        self.source.stop();
    }

    /// Ends everything at once: no more text will come. The recording stays.
    pub fn abort(&self) {
        self.control.asked.get_or_init(Instant::now);
        self.control.cancel.cancel();
        self.source.stop_at_once();
    }

    /// Whether [`stop`](Self::stop) or [`abort`](Self::abort) was called.
    pub fn is_stopping(&self) -> bool {
        self.control.asked.get().is_some()
    }
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Error> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|e| Error::OutOfMemory { message: format!("no thread for the {name}: {e}") })
}

/// What a thread said when it panicked.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
