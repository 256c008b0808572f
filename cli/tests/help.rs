//! The texts of the help are part of the product: a change shows up here. UPDATE_SNAPSHOTS=1 accepts it.

use std::path::Path;

use assert_cmd::cargo::cargo_bin_cmd;

fn stdout(args: &[&str]) -> String {
    let output =
        cargo_bin_cmd!("diy-typeless").args(args).env_remove("COLUMNS").env("NO_COLOR", "1").output().expect("runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn is_as_committed(args: &[&str], file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(file);
    let now = stdout(args);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &now).expect("writes");
    }
    let committed = std::fs::read_to_string(&path).expect("committed");
    assert_eq!(now, committed, "{args:?} differs from {}", path.display());
}

#[test]
fn the_help_is_as_committed() {
    is_as_committed(&["--help"], "help.txt");
}

#[test]
fn the_short_help_of_transcribe_is_as_committed() {
    is_as_committed(&["transcribe", "-h"], "transcribe_short.txt");
}

#[test]
fn the_long_help_of_transcribe_is_as_committed() {
    is_as_committed(&["transcribe", "--help"], "transcribe_long.txt");
}

#[test]
fn the_short_help_of_record_is_as_committed() {
    is_as_committed(&["record", "-h"], "record_short.txt");
}

#[test]
fn the_long_help_of_record_is_as_committed() {
    is_as_committed(&["record", "--help"], "record_long.txt");
}

#[test]
fn the_help_of_the_smaller_commands_is_as_committed() {
    is_as_committed(&["devices", "--help"], "devices.txt");
    is_as_committed(&["diagnose", "audio", "--help"], "diagnose_audio.txt");
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&["completions", shell]);
        for word in ["local-asr", "transcribe", "record", "no-audio", "devices", "diagnose"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_man_page_names_every_option() {
    let page = stdout(&["man"]);
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{}", &page[..40]);
    for option in [
        "local\\-asr",
        "language",
        "context",
        "json",
        "output\\-dir",
        "threads",
        "no\\-segmenter",
        "duration\\-seconds",
        "device",
        "no\\-audio",
        "input",
        "speed",
    ] {
        assert!(page.contains(&format!("\\-\\-{option}")), "{option}");
    }
    assert!(!page.contains("throttle"), "what is hidden is for tests");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in
        [&[][..], &["transcribe"], &["transcribe", "--threads", "0", "x.wav"], &["transcribe", "--nope", "x.wav"]]
    {
        cargo_bin_cmd!("diy-typeless").args(args).assert().code(2).stdout("");
    }
}
