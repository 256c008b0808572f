//! Enter, while something else has the terminal. Keys are not shown meanwhile, because they would end up inside the text.
//!
//! Only a terminal is read, and only while this program is in its foreground: people start recordings from scripts, from
//! keyboard shortcuts and with `&`, where standard input is closed, or is somebody else's.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

/// How often it is looked whether the terminal is ours.
const LOOK: Duration = Duration::from_millis(200);

/// The echo of the terminal on standard input. Clones restore the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo {
    before: Arc<Mutex<Option<Termios>>>,
}

/// Calls `pressed` for every Enter, from a thread that ends with the process. False where there is no terminal to press it on.
pub(crate) fn watch_enter(pressed: impl Fn() + Send + 'static) -> bool {
    if !isatty(io::stdin()) {
        return false;
    }
    thread::Builder::new().name("keys".to_owned()).spawn(move || watch(&pressed)).is_ok()
}

fn watch(pressed: &impl Fn()) {
    let stdin = io::stdin();
    let stdin = stdin.as_fd();
    let wait = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let ready = matches!(poll(&mut fds, Some(&wait)), Ok(1..));
        if !ready || !is_ours() {
            if ready {
                // Keys for the program in the foreground: to read them would suspend this one.
                thread::sleep(LOOK);
            }
            continue;
        }
        let mut line = [0; 256];
        match rustix::io::read(stdin, &mut line) {
            // Ctrl-D, which means nothing here, or a terminal that is gone, which its own signal tells.
            Ok(0) => thread::sleep(LOOK),
            Ok(n) => line[..n].iter().filter(|&&byte| byte == b'\n').for_each(|_| pressed()),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

impl Echo {
    /// Switches echo off, if the terminal is ours.
    pub(crate) fn off(&self) {
        let Ok(before) = tcgetattr(io::stdin()) else { return };
        if !is_ours() || !before.local_modes.contains(LocalModes::ECHO) {
            return;
        }
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        if tcsetattr(io::stdin(), OptionalActions::Now, &quiet).is_ok() {
            *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        }
    }

    /// As it was.
    pub(crate) fn restore(&self) {
        if let Some(before) = self.before.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // From the background this would suspend the program; whoever is in the foreground has its own modes.
            if is_ours() {
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
            }
        }
    }
}
