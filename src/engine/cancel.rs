//! Stopping work from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Stops a running transcription from any thread. Clones stop the same one; using a handle after its transcription has
/// ended does nothing.
///
/// The work ends with [`Error::Cancelled`](crate::Error::Cancelled), between two parts of a layer: for the released
/// models within a fraction of a second. There is no way back: what was cancelled stays so.
#[derive(Debug, Clone, Default)]
pub struct CancelHandle(Arc<AtomicI32>);

impl CancelHandle {
    /// Asks the work to stop. Takes no lock: it may be called from a signal handler.
    pub fn cancel(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The flag for the engine, which reads it atomically. Valid as long as any clone of this handle.
    pub(super) fn as_ptr(&self) -> *const i32 {
        self.0.as_ptr()
    }
}
