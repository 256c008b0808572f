//! Microphones, without one: a private PulseAudio server is fed in real time by scripts/virtual-mic.sh, and recorded from through
//! PulseAudio's own protocol and through ALSA at once.
//!
//! Every test runs its scene in a process of its own under that script, because servers are named by the environment and because a driver
//! that hangs must not take other tests with it.
#![cfg(all(feature = "capture", target_os = "linux"))]
#![allow(clippy::print_stdout)] // for whoever runs it with --nocapture, and for the parent of a scene

mod scenes;
mod sound;

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any scene takes on a slow machine.
const SCENE_WITHIN: Duration = Duration::from_secs(60);

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs a scene in front of a microphone of this rate and these channels; what it prints comes back when it fails.
fn scene(name: &str, rate: u32, channels: u16) {
    for program in ["pulseaudio", "pactl", "python3"] {
        if !installed(program) {
            // Past the test harness, which hides what passing tests print.
            let _ =
                writeln!(std::io::stderr(), "!!!! skipped: {name} at {rate} Hz, because {program} is not installed");
            return;
        }
    }
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/virtual-mic.sh"));
    command.args(["--rate", &rate.to_string(), "--channels", &channels.to_string(), "--"]);
    command.arg(std::env::current_exe().expect("known"));
    let text = run(command, name, |command| {
        command.env("VIRTUAL_MIC_RATE", rate.to_string()).env("VIRTUAL_MIC_CHANNELS", channels.to_string());
    });
    assert!(!text.contains("ALSA lib"), "ALSA's library talks to the user:\n{text}");
}

fn run(mut command: Command, name: &str, prepare: impl FnOnce(&mut Command)) -> String {
    command.args(["--exact", &format!("scenes::{name}"), "--ignored", "--nocapture", "--test-threads=1"]);
    prepare(&mut command);
    // A group of its own, to end all of it should it hang.
    let mut child = command
        .env("CAPTURE_SCENE", name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("starts");
    let texts = [read(child.stdout.take().expect("piped")), read(child.stderr.take().expect("piped"))];
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break Some(status);
        }
        if begun.elapsed() > SCENE_WITHIN {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = texts.map(|text| text.join().expect("reads")).concat();
    assert!(status.is_some(), "{name} hangs:\n{text}");
    assert!(status.is_some_and(|status| status.success()), "{name} failed:\n{text}");
    assert!(text.contains("1 passed"), "{name} is not the name of a scene:\n{text}");
    // For `--nocapture`.
    println!("{text}");
    text
}

fn read(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

macro_rules! fidelity {
    ($($name:ident $rate:literal $channels:literal,)*) => {
        $(#[test]
        fn $name() {
            scene("what_is_played_is_what_is_recorded", $rate, $channels);
        })*
    };
}

fidelity! {
    speech_is_recorded_at_8_khz_mono 8_000 1,
    speech_is_recorded_at_8_khz_stereo 8_000 2,
    speech_is_recorded_at_16_khz_mono 16_000 1,
    speech_is_recorded_at_16_khz_stereo 16_000 2,
    speech_is_recorded_at_44_khz_mono 44_100 1,
    speech_is_recorded_at_44_khz_stereo 44_100 2,
    speech_is_recorded_at_48_khz_mono 48_000 1,
    speech_is_recorded_at_48_khz_stereo 48_000 2,
}

#[test]
fn a_server_that_dies_is_a_lost_device() {
    scene("the_server_is_killed", 48_000, 2);
}

#[test]
fn a_source_that_gives_nothing_for_3_s_is_a_lost_device() {
    scene("the_source_is_starved", 16_000, 1);
}

#[test]
fn a_source_that_is_removed_is_a_lost_device() {
    scene("the_source_is_removed", 44_100, 1);
}

#[test]
fn digital_silence_is_told_and_devices_start_and_stop_at_any_moment() {
    scene("silence_and_many_starts", 16_000, 1);
}

#[test]
fn a_program_that_was_suspended_goes_on_and_says_what_it_missed() {
    scene("the_recorder_is_suspended", 48_000, 2);
}

#[test]
fn without_a_server_there_is_a_sentence_and_no_chatter() {
    let command = Command::new(std::env::current_exe().expect("known"));
    let text = run(command, "there_is_no_server", |command| {
        command
            .env("PULSE_SERVER", "unix:/nowhere")
            .env("XDG_RUNTIME_DIR", "/nowhere")
            .env("PULSE_RUNTIME_PATH", "/nowhere");
    });
    assert!(!text.contains("ALSA lib"), "ALSA's library talks to the user:\n{text}");
}
