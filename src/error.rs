//! The one error of this crate: what went wrong as a sentence, and what to do about it as another.

use std::path::{Path, PathBuf};

/// Why something did not work. Its text is a sentence for a person; [`Error::hint`] is what that person can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the model is not there or cannot be read.
    #[error("{message}")]
    ModelMissing {
        /// The directory that was to be opened.
        dir: PathBuf,
        /// The sentence, with the name of the file.
        message: String,
    },
    /// A file of the model is damaged, incomplete, or contradicts another one.
    #[error("{message}")]
    ModelDamaged {
        /// The directory that was to be opened.
        dir: PathBuf,
        /// The sentence, with the file, the place in it and the numbers.
        message: String,
    },
    /// The files are sound, but they are not of a model that this engine computes.
    #[error("{message}")]
    ModelUnsupported {
        /// The directory that was to be opened.
        dir: PathBuf,
        /// The sentence.
        message: String,
    },
    /// An option has a value that cannot be used, for example a language that does not exist.
    #[error("{message}")]
    Options {
        /// The sentence, with what would be possible.
        message: String,
    },
    /// Memory, or a thread, could not be had.
    #[error("{message}")]
    OutOfMemory {
        /// The sentence, with what it was wanted for.
        message: String,
    },
    /// A [`CancelHandle`](crate::CancelHandle) was used.
    #[error("the transcription was cancelled")]
    Cancelled,
    /// The stream was finished, or has failed before: it cannot do this any more.
    #[error("{message}")]
    State {
        /// The sentence.
        message: String,
    },
    /// Something about an audio file.
    #[cfg(feature = "files")]
    #[error(transparent)]
    Audio(#[from] crate::audio::AudioError),
    /// The recording on disk could not be begun.
    #[cfg(feature = "live")]
    #[error(transparent)]
    Journal(#[from] crate::audio::JournalError),
    /// The microphone could not be had.
    #[cfg(feature = "capture")]
    #[error(transparent)]
    Capture(#[from] crate::audio::capture::CaptureError),
    /// A mistake in this program, or weights that give no numbers.
    #[error("internal error: {message}")]
    Internal {
        /// The sentence.
        message: String,
    },
}

impl Error {
    /// What the reader of the message can do, where that is known.
    pub fn hint(&self) -> Option<String> {
        let fetch = |dir: &Path, why: &str| {
            // Somebody named a file of the model instead of the directory it is in.
            let dir = if dir.is_file() { dir.parent().unwrap_or(dir) } else { dir };
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            format!("./download_model.sh --model small --dir {}   ({why})", dir.display())
        };
        match self {
            Self::ModelMissing { dir, .. } if dir.join("config.json").is_file() => {
                Some(fetch(dir, "resumes and verifies"))
            }
            Self::ModelMissing { dir, .. } if dir.is_file() => {
                let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Some(format!("name the directory the model is in, perhaps {}", parent.display()))
            }
            Self::ModelMissing { dir, .. } => Some(fetch(dir, "fetches a model")),
            Self::ModelDamaged { dir, .. } => Some(fetch(dir, "resumes and verifies")),
            Self::ModelUnsupported { .. } => {
                Some("models of the Qwen3-ASR family can be used: Qwen3-ASR-0.6B, Qwen3-ASR-1.7B".to_owned())
            }
            Self::OutOfMemory { .. } => Some("close other programs, use the small model, or fewer threads".to_owned()),
            Self::Options { .. } | Self::Cancelled | Self::State { .. } | Self::Internal { .. } => None,
            #[cfg(feature = "files")]
            Self::Audio(_) => None,
            #[cfg(feature = "live")]
            Self::Journal(_) => {
                Some("look at the directory and at the room on the disk, or record elsewhere".to_owned())
            }
            #[cfg(feature = "capture")]
            Self::Capture(error) => Some(error.hint().to_owned()),
        }
    }

    /// The work was stopped on request; nothing is wrong.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(dir: &str) -> Error {
        Error::ModelMissing { dir: dir.into(), message: String::new() }
    }

    #[test]
    fn hints_name_the_directory_a_model_belongs_into() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-qwen3-asr");
        assert_eq!(
            missing("models/m").hint().expect("known"),
            "./download_model.sh --model small --dir models/m   (fetches a model)"
        );
        assert_eq!(
            missing(root).hint().expect("known"),
            format!("./download_model.sh --model small --dir {root}   (resumes and verifies)")
        );
        assert_eq!(
            missing(&format!("{root}/config.json")).hint().expect("known"),
            format!("name the directory the model is in, perhaps {root}")
        );
        assert_eq!(missing("Cargo.toml").hint().expect("known"), "name the directory the model is in, perhaps .");
        assert!(Error::Cancelled.hint().is_none());
    }
}
