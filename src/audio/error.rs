//! What can be wrong with an audio file, as sentences that name it.

use std::io;

/// Why a file could not be read as audio.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The file could not be opened.
    #[error("cannot open {file}: {}", reason(.source))]
    Open {
        /// As the user named it.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system failed while the file was being read.
    #[error("cannot read {file}: {}", reason(.source))]
    Read {
        /// As the user named it.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file of 0 bytes.
    #[error("{file} is empty (0 bytes)")]
    Empty {
        /// As the user named it.
        file: String,
    },
    /// No known format was recognised in the content; names do not count.
    #[error("{file} is not audio in a format this program reads{}", if *.text { ": it looks like text" } else { "" })]
    NotAudio {
        /// As the user named it.
        file: String,
        /// The beginning is readable text.
        text: bool,
    },
    /// The container is known, but not what is in it.
    #[error("{file} holds {what}, which this program cannot decode")]
    Unsupported {
        /// As the user named it.
        file: String,
        /// The codec or feature.
        what: String,
    },
    /// A known format whose content makes no sense.
    #[error("{file} is damaged: {detail}")]
    Damaged {
        /// As the user named it.
        file: String,
        /// What was found.
        detail: String,
    },
    /// A sample rate that no recording has.
    #[error(
        "{file} has a sample rate of {rate} Hz; rates from {} to {} Hz are read",
        crate::audio::MIN_RATE,
        crate::audio::MAX_RATE
    )]
    Rate {
        /// As the user named it.
        file: String,
        /// Samples per second in the header.
        rate: u32,
    },
}

/// The system's words without its error number, which says nothing to a reader.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}
