//! The languages that can be forced.

use std::fmt;
use std::ptr;

use crate::error::Error;
use crate::sys;

use super::call::{Failure, c_string, call, literal};

/// A language the models know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language {
    name: &'static str,
    code: &'static str,
}

impl Language {
    /// The name the models use: "Chinese", "English", ...
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Its ISO 639 code: "zh", "en", "yue", ...
    pub fn code(self) -> &'static str {
        self.code
    }

    /// The language of this name or ISO code, in any case. If there is none, the error lists those there are.
    ///
    /// ```
    /// use diy_typeless::Language;
    ///
    /// assert_eq!(Language::find("de")?.name(), "German");
    /// assert_eq!(Language::find("CANTONESE")?.code(), "yue");
    /// assert!(Language::find("Klingon").is_err());
    /// # Ok::<(), diy_typeless::Error>(())
    /// ```
    pub fn find(name: &str) -> Result<Self, Error> {
        let wanted = c_string(name, "the language")?;
        let mut found = ptr::null();
        call(|error| {
            // SAFETY: `found` and `error` are live for the call, `wanted` is NUL-terminated.
            unsafe { sys::qwen_language_find(&raw mut found, wanted.as_ptr(), error) }
        })
        .map_err(Failure::into_error)?;
        // SAFETY: NULL for a blank name, otherwise a name from the engine's constant table.
        let canonical = unsafe { literal(found) };
        languages().find(|language| language.name == canonical).ok_or_else(|| Error::Options {
            message: "the name of the language is blank; leave it out to have it detected".to_owned(),
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// All languages that can be forced, in the order of the models' documentation.
///
/// ```
/// assert_eq!(diy_typeless::languages().len(), 30);
/// ```
pub fn languages() -> impl ExactSizeIterator<Item = Language> {
    (0..sys::QWEN_N_LANGUAGES as usize).map(|i| {
        // SAFETY: takes any number.
        let name = unsafe { sys::qwen_language_name(i) };
        // SAFETY: takes any number.
        let code = unsafe { sys::qwen_language_code(i) };
        // SAFETY: names are in the engine's constant table.
        let name = unsafe { literal(name) };
        // SAFETY: codes are in the engine's constant table.
        let code = unsafe { literal(code) };
        Language { name, code }
    })
}
