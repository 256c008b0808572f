//! `diagnose audio`: three seconds of the microphone, in numbers and in words.

use std::time::{Duration, Instant};

use diy_typeless::audio::capture::{CaptureOptions, capture};
use diy_typeless::audio::{SourceEvent, SourceInfo, SourceReport};
use serde::Serialize;

use crate::args::DiagnoseAudio;
use crate::devices::rate;
use crate::failure::{Code, Failure};
use crate::output::{json_line, print};
use crate::ui::Screen;

const LISTEN: Duration = Duration::from_secs(3);
/// Beyond this something is stuck that should have told.
const PATIENCE: Duration = Duration::from_secs(20);
/// Less is a knock on the table.
const SPEECH_S: f32 = 0.25;

/// The result, as `--json` prints it. The fields are documented in the help.
#[derive(Serialize)]
struct Diagnosis<'a> {
    device: &'a str,
    host: &'a str,
    rate: u32,
    channels: u16,
    format: &'a str,
    seconds: f64,
    first_samples_s: Option<f64>,
    rms_db: f32,
    peak_db: f32,
    clipped_samples: u64,
    dropped_samples: u64,
    repaired_samples: u64,
    speech_s: f32,
    lost: Option<&'a str>,
    notices: &'a [Notice],
}

#[derive(Debug, Serialize)]
struct Notice {
    message: String,
    hint: Option<String>,
}

pub(crate) fn run(args: &DiagnoseAudio) -> Result<Code, Failure> {
    let options = CaptureOptions { device: args.device.clone(), host: args.host.into(), ..CaptureOptions::default() };
    let source = capture(&options, |_: &[f32]| {})?;
    let info = source.info().clone();
    let screen = Screen::plain();
    let mut notices = Vec::new();
    let mut until = Instant::now() + PATIENCE;
    while let Ok(event) = source.events().recv_deadline(until) {
        if let Some(message) = event.message() {
            notices.push(Notice { message, hint: event.hint() });
        }
        match event {
            SourceEvent::Started(_) => {
                screen.say(&format!("{} is open: say something ...", info.device));
                until = Instant::now() + LISTEN;
            }
            SourceEvent::Ended => break,
            _ => {}
        }
    }
    let report = source.finish();
    if args.json {
        print(&json_line(&diagnosis(&info, &report, &notices))?)?;
    } else {
        print(words(&info, &report, &notices).as_bytes())?;
    }
    Ok(match () {
        () if report.lost.is_some() => Code::DeviceLost,
        () if report.active_seconds < SPEECH_S => Code::NoSpeech,
        () => Code::Ok,
    })
}

fn diagnosis<'a>(info: &'a SourceInfo, report: &'a SourceReport, notices: &'a [Notice]) -> Diagnosis<'a> {
    Diagnosis {
        device: &info.device,
        host: &info.host,
        rate: info.rate,
        channels: info.channels,
        format: &info.format,
        seconds: seconds(report.samples),
        first_samples_s: report.first_samples_after.map(|after| after.as_secs_f64()),
        rms_db: report.rms_dbfs,
        peak_db: report.peak_dbfs,
        clipped_samples: report.clipped_samples,
        dropped_samples: report.dropped_samples,
        repaired_samples: report.repaired_samples,
        speech_s: report.active_seconds,
        lost: report.lost.as_deref(),
        notices,
    }
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(diy_typeless::SAMPLE_RATE)
}

/// Without the zero below zero.
fn whole(db: f32) -> f32 {
    db.round() + 0.0
}

fn words(info: &SourceInfo, report: &SourceReport, notices: &[Notice]) -> String {
    let channels = if info.channels == 1 { "1 channel".to_owned() } else { format!("{} channels", info.channels) };
    let first = match report.first_samples_after {
        Some(after) => format!("after {:.2} s", after.as_secs_f64()),
        None => "never came".to_owned(),
    };
    let count = |n: u64, what: &str| if n == 0 { "none".to_owned() } else { format!("{n} samples {what}") };
    let speech = if report.active_seconds < SPEECH_S {
        "none was heard".to_owned()
    } else {
        format!("{:.1} s", report.active_seconds)
    };
    let mut lines = vec![
        ("device", format!("{} ({})", info.device, info.host)),
        ("rate", format!("{}, {channels}, {}", rate(info.rate), info.format)),
        ("first sound", first),
        ("heard", format!("{:.2} s", seconds(report.samples))),
        ("level", format!("{} dB, peak {} dB", whole(report.rms_dbfs), whole(report.peak_dbfs))),
        ("clipping", count(report.clipped_samples, "at full scale")),
        ("dropped", count(report.dropped_samples, "lost")),
        ("speech", speech),
    ];
    if report.repaired_samples > 0 {
        lines.push(("broken", count(report.repaired_samples, "that are not numbers")));
    }
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect();
    for notice in notices {
        text.push_str(&format!("notice: {}\n", notice.message));
        if let Some(hint) = &notice.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_measured_is_said() {
        let info = SourceInfo {
            device: "Yeti".to_owned(),
            host: "pulse".to_owned(),
            rate: 44_100,
            channels: 2,
            format: "i16".to_owned(),
        };
        let mut report = SourceReport {
            samples: 48_000,
            clipped_samples: 3,
            peak_dbfs: -0.2,
            rms_dbfs: -20.6,
            active_seconds: 1.25,
            first_samples_after: Some(Duration::from_millis(120)),
            ..SourceReport::default()
        };
        let notices = [Notice { message: "too loud".to_owned(), hint: Some("lower it".to_owned()) }];
        assert_eq!(
            words(&info, &report, &notices),
            "device       Yeti (pulse)\nrate         44.1 kHz, 2 channels, i16\nfirst sound  after 0.12 s\nheard        3.00 s\n\
             level        -21 dB, peak 0 dB\nclipping     3 samples at full scale\ndropped      none\nspeech       1.2 s\n\
             notice: too loud\n  hint: lower it\n"
        );
        report.active_seconds = 0.1;
        assert!(words(&info, &report, &[]).ends_with("speech       none was heard\n"));
    }
}
