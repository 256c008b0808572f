//! The files of a recording: what they are called, that none is ever replaced, and what a killed program left behind.
//!
//! While it grows, the audio is called `recording_X.unfinished.wav`. Whoever records holds a shared lock on the directory,
//! which the system takes back however the program ends. So who gets the lock for itself knows that nobody is recording, and
//! that every unfinished file is a leftover.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

use diy_typeless::audio::AudioReader;
use jiff::ZonedDateTime;
use rustix::fs::FlockOperation;

use crate::failure::{Code, Failure};
use crate::output::write_new;

const UNFINISHED: &str = ".unfinished.wav";
/// Bytes of a WAV that holds no sample.
const WAV_HEADER: u64 = 44;
/// Recordings that may begin in the same second.
const MOST_OF_A_NAME: u32 = 1_000;

/// A directory of recordings, in use until this is dropped.
pub(crate) struct Recordings {
    dir: PathBuf,
    lock: Option<File>,
}

/// What a program that was killed left behind.
#[derive(Debug, PartialEq)]
pub(crate) struct Leftover {
    pub(crate) path: PathBuf,
    pub(crate) seconds: f64,
}

/// One recording: the audio that grows, then audio and text.
#[derive(Debug)]
pub(crate) struct Recording {
    dir: PathBuf,
    stem: String,
}

impl Recordings {
    /// The directory that is wanted, made when it is not there.
    pub(crate) fn open(flag: Option<&Path>) -> Result<Self, Failure> {
        let dir = match flag {
            Some(dir) => dir.to_owned(),
            None => match env::var_os("HOME").filter(|home| !home.is_empty()) {
                Some(home) => PathBuf::from(home).join("diy_typeless_recordings"),
                None => {
                    return Err(Failure::new(Code::Other, "there is no home directory to keep recordings in")
                        .hint("name a directory: --output-dir DIR"));
                }
            },
        };
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&dir).map_err(|e| {
            Failure::new(Code::Other, format!("cannot make the directory {}: {e}", dir.display()))
                .hint("choose another --output-dir")
        })?;
        // Where directories cannot be locked nobody can know what is a leftover, and nothing is touched.
        let lock = File::open(&dir).ok();
        Ok(Self { dir, lock })
    }

    /// Gives what was left behind its ordinary name, so that it is mentioned once. From now on the directory is in use.
    pub(crate) fn take_leftovers(&self) -> Vec<Leftover> {
        let Some(lock) = &self.lock else { return Vec::new() };
        let mut found = Vec::new();
        if rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let entries = self.dir.read_dir().into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> =
                entries.map(|entry| entry.path()).filter(|path| is_unfinished(path)).collect();
            paths.sort();
            let settled = paths.iter().filter_map(|path| settle(path));
            found = settled.map(|path| Leftover { seconds: readable_seconds(&path), path }).collect();
        }
        // Waits for nothing longer than somebody else's look around.
        let _ = rustix::fs::flock(lock, FlockOperation::LockShared);
        found
    }

    /// A name that no file has.
    pub(crate) fn begin(&self, now: &ZonedDateTime) -> Result<Recording, Failure> {
        let name = format!("recording_{}", now.strftime("%Y%m%d_%H%M%S"));
        for n in 1..MOST_OF_A_NAME {
            let stem = if n == 1 { name.clone() } else { format!("{name}_{n}") };
            let recording = Recording { dir: self.dir.clone(), stem };
            if !recording.is_taken() {
                return Ok(recording);
            }
        }
        Err(Failure::new(Code::Other, format!("{} holds too many recordings called {name}", self.dir.display()))
            .hint("choose another --output-dir"))
    }
}

impl Recording {
    /// Where the audio is while it grows.
    pub(crate) fn growing(&self) -> PathBuf {
        self.path(UNFINISHED)
    }

    /// The audio is complete: it gets its name. A recording of nothing goes away.
    pub(crate) fn keep_audio(&self) -> Option<PathBuf> {
        settle(&self.growing())
    }

    /// Saves the text beside the audio, all of it or nothing.
    pub(crate) fn save_text(&self, text: &str) -> Result<PathBuf, Failure> {
        let path = self.path(".txt");
        write_new(&path, format!("{text}\n").as_bytes())?;
        Ok(path)
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}{ending}", self.stem))
    }

    fn is_taken(&self) -> bool {
        [UNFINISHED, ".wav", ".txt"].iter().any(|ending| self.path(ending).symlink_metadata().is_ok())
    }
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("recording_") && name.ends_with(UNFINISHED)
}

/// Gives finished audio its name; `None` if there was nothing in it. Where the name is taken the file stays as it is.
fn settle(path: &Path) -> Option<PathBuf> {
    if path.metadata().ok()?.len() <= WAV_HEADER {
        let _ = fs::remove_file(path);
        return None;
    }
    let name = path.file_name()?.to_str()?.strip_suffix(UNFINISHED)?;
    let to = path.with_file_name(format!("{name}.wav"));
    Some(if rename_new(path, &to).is_ok() { to } else { path.to_owned() })
}

/// How much `transcribe` will find in it: up to a second less than was written.
fn readable_seconds(path: &Path) -> f64 {
    AudioReader::open(path).ok().and_then(|reader| reader.seconds()).unwrap_or(0.0)
}

/// Renames, but never over an existing file.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Some file systems of memory cards have no links.
        Err(_) if to.symlink_metadata().is_err() => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

/// A path as people read it.
pub(crate) fn shown(path: &Path) -> String {
    let home = env::var_os("HOME").filter(|home| home.len() > 1);
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(rest) if !rest.as_os_str().is_empty() => format!("~/{}", rest.display()),
        _ => path.display().to_string(),
    }
}

/// What turns a recording into text later, ready to be pasted into a shell.
pub(crate) fn transcribe_command(model: Option<&Path>, audio: &Path) -> String {
    let model = model.map(|dir| format!(" --local-asr {}", quoted(dir))).unwrap_or_default();
    format!("diy-typeless transcribe{model} {}", quoted(audio))
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('-') {
        text
    } else {
        let dash = if text.starts_with('-') { "./" } else { "" };
        format!("'{dash}{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> ZonedDateTime {
        "2026-09-24T10:15:30[UTC]".parse().expect("a time")
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut all: Vec<String> = dir
            .read_dir()
            .expect("there")
            .flatten()
            .map(|entry| entry.file_name().into_string().expect("a name"))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_name_is_never_used_twice() {
        let dir = tempfile::tempdir().expect("creates");
        let recordings = Recordings::open(Some(dir.path())).expect("opens");
        for (taken, next) in [
            ("recording_20260924_101530.txt", "recording_20260924_101530.unfinished.wav"),
            ("recording_20260924_101530_2.wav", "recording_20260924_101530_2.unfinished.wav"),
            ("recording_20260924_101530_3.unfinished.wav", "recording_20260924_101530_3.unfinished.wav"),
            ("other", "recording_20260924_101530_4.unfinished.wav"),
        ] {
            assert_eq!(recordings.begin(&now()).expect("free").growing(), dir.path().join(next));
            fs::write(dir.path().join(taken), "mine").expect("writes");
        }
    }

    #[test]
    fn audio_gets_its_name_when_it_is_complete() {
        let dir = tempfile::tempdir().expect("creates");
        let recording = Recordings::open(Some(dir.path())).expect("opens").begin(&now()).expect("free");
        assert_eq!(recording.keep_audio(), None, "there is none");
        fs::write(recording.growing(), [0; 44]).expect("writes");
        assert_eq!(recording.keep_audio(), None);
        assert_eq!(names(dir.path()), [""; 0], "a recording of nothing goes away");
        fs::write(recording.growing(), [0; 46]).expect("writes");
        assert_eq!(recording.keep_audio(), Some(dir.path().join("recording_20260924_101530.wav")));
        fs::write(recording.growing(), [1; 46]).expect("writes");
        assert_eq!(recording.keep_audio(), Some(recording.growing()), "the name is taken");
        assert_eq!(fs::read(dir.path().join("recording_20260924_101530.wav")).expect("there"), [0; 46]);
        assert!(recording.save_text("a").is_ok() && recording.save_text("b").is_err());
        assert_eq!(fs::read_to_string(dir.path().join("recording_20260924_101530.txt")).expect("there"), "a\n");
    }

    #[test]
    fn leftovers_are_found_once_and_only_when_nobody_is_recording() {
        let dir = tempfile::tempdir().expect("creates");
        let left = dir.path().join("recording_20260101_000000.unfinished.wav");
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data".to_vec();
        wav.extend(48_000_u32.to_le_bytes());
        wav.extend([0; 50_000]);
        fs::write(&left, wav).expect("writes");
        fs::write(dir.path().join("recording_20260101_000001.unfinished.wav"), [0; 44]).expect("writes");
        fs::write(dir.path().join("recording_20250101_000000.wav"), [0; 100]).expect("writes");
        let busy = Recordings::open(Some(dir.path())).expect("opens");
        rustix::fs::flock(busy.lock.as_ref().expect("opened"), FlockOperation::LockShared).expect("locks");
        assert_eq!(Recordings::open(Some(dir.path())).expect("opens").take_leftovers(), []);
        assert!(left.exists());
        drop(busy);
        let next = Recordings::open(Some(dir.path())).expect("opens");
        let path = dir.path().join("recording_20260101_000000.wav");
        assert_eq!(next.take_leftovers(), [Leftover { path, seconds: 1.5 }]);
        assert_eq!(names(dir.path()), ["recording_20250101_000000.wav", "recording_20260101_000000.wav"]);
        // Two may record at the same time.
        assert_eq!(Recordings::open(Some(dir.path())).expect("opens").take_leftovers(), []);
    }

    #[test]
    fn a_command_can_be_pasted() {
        let command = |model: Option<&str>, audio: &str| transcribe_command(model.map(Path::new), Path::new(audio));
        assert_eq!(command(None, "/a/b.wav"), "diy-typeless transcribe /a/b.wav");
        assert_eq!(
            command(Some("my model"), "/it's/b.wav"),
            r"diy-typeless transcribe --local-asr 'my model' '/it'\''s/b.wav'"
        );
        assert_eq!(command(None, "-x.wav"), "diy-typeless transcribe './-x.wav'");
    }
}
