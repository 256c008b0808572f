//! What `record` looks like: pane captures of tmux, which is a terminal like any other.
#![cfg(unix)]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use support::{data, files, speech};
use tempfile::TempDir;

/// A terminal of a given size in which `record` runs. Its server is its own, and ends with it.
struct Pane {
    socket: String,
    columns: usize,
    dir: TempDir,
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

impl Pane {
    fn record(test: &str, columns: usize, args: &str) -> Option<Self> {
        if !is_installed("tmux") {
            // Past the test harness, which hides what passing tests print.
            let _ = writeln!(std::io::stderr(), "!!!! skipped: {test}, because tmux is not installed");
            return None;
        }
        let pane =
            Self { socket: format!("{test}-{}", std::process::id()), columns, dir: TempDir::new().expect("creates") };
        // Ctrl-C is for the program, not for the shell around it.
        let command = format!(
            "trap : INT; env -u NO_COLOR HOME={home} '{program}' record --local-asr '{model}' {args}; echo \"exit code $?\"; stty -a | \
             grep -o -- '-*echo ' ; read -r wait",
            home = pane.dir.path().display(),
            program = cargo_bin!("diy-typeless").display(),
            model = data("tiny-qwen3-asr").display(),
        );
        let (width, speech) = (columns.to_string(), data("speech"));
        let status = Command::new("tmux")
            .args(["-L", &pane.socket, "-f", "/dev/null", "-u", "new-session", "-d", "-x", &width, "-y", "20"])
            // Beside the files, so that their names are short.
            .arg("-c")
            .arg(speech)
            .arg(&command)
            .env_remove("TMUX")
            .env("SHELL", "/bin/sh")
            .env("LC_ALL", "C.UTF-8")
            .status();
        assert!(status.expect("tmux runs").success());
        Some(pane)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(args).output().expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The lines that hold something.
    fn lines(&self) -> Vec<String> {
        let text = self.tmux(&["capture-pane", "-p"]);
        text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    /// With escape sequences for dim text.
    fn styled(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    fn until(&self, what: &str, is_there: impl Fn(&[String]) -> bool) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let lines = self.lines();
            for line in &lines {
                assert!(console::measure_text_width(line) <= self.columns, "{line}");
            }
            if is_there(&lines) {
                return lines;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{what} never appears:\n{}", lines.join("\n"));
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn ended(&self) -> Vec<String> {
        self.until("the end", |lines| lines.last().is_some_and(|line| line.trim_start_matches('-').starts_with("echo")))
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn recordings(&self) -> Vec<PathBuf> {
        files(&self.dir.path().join("diy_typeless_recordings"))
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).status();
    }
}

/// Elapsed time, six bars, level: what stands before the text.
fn is_meter(line: &str) -> bool {
    let mut parts = line.split_whitespace();
    let clock = parts.next().unwrap_or_default();
    let bars = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    clock.len() == 4
        && clock.starts_with("0:")
        && (1..=6).contains(&bars.chars().count())
        && bars.chars().all(|c| ('▁'..='█').contains(&c))
        && rest.len() >= 2
        && rest[0].starts_with('-')
        && rest[1] == "dB"
}

/// A screen whose numbers are those of this run, as it is committed.
fn is_as_committed(lines: &[String], file: &str) {
    let same = |line: &String| -> String {
        let line: String = line.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        line
    };
    let now: String = lines.iter().map(|line| same(line) + "\n").collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(file);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &now).expect("writes");
    }
    let committed = std::fs::read_to_string(&path).expect("committed");
    assert_eq!(now, committed, "{}", path.display());
}

#[test]
fn a_wide_terminal_shows_settled_and_tentative_text_beside_the_meter() {
    let name = "short_unseen_001.flac";
    let Some(pane) = Pane::record("a_wide_terminal", 120, &format!("--input {name}")) else { return };
    let lines = pane.until("settled text", |lines| {
        lines.get(1).is_some_and(|line| line.contains("Add potatoes and thirty-six minutes")) && is_meter(&lines[1])
    });
    assert_eq!(
        lines[0],
        format!("Playing: {name}{}[Enter] stop   [Ctrl-C] stop   [Ctrl-C twice] abort, audio kept", " ".repeat(20))
    );
    assert!(lines[1].starts_with("  0:0"), "{}", lines[1]);
    assert!(lines.len() <= 4, "a region of at most three lines:\n{}", lines.join("\n"));
    let styled = pane.styled();
    let tentative = styled.split("\x1b[2m").nth(1).unwrap_or_default();
    assert!(styled.contains("   Add ") && !tentative.is_empty(), "the beginning is settled, the end dim: {styled:?}");

    let lines = pane.ended();
    is_as_committed(&lines, "terminal_wide.txt");
    assert_eq!(lines[lines.len() - 1], "echo", "the terminal is as it was");
    assert_eq!(pane.recordings().len(), 2);
}

#[test]
fn a_narrow_terminal_shows_the_end_of_wide_characters_below_the_meter() {
    let Some(pane) = Pane::record("a_narrow_terminal", 40, "--input mandarin_001.flac") else { return };
    let lines = pane.until("Chinese text", |lines| lines.iter().any(|line| line.contains("电脑。你们喜欢")));
    assert_eq!(
        lines[..4],
        ["Playing: mandarin_001.flac", "[Enter] stop   [Ctrl-C] stop", "[Ctrl-C twice] abort, audio kept"]
            .map(str::to_owned)
            .into_iter()
            .chain([lines[3].clone()])
            .collect::<Vec<_>>()
    );
    assert!(is_meter(&lines[3]), "{}", lines[3]);
    assert!(lines[4].starts_with("  我喜欢音乐，不喜欢电脑。"), "{}", lines[4]);
    assert!(lines.len() <= 7, "a region of at most four lines:\n{}", lines.join("\n"));
    is_as_committed(&pane.ended(), "terminal_narrow.txt");
}

#[test]
fn enter_stops_and_keys_do_not_disturb_the_screen() {
    let Some(pane) = Pane::record("enter_stops", 80, "--input long_unseen_001.flac") else { return };
    pane.until("the meter", |lines| lines.last().is_some_and(|line| is_meter(line)));
    pane.press("x");
    pane.press("C-d");
    std::thread::sleep(Duration::from_millis(2_500));
    let lines = pane.until("text", |lines| lines.iter().any(|line| is_meter(line) && line.len() > 40));
    assert!(!lines.iter().any(|line| line == "x"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains(" dB")).count(), 1, "one region: {lines:?}");
    pane.press("Enter");
    let lines = pane.ended();
    let text = lines.join("\n");
    assert!(!text.contains("▁") && !text.contains(" dB"), "the region is gone:\n{text}");
    assert_eq!(lines[2].split(" ... ").next(), Some("Finishing"), "{text}");
    assert!(text.contains("\nSaved ~/diy_typeless_recordings/recording_") && text.contains("exit code 0"), "{text}");
    assert_eq!(pane.recordings().len(), 2);
}

#[test]
fn closed_segments_stay_above_the_region() {
    let Some(pane) = Pane::record("closed_segments", 100, "--input long_unseen_001.flac --speed 12") else { return };
    let lines = pane.until("a third segment", |lines| {
        lines.iter().filter(|line| line.starts_with(char::is_uppercase)).count() >= 4
            && lines.iter().any(|line| is_meter(line))
    });
    let region = lines.iter().position(|line| is_meter(line)).expect("there");
    assert!(lines.len() - region <= 3, "the region is the end of the screen:\n{}", lines.join("\n"));
    pane.press("C-c");
    let lines = pane.ended();
    let text: String = lines[1..].iter().take_while(|line| !line.starts_with("Saved")).cloned().collect();
    let saved = std::fs::read_to_string(&pane.recordings()[0]).expect("saved");
    for word in saved.split_whitespace().take(20) {
        assert!(text.contains(word), "{word} of {saved} is not in {text}");
    }
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_has_plain_lines() {
    let Some(pane) = Pane::record("a_dumb_terminal", 80, "--input stereo44k_001.flac --speed 0 2>&1 | cat") else {
        return;
    };
    let lines = pane.ended();
    assert_eq!(lines[0], "Playing: stereo44k_001.flac");
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[2].starts_with("Saved "), "{lines:?}");
    assert!(speech("stereo44k_001.flac").is_file());
}
