//! What can be wrong with a microphone, as sentences with a hint.

use cpal::ErrorKind;

/// Why there is no sound to record, or no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// No input at all.
    #[error("there is no microphone ({host} has no input)")]
    NoDevice {
        /// The sound system that was asked.
        host: String,
    },
    /// No input of this name.
    #[error("no input is called `{wanted}`{}", list(": there are ", .available))]
    NotFound {
        /// As the user named it.
        wanted: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// More than one input of this name.
    #[error("`{wanted}` could be any of {}", list("", .matching))]
    Ambiguous {
        /// As the user named it.
        wanted: String,
        /// The names that match.
        matching: Vec<String>,
    },
    /// Somebody else has it.
    #[error("{device} is in use by another program")]
    Busy {
        /// Its name.
        device: String,
    },
    /// The system does not let this program have it.
    #[error("this program may not use {device}: permission denied")]
    Permission {
        /// Its name.
        device: String,
    },
    /// The sound system does not answer.
    #[error("{host} does not answer: {detail}")]
    NoHost {
        /// Its name.
        host: String,
        /// What it said.
        detail: String,
    },
    /// It records in a way that is not understood.
    #[error("{device} cannot be recorded from: {detail}")]
    Unsupported {
        /// Its name.
        device: String,
        /// What it offers.
        detail: String,
    },
    /// It did not open in time.
    #[error("{device} did not open within {seconds} s")]
    Slow {
        /// Its name.
        device: String,
        /// As long as was waited.
        seconds: u64,
    },
    /// It was there and is not any more.
    #[error("{device} is gone: {detail}")]
    Gone {
        /// Its name.
        device: String,
        /// What the system said.
        detail: String,
    },
    /// Anything else.
    #[error("{device} failed: {detail}")]
    Failed {
        /// Its name.
        device: String,
        /// What the system said.
        detail: String,
    },
}

impl CaptureError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoDevice { .. } if cfg!(target_os = "linux") => {
                "connect one, or see that the sound server runs: `pactl list short sources`"
            }
            Self::NoDevice { .. } => "connect one, then look with `diy-typeless devices`",
            Self::NotFound { .. } | Self::Ambiguous { .. } => "`diy-typeless devices` lists the inputs",
            Self::Busy { .. } => "end the program that records, or take another input with `--device NAME`",
            Self::Permission { .. } if cfg!(target_os = "macos") => {
                "allow the microphone for your terminal: System Settings > Privacy & Security > Microphone"
            }
            Self::Permission { .. } => {
                "your user may need to be in the group `audio`; in a sandbox, allow the microphone"
            }
            Self::NoHost { .. } => "start the sound server, or leave the host to be chosen",
            Self::Unsupported { .. } => "take another input: `diy-typeless devices` lists them",
            Self::Slow { .. } | Self::Failed { .. } => "try again, or take another input with `--device NAME`",
            Self::Gone { .. } => "connect it again; what was heard until then is kept",
        }
    }

    /// In our words, with the device's name.
    pub(super) fn from_cpal(error: &cpal::Error, device: &str) -> Self {
        let device = device.to_owned();
        let detail = detail(error);
        match error.kind() {
            ErrorKind::DeviceBusy => Self::Busy { device },
            ErrorKind::PermissionDenied => Self::Permission { device },
            ErrorKind::HostUnavailable => Self::NoHost { host: device, detail },
            ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated => Self::Gone { device, detail },
            ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation => Self::Unsupported { device, detail },
            _ => Self::Failed { device, detail },
        }
    }

    /// It worked before and does nothing but fail now.
    pub(super) fn into_gone(self) -> Self {
        match self {
            Self::Failed { device, detail } => Self::Gone { device, detail },
            other => other,
        }
    }
}

/// The system's words as the end of a sentence of ours.
fn detail(error: &cpal::Error) -> String {
    let text = error.message().map_or_else(|| error.kind().to_string(), str::to_owned);
    text.trim_end_matches(['.', '\n']).to_owned()
}

fn list(before: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("{before}{}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_the_device_and_the_system_s_words() {
        for (kind, expected) in [
            (ErrorKind::DeviceBusy, "Yeti is in use by another program"),
            (ErrorKind::PermissionDenied, "this program may not use Yeti: permission denied"),
            (ErrorKind::StreamInvalidated, "Yeti is gone: why"),
            (ErrorKind::UnsupportedConfig, "Yeti cannot be recorded from: why"),
            (ErrorKind::BackendError, "Yeti failed: why"),
        ] {
            let error = CaptureError::from_cpal(&cpal::Error::with_message(kind, "why."), "Yeti");
            assert_eq!(error.to_string(), expected);
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn names_to_choose_from_are_listed() {
        let error = CaptureError::NotFound { wanted: "x".into(), available: vec!["A".into(), "B".into()] };
        assert_eq!(error.to_string(), "no input is called `x`: there are A, B");
        assert_eq!(
            CaptureError::NotFound { wanted: "x".into(), available: vec![] }.to_string(),
            "no input is called `x`"
        );
    }
}
