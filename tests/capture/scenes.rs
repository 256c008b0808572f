//! What happens in front of the virtual microphone. Each scene is a test that runs only when `scene` in main.rs asks for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diy_typeless::audio::capture::{AudioHost, CaptureError, CaptureOptions, capture, devices};
use diy_typeless::audio::{LiveSource, SourceEvent, SourceReport};

use crate::sound::{correlation, find, resample, speech, write_wav};

const HOSTS: [AudioHost; 2] = [AudioHost::Pulse, AudioHost::Alsa];

/// False in a plain `cargo test -- --ignored`.
fn asked_for(name: &str) -> bool {
    std::env::var("CAPTURE_SCENE").is_ok_and(|scene| scene == name)
}

fn number(name: &str) -> u32 {
    std::env::var(name).expect("set by `scene`").parse().expect("a number")
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

fn mic(command: &str) {
    let path = std::env::var("VIRTUAL_MIC").expect("set by the script");
    let mut pipe = OpenOptions::new().write(true).open(path).expect("opens");
    writeln!(pipe, "{command}").expect("writes");
}

/// Waits until the microphone said this; returns when it did it.
fn mic_said(word: &str) -> f64 {
    let path = std::env::var("VIRTUAL_MIC_LOG").expect("set by the script");
    let begun = Instant::now();
    loop {
        let log = std::fs::read_to_string(&path).expect("reads");
        assert!(!log.contains(" error "), "{log}");
        let line = log.lines().find(|line| line.split(' ').nth(1) == Some(word));
        if let Some(line) = line {
            return line.split(' ').next().expect("a time").parse().expect("a number");
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the microphone did not say {word}: {log}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Makes a file of speech in the microphone's rate and channels.
fn prepare(speech: &[f32]) -> PathBuf {
    let (rate, channels) = (number("VIRTUAL_MIC_RATE"), number("VIRTUAL_MIC_CHANNELS"));
    let file = PathBuf::from(std::env::var("VIRTUAL_MIC").expect("set by the script")).with_file_name("speech.wav");
    write_wav(&file, &resample(speech, rate), rate, u16::try_from(channels).expect("few"));
    file
}

#[derive(Default)]
struct Heard {
    samples: Vec<f32>,
    /// When the first sample was spoken, by the block that was least late, and when the last one arrived.
    begun: f64,
    until: f64,
}

struct Recording {
    host: AudioHost,
    source: LiveSource,
    heard: Arc<Mutex<Heard>>,
    /// What was read while waiting for something else.
    events: Vec<SourceEvent>,
}

fn record(host: AudioHost) -> Recording {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let into = heard.clone();
    let consumer = move |block: &[f32]| {
        let mut heard = into.lock().expect("not poisoned");
        heard.samples.extend(block);
        heard.until = now();
        let begun = heard.until - heard.samples.len() as f64 / 16_000.0;
        heard.begun = if heard.samples.len() == block.len() { begun } else { heard.begun.min(begun) };
    };
    let options = CaptureOptions { host, ..CaptureOptions::default() };
    let source = capture(&options, consumer).unwrap_or_else(|e| panic!("{host:?}: {e}"));
    Recording { host, source, heard, events: Vec::new() }
}

impl Recording {
    /// Reads events until one is as wanted.
    fn wait(&mut self, what: &str, wanted: impl Fn(&SourceEvent) -> bool) -> SourceEvent {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if let Ok(event) = self.source.events().recv_timeout(Duration::from_millis(100)) {
                if !matches!(event, SourceEvent::Level { .. }) {
                    self.events.push(event.clone());
                }
                if wanted(&event) {
                    return event;
                }
            }
        }
        panic!("{:?}: no {what} among {:?}", self.host, self.events);
    }

    fn started(mut self) -> Self {
        self.wait("start", |event| matches!(event, SourceEvent::Started(_)));
        self
    }

    /// Stops, and says how long that took.
    fn finish(mut self) -> (Vec<f32>, SourceReport, Vec<SourceEvent>, Duration) {
        let begun = Instant::now();
        self.source.stop();
        let events = self.source.events().clone();
        let report = self.source.finish();
        let took = begun.elapsed();
        self.events.extend(events.try_iter().filter(|event| !matches!(event, SourceEvent::Level { .. })));
        assert_eq!(self.events.last(), Some(&SourceEvent::Ended), "{:?}", self.host);
        let samples = std::mem::take(&mut self.heard.lock().expect("not poisoned").samples);
        assert_eq!(report.samples, samples.len() as u64);
        (samples, report, self.events, took)
    }
}

#[test]
#[ignore = "a scene"]
fn what_is_played_is_what_is_recorded() {
    if !asked_for("what_is_played_is_what_is_recorded") {
        return;
    }
    let reference = speech(3.0);
    let file = prepare(&reference);
    let recordings = HOSTS.map(|host| record(host).started());
    for recording in &recordings {
        let info = recording.source.info();
        if recording.host == AudioHost::Pulse {
            let own = (info.rate, u32::from(info.channels), info.format.as_str());
            assert_eq!(own, (number("VIRTUAL_MIC_RATE"), number("VIRTUAL_MIC_CHANNELS"), "i16"));
        }
    }
    // The first word comes as soon as the user is told to speak, and stop with the last sample.
    mic(&format!("play {}", file.display()));
    let played = mic_said("playing");
    mic_said("played");
    let stopped = now();
    recordings.iter().for_each(|recording| recording.source.stop());
    for recording in recordings {
        let (host, heard) = (recording.host, recording.heard.clone());
        let (samples, report, events, took) = recording.finish();
        let Heard { begun, until, .. } = *heard.lock().expect("not poisoned");
        let found = find(&reference, &samples, played - begun);
        let lag_ms = (found.seconds - (played - begun)) * 1_000.0;
        let length = samples.len() as f64 / 16_000.0 - (until - begun);
        println!("{host:?}: {found:?}, lag {lag_ms:.1} ms, length {:.1} ms, stop {took:?}", length * 1_000.0);
        assert!(found.correlation >= 0.95, "{host:?}: {found:?}");
        assert!(lag_ms.abs() <= 60.0, "{host:?}: {lag_ms} ms");
        assert!(length.abs() <= 0.1, "{host:?}: {length} s");
        // The ends by themselves, to the last sample.
        let lag = (found.seconds * 16_000.0).round() as i64;
        let first = correlation(&reference[..800], &samples, lag);
        let tail = reference.len() - 800;
        let last = correlation(&reference[tail..], &samples, lag + tail as i64);
        println!("{host:?}: the first word {first:.3}, the last {last:.3}");
        assert!(first >= 0.9 && last >= 0.9, "{host:?}: the first word {first:.3}, the last {last:.3}");
        assert!(lag >= 0 && lag as usize + reference.len() <= samples.len(), "{host:?}: an end is cut off");
        assert!(until - stopped <= 0.7, "{host:?}: goes on for {} s", until - stopped);
        assert_eq!((report.dropped_samples, report.lost), (0, None), "{host:?}");
        assert!(report.active_seconds > 1.0 && report.clipped_samples == 0, "{host:?}");
        assert!(!events.iter().any(|event| matches!(event, SourceEvent::Quiet { .. })), "{events:?}");
    }
}

/// Something happens in the middle of the speech: the device is lost soon, and what was said before is there.
fn lost_while(name: &str, disturb: &str, done: &str, within: f64) {
    if !asked_for(name) {
        return;
    }
    let reference = speech(3.0);
    let file = prepare(&reference);
    let recordings = HOSTS.map(|host| record(host).started());
    mic(&format!("play {}", file.display()));
    let played = mic_said("playing");
    std::thread::sleep(Duration::from_millis(1_500));
    mic(disturb);
    let disturbed = mic_said(done);
    let recordings = recordings.map(|mut recording| {
        let lost = recording.wait("loss", |event| matches!(event, SourceEvent::Lost { .. }));
        (recording, lost, now() - disturbed)
    });
    for (recording, lost, after) in recordings {
        let host = recording.host;
        let (message, hint) = (lost.message().expect("has one"), lost.hint().expect("has one"));
        let begun = recording.heard.lock().expect("not poisoned").begun;
        let (samples, report, _, took) = recording.finish();
        println!("{host:?}: after {after:.2} s: {message} ({hint}); {} samples, finish {took:?}", samples.len());
        assert!(after <= within, "{host:?}: told after {after} s");
        assert_eq!(report.lost, Some(message));
        // A second for the driver, should it hang.
        assert!(took < Duration::from_millis(1_300), "{host:?}: finish takes {took:?}");
        let said = ((disturbed - played) * 16_000.0) as usize;
        let before = &reference[..said - 3_200];
        let found = find(before, &samples, played - begun);
        assert!(found.correlation >= 0.95, "{host:?}: {found:?} of what was said before");
    }
}

#[test]
#[ignore = "a scene"]
fn the_server_is_killed() {
    lost_while("the_server_is_killed", "kill", "killed", 3.5);
}

#[test]
#[ignore = "a scene"]
fn the_source_is_starved() {
    lost_while("the_source_is_starved", "starve 3", "starving", 3.0);
}

#[test]
#[ignore = "a scene"]
fn the_source_is_removed() {
    lost_while("the_source_is_removed", "remove", "removed", 3.5);
}

#[test]
#[ignore = "a scene"]
fn silence_and_many_starts() {
    if !asked_for("silence_and_many_starts") {
        return;
    }
    let all = devices(AudioHost::Auto).expect("lists");
    assert_eq!(all.len(), 1, "{all:?}");
    let only = &all[0];
    assert_eq!((only.id.as_str(), only.host.as_str(), only.default), ("virtual_mic", "pulse", true));
    assert_eq!((only.rate, only.channels, only.format.as_deref()), (Some(16_000), Some(1), Some("i16")));
    let alsa = devices(AudioHost::Alsa).expect("lists");
    assert!(alsa[0].default && alsa[0].id == "default" && alsa[0].rate.is_some(), "{alsa:?}");
    assert!(alsa.iter().all(|device| !["lavrate", "jack", "oss", "upmix", "null"].contains(&device.id.as_str())));

    for (device, error) in
        [("virtual", ""), ("VIRTUAL_MIC", ""), ("pulse:virtual_mic", ""), ("Yeti", "no input is called `Yeti`")]
    {
        let options = CaptureOptions { device: Some(device.to_owned()), ..CaptureOptions::default() };
        match capture(&options, |_: &[f32]| {}) {
            Ok(source) => drop(source),
            Err(e) => assert!(!error.is_empty() && e.to_string().starts_with(error) && !e.hint().is_empty(), "{e}"),
        }
    }

    // Stop at once, soon, twice; start again at once; drop.
    for host in HOSTS {
        for wait in [0, 30, 100] {
            let recording = record(host);
            std::thread::sleep(Duration::from_millis(wait));
            recording.source.stop();
            let (_, report, _, took) = recording.finish();
            assert!(took < Duration::from_millis(900), "{host:?}: stop after {wait} ms takes {took:?}");
            assert_eq!(report.lost, None);
        }
        drop(record(host));
    }
    let threads = || std::fs::read_dir("/proc/self/task").expect("Linux").count();
    let before = threads();
    for _ in 0..5 {
        for recording in HOSTS.map(|host| record(host).started()) {
            recording.finish();
        }
    }
    println!("threads: {before} before, {} after ten recordings", threads());

    for mut recording in HOSTS.map(|host| record(host).started()) {
        let silent = recording.wait("silence", |event| matches!(event, SourceEvent::Silent { since_start: true }));
        assert!(silent.hint().is_some_and(|hint| hint.contains("permission")), "{silent:?}");
        let (samples, report, _, took) = recording.finish();
        assert!(samples.iter().all(|&x| x == 0.0) && samples.len() >= 48_000);
        assert_eq!((report.active_seconds, report.rms_dbfs, report.lost), (0.0, -120.0, None));
        assert!(took < Duration::from_millis(450), "there is no last word to wait for: {took:?}");
    }
}

#[test]
#[ignore = "a scene"]
fn the_recorder_is_suspended() {
    if !asked_for("the_recorder_is_suspended") {
        return;
    }
    let recordings = HOSTS.map(|host| record(host).started());
    std::thread::sleep(Duration::from_millis(5_500));
    let me = std::process::id();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("kill -STOP {me}; sleep 3; kill -CONT {me}")]).status().expect("runs");
    std::thread::sleep(Duration::from_millis(2_500));
    for recording in recordings {
        let (host, heard) = (recording.host, recording.heard.clone());
        let (samples, report, events, _) = recording.finish();
        let Heard { begun, until, .. } = *heard.lock().expect("not poisoned");
        let missing = until - begun - samples.len() as f64 / 16_000.0;
        let told = report.dropped_samples as f64 / 16_000.0;
        println!("{host:?}: {missing:.2} s missing, {told:.2} s told");
        assert_eq!(report.lost, None, "{host:?}: it was not the device's fault");
        assert!((missing - told).abs() < 0.25, "{host:?}: {missing} s are missing, {told} s are told");
        assert_eq!(events.iter().any(|event| matches!(event, SourceEvent::Overrun { .. })), told > 0.0);
    }
}

#[test]
#[ignore = "a scene"]
fn there_is_no_server() {
    if !asked_for("there_is_no_server") {
        return;
    }
    let options = |host| CaptureOptions { host, ..CaptureOptions::default() };
    let error = capture(&options(AudioHost::Pulse), |_: &[f32]| {}).expect_err("no server");
    assert!(matches!(error, CaptureError::NoHost { .. }), "{error}");
    for host in [AudioHost::Auto, AudioHost::Alsa] {
        // A developer's machine may have a card.
        if let Err(error) = capture(&options(host), |_: &[f32]| {}) {
            println!("{error} ({})", error.hint());
            let expected = [CaptureError::NoDevice { host: "alsa".to_owned() }.to_string()];
            assert!(expected.contains(&error.to_string()) || error.to_string().contains("in use"), "{error}");
        }
    }
    let listed = devices(AudioHost::Auto).expect("lists");
    println!("{listed:?}");
}
