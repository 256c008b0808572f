//! How a run can end other than well: a sentence, perhaps a hint, and the exit code.

use std::io;

use diy_typeless::Error;
use diy_typeless::audio::AudioError;
use diy_typeless::audio::capture::CaptureError;

/// Exit codes. Scripts rely on them: never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Ok = 0,
    Other = 1,
    Usage = 2,
    Audio = 3,
    Model = 4,
    NoSpeech = 5,
    DeviceLost = 7,
    Aborted = 130,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The reader of our output went away: an end like any other, and nobody to tell.
    pub(crate) closed_pipe: bool,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, closed_pipe: false }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn aborted() -> Self {
        Self::new(Code::Aborted, "aborted")
    }

    /// Whether the files that are left are pointless now.
    pub(crate) fn ends_the_run(&self) -> bool {
        self.closed_pipe || self.code == Code::Aborted
    }

    /// Writing to standard output failed.
    pub(crate) fn output(error: &io::Error) -> Self {
        let failure = Self::new(Code::Other, format!("cannot write to standard output: {error}"));
        Self { closed_pipe: error.kind() == io::ErrorKind::BrokenPipe, ..failure }
    }
}

impl From<AudioError> for Failure {
    fn from(error: AudioError) -> Self {
        let failure = Self::new(Code::Audio, error.to_string());
        match error {
            AudioError::NotAudio { .. } => failure.hint("WAV, FLAC, MP3, M4A/AAC and Ogg Vorbis are read"),
            AudioError::Unsupported { file, .. } => {
                failure.hint(format!("convert it: ffmpeg -i {file} -ac 1 -ar 16000 out.wav"))
            }
            _ => failure,
        }
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        Self::new(Code::Audio, error.to_string()).hint(error.hint())
    }
}

impl Code {
    /// What an error of the library means for the whole run.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::ModelMissing { .. } | Error::ModelDamaged { .. } | Error::ModelUnsupported { .. } => Self::Model,
            Error::Audio(_) | Error::Capture(_) => Self::Audio,
            Error::Options { .. } => Self::Usage,
            Error::Cancelled => Self::Aborted,
            _ => Self::Other,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.is_cancelled() {
            return Self::aborted();
        }
        let code = Code::of(&error);
        let hint = error.hint();
        match error {
            Error::Audio(error) => error.into(),
            error => Self { hint, ..Self::new(code, error.to_string()) },
        }
    }
}
