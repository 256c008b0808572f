//! `diy-typeless transcribe` as a user meets it, with the small model and the speech that ship with the sources.

mod support;

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use support::{data, official, program, run, samples, signal, speech, transcribe, wav};
use tempfile::TempDir;

#[test]
fn the_text_is_that_of_the_official_implementation() {
    for name in ["short_seen_001.flac", "mandarin_001.flac"] {
        let expected = format!("{}\n", official(name));
        let (code, text, said) = run(transcribe().arg("--no-segmenter").arg(speech(name)));
        assert_eq!((code, text, said), (0, expected, String::new()), "{name}");
    }
    let (code, text, said) = run(transcribe().arg(speech("short_seen_001.flac")));
    assert_eq!((code, text, said), (0, format!("{}\n", official("short_seen_001.flac")), String::new()));
}

#[test]
fn json_has_the_documented_fields() {
    let (code, out, _) = run(transcribe().arg("--json").arg(speech("long_unseen_001.flac")));
    assert_eq!(code, 0);
    assert_eq!(out.lines().count(), 1);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let keys = |value: &Value| value.as_object().expect("object").keys().cloned().collect::<HashSet<_>>();
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<HashSet<_>>();
    assert_eq!(keys(&report), set(&["file", "text", "language", "audio_seconds", "segments", "notices", "timings"]));
    assert_eq!(
        keys(&report["timings"]),
        set(&["total_seconds", "mel_seconds", "encode_seconds", "prefill_seconds", "decode_seconds"])
    );
    assert_eq!(report["language"], "English");
    let seconds = report["audio_seconds"].as_f64().expect("number");
    let segments = report["segments"].as_array().expect("list");
    assert!(segments.len() >= 2, "{} segments in {seconds} s", segments.len());
    let mut before = 0.0;
    for segment in segments {
        assert_eq!(keys(segment), set(&["start", "end", "text", "language", "stop", "cut"]));
        let (start, end) = (segment["start"].as_f64().expect("number"), segment["end"].as_f64().expect("number"));
        assert!(before <= start && start < end && end <= seconds, "{start}..{end}");
        assert!(["end", "max_tokens"].contains(&segment["stop"].as_str().expect("text")));
        assert!(["pause", "length", "end"].contains(&segment["cut"].as_str().expect("text")));
        before = end;
    }
    let joined: Vec<&str> =
        segments.iter().map(|s| s["text"].as_str().expect("text")).filter(|t| !t.is_empty()).collect();
    assert_eq!(report["text"].as_str().expect("text"), joined.join(" "));
    assert_eq!(run(transcribe().arg(speech("long_unseen_001.flac"))).1, format!("{}\n", joined.join(" ")));
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    for name in ["speech/short_seen_001.flac", "formats/stereo_44100.m4a"] {
        let (code, by_name, _) = run(transcribe().arg(data(name)));
        let (code_stdin, by_stdin, _) = run(transcribe().arg("-").write_stdin(fs::read(data(name)).expect("there")));
        assert_eq!((code_stdin, by_stdin), (code, by_name), "{name}");
    }
    let (code, text, said) = run(transcribe().arg("-").write_stdin(""));
    assert_eq!((code, text.as_str(), said.as_str()), (3, "", "error: standard input is empty (0 bytes)\n"));
}

#[test]
fn without_a_model_the_user_learns_how_to_get_one() {
    let (code, text, said) = run(program().arg("transcribe").arg(speech("short_seen_001.flac")));
    assert_eq!((code, text.as_str()), (4, ""));
    assert_eq!(
        said,
        "error: no model is installed\n  hint: get one with ./download_model.sh --model small; for trying out, a very small one \
         ships with the sources: --local-asr tests/data/tiny-qwen3-asr\n"
    );
    let (code, _, said) = run(program().args(["transcribe", "--local-asr", "/no/such/model", "x.wav"]));
    assert_eq!(code, 4);
    assert!(said.starts_with("error: ") && said.contains("/no/such/model"), "{said}");
}

#[test]
fn the_model_comes_from_the_environment_or_from_where_it_is_installed() {
    let name = "short_seen_001.flac";
    let expected = format!("{}\n", official(name));
    let (code, text, _) =
        run(program().env("DIY_TYPELESS_MODEL", data("tiny-qwen3-asr")).arg("transcribe").arg(speech(name)));
    assert_eq!((code, text), (0, expected.clone()));

    let home = TempDir::new().expect("creates");
    let models = if cfg!(target_os = "macos") {
        "Library/Application Support/DIYTypeless/models"
    } else {
        ".local/share/diy-typeless/models"
    };
    let dir = home.path().join(models).join("qwen3-asr-0.6b");
    fs::create_dir_all(&dir).expect("creates");
    for file in fs::read_dir(data("tiny-qwen3-asr")).expect("there").flatten() {
        fs::copy(file.path(), dir.join(file.file_name())).expect("copies");
    }
    let (code, text, _) = run(program().env("HOME", home.path()).arg("transcribe").arg(speech(name)));
    assert_eq!((code, text), (0, expected));
}

#[test]
fn a_bad_file_is_reported_and_the_others_go_on() {
    let dir = TempDir::new().expect("creates");
    let diary = dir.path().join("diary.wav");
    fs::write(&diary, "Dear diary, nothing was said today.\n".repeat(50)).expect("writes");
    let good = speech("short_seen_001.flac");
    let (code, text, said) = run(transcribe().arg("/no/such/file.wav").arg(&good).arg(&diary));
    assert_eq!((code, text), (3, format!("{}\n", official("short_seen_001.flac"))));
    let expected = format!(
        "==> /no/such/file.wav <==\nerror: cannot open /no/such/file.wav: no such file\n==> {} <==\n==> {diary} <==\nerror: {diary} is not \
         audio in a format this program reads: it looks like text\n  hint: WAV, FLAC, MP3, M4A/AAC and Ogg Vorbis are read\n",
        good.display(),
        diary = diary.display(),
    );
    assert_eq!(said, expected);
}

#[test]
fn in_json_a_failed_file_has_its_line_too() {
    let (code, out, _) = run(transcribe().arg("--json").arg("/no/such/file.wav").arg(speech("short_seen_001.flac")));
    assert_eq!(code, 3);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["error"]["code"], 3);
    assert_eq!(lines[0]["error"]["message"], "cannot open /no/such/file.wav: no such file");
    assert_eq!(lines[1]["text"], official("short_seen_001.flac"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = std::process::Command::new(cargo_bin!("diy-typeless"))
        .args(["transcribe", "--local-asr"])
        .arg(data("tiny-qwen3-asr"))
        .arg(speech("long_unseen_001.flac"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!((child.wait().expect("ends").code(), said.as_str()), (Some(0), ""));
}

#[test]
fn output_files_are_private_and_never_replace_one() {
    let dir = TempDir::new().expect("creates");
    let out = dir.path().join("new/texts");
    let name = "short_seen_001.flac";
    let (code, text, said) = run(transcribe().arg("--output-dir").arg(&out).arg(speech(name)));
    let path = out.join("short_seen_001.txt");
    assert_eq!((code, text.as_str(), said), (0, "", format!("wrote {}\n", path.display())));
    assert_eq!(fs::read_to_string(&path).expect("written"), format!("{}\n", official(name)));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    }

    fs::write(&path, "mine").expect("writes");
    let (code, _, said) = run(transcribe().arg("--output-dir").arg(&out).arg(speech(name)));
    assert_eq!(code, 1);
    let expected = format!(
        "error: {} exists already, and nothing is ever overwritten\n  hint: move it away, or choose another --output-dir\n",
        path.display()
    );
    assert_eq!(said, expected);
    assert_eq!(fs::read_to_string(&path).expect("there"), "mine");

    let (code, _, _) = run(transcribe().arg("--json").arg("--output-dir").arg(&out).arg(speech(name)));
    assert_eq!(code, 0);
    let report: Value =
        serde_json::from_str(&fs::read_to_string(out.join("short_seen_001.json")).expect("written")).expect("JSON");
    assert_eq!(report["text"], official(name));
    assert_eq!(fs::read_dir(&out).expect("there").count(), 2, "no temporary file stays behind");
}

#[test]
fn two_inputs_of_one_name_do_not_share_an_output() {
    let dir = TempDir::new().expect("creates");
    let out = dir.path().join("out");
    let name = "short_seen_001.flac";
    let (code, _, said) = run(transcribe().arg("-o").arg(&out).arg(speech(name)).arg(speech(name)));
    assert_eq!(code, 1);
    assert!(said.contains("short_seen_001.txt is the output of another file already"), "{said}");
    assert_eq!(fs::read_to_string(out.join("short_seen_001.txt")).expect("written"), format!("{}\n", official(name)));
}

#[test]
fn an_unknown_language_lists_the_known_ones() {
    let (code, text, said) = run(transcribe().args(["--language", "xx"]).arg(speech("short_seen_001.flac")));
    assert_eq!((code, text.as_str()), (2, ""));
    for name in ["xx", "English", "Chinese", "Cantonese", "yue"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    for language in ["en", "English", "ENGLISH"] {
        let (code, out, _) =
            run(transcribe().args(["--json", "--language", language]).arg(speech("short_seen_001.flac")));
        assert_eq!(code, 0, "{language}");
        assert_eq!(serde_json::from_str::<Value>(&out).expect("JSON")["language"], "English");
    }
}

#[test]
fn context_and_threads_are_accepted_and_threads_change_nothing() {
    let name = "short_seen_001.flac";
    let (code, one, _) = run(transcribe().args(["--threads", "1"]).arg(speech(name)));
    let (_, two, _) = run(transcribe().args(["--threads", "2"]).arg(speech(name)));
    assert_eq!((code, &one), (0, &two));
    let (code, _, _) = run(transcribe().args(["--context", "Peter, Brother, market"]).arg(speech(name)));
    assert_eq!(code, 0);
}

#[test]
fn without_a_terminal_nothing_moves_and_nothing_is_coloured() {
    for extra in [&[][..], &["--json"]] {
        let (_, text, said) =
            run(transcribe().env("TERM", "xterm-256color").args(extra).arg(speech("long_unseen_001.flac")).arg("/no"));
        assert!(!format!("{text}{said}").contains(['\r', '\u{1b}']), "{text:?} {said:?}");
    }
}

#[test]
fn no_speech_is_exit_code_5_and_no_text() {
    let dir = TempDir::new().expect("creates");
    let file = |name: &str, bytes: Vec<u8>| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("writes");
        path
    };
    for path in [
        file("none.wav", wav(1, 16_000, &[], None)),
        file("one_sample.wav", wav(1, 16_000, &[5], None)),
        file("tenth.wav", wav(1, 16_000, &[0; 1_600], None)),
        file("eight_channels.wav", wav(8, 48_000, &vec![0; 8 * 48_000], None)),
        file("fast.wav", wav(1, 192_000, &vec![0; 192_000], None)),
        file("lies.wav", wav(1, 16_000, &[0; 16_000], Some(1_000_000))),
        speech("silence_001.flac"),
    ] {
        let (code, text, said) = run(transcribe().arg(&path));
        assert_eq!((code, text.as_str()), (5, ""), "{}: {said}", path.display());
        assert!(said.contains(&format!("{}: no speech", path.display())), "{said}");
    }
    let (code, _, said) = run(transcribe().arg(file("empty.wav", Vec::new())));
    assert_eq!(code, 3);
    assert!(said.ends_with("empty.wav is empty (0 bytes)\n"), "{said}");
}

#[test]
fn the_same_speech_in_odd_files_gives_the_same_text() {
    let dir = TempDir::new().expect("creates");
    let name = "short_seen_001.flac";
    let mono = samples(name);
    let eight: Vec<i16> = mono.iter().flat_map(|&s| [s; 8]).collect();
    let lies = wav(1, 16_000, &mono, Some(u32::MAX - 5_000));
    for (file, bytes) in [("eight.wav", wav(8, 16_000, &eight, None)), ("lies.wav", lies)] {
        let path = dir.path().join(file);
        fs::write(&path, bytes).expect("writes");
        let (code, text, _) = run(transcribe().arg(&path));
        assert_eq!((code, text), (0, format!("{}\n", official(name))), "{file}");
    }
    // Twelve times as many samples and back: the same sound to a hair, so the same words.
    let fast: Vec<i16> = mono
        .windows(2)
        .flat_map(|w| {
            (0..12).map(move |i| {
                let (a, b) = (i32::from(w[0]), i32::from(w[1]));
                i16::try_from(a + (b - a) * i / 12).expect("between")
            })
        })
        .collect();
    let path = dir.path().join("fast.wav");
    fs::write(&path, wav(1, 192_000, &fast, None)).expect("writes");
    let (code, text, _) = run(transcribe().arg(&path));
    assert_eq!(code, 0);
    assert!(text.contains("How many stones are in the market?"), "{text}");
}

#[test]
fn notices_go_to_standard_error_and_into_json() {
    let dir = TempDir::new().expect("creates");
    let path = dir.path().join("lies.wav");
    fs::write(&path, wav(1, 16_000, &samples("short_seen_001.flac"), Some(9_000_000))).expect("writes");
    let (code, out, said) = run(transcribe().arg("--json").arg(&path));
    assert_eq!(code, 0);
    assert!(said.contains("notice: ") && said.contains("the header promises 9000000 bytes"), "{said}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert!(report["notices"][0].as_str().expect("text").contains("the header promises 9000000 bytes"), "{report}");
}

#[test]
fn too_long_for_one_piece_is_said_before_any_work() {
    let dir = TempDir::new().expect("creates");
    let path = dir.path().join("long.wav");
    fs::write(&path, wav(1, 16_000, &vec![0; 16_000 * 601], None)).expect("writes");
    let (code, text, said) = run(transcribe().arg("--no-segmenter").arg(&path));
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(said.contains("longer than 10 minutes"), "{said}");
}

/// A recording so long that no machine is through with it before the test has done its part.
#[cfg(unix)]
fn very_long(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("very_long.wav");
    let once = samples("long_unseen_001.flac");
    let all: Vec<i16> = std::iter::repeat_n(once, 60).flatten().collect();
    fs::write(&path, wav(1, 16_000, &all, None)).expect("writes");
    path
}

#[cfg(unix)]
#[test]
fn ctrl_c_aborts_at_once_and_keeps_what_was_printed() {
    let dir = TempDir::new().expect("creates");
    let mut child = std::process::Command::new(cargo_bin!("diy-typeless"))
        .args(["transcribe", "--local-asr"])
        .arg(data("tiny-qwen3-asr"))
        .arg(very_long(&dir))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut text = vec![0; 1];
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut text).expect("text appears while the file is being read");
    signal(&child, "INT");
    let asked = std::time::Instant::now();
    stdout.read_to_end(&mut text).expect("reads");
    let code = child.wait().expect("ends").code();
    assert!(asked.elapsed().as_secs_f64() < 2.0, "took {:?}", asked.elapsed());
    assert_eq!(code, Some(130));
    assert!(text.ends_with(b"\n"), "{}", String::from_utf8_lossy(&text));
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(said, "error: aborted\n");
}

#[cfg(unix)]
#[test]
fn ctrl_c_aborts_while_standard_input_keeps_us_waiting() {
    let mut child = std::process::Command::new(cargo_bin!("diy-typeless"))
        .args(["transcribe", "--local-asr"])
        .arg(data("tiny-qwen3-asr"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // More than a pipe holds: when all of it was taken, the program is reading.
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&vec![0; 1 << 20]).expect("taken");
    signal(&child, "INT");
    let asked = std::time::Instant::now();
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(asked.elapsed().as_secs_f64() < 2.0, "took {:?}", asked.elapsed());
}
