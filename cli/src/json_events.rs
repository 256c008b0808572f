//! A recording while it goes on, as programs see it: `record --json`, an object per event and line. The help documents every
//! field, and readers rely on them: add, never change.

use std::path::Path;

use diy_typeless::SessionEvent;
use diy_typeless::audio::SourceInfo;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{json_line, print};
use crate::show::{Done, Show};
use crate::ui::Screen;

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Ready {
        device: &'a str,
        host: &'a str,
        rate: u32,
        channels: u16,
        format: &'a str,
        recording: &'a Path,
    },
    ModelReady {
        seconds: f64,
    },
    SpeechStarted {
        t: f64,
    },
    Level {
        rms_db: f32,
        peak_db: f32,
        t: f64,
        lag_s: f64,
    },
    Partial {
        stable: &'a str,
        tentative: &'a str,
        separator: &'a str,
        start: f64,
        t: f64,
    },
    Segment {
        text: &'a str,
        language: Option<&'a str>,
        separator: &'a str,
        start: f64,
        end: f64,
        stop: &'a str,
        reason: &'a str,
    },
    Notice {
        message: &'a str,
        hint: Option<&'a str>,
    },
    Error {
        code: u8,
        message: &'a str,
        hint: Option<&'a str>,
    },
    Final {
        text: Option<&'a str>,
        language: Option<&'a str>,
        audio_s: f64,
        lag_s: f64,
        files: Files<'a>,
    },
}

#[derive(Serialize)]
struct Files<'a> {
    text: Option<&'a Path>,
    audio: Option<&'a Path>,
}

/// Events on standard output; people on standard error learn what they should know.
pub(crate) struct JsonLines {
    screen: Screen,
}

impl JsonLines {
    pub(crate) fn new() -> Self {
        Self { screen: Screen::plain() }
    }

    /// An error that ended the program before anything began, for the program that reads; people are told by the caller.
    pub(crate) fn early(&self, failure: &Failure) -> Result<(), Failure> {
        put(&error(failure))
    }
}

fn put(line: &Line<'_>) -> Result<(), Failure> {
    print(&json_line(line)?)
}

fn error(failure: &Failure) -> Line<'_> {
    Line::Error { code: failure.code as u8, message: &failure.message, hint: failure.hint.as_deref() }
}

impl Show for JsonLines {
    fn ready(&mut self, info: &SourceInfo, recording: &Path) -> Result<(), Failure> {
        put(&Line::Ready {
            device: &info.device,
            host: &info.host,
            rate: info.rate,
            channels: info.channels,
            format: &info.format,
            recording,
        })
    }

    fn event(&mut self, event: &SessionEvent) -> Result<(), Failure> {
        put(&match event {
            SessionEvent::ModelReady { load_seconds, .. } => Line::ModelReady { seconds: *load_seconds },
            SessionEvent::SpeechStarted { at } => Line::SpeechStarted { t: *at },
            SessionEvent::Level { rms_dbfs, peak_dbfs, seconds, lag_seconds } => {
                Line::Level { rms_db: *rms_dbfs, peak_db: *peak_dbfs, t: *seconds, lag_s: *lag_seconds }
            }
            SessionEvent::Partial { text, stable, separator, start, end } => {
                let (stable, tentative) = text.split_at_checked(*stable).unwrap_or((text, ""));
                Line::Partial { stable, tentative, separator, start: *start, t: *end }
            }
            SessionEvent::Segment(segment) => Line::Segment {
                text: &segment.text,
                language: segment.language.as_deref(),
                separator: segment.separator,
                start: segment.start,
                end: segment.end,
                stop: segment.stop.as_str(),
                reason: segment.cut.as_str(),
            },
            // The final text is told when it is saved, and the end by the end of the stream.
            _ => return Ok(()),
        })
    }

    fn notice(&mut self, message: &str, hint: Option<&str>) -> Result<(), Failure> {
        self.screen.notice(message, hint);
        put(&Line::Notice { message, hint })
    }

    fn error(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.screen.failure(failure);
        put(&error(failure))
    }

    fn done(&mut self, done: &Done<'_>) -> Result<(), Failure> {
        put(&Line::Final {
            text: done.text,
            language: done.language,
            audio_s: done.audio_seconds,
            lag_s: done.lag_seconds,
            files: Files { text: done.text_file, audio: done.audio_file },
        })
    }
}
