//! The thread that brings a session to its end: passes on what source, journal and recogniser say, in one order, and waits
//! for each of them, however it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use crate::audio::{Journal, JournalEvent, JournalReport, LiveSource, SourceEvent, SourceReport};
use crate::engine::Transcript;
use crate::error::Error;

use super::backlog::Backlog;
use super::events::Events;
use super::recogniser::{Recognised, Recognition};
use super::{Control, Outcome, SessionEvent, panic_text};

/// How often an abort is looked for while the recogniser finishes.
const LOOK: Duration = Duration::from_millis(20);
/// How long an aborted recogniser is waited for. It looks many times a second, except while it opens a model.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Supervisor {
    source: LiveSource,
    journal: Option<Arc<Journal>>,
    thread: Option<std::thread::JoinHandle<()>>,
    backlog: Arc<Backlog>,
    control: Arc<Control>,
    events: Events,
    keep_journal: bool,
    // `never` when there is none, or no more.
    journal_events: Receiver<JournalEvent>,
    news: Receiver<SessionEvent>,
    done: Receiver<Recognised>,
    recognised: Option<Recognised>,
    /// Why the source broke off.
    lost: Option<String>,
}

impl Supervisor {
    pub(super) fn new(
        source: LiveSource,
        journal: Option<Arc<Journal>>,
        recognition: Option<Recognition>,
        backlog: Arc<Backlog>,
        control: Arc<Control>,
        keep_journal: bool,
    ) -> (Self, Receiver<SessionEvent>) {
        let (events, told) = Events::new();
        let journal_events = journal.as_ref().map_or_else(never, |journal| journal.events().clone());
        let (news, done, thread) = match recognition {
            Some(Recognition { news, done, thread }) => (news, done, Some(thread)),
            None => (never(), never(), None),
        };
        let supervisor = Self {
            source,
            journal,
            thread,
            backlog,
            control,
            events,
            keep_journal,
            journal_events,
            news,
            done,
            recognised: None,
            lost: None,
        };
        (supervisor, told)
    }

    pub(super) fn run(mut self) -> Outcome {
        self.listen();
        self.events.release();
        let source_ended = Instant::now();
        if self.thread.is_some() {
            self.await_text();
        }
        let asked = self.control.asked.get().filter(|&&asked| asked < source_ended);
        let end = asked.copied().unwrap_or(source_ended);
        let recognised = self.recognised.take();
        let at = recognised.as_ref().map_or(source_ended, |recognised| recognised.at);
        let finish_seconds = at.saturating_duration_since(end).as_secs_f64();
        let audio_seconds = self.backlog.seconds();
        let complete = recognised.as_ref().is_some_and(|recognised| recognised.result.is_ok());
        let aborted = self.control.cancel.is_cancelled() && !complete;
        let (transcript, result) = match recognised {
            Some(Recognised { transcript, result, .. }) => (transcript, result),
            None => (Transcript::default(), Ok(())),
        };
        if complete {
            self.events.send(SessionEvent::Final {
                transcript: transcript.clone(),
                audio_seconds,
                lag_seconds: finish_seconds,
            });
        }
        let Self { source, journal, mut events, keep_journal, lost, journal_events, .. } = self;
        let source = finish_source(source, &mut events);
        let journal = journal.and_then(finish_journal);
        for event in journal_events.try_iter() {
            events.send(journal_notice(event));
        }
        let stats = transcript.stats;
        let device_lost = lost.or_else(|| source.lost.clone());
        let model_error = result.err().filter(|error| !error.is_cancelled());
        Outcome {
            transcript,
            audio_seconds,
            journal,
            aborted,
            device_lost,
            finish_seconds,
            stats,
            model_error,
            source,
            keep_journal,
        }
    }

    /// Until the source has ended.
    fn listen(&mut self) {
        let source = self.source.events().clone();
        loop {
            select! {
                recv(source) -> event => match event {
                    Ok(SourceEvent::Ended) | Err(_) => return,
                    Ok(event) => self.tell_source(event),
                },
                recv(self.journal_events) -> event => self.tell_journal(event.ok()),
                recv(self.news) -> event => self.tell_news(event.ok()),
                recv(self.done) -> recognised => self.take_text(recognised.ok()),
            }
        }
    }

    /// Until the recogniser has ended.
    fn await_text(&mut self) {
        let mut aborted = None;
        while self.recognised.is_none() {
            select! {
                recv(self.journal_events) -> event => self.tell_journal(event.ok()),
                recv(self.news) -> event => self.tell_news(event.ok()),
                recv(self.done) -> recognised => self.take_text(recognised.ok()),
                default(LOOK) => {}
            }
            if self.control.cancel.is_cancelled() && aborted.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                // It ends by itself as soon as the model is open, and has nothing but that.
                self.thread = None;
                return;
            }
        }
        if let Some(thread) = self.thread.take() {
            // It catches its panics.
            let _ = thread.join();
        }
    }

    fn take_text(&mut self, recognised: Option<Recognised>) {
        self.done = never();
        // What it said before this was said before this.
        while let Ok(event) = self.news.try_recv() {
            self.events.send(event);
        }
        let crashed = || Recognised {
            transcript: Transcript::default(),
            result: Err(Error::Internal { message: "recognition crashed".to_owned() }),
            at: Instant::now(),
        };
        let recognised = recognised.unwrap_or_else(crashed);
        if let Err(error) = &recognised.result
            && !error.is_cancelled()
        {
            self.events.send(SessionEvent::error(error));
            if self.journal.is_none() {
                // There is nothing left to listen for.
                self.source.stop_handle().stop_at_once();
            }
        }
        self.recognised = Some(recognised);
    }

    fn tell_news(&mut self, event: Option<SessionEvent>) {
        match event {
            Some(event) => self.events.send(event),
            None => self.news = never(),
        }
    }

    fn tell_journal(&mut self, event: Option<JournalEvent>) {
        match event {
            Some(event) => self.events.send(journal_notice(event)),
            None => self.journal_events = never(),
        }
    }

    fn tell_source(&mut self, event: SourceEvent) {
        let told = match event {
            SourceEvent::Started(info) => SessionEvent::Ready { info },
            SourceEvent::Level { rms_dbfs, peak_dbfs } => SessionEvent::Level {
                rms_dbfs,
                peak_dbfs,
                seconds: self.backlog.seconds(),
                lag_seconds: self.backlog.lag_seconds(),
            },
            SourceEvent::Lost { reason, hint } => {
                self.lost = Some(reason.clone());
                SessionEvent::Error { code: "device_lost", message: reason, hint: Some(hint) }
            }
            event => match event.message() {
                Some(message) => SessionEvent::Notice { message, hint: event.hint() },
                None => return,
            },
        };
        self.events.send(told);
    }
}

fn journal_notice(event: JournalEvent) -> SessionEvent {
    let message = event.message();
    let hint = if let JournalEvent::Stopped { hint, .. } = event { Some(hint) } else { None };
    SessionEvent::Notice { message, hint }
}

/// Its threads end, whatever happened to them.
fn finish_source(source: LiveSource, events: &mut Events) -> SourceReport {
    catch_unwind(AssertUnwindSafe(|| source.finish())).unwrap_or_else(|panic| {
        let message = format!("what takes the sound crashed: {}", panic_text(panic.as_ref()));
        let hint = Some("what was heard until then is kept".to_owned());
        events.send(SessionEvent::Error { code: "internal", message: message.clone(), hint });
        SourceReport { lost: Some(message), ..SourceReport::default() }
    })
}

/// Waits until everything is on disk.
pub(super) fn finish_journal(mut journal: Arc<Journal>) -> Option<JournalReport> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Arc::try_unwrap(journal) {
            Ok(journal) => return Some(journal.finish()),
            // Somebody is just looking at it.
            Err(shared) if Instant::now() < deadline => journal = shared,
            Err(_) => return None,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
