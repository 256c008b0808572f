//! `diy-typeless record` as a user meets it, with recorded speech in place of a microphone.

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{data, ends_within, events, files, official, program, run, samples, signal, speech, transcribe, wav};
use tempfile::TempDir;

fn record(dir: &Path) -> assert_cmd::Command {
    let mut command = program();
    command.args(["record", "--local-asr"]).arg(data("tiny-qwen3-asr")).arg("--output-dir").arg(dir);
    command
}

fn play(dir: &Path, name: &str) -> assert_cmd::Command {
    let mut command = record(dir);
    command.args(["--speed", "0", "--input"]).arg(speech(name));
    command
}

/// Starts a recording of long speech at real speed; returns when so many seconds were heard.
fn going_on(dir: &Path, extra: &[&str], seconds: f64) -> (Child, support::Lines) {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("diy-typeless"));
    command.args(["record", "--json", "--local-asr"]).arg(data("tiny-qwen3-asr"));
    command.arg("--output-dir").arg(dir).arg("--input").arg(speech("long_unseen_001.flac")).args(extra);
    let mut child = command
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = support::Lines::of(child.stdout.take().expect("piped"));
    lines.until(|event| event["event"] == "level" && event["t"].as_f64().expect("a number") >= seconds);
    (child, lines)
}

/// The names of the files of a recording are right, nobody else may read them, and there is nothing else.
fn saved(dir: &Path, endings: &[&str]) -> Vec<std::path::PathBuf> {
    let all = files(dir);
    assert_eq!(all.len(), endings.len(), "{all:?}");
    for (path, ending) in all.iter().zip(endings) {
        let name = path.file_name().expect("a file").to_str().expect("text");
        let time = name.strip_prefix("recording_").and_then(|rest| rest.strip_suffix(ending)).expect(name);
        let (date, clock) = time.split_once('_').expect(name);
        assert!(date.len() == 8 && clock.len() == 6 && format!("{date}{clock}").parse::<u64>().is_ok(), "{name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
    all
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).expect("there")
}

/// What `transcribe` makes of a saved recording.
fn offline(path: &Path) -> String {
    let (code, text, said) = run(transcribe().arg(path));
    assert!(code == 0 || code == 5, "{said}");
    text
}

#[test]
fn the_saved_text_is_what_transcribe_makes_of_the_saved_audio() {
    for name in ["short_seen_001.flac", "mandarin_002.flac", "stereo44k_001.flac", "mono48k_002.flac"] {
        let dir = TempDir::new().expect("creates");
        let (code, text, said) = run(&mut play(dir.path(), name));
        assert_eq!(code, 0, "{said}");
        let all = saved(dir.path(), &[".txt", ".wav"]);
        assert_eq!(text_of(&all[0]), text, "{name}");
        assert_eq!(offline(&all[1]), text, "{name}");
        assert_eq!(offline(&speech(name)), text, "{name}");
        let path = all[0].display();
        let played = speech(name);
        assert_eq!(said, format!("Playing: {}\nSaved {path} (and .wav)\n", played.display()));
    }
    let dir = TempDir::new().expect("creates");
    let (_, text, _) = run(&mut play(dir.path(), "short_seen_001.flac"));
    assert_eq!(text, format!("{}\n", official("short_seen_001.flac")));
}

#[test]
fn a_long_recording_is_a_line_per_segment_and_one_text() {
    let dir = TempDir::new().expect("creates");
    let (code, text, _) = run(&mut play(dir.path(), "long_unseen_001.flac"));
    assert_eq!(code, 0);
    let all = saved(dir.path(), &[".txt", ".wav"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() > 3, "{text}");
    assert_eq!(text_of(&all[0]), format!("{}\n", lines.join(" ")));
    assert_eq!(offline(&all[1]), text_of(&all[0]));
    assert!(!text.contains(['\r', '\u{1b}']));
}

#[test]
fn json_events_are_as_documented() {
    let dir = TempDir::new().expect("creates");
    let (code, out, said) = run(play(dir.path(), "medium_unseen_001.flac").arg("--json"));
    assert_eq!((code, said.as_str()), (0, ""));
    let events = events(&out);
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().expect("text")).collect();
    assert_eq!(kinds[0], "ready");
    assert_eq!(kinds[kinds.len() - 1], "final");
    for (kind, fields) in [
        ("ready", &["device", "host", "rate", "channels", "format", "recording"][..]),
        ("model_ready", &["seconds"]),
        ("speech_started", &["t"]),
        ("level", &["rms_db", "peak_db", "t", "lag_s"]),
        ("partial", &["stable", "tentative", "separator", "start", "t"]),
        ("segment", &["text", "language", "separator", "start", "end", "stop", "reason"]),
        ("final", &["text", "language", "audio_s", "lag_s", "files"]),
    ] {
        let mut found = 0;
        for event in events.iter().filter(|event| event["event"] == kind) {
            let mut keys: Vec<&str> = event.as_object().expect("an object").keys().map(String::as_str).collect();
            let mut expected = [&["event"], fields].concat();
            keys.sort_unstable();
            expected.sort_unstable();
            assert_eq!(keys, expected);
            found += 1;
        }
        assert!(
            found > 0 && (found == 1 || ["level", "partial", "segment", "speech_started"].contains(&kind)),
            "{kind}"
        );
    }
    assert!(kinds.iter().filter(|&&kind| kind == "level").count() > 200, "ten a second");
    let (_, help, _) = run(program().args(["record", "--help"]));
    for event in &events {
        assert!(help.contains(&format!("event: {}", event["event"].as_str().expect("text"))));
        assert!(event.as_object().expect("an object").keys().all(|key| help.contains(key.as_str())), "{event}");
    }

    let joined = events.iter().filter(|event| event["event"] == "segment").fold(String::new(), |text, segment| {
        text + segment["separator"].as_str().expect("text") + segment["text"].as_str().expect("text")
    });
    let end = &events[events.len() - 1];
    assert_eq!(end["text"], joined);
    assert_eq!(end["language"], "English");
    let all = saved(dir.path(), &[".txt", ".wav"]);
    assert_eq!(end["files"]["text"], all[0].to_str().expect("text"));
    assert_eq!(end["files"]["audio"], all[1].to_str().expect("text"));
    assert_eq!(text_of(&all[0]), format!("{joined}\n"));
    // The settled part of a segment only grows, and its partials are about audio that was heard.
    let mut stable = String::new();
    for event in &events {
        match event["event"].as_str().expect("text") {
            "partial" => {
                let now = event["stable"].as_str().expect("text");
                assert!(now.starts_with(&stable), "{now} after {stable}");
                stable = now.to_owned();
                assert!(event["start"].as_f64() <= event["t"].as_f64());
            }
            "segment" => stable.clear(),
            _ => {}
        }
    }
}

#[test]
fn raw_samples_on_standard_input_are_audio() {
    let dir = TempDir::new().expect("creates");
    let raw: Vec<u8> = samples("short_seen_001.flac").iter().flat_map(|s| s.to_le_bytes()).collect();
    let (code, text, said) = run(record(dir.path()).args(["--speed", "0", "--input", "-"]).write_stdin(raw));
    assert_eq!((code, text), (0, format!("{}\n", official("short_seen_001.flac"))), "{said}");
    saved(dir.path(), &[".txt", ".wav"]);
}

#[test]
fn a_duration_is_exact() {
    let dir = TempDir::new().expect("creates");
    let (code, out, _) = run(play(dir.path(), "short_seen_001.flac").args(["--json", "--duration-seconds", "3.5"]));
    assert_eq!(code, 0);
    assert_eq!(events(&out).last().expect("some")["audio_s"], 3.5);
    let all = saved(dir.path(), &[".txt", ".wav"]);
    assert_eq!(all[1].metadata().expect("there").len(), 44 + 2 * 56_000);
    assert_eq!(offline(&all[1]), text_of(&all[0]));
}

#[test]
fn without_a_model_the_audio_is_saved_and_the_command_for_the_text_is_said() {
    for flag in [None, Some("/no/such/model")] {
        let dir = TempDir::new().expect("creates");
        let mut command = program();
        command.arg("record").arg("--output-dir").arg(dir.path()).args(["--speed", "0", "--input"]);
        command.arg(speech("short_seen_001.flac"));
        if let Some(flag) = flag {
            command.args(["--local-asr", flag]);
        }
        let (code, text, said) = run(&mut command);
        assert_eq!((code, text.as_str()), (4, ""), "{said}");
        let all = saved(dir.path(), &[".wav"]);
        let sentence = if flag.is_some() { "/no/such/model" } else { "error: no model is installed" };
        assert!(said.contains(sentence) && said.contains("./download_model.sh"), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        let command = said.lines().last().and_then(|line| line.strip_prefix("  hint: ")).expect("the last line");
        let mut words: Vec<&str> = command.split(' ').collect();
        assert_eq!((words.remove(0), words.last().copied()), ("diy-typeless", all[0].to_str()));
        words.retain(|word| !["--local-asr", "/no/such/model"].contains(word));
        let (code, text, _) = run(program().args(words).env("DIY_TYPELESS_MODEL", data("tiny-qwen3-asr")));
        assert_eq!((code, text), (0, format!("{}\n", official("short_seen_001.flac"))));
    }

    let dir = TempDir::new().expect("creates");
    let mut command = program();
    command.args(["record", "--json", "--speed", "0", "--output-dir"]).arg(dir.path());
    let (code, out, _) = run(command.arg("--input").arg(speech("short_seen_001.flac")));
    let events = events(&out);
    let error = events.iter().find(|event| event["event"] == "error").expect("told");
    let end = events.last().expect("some");
    assert_eq!((code, error["code"].as_i64()), (4, Some(4)));
    assert_eq!((&end["event"], &end["text"], &end["files"]["text"]), (&"final".into(), &Value::Null, &Value::Null));
    assert_eq!(end["files"]["audio"], saved(dir.path(), &[".wav"])[0].to_str().expect("text"));
}

#[test]
fn silence_is_exit_code_5_and_no_text() {
    for extra in [&[][..], &["--no-audio"], &["--json"]] {
        let dir = TempDir::new().expect("creates");
        let (code, text, said) = run(play(dir.path(), "silence_001.flac").args(extra));
        assert_eq!(code, 5, "{said}");
        assert!(said.contains("notice: no speech was heard"), "{said}");
        saved(dir.path(), &[".wav"]);
        if extra == ["--json"] {
            let end = events(&text).pop().expect("some");
            assert_eq!((&end["text"], &end["files"]["text"]), (&"".into(), &Value::Null));
        } else {
            assert_eq!(text, "");
        }
    }
    // Nothing at all is not worth a file.
    let dir = TempDir::new().expect("creates");
    let (code, text, _) = run(record(dir.path()).args(["--input", "-"]).write_stdin(""));
    assert_eq!((code, text.as_str()), (5, ""));
    saved(dir.path(), &[]);
}

#[test]
fn the_audio_is_deleted_on_request_once_the_text_is_saved() {
    let dir = TempDir::new().expect("creates");
    let (code, text, said) = run(play(dir.path(), "short_seen_001.flac").arg("--no-audio"));
    assert_eq!(code, 0);
    let all = saved(dir.path(), &[".txt"]);
    assert_eq!(text_of(&all[0]), text);
    assert!(said.ends_with(&format!("Saved {}\n", all[0].display())), "{said}");

    let mut command = program();
    command.args(["record", "--no-audio", "--speed", "0", "--output-dir"]).arg(dir.path());
    let (code, _, _) = run(command.arg("--input").arg(speech("short_seen_001.flac")));
    assert_eq!((code, files(dir.path()).len()), (4, 2), "without a text the audio stays");
}

#[test]
fn recordings_of_the_same_second_do_not_share_a_name() {
    let dir = TempDir::new().expect("creates");
    let input = speech("stereo44k_001.flac");
    let start = || {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("diy-typeless"));
        command.args(["record", "--speed", "0", "--input"]).arg(&input).arg("--output-dir").arg(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
    };
    for mut child in [(); 4].map(|()| start()) {
        assert_eq!(child.wait().expect("ends").code(), Some(4));
    }
    let all = files(dir.path());
    assert_eq!(all.len(), 4, "{all:?}");
    let length = all[0].metadata().expect("there").len();
    assert!(all.iter().all(|path| path.metadata().expect("there").len() == length && length > 100_000), "{all:?}");
    assert!(all.iter().all(|path| !path.display().to_string().contains("unfinished")), "{all:?}");
}

#[test]
fn what_cannot_work_is_said_before_anything_is_recorded() {
    let dir = TempDir::new().expect("creates");
    for (args, code, words) in [
        (&["--input", "/no/such/file.wav"][..], 3, "cannot open /no/such/file.wav: no such file"),
        (&["--language", "xx"], 2, "xx"),
        (&["--speed", "2"], 2, "--input"),
        (&["--duration-seconds", "0"], 2, "number of seconds"),
        (&["--input", "x.wav", "--device", "Yeti"], 2, "--device"),
        (&["--output-dir", "/dev/null/x", "--input", "x.wav"], 1, "cannot make the directory /dev/null/x"),
    ] {
        let mut command = program();
        command.args(["record", "--local-asr"]).arg(data("tiny-qwen3-asr"));
        if !args.contains(&"--output-dir") {
            command.arg("--output-dir").arg(dir.path());
        }
        let (got, text, said) = run(command.args(args));
        assert_eq!((got, text.as_str()), (code, ""), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let (code, out, said) = run(record(dir.path()).args(["--json", "--input", "/no/such/file.wav"]));
    assert_eq!((code, events(&out)[0]["code"].as_i64(), events(&out).len()), (3, Some(3), 1));
    assert_eq!(said, "error: cannot open /no/such/file.wav: no such file\n");
    saved(dir.path(), &[]);
}

#[test]
fn a_file_that_breaks_off_gives_the_text_before() {
    let dir = TempDir::new().expect("creates");
    let whole = fs::read(speech("short_seen_001.flac")).expect("there");
    let broken = dir.path().join("broken.flac");
    // The second half of the frames is noise.
    let mut bytes = whole.clone();
    let half = bytes.len() / 2;
    bytes[half..].iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 97 % 251) as u8);
    fs::write(&broken, bytes).expect("writes");
    let out = dir.path().join("out");
    let (code, text, said) = run(record(&out).args(["--speed", "0", "--input"]).arg(&broken));
    let all = saved(&out, &[".txt", ".wav"]);
    assert_eq!(text_of(&all[0]), text);
    assert!(text.starts_with("How many stones"), "{text}");
    assert!(code == 3 && said.contains("error: ") || code == 0 && said.contains("notice: "), "{code}: {said}");
}

#[cfg(unix)]
#[test]
fn a_signal_stops_and_finishes_and_the_end_of_standard_input_does_not() {
    for name in ["TERM", "INT", "HUP"] {
        let dir = TempDir::new().expect("creates");
        // Standard input is at its end from the beginning.
        let (mut child, mut lines) = going_on(dir.path(), &[], 1.5);
        signal(&child, name);
        let end = lines.until(|event| event["event"] == "final");
        assert_eq!(ends_within(&mut child, Duration::from_secs(3)), Some(0), "{name}");
        let all = saved(dir.path(), &[".txt", ".wav"]);
        assert_eq!(end["text"].as_str().map(|text| format!("{text}\n")), Some(text_of(&all[0])));
        assert_eq!(offline(&all[1]), text_of(&all[0]));
        let heard = end["audio_s"].as_f64().expect("a number");
        assert!((1.5..10.0).contains(&heard), "{heard}");
    }
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_aborts_and_keeps_the_audio() {
    let dir = TempDir::new().expect("creates");
    let (mut child, mut lines) = going_on(dir.path(), &["--throttle-ms", "2500"], 1.0);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(200));
    // Others than Ctrl-C do not abort: who ends a service sends several.
    signal(&child, "TERM");
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().expect("a child").is_none(), "it is still finishing");
    signal(&child, "INT");
    let end = lines.until(|event| event["event"] == "final");
    assert_eq!(ends_within(&mut child, Duration::from_secs(3)), Some(130));
    assert_eq!((&end["text"], &end["files"]["text"]), (&Value::Null, &Value::Null));
    let all = saved(dir.path(), &[".wav"]);
    let (code, text, said) = run(transcribe().arg(&all[0]));
    assert!(code == 0 && !text.is_empty(), "{said}");
}

#[cfg(unix)]
#[test]
fn what_a_killed_recording_left_is_readable_and_mentioned_once() {
    let dir = TempDir::new().expect("creates");
    let (mut child, _lines) = going_on(dir.path(), &[], 3.0);
    // While somebody records, nobody touches the file.
    let (_, _, said) = run(&mut play(dir.path(), "silence_001.flac"));
    assert!(!said.contains("not finished"), "{said}");
    for path in files(dir.path()).iter().filter(|path| !path.display().to_string().contains("unfinished")) {
        fs::remove_file(path).expect("there");
    }
    child.kill().expect("a child");
    child.wait().expect("a child");
    let left = saved(dir.path(), &[".unfinished.wav"]).remove(0);
    let (code, text, said) = run(transcribe().arg("--json").arg(&left));
    assert_eq!(code, 0, "{said}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let seconds = report["audio_seconds"].as_f64().expect("a number");
    assert!((2.0..20.0).contains(&seconds), "at most a second is lost: {seconds}");

    let (code, _, said) = run(&mut play(dir.path(), "short_seen_001.flac"));
    assert_eq!(code, 0);
    let kept = left.display().to_string().replace(".unfinished", "");
    let model = data("tiny-qwen3-asr");
    let expected = format!(
        "notice: an earlier recording was not finished: {kept} (0:{:02})\n  hint: diy-typeless transcribe --local-asr {} {kept}\n",
        seconds as u64,
        model.display()
    );
    assert!(said.starts_with(&expected), "{said}\n{expected}");
    assert_eq!(offline(Path::new(&kept)), format!("{}\n", report["text"].as_str().expect("text")));
    let (_, _, said) = run(&mut play(dir.path(), "silence_001.flac"));
    assert!(!said.contains("not finished"), "{said}");
}

#[cfg(unix)]
#[test]
fn when_nobody_reads_any_more_it_stops_and_saves() {
    let dir = TempDir::new().expect("creates");
    let (mut child, lines) = going_on(dir.path(), &[], 1.5);
    drop(lines);
    assert_eq!(ends_within(&mut child, Duration::from_secs(5)), Some(0));
    let all = saved(dir.path(), &[".txt", ".wav"]);
    assert_eq!(offline(&all[1]), text_of(&all[0]));
}

#[test]
fn standard_input_that_keeps_us_waiting_can_be_stopped() {
    let dir = TempDir::new().expect("creates");
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("diy-typeless"));
    command.args(["record", "--json", "--input", "-", "--output-dir"]).arg(dir.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut lines = support::Lines::of(child.stdout.take().expect("piped"));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&[0; 32_000]).expect("taken");
    lines.until(|event| event["event"] == "level" && event["t"].as_f64() >= Some(0.9));
    let asked = Instant::now();
    signal(&child, "TERM");
    assert_eq!(ends_within(&mut child, Duration::from_secs(3)), Some(4));
    assert!(asked.elapsed() < Duration::from_secs(2));
    let bytes = saved(dir.path(), &[".wav"])[0].metadata().expect("there").len();
    assert!((44 + 28_800..=44 + 32_000).contains(&bytes), "{bytes}");
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_microphone_there_is_a_sentence_and_no_file() {
    let dir = TempDir::new().expect("creates");
    let deaf = |command: &mut assert_cmd::Command| {
        command.env("PULSE_SERVER", "unix:/nowhere").env("XDG_RUNTIME_DIR", "/nowhere").env("HOME", "/nonexistent");
        run(command)
    };
    let (code, text, said) = deaf(record(dir.path()).args(["--host", "pulse"]));
    assert_eq!((code, text.as_str()), (3, ""), "{said}");
    assert!(said.starts_with("error: ") && said.contains("  hint: ") && !said.contains("ALSA lib"), "{said}");
    saved(dir.path(), &[]);
    for args in [&["devices", "--host", "pulse"][..], &["diagnose", "audio", "--host", "pulse"]] {
        let (code, text, said) = deaf(program().args(args));
        assert_eq!((code, text.as_str()), (3, ""), "{said}");
        assert!(said.starts_with("error: ") && said.contains("  hint: ") && !said.contains("ALSA lib"), "{said}");
    }
}

#[test]
fn a_lying_wav_is_noticed_and_heard() {
    let dir = TempDir::new().expect("creates");
    let path = dir.path().join("lies.wav");
    fs::write(&path, wav(1, 16_000, &samples("short_seen_001.flac"), Some(9_000_000))).expect("writes");
    let out = dir.path().join("out");
    let (code, text, said) = run(record(&out).args(["--speed", "0", "--input"]).arg(&path));
    assert_eq!((code, text), (0, format!("{}\n", official("short_seen_001.flac"))));
    assert!(said.contains("notice: ") && said.contains("the header promises 9000000 bytes"), "{said}");
}
