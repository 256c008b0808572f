//! From status codes and C strings to results: what every call into the engine shares.

use std::ffi::{CStr, CString, c_char};

use crate::error::Error;
use crate::sys;

/// A call that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Again,
}

/// A call that failed, in the words of the engine.
pub(super) struct Failure {
    pub(super) status: sys::qwen_status,
    pub(super) message: String,
}

/// Makes a call that reports through a `qwen_error` and returns what it said.
pub(super) fn call(make: impl FnOnce(*mut sys::qwen_error) -> sys::qwen_status) -> Result<Answer, Failure> {
    let mut error = sys::qwen_error { status: sys::qwen_status::QWEN_OK, msg: [0; 508] };
    let status = make(&raw mut error);
    match status {
        sys::qwen_status::QWEN_OK => Ok(Answer::Done),
        sys::qwen_status::QWEN_AGAIN => Ok(Answer::Again),
        _ => {
            let bytes: Vec<u8> = error.msg.iter().map(|c| c.to_ne_bytes()[0]).take_while(|&byte| byte != 0).collect();
            // File names in it may be anything.
            Err(Failure { status, message: String::from_utf8_lossy(&bytes).into_owned() })
        }
    }
}

impl Failure {
    /// What a failure means that has nothing to do with a model's files. The engine's complaints about arguments are
    /// about options where the caller of this crate chose them: the pointers are ours.
    pub(super) fn into_error(self) -> Error {
        let message = self.message;
        match self.status {
            sys::qwen_status::QWEN_ERR_ARG => Error::Options { message },
            sys::qwen_status::QWEN_ERR_NOMEM => Error::OutOfMemory { message },
            sys::qwen_status::QWEN_ERR_CANCELLED => Error::Cancelled,
            sys::qwen_status::QWEN_ERR_STATE => Error::State { message },
            _ => Error::Internal { message },
        }
    }
}

/// A string for C. A NUL would end it early without a word, so it is an error.
pub(super) fn c_string(text: &str, what: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|e| Error::Options {
        message: format!("{what} contains a NUL character (at byte {})", e.nul_position()),
    })
}

/// A text that the engine says is UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<String, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(e) => Err(Error::Internal { message: format!("the engine gave text that is not UTF-8: {e}") }),
    }
}

/// A text that lives as long as the program, `""` for NULL.
///
/// # Safety
///
/// `text` is NULL or points to a NUL-terminated string that is never changed or freed.
pub(super) unsafe fn literal(text: *const c_char) -> &'static str {
    if text.is_null() {
        return "";
    }
    // SAFETY: not NULL, and the caller promises the rest.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(status: sys::qwen_status) -> Error {
        let result = call(|error| {
            // SAFETY: `call` passes a pointer to a live error, and nothing else refers to it here.
            let error = unsafe { &mut *error };
            for (to, from) in error.msg.iter_mut().zip(b"a \xff b\0c") {
                *to = c_char::from_ne_bytes([*from]);
            }
            status
        });
        result.map_err(Failure::into_error).expect_err("fails")
    }

    #[test]
    fn every_status_becomes_the_error_that_tells_whose_turn_it_is() {
        assert!(matches!(failing(sys::qwen_status::QWEN_ERR_ARG), Error::Options { .. }));
        assert!(matches!(failing(sys::qwen_status::QWEN_ERR_NOMEM), Error::OutOfMemory { .. }));
        assert!(matches!(failing(sys::qwen_status::QWEN_ERR_CANCELLED), Error::Cancelled));
        assert!(matches!(failing(sys::qwen_status::QWEN_ERR_STATE), Error::State { .. }));
        assert!(matches!(failing(sys::qwen_status::QWEN_ERR_INTERNAL), Error::Internal { .. }));
        // A status of a later engine.
        assert!(matches!(failing(sys::qwen_status(-99)), Error::Internal { .. }));
        assert!(matches!(failing(sys::qwen_status(2)), Error::Internal { .. }));
    }

    #[test]
    fn a_message_ends_at_its_nul_and_survives_bytes_that_are_not_utf8() {
        assert_eq!(failing(sys::qwen_status::QWEN_ERR_ARG).to_string(), "a \u{fffd} b");
    }

    #[test]
    fn text_that_is_not_utf8_is_an_error_and_not_silently_repaired() {
        assert!(matches!(utf8(b"\xe4\xbd"), Err(Error::Internal { .. })));
        assert_eq!(utf8("a\0\u{4f60}".as_bytes()).expect("UTF-8"), "a\0\u{4f60}");
    }

    #[test]
    fn a_nul_inside_an_option_is_refused() {
        let message = c_string("a\0b", "the context").expect_err("NUL").to_string();
        assert_eq!(message, "the context contains a NUL character (at byte 1)");
    }
}
