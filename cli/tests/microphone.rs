//! `record`, `devices` and `diagnose` with a microphone: a real PulseAudio server whose source scripts/virtual-mic.sh feeds.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use support::{data, events, files, official, run, samples, transcribe, wav};
use tempfile::TempDir;

/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs a shell script in front of the virtual microphone, in which `$CLI` is the program. `None` where there is no such
/// microphone.
fn in_front_of_mic(test: &str, options: &[&str], script: &str, dir: &Path) -> Option<(i32, String, String)> {
    for program in ["pulseaudio", "pactl", "python3"] {
        if !is_installed(program) {
            // Past the test harness, which hides what passing tests print.
            let _ = writeln!(std::io::stderr(), "!!!! skipped: {test}, because {program} is not installed");
            return None;
        }
    }
    let [out, err] = ["stdout", "stderr"].map(|name| dir.join(name));
    let mut child = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/virtual-mic.sh"))
        .args(options)
        .args(["--", "sh", "-c", script])
        .env("CLI", cargo_bin!("diy-typeless"))
        .env("MODEL", data("tiny-qwen3-asr"))
        .env("OUT", dir.join("out"))
        .env_remove("DIY_TYPELESS_MODEL")
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).expect("creates"))
        .stderr(fs::File::create(&err).expect("creates"))
        // A group of its own, to end all of it should it hang.
        .process_group(0)
        .spawn()
        .expect("starts");
    let begun = Instant::now();
    let text = |path| fs::read_to_string(path).expect("text");
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
            panic!("hangs:\n{}{}", text(&out), text(&err));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = text(&err);
    assert!(!said.contains("ALSA lib"), "ALSA's library talks to the user:\n{said}");
    Some((status.code().expect("ends by itself"), text(&out), said))
}

/// A recording as a 16-bit WAV of 16 kHz, for the microphone.
fn voice(dir: &Path, name: &str) -> String {
    let path = dir.join("voice.wav");
    fs::write(&path, wav(1, 16_000, &samples(name), None)).expect("writes");
    path.to_str().expect("text").to_owned()
}

fn offline(path: &Path) -> String {
    run(transcribe().arg(path)).1
}

#[test]
fn what_is_said_is_saved_through_both_hosts() {
    let dir = TempDir::new().expect("creates");
    let name = "short_seen_001.flac";
    // Both listen before anything is said; each stops by itself.
    let script = r#"
        listen() { exec "$CLI" record --local-asr "$MODEL" --output-dir "$OUT/$1" --host "$1" --json >"$OUT.$1"; }
        listen pulse & pulse=$!; listen alsa & alsa=$!
        until grep -qs '"level"' "$OUT.pulse" && grep -qs '"level"' "$OUT.alsa"; do sleep 0.05; done
        echo "play $VOICE" >"$VIRTUAL_MIC"
        until grep -q ' played ' "$VIRTUAL_MIC_LOG"; do sleep 0.02; done
        # The last word is still on its way.
        kill -TERM $pulse $alsa
        wait $pulse && wait $alsa
    "#;
    let script = format!("VOICE='{}'; {script}", voice(dir.path(), name));
    let ran = in_front_of_mic("what_is_said_is_saved", &["--rate", "16000"], &script, dir.path());
    let Some((code, out, said)) = ran else { return };
    assert_eq!(code, 0, "{out}{said}");
    for host in ["pulse", "alsa"] {
        let events = events(&fs::read_to_string(dir.path().join(format!("out.{host}"))).expect("written"));
        let ready = &events[0];
        assert_eq!((&ready["event"], &ready["host"]), (&"ready".into(), &host.into()));
        let end = events.last().expect("some");
        let all = files(&dir.path().join("out").join(host));
        assert_eq!(all.len(), 2, "{all:?}");
        let text = fs::read_to_string(&all[0]).expect("there");
        assert_eq!(end["text"].as_str().map(|text| format!("{text}\n")), Some(text.clone()));
        assert_eq!(offline(&all[1]), text);
        // The small model is not to be judged here: first and last words came through.
        let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_lowercase).collect() };
        let (heard, expected) = (words(&text), words(&official(name)));
        assert_eq!(heard.first(), expected.first(), "{text}");
        assert_eq!(heard.last(), expected.last(), "{text}");
        assert!(heard.len().abs_diff(expected.len()) <= 2, "{text}");
    }
}

#[test]
fn inputs_are_listed_and_tried_and_silence_has_no_text() {
    let dir = TempDir::new().expect("creates");
    let script = r#"
        "$CLI" devices && "$CLI" devices --json || exit
        "$CLI" diagnose audio --json; echo "exit code $?"
        "$CLI" record --local-asr "$MODEL" --output-dir "$OUT" --duration-seconds 3.5; echo "exit code $?"
        "$CLI" record --local-asr "$MODEL" --output-dir "$OUT" --device nobody; echo "exit code $?"
    "#;
    let ran = in_front_of_mic("inputs_are_listed", &["--rate", "48000", "--channels", "2"], script, dir.path());
    let Some((code, out, said)) = ran else { return };
    assert_eq!(code, 0, "{out}{said}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("* ") && lines[0].contains("pulse  48 kHz  stereo"), "{out}");
    let device: Value = serde_json::from_str(lines[1]).expect("JSON");
    assert_eq!((&device["id"], &device["default"]), (&"virtual_mic".into(), &true.into()), "{out}");
    assert_eq!((&device["rate"], &device["channels"]), (&48_000.into(), &2.into()), "{out}");
    let diagnosis: Value = serde_json::from_str(lines[2]).expect("JSON");
    let seconds = diagnosis["seconds"].as_f64().expect("a number");
    assert!((2.8..4.5).contains(&seconds), "{diagnosis}");
    assert_eq!((&diagnosis["rms_db"], &diagnosis["speech_s"]), (&(-120.0).into(), &0.0.into()), "{diagnosis}");
    assert!(diagnosis["notices"][0]["hint"].as_str().is_some_and(|hint| hint.contains("permission")), "{diagnosis}");
    assert_eq!(lines[3..], ["exit code 5", "exit code 5", "exit code 3"], "{out}");
    assert!(said.contains("notice: the microphone gives only digital silence\n  hint: "), "{said}");
    assert!(said.contains("notice: no speech was heard\nKept the audio: "), "{said}");
    assert!(said.contains("error: no input is called `nobody`: there are "), "{said}");
    let all = files(&dir.path().join("out"));
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].metadata().expect("there").len(), 44 + 2 * 56_000);
}

#[test]
fn speech_is_diagnosed_as_such() {
    let dir = TempDir::new().expect("creates");
    let voice = voice(dir.path(), "short_seen_001.flac");
    let ran = in_front_of_mic("speech_is_diagnosed", &["--wav", &voice], r#""$CLI" diagnose audio"#, dir.path());
    let Some((code, out, said)) = ran else { return };
    assert_eq!(code, 0, "{out}{said}");
    let value = |name: &str| out.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    assert_eq!(value("rate"), Some("16 kHz, 1 channel, i16"), "{out}");
    assert_eq!((value("clipping"), value("dropped")), (Some("none"), Some("none")), "{out}");
    assert!(value("speech").is_some_and(|speech| speech.ends_with(" s")), "{out}");
    assert!(value("level").is_some_and(|level| level.starts_with('-')), "{out}");
}

#[test]
fn a_lost_microphone_is_exit_code_7_and_what_was_said_is_saved() {
    let dir = TempDir::new().expect("creates");
    let script = r#"
        "$CLI" record --local-asr "$MODEL" --output-dir "$OUT" --json >"$OUT.json" & pid=$!
        until grep -qs '"level"' "$OUT.json"; do sleep 0.05; done
        echo "play $VOICE" >"$VIRTUAL_MIC"
        until grep -q ' playing ' "$VIRTUAL_MIC_LOG"; do sleep 0.05; done
        sleep 4
        echo kill >"$VIRTUAL_MIC"
        wait $pid
    "#;
    let script = format!("VOICE='{}'; {script}", voice(dir.path(), "short_seen_001.flac"));
    let ran = in_front_of_mic("a_lost_microphone", &["--rate", "16000"], &script, dir.path());
    let Some((code, out, said)) = ran else { return };
    assert_eq!(code, 7, "{out}{said}");
    assert!(said.contains("error: ") && said.contains("  hint: "), "{said}");
    let events = events(&fs::read_to_string(dir.path().join("out.json")).expect("written"));
    let error = events.iter().find(|event| event["event"] == "error").expect("told");
    assert_eq!(error["code"], 7);
    let all = files(&dir.path().join("out"));
    assert_eq!(all.len(), 2, "{all:?}");
    let text = fs::read_to_string(&all[0]).expect("there");
    assert!(text.starts_with("How many stones"), "{text}");
    assert_eq!(offline(&all[1]), text);
    assert_eq!(events.last().expect("some")["event"], "final");
}
