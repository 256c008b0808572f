//! What a stream tells: text in the making, and segments that are final.

use std::ffi::CStr;
use std::fmt;
use std::slice;

use crate::error::Error;
use crate::sys;

use super::call::{literal, utf8};
use super::seconds;

/// News from a [`Stream`](crate::Stream).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The open segment reads differently now. Only with [`Options::token_events`](crate::Options::token_events) or
    /// [`Options::partial_ms`](crate::Options::partial_ms).
    Text(Text),
    /// A segment is final.
    Segment(Segment),
}

/// The text of the segment that is being spoken or decoded, so far.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Text {
    /// All of it, not only what is new. Never ends inside a character.
    pub text: String,
    /// So many bytes of it are settled: they stay, and only grow, until the segment is final.
    pub stable_bytes: usize,
    /// What joins it to the segments before it.
    pub separator: &'static str,
    /// The language as the model named it, once it has.
    pub language: Option<String>,
    /// Where the segment begins, in seconds.
    pub start: f64,
    /// Where the segment ends, in seconds.
    pub end: f64,
    /// Tokens decoded so far.
    pub tokens: u32,
}

/// A stretch of speech and its text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Segment {
    /// What was said; empty if the model heard no speech.
    pub text: String,
    /// What joins it to the segments before it: a space, or nothing where either side is written without spaces between
    /// words, or where there is no text.
    pub separator: &'static str,
    /// The language as the model named it, or as it was forced.
    pub language: Option<String>,
    /// Where the decoded audio begins, in seconds from the beginning of the recording.
    pub start: f64,
    /// Where the decoded audio ends, in seconds from the beginning of the recording.
    pub end: f64,
    /// Why decoding ended.
    pub stop: StopReason,
    /// Why the audio was cut at the end of this segment.
    pub cut: CutReason,
    /// Tokens decoded, the one that says "end" not counted.
    pub tokens: u32,
    /// Positions the audio took in the prompt: 13 a second.
    pub audio_tokens: u32,
}

/// Why decoding of a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The model said that the text is complete: the ordinary case.
    End,
    /// The limit of tokens was reached; the text may be cut short.
    MaxTokens,
}

/// Why the audio was cut at the end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CutReason {
    /// Inside a pause between words.
    Pause,
    /// The segment reached its longest length and was cut where it was quietest.
    Length,
    /// The audio ended.
    End,
}

impl Text {
    /// The part that is settled.
    pub fn stable(&self) -> &str {
        self.text.get(..self.stable_bytes).unwrap_or_default()
    }

    /// The part that may still change.
    pub fn tentative(&self) -> &str {
        &self.text[self.stable().len()..]
    }
}

impl StopReason {
    /// A word for files and programs; never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::MaxTokens => "max_tokens",
        }
    }

    fn from_c(value: sys::qwen_stop_reason) -> Result<Self, Error> {
        match value {
            sys::qwen_stop_reason::QWEN_STOP_EOS => Ok(Self::End),
            sys::qwen_stop_reason::QWEN_STOP_MAX_TOKENS => Ok(Self::MaxTokens),
            other => Err(unknown("reason to stop", other.0)),
        }
    }
}

impl CutReason {
    /// A word for files and programs; never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Length => "length",
            Self::End => "end",
        }
    }

    fn from_c(value: sys::qwen_cut_reason) -> Result<Self, Error> {
        match value {
            sys::qwen_cut_reason::QWEN_CUT_PAUSE => Ok(Self::Pause),
            sys::qwen_cut_reason::QWEN_CUT_LENGTH => Ok(Self::Length),
            sys::qwen_cut_reason::QWEN_CUT_END => Ok(Self::End),
            other => Err(unknown("reason to cut", other.0)),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for CutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn unknown(what: &str, value: impl fmt::Display) -> Error {
    Error::Internal { message: format!("the engine gave {value} as {what}, which this crate does not know") }
}

impl Event {
    /// Copies an event out of the engine.
    ///
    /// # Safety
    ///
    /// `event` was filled by `qwen_stream_next`, and no call was made on that stream since.
    pub(super) unsafe fn from_c(event: &sys::qwen_event) -> Result<Self, Error> {
        let text = if event.text_bytes == 0 {
            String::new()
        } else {
            // SAFETY: the engine says that `text` holds `text_bytes` bytes and, as the caller promises, still does.
            utf8(unsafe { slice::from_raw_parts(event.text.cast::<u8>(), event.text_bytes) })?
        };
        let language = if event.language.is_null() {
            String::new()
        } else {
            // SAFETY: not NULL, NUL-terminated as the header says, and alive as the caller promises.
            utf8(unsafe { CStr::from_ptr(event.language) }.to_bytes())?
        };
        let language = (!language.is_empty()).then_some(language);
        // SAFETY: the header says that the separator is a literal.
        let separator = unsafe { literal(event.separator) };
        let (start, end) = (seconds(event.start_sample), seconds(event.end_sample));
        match event.kind {
            sys::qwen_event_kind::QWEN_EVENT_TEXT => {
                let stable_bytes = event.stable_bytes;
                if !text.is_char_boundary(stable_bytes) {
                    return Err(Error::Internal {
                        message: format!("{stable_bytes} settled bytes of {} end inside a character", text.len()),
                    });
                }
                Ok(Self::Text(Text { text, stable_bytes, separator, language, start, end, tokens: event.n_tokens }))
            }
            sys::qwen_event_kind::QWEN_EVENT_SEGMENT => Ok(Self::Segment(Segment {
                text,
                separator,
                language,
                start,
                end,
                stop: StopReason::from_c(event.stop)?,
                cut: CutReason::from_c(event.cut)?,
                tokens: event.n_tokens,
                audio_tokens: event.n_audio_tokens,
            })),
            other => Err(unknown("kind of event", other.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    fn event() -> sys::qwen_event {
        sys::qwen_event {
            kind: sys::qwen_event_kind::QWEN_EVENT_SEGMENT,
            stop: sys::qwen_stop_reason::QWEN_STOP_EOS,
            cut: sys::qwen_cut_reason::QWEN_CUT_END,
            text: c"a\u{4f60}".as_ptr(),
            text_bytes: 4,
            stable_bytes: 4,
            separator: c" ".as_ptr(),
            language: c"".as_ptr(),
            start_sample: 8_000,
            end_sample: 16_000,
            n_audio_tokens: 7,
            n_tokens: 2,
        }
    }

    fn taken(event: &sys::qwen_event) -> Result<Event, Error> {
        // SAFETY: every pointer in these events is to a literal.
        unsafe { Event::from_c(event) }
    }

    #[test]
    fn an_event_is_copied_field_by_field() {
        let expected = Segment {
            text: "a\u{4f60}".to_owned(),
            separator: " ",
            language: None,
            start: 0.5,
            end: 1.0,
            stop: StopReason::End,
            cut: CutReason::End,
            tokens: 2,
            audio_tokens: 7,
        };
        assert_eq!(taken(&event()).expect("known"), Event::Segment(expected));
    }

    #[test]
    fn missing_text_is_empty_text() {
        let empty = sys::qwen_event {
            kind: sys::qwen_event_kind::QWEN_EVENT_TEXT,
            text: ptr::null(),
            text_bytes: 0,
            stable_bytes: 0,
            separator: ptr::null(),
            language: ptr::null(),
            ..event()
        };
        let Ok(Event::Text(text)) = taken(&empty) else { panic!("a text event") };
        assert_eq!((text.text.as_str(), text.separator, text.language), ("", "", None));
    }

    #[test]
    fn a_text_is_a_settled_part_and_the_rest() {
        let part =
            |stable_bytes| sys::qwen_event { kind: sys::qwen_event_kind::QWEN_EVENT_TEXT, stable_bytes, ..event() };
        for (stable_bytes, stable, tentative) in [(0, "", "a\u{4f60}"), (1, "a", "\u{4f60}"), (4, "a\u{4f60}", "")] {
            let Ok(Event::Text(text)) = taken(&part(stable_bytes)) else { panic!("a text event") };
            assert_eq!((text.stable(), text.tentative()), (stable, tentative));
        }
        assert!(taken(&part(2)).is_err(), "inside a character");
        assert!(taken(&part(5)).is_err(), "beyond the end");
    }

    #[test]
    fn values_of_a_later_engine_are_errors_with_the_value_in_them() {
        let kind = sys::qwen_event { kind: sys::qwen_event_kind(77), ..event() };
        let stop = sys::qwen_event { stop: sys::qwen_stop_reason(78), ..event() };
        let cut = sys::qwen_event { cut: sys::qwen_cut_reason(79), ..event() };
        for (event, value) in [(kind, "77"), (stop, "78"), (cut, "79")] {
            let error = taken(&event).expect_err("unknown");
            assert!(matches!(error, Error::Internal { .. }) && error.to_string().contains(value), "{error}");
        }
    }

    #[test]
    fn text_cut_inside_a_character_is_an_error() {
        assert!(taken(&sys::qwen_event { text_bytes: 3, ..event() }).is_err());
    }
}
