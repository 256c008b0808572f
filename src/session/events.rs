//! What a session tells, and the channel on which it does.

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::audio::SourceInfo;
use crate::engine::{ModelInfo, Segment, Text, Transcript};
use crate::error::Error;

/// What happens in a session. [`Ready`](Self::Ready) comes first, unless the source broke off before it gave anything;
/// [`Ended`](Self::Ended) is the last one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The first samples are there: what is said from now on is heard.
    Ready {
        /// Where they come from.
        info: SourceInfo,
    },
    /// The model is open: text will come.
    ModelReady {
        /// What it is and how it is computed here.
        info: ModelInfo,
        /// How long opening it took.
        load_seconds: f64,
    },
    /// Speech was found, where there was none before.
    SpeechStarted {
        /// Seconds from the beginning of the recording.
        at: f64,
    },
    /// About ten times a second.
    Level {
        /// Of the last tenth of a second, dB below full scale.
        rms_dbfs: f32,
        /// The loudest sample of the last tenth of a second, dB below full scale.
        peak_dbfs: f32,
        /// Length of what was heard so far.
        seconds: f64,
        /// How far recognition is behind.
        lag_seconds: f64,
    },
    /// What is being said, so far. Replaces the partial text before it; the segment's final text replaces it.
    Partial {
        /// The text of the segment that is being spoken. Never ends inside a character.
        text: String,
        /// So many bytes of it are settled: until the segment is final they stay and only grow.
        stable: usize,
        /// What joins it to the segments before it.
        separator: &'static str,
        /// Where the segment begins, in seconds from the beginning of the recording.
        start: f64,
        /// Up to where it was heard.
        end: f64,
    },
    /// A segment is final: it will not change any more.
    Segment(Segment),
    /// Something the user should know.
    Notice {
        /// A sentence without a full stop.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The text is complete. Not after an abort or a failed recognition, and not without model.
    Final {
        /// All of it.
        transcript: Transcript,
        /// Length of the audio that was heard.
        audio_seconds: f64,
        /// From the request to stop, or from the end of the source, to now.
        lag_seconds: f64,
    },
    /// Something went wrong. The session goes on as far as it can: with a recording and no text, or with a text of what was
    /// heard.
    Error {
        /// What kind of thing, as a word for programs that never changes: `model`, `device_lost`, `out_of_memory`, `options`,
        /// `internal`.
        code: &'static str,
        /// A sentence without a full stop.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The last event: the recording is complete, and [`Session::finish`](crate::Session::finish) returns at once.
    Ended,
}

impl SessionEvent {
    pub(super) fn partial(text: Text) -> Self {
        let Text { text, stable_bytes, separator, start, end, .. } = text;
        Self::Partial { text, stable: stable_bytes, separator, start, end }
    }

    pub(super) fn error(error: &Error) -> Self {
        let code = match error {
            Error::ModelMissing { .. } | Error::ModelDamaged { .. } | Error::ModelUnsupported { .. } => "model",
            Error::OutOfMemory { .. } => "out_of_memory",
            Error::Options { .. } => "options",
            _ => "internal",
        };
        Self::Error { code, message: error.to_string(), hint: error.hint() }
    }

    /// Of no use any more when a newer one is there.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Level { .. } | Self::Partial { .. })
    }
}

/// So many events may wait before passing ones are left out. What is said in an hour is far more text than this.
const PASSING_ROOM: usize = 512;

/// The sending end. Holds back what comes before [`SessionEvent::Ready`], and sends [`SessionEvent::Ended`] when it is
/// dropped, however that comes about.
#[derive(Debug)]
pub(super) struct Events {
    to: Sender<SessionEvent>,
    /// `None` when nothing is held back any more.
    held: Option<Vec<SessionEvent>>,
}

impl Events {
    pub(super) fn new() -> (Self, Receiver<SessionEvent>) {
        let (to, from) = unbounded();
        (Self { to, held: Some(Vec::new()) }, from)
    }

    pub(super) fn send(&mut self, event: SessionEvent) {
        if matches!(event, SessionEvent::Ready { .. }) {
            self.give(event);
            self.release();
        } else if let Some(held) = &mut self.held {
            held.push(event);
        } else {
            self.give(event);
        }
    }

    /// There will be no [`SessionEvent::Ready`], or there was one.
    pub(super) fn release(&mut self) {
        for event in self.held.take().unwrap_or_default() {
            self.give(event);
        }
    }

    fn give(&self, event: SessionEvent) {
        if !event.is_passing() || self.to.len() < PASSING_ROOM {
            // Without a reader there is nobody to tell.
            let _ = self.to.send(event);
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.release();
        self.give(SessionEvent::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str) -> SessionEvent {
        SessionEvent::Notice { message: text.to_owned(), hint: None }
    }

    #[test]
    fn ready_is_first_and_ended_is_last() {
        let info = SourceInfo {
            device: "d".to_owned(),
            host: "h".to_owned(),
            rate: 16_000,
            channels: 1,
            format: "i16".to_owned(),
        };
        let ready = SessionEvent::Ready { info };
        let (mut events, reader) = Events::new();
        events.send(notice("early"));
        events.send(ready.clone());
        events.send(notice("late"));
        drop(events);
        let all: Vec<_> = reader.iter().collect();
        assert_eq!(all, [ready, notice("early"), notice("late"), SessionEvent::Ended]);

        let (mut events, reader) = Events::new();
        events.send(notice("never ready"));
        drop(events);
        assert_eq!(reader.iter().collect::<Vec<_>>(), [notice("never ready"), SessionEvent::Ended]);
    }

    #[test]
    fn without_a_reader_passing_events_give_way_and_the_others_stay() {
        let (mut events, reader) = Events::new();
        events.release();
        for i in 0..2_000 {
            events.send(SessionEvent::Level { rms_dbfs: -20.0, peak_dbfs: -10.0, seconds: 1.0, lag_seconds: 0.0 });
            if i % 100 == 0 {
                events.send(notice("n"));
            }
        }
        drop(events);
        let all: Vec<_> = reader.iter().collect();
        assert_eq!(all.iter().filter(|&event| *event == notice("n")).count(), 20);
        assert!(all.len() <= PASSING_ROOM + 21);
    }
}
