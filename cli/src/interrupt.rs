//! Ctrl-C and its relatives: the first one asks the work to stop, which takes a moment; the last one does not ask.

use std::thread;

use crossbeam_channel::Sender;
use diy_typeless::CancelHandle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Code, Failure};

/// Takes over Ctrl-C, once per process: from now on it cancels everything that was opened with the handle.
pub(crate) fn install() -> Result<CancelHandle, Failure> {
    let cancel = CancelHandle::default();
    let handle = cancel.clone();
    listen(&[SIGINT], move |_| {
        if handle.is_cancelled() {
            leave();
        }
        handle.cancel();
    })?;
    Ok(cancel)
}

/// What somebody wants of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That was all; now the text.
    Stop,
    /// No text either.
    Abort,
}

/// Takes over the signals for a recording, once per process. The first one of any kind stops, a second Ctrl-C aborts, and a
/// third one ends the program whatever it is doing, after `before_leaving`.
pub(crate) fn listen_for(to: Sender<Wish>, before_leaving: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let mut asked = 0;
    listen(&[SIGINT, SIGTERM, SIGHUP], move |signal| {
        // Service managers and terminals that close send several kinds at once: they mean the same.
        asked = if signal == SIGINT { asked + 1 } else { asked.max(1) };
        if asked > 2 {
            before_leaving();
            leave();
        }
        // Fails when the recording is over: the program is about to end.
        let _ = to.send(if asked == 1 { Wish::Stop } else { Wish::Abort });
    })
}

fn listen(signals: &[i32], mut then: impl FnMut(i32) + Send + 'static) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::new(Code::Other, format!("cannot listen for Ctrl-C: {e}"));
    let mut signals = Signals::new(signals).map_err(failed)?;
    let run = move || signals.forever().for_each(&mut then);
    thread::Builder::new().name("signals".to_owned()).spawn(run).map(drop).map_err(failed)
}

#[expect(clippy::exit, reason = "one Ctrl-C too many means: now, whatever is going on")]
fn leave() -> ! {
    std::process::exit(Code::Aborted as i32)
}
