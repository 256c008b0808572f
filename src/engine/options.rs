//! What can be chosen about a transcription.

use std::ffi::CString;
use std::ptr;

use crate::error::Error;
use crate::sys;

use super::call::c_string;
use super::language::Language;

/// What can be chosen about a transcription. The defaults are right for recordings of any length.
///
/// ```
/// let mut options = diy_typeless::Options::default();
/// options.language = Some("en".to_owned());
/// options.context = Some("Minutes of the gardening club. Wisteria, Pruning, Saoirse.".to_owned());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Name or ISO code of the language that is spoken; `None`: the model decides, anew for each segment.
    pub language: Option<String>,
    /// Names and words that may occur, or any text that helps to understand what is said.
    pub context: Option<String>,
    /// Threads that compute; 0: one per processor core, at most 8.
    pub threads: usize,
    /// Cut the audio in its pauses and leave out what is not speech. Switched off, the whole audio is one segment.
    pub segmenter: bool,
    /// Without segmenter only: the longest audio, in seconds. Memory for it is taken at once.
    pub max_audio_seconds: f32,
    /// Most tokens of a segment; 0: as many as its length can need.
    pub max_tokens: usize,
    /// Have an [`Event::Text`](crate::Event::Text) after every token that changes the text of a complete segment.
    pub token_events: bool,
    /// Decode a segment while it is still being spoken, for every so many milliseconds of new speech and in every pause,
    /// and have an [`Event::Text`](crate::Event::Text) with what it holds so far. 0: only when it is complete. 1000 is a
    /// good pace for a microphone. The final text is the same for every value.
    pub partial_ms: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            language: None,
            context: None,
            threads: 0,
            segmenter: true,
            max_audio_seconds: default_params().max_audio_s,
            max_tokens: 0,
            token_events: false,
            partial_ms: 0,
        }
    }
}

/// Options in the form C reads. The pointers in `params` point into the strings beside it.
pub(super) struct RawOptions {
    params: sys::qwen_stream_params,
    _language: Option<CString>,
    _context: Option<CString>,
}

impl Options {
    /// Fails if an option is unusable in itself, for example an unknown language.
    pub fn check(&self) -> Result<(), Error> {
        self.to_raw().map(drop)
    }

    /// Checks what can be checked without a model.
    pub(super) fn to_raw(&self) -> Result<RawOptions, Error> {
        let language = match self.language.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(name) => Some(c_string(Language::find(name)?.name(), "the language")?),
        };
        let context = self.context.as_deref().map(|context| c_string(context, "the context")).transpose()?;
        let mut params = default_params();
        // The strings' bytes stay where they are when the strings are moved into the result.
        params.language = language.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        params.context = context.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        params.n_threads = number(self.threads, "threads")?;
        params.no_segmenter = i32::from(!self.segmenter);
        params.max_audio_s = self.max_audio_seconds;
        params.max_tokens = number(self.max_tokens, "tokens")?;
        params.token_events = i32::from(self.token_events);
        params.partial_ms = number(self.partial_ms as usize, "milliseconds")?;
        Ok(RawOptions { params, _language: language, _context: context })
    }
}

impl RawOptions {
    /// With the flag that cancels. The pointers inside are good for as long as `self` and the flag are.
    pub(super) fn params(&self, cancel: *const i32) -> sys::qwen_stream_params {
        sys::qwen_stream_params { cancel, ..self.params }
    }
}

fn default_params() -> sys::qwen_stream_params {
    // SAFETY: takes nothing, returns a plain struct.
    unsafe { sys::qwen_stream_params_default() }
}

fn number(value: usize, what: &str) -> Result<i32, Error> {
    i32::try_from(value).map_err(|_| Error::Options { message: format!("{value} {what} are too many") })
}
