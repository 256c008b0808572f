//! Where the text goes: standard output, or new private files in a directory.

use std::collections::HashSet;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use diy_typeless::Transcript;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::input;
use crate::ui::Screen;

/// One file's result, as `--json` prints it. The fields are documented in the help.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    language: Option<&'a str>,
    audio_seconds: f64,
    segments: Vec<Segment<'a>>,
    pub(crate) notices: Vec<String>,
    timings: Timings,
}

#[derive(Debug, Serialize)]
struct Segment<'a> {
    start: f64,
    end: f64,
    text: &'a str,
    language: Option<&'a str>,
    stop: &'static str,
    cut: &'static str,
}

#[derive(Debug, Serialize)]
struct Timings {
    total_seconds: f64,
    mel_seconds: f64,
    encode_seconds: f64,
    prefill_seconds: f64,
    decode_seconds: f64,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, transcript: &'a Transcript, notices: Vec<String>, took: Duration) -> Self {
        let stats = &transcript.stats;
        let segments = transcript.segments.iter().map(|segment| Segment {
            start: segment.start,
            end: segment.end,
            text: &segment.text,
            language: segment.language.as_deref(),
            stop: segment.stop.as_str(),
            cut: segment.cut.as_str(),
        });
        Self {
            file,
            text: &transcript.text,
            language: transcript.language.as_deref(),
            audio_seconds: stats.audio_seconds(),
            segments: segments.collect(),
            notices,
            timings: Timings {
                total_seconds: took.as_secs_f64(),
                mel_seconds: stats.mel_seconds,
                encode_seconds: stats.encode_seconds,
                prefill_seconds: stats.prefill_seconds,
                decode_seconds: stats.decode_seconds,
            },
        }
    }
}

#[derive(Serialize)]
struct Failed<'a> {
    file: &'a str,
    error: FailedBecause<'a>,
}

#[derive(Serialize)]
struct FailedBecause<'a> {
    code: u8,
    message: &'a str,
    hint: Option<&'a str>,
}

/// Decides for every input where its result goes.
pub(crate) struct Output {
    json: bool,
    dir: Option<PathBuf>,
    taken: HashSet<PathBuf>,
    /// On a terminal a line is never left open: the living line of standard error is drawn below it.
    by_line: bool,
}

/// Where one input's result goes.
pub(crate) enum Target {
    /// Text as it comes.
    Live { begun: bool },
    /// The report as one line.
    Line,
    /// A file that does not exist yet.
    File(PathBuf),
}

impl Output {
    pub(crate) fn new(json: bool, dir: Option<&Path>) -> Result<Self, Failure> {
        if let Some(dir) = dir {
            fs::create_dir_all(dir)
                .map_err(|e| Failure::new(Code::Other, format!("cannot make the directory {}: {e}", dir.display())))?;
        }
        let by_line = io::stdout().is_terminal();
        Ok(Self { json, dir: dir.map(Path::to_owned), taken: HashSet::new(), by_line })
    }

    /// Asked before any work is done: an existing file is found at once, not after an hour.
    pub(crate) fn target(&mut self, file: &Path) -> Result<Target, Failure> {
        let Some(dir) = &self.dir else {
            return Ok(if self.json { Target::Line } else { Target::Live { begun: false } });
        };
        let stem = if input::is_stdin(file) { "stdin".as_ref() } else { file.file_stem().unwrap_or(file.as_os_str()) };
        let mut name = stem.to_owned();
        name.push(if self.json { ".json" } else { ".txt" });
        let path = dir.join(name);
        if !self.taken.insert(path.clone()) {
            return Err(Failure::new(Code::Other, format!("{} is the output of another file already", path.display()))
                .hint("transcribe files of the same name into different directories"));
        }
        if path.symlink_metadata().is_ok() {
            return Err(exists(&path));
        }
        Ok(Target::File(path))
    }

    /// A segment is complete.
    pub(crate) fn segment(
        &self,
        target: &mut Target,
        segment: &diy_typeless::Segment,
        screen: &Screen,
    ) -> Result<(), Failure> {
        let Target::Live { begun } = target else { return Ok(()) };
        if segment.text.is_empty() {
            return Ok(());
        }
        *begun = true;
        let text = &segment.text;
        let line = if self.by_line { format!("{text}\n") } else { format!("{}{text}", segment.separator) };
        screen.aside(|| print(line.as_bytes()))
    }

    /// No more text will come for this file, whether it is complete or not: its line ends.
    pub(crate) fn end_line(&self, target: &Target) -> Result<(), Failure> {
        match target {
            Target::Live { begun: true } if !self.by_line => print(b"\n"),
            _ => Ok(()),
        }
    }

    /// The file is done.
    pub(crate) fn end(&self, target: &Target, report: &Report<'_>, screen: &Screen) -> Result<(), Failure> {
        match target {
            Target::Live { .. } => self.end_line(target),
            Target::Line => screen.aside(|| print(&json_line(report)?)),
            Target::File(path) => {
                let content = if self.json { json_line(report)? } else { format!("{}\n", report.text).into_bytes() };
                write_new(path, &content)?;
                screen.say(&format!("wrote {}", path.display()));
                Ok(())
            }
        }
    }

    /// A file failed: readers of JSON learn it in their stream too.
    pub(crate) fn failed(&self, file: &str, failure: &Failure) -> Result<(), Failure> {
        if !self.json || self.dir.is_some() || failure.ends_the_run() {
            return Ok(());
        }
        let error =
            FailedBecause { code: failure.code as u8, message: &failure.message, hint: failure.hint.as_deref() };
        print(&json_line(&Failed { file, error })?)
    }
}

pub(crate) fn json_line(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut line =
        serde_json::to_vec(value).map_err(|e| Failure::new(Code::Other, format!("cannot write JSON: {e}")))?;
    line.push(b'\n');
    Ok(line)
}

pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|e| Failure::output(&e))
}

/// All or nothing, readable by the user only, and never over an existing file.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let fail = |e: &io::Error| {
        // Without the error's number, and without the temporary file's name, which say nothing to a reader.
        let why = e.to_string();
        let why = why.split(" (os error").next().unwrap_or(&why).to_lowercase();
        Failure::new(Code::Other, format!("cannot write {}: {why}", path.display()))
    };
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(|e| fail(&e))?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(|e| fail(&e))?;
    file.persist_noclobber(path).map(drop).map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => fail(&e.error),
    })
}

fn exists(path: &Path) -> Failure {
    Failure::new(Code::Other, format!("{} exists already, and nothing is ever overwritten", path.display()))
        .hint("move it away, or choose another --output-dir")
}
