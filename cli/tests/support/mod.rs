//! What the tests of the command line share.
#![allow(dead_code, unreachable_pub, reason = "every test program uses its part")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(path)
}

pub fn speech(name: &str) -> PathBuf {
    data("speech").join(name)
}

/// What the official implementation hears in a file.
pub fn official(name: &str) -> String {
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(speech("manifest.json")).expect("there")).expect("JSON");
    let entry = manifest.as_array().expect("list").iter().find(|entry| entry["file"] == name).expect("listed");
    entry["official"].as_str().expect("text").to_owned()
}

/// The program, without anything from the developer's own environment.
pub fn program() -> Command {
    let mut command = cargo_bin_cmd!("diy-typeless");
    for name in ["DIY_TYPELESS_MODEL", "XDG_DATA_HOME", "NO_COLOR", "TERM"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent");
    command
}

pub fn transcribe() -> Command {
    let mut command = program();
    command.args(["transcribe", "--local-asr"]).arg(data("tiny-qwen3-asr"));
    command
}

pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.timeout(PATIENCE).output().expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, said) = (text(stdout), text(stderr));
    (status.code().unwrap_or_else(|| panic!("does not end by itself: {out}{said}")), out, said)
}

pub fn wav(channels: u16, rate: u32, samples: &[i16], promised: Option<u32>) -> Vec<u8> {
    let promised = promised.unwrap_or(u32::try_from(samples.len() * 2).expect("short"));
    let mut file = b"RIFF".to_vec();
    file.extend((36 + promised).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(channels) * 2).to_le_bytes());
    file.extend((channels * 2).to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(promised.to_le_bytes());
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

/// The samples of a file as the library reads it.
pub fn samples(name: &str) -> Vec<i16> {
    let reader = diy_typeless::audio::AudioReader::open(speech(name)).expect("opens");
    reader.read_all().expect("reads").iter().map(|x| (x * 32_768.0) as i16).collect()
}

/// Everything in a directory, sorted; nothing if there is none.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = dir.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

pub fn events(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

pub fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// The exit code; what hangs is ended, and the test with it.
pub fn ends_within(child: &mut Child, limit: Duration) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < limit.max(PATIENCE) {
        if let Some(status) = child.try_wait().expect("a child") {
            let took = begun.elapsed();
            assert!(took < limit * 3, "took {took:?}, and more than {limit:?} is long even for a busy machine");
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("a child");
    panic!("hangs");
}

/// Events of a running program, as they come.
pub struct Lines {
    lines: Receiver<String>,
}

impl Lines {
    /// Reads in a thread, so that a program that says nothing does not hold up the test. When this is dropped the thread ends
    /// with the next line, and the pipe is closed.
    pub fn of(from: impl Read + Send + 'static) -> Self {
        let (to, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| to.send(line))
        });
        Self { lines }
    }

    /// The first event of which this is true.
    pub fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("it never came; there was:\n{seen}"));
            let event = serde_json::from_str(&line).expect("JSON");
            if wanted(&event) {
                return event;
            }
            seen = seen + &line + "\n";
        }
    }
}
