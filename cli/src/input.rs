//! From what the user named to a reader: files as they are, pipes through a temporary file.
//!
//! Some formats keep their index at the end (M4A), so audio must be seekable. Standard input and named pipes are
//! therefore read to their end first, into an unnamed temporary file: memory stays flat for hours of audio.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use diy_typeless::CancelHandle;
use diy_typeless::audio::{AudioError, AudioReader};

use crate::failure::{Code, Failure};

/// What `-` is called in messages and output files.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens for reading; `cancel` is looked at while a pipe keeps us waiting.
pub(crate) fn open(path: &Path, cancel: &CancelHandle) -> Result<AudioReader, Failure> {
    let name = name(path);
    if is_stdin(path) {
        return Ok(AudioReader::from_source(spool(|| Ok(io::stdin().lock()), &name, cancel)?, &name)?);
    }
    if path.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        let path = path.to_owned();
        return Ok(AudioReader::from_source(spool(move || File::open(path), &name, cancel)?, &name)?);
    }
    Ok(AudioReader::open(path)?)
}

/// Copies a pipe into a temporary file. A thread reads, because a blocking read cannot be called back; after an abort
/// it ends with the process.
fn spool<R: Read>(
    open: impl FnOnce() -> io::Result<R> + Send + 'static,
    name: &str,
    cancel: &CancelHandle,
) -> Result<File, Failure> {
    let (sender, receiver) = mpsc::sync_channel(4);
    thread::Builder::new()
        .name("spool".to_owned())
        .spawn(move || {
            let mut source = match open() {
                Ok(source) => source,
                Err(error) => return drop(sender.send(Err(error))),
            };
            loop {
                let mut piece = vec![0; 1 << 16];
                let result = match source.read(&mut piece) {
                    Ok(0) => return,
                    Ok(n) => {
                        piece.truncate(n);
                        Ok(piece)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = result.is_err();
                if sender.send(result).is_err() || failed {
                    return;
                }
            }
        })
        .map_err(|e| Failure::new(Code::Other, format!("cannot start a thread: {e}")))?;

    let full = |e: io::Error| Failure::new(Code::Other, format!("cannot keep {name} in a temporary file: {e}"));
    let mut file = tempfile::tempfile().map_err(full)?;
    loop {
        if cancel.is_cancelled() {
            return Err(Failure::aborted());
        }
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(Ok(piece)) => file.write_all(&piece).map_err(full)?,
            Ok(Err(source)) => return Err(AudioError::Read { file: name.to_owned(), source }.into()),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    file.rewind().map_err(full)?;
    Ok(file)
}
