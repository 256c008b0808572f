//! `devices`: what can be recorded from.

use console::measure_text_width;
use diy_typeless::audio::capture::{self, AudioHost, InputDevice};
use serde::Serialize;

use crate::args::{Devices, Host};
use crate::failure::{Code, Failure};
use crate::output::{json_line, print};

/// One input, as `--json` prints it. The fields are documented in the help.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    id: &'a str,
    host: &'a str,
    default: bool,
    monitor: bool,
    rate: Option<u32>,
    channels: Option<u16>,
    format: Option<&'a str>,
    problem: Option<&'a str>,
}

impl From<Host> for AudioHost {
    fn from(host: Host) -> Self {
        match host {
            Host::Auto => Self::Auto,
            Host::Pulse => Self::Pulse,
            Host::Alsa => Self::Alsa,
        }
    }
}

pub(crate) fn run(args: &Devices) -> Result<Code, Failure> {
    let all = capture::devices(args.host.into())?;
    if all.is_empty() {
        let host = match args.host {
            Host::Auto => "the system",
            Host::Pulse => "pulse",
            Host::Alsa => "alsa",
        };
        return Err(capture::CaptureError::NoDevice { host: host.to_owned() }.into());
    }
    if args.json {
        for device in &all {
            print(&json_line(&line(device))?)?;
        }
    } else {
        print(table(&all).as_bytes())?;
    }
    Ok(Code::Ok)
}

fn line(device: &InputDevice) -> Line<'_> {
    Line {
        name: &device.name,
        id: &device.id,
        host: &device.host,
        default: device.default,
        monitor: device.monitor,
        rate: device.rate,
        channels: device.channels,
        format: device.format.as_deref(),
        problem: device.problem.as_deref(),
    }
}

fn table(all: &[InputDevice]) -> String {
    let rows: Vec<[String; 5]> = all
        .iter()
        .map(|device| {
            let mark = if device.default { "*" } else { " " };
            let channels = match device.channels {
                Some(1) => "mono".to_owned(),
                Some(2) => "stereo".to_owned(),
                Some(n) => format!("{n} channels"),
                None => String::new(),
            };
            let remark = match &device.problem {
                Some(problem) => problem.clone(),
                None if device.monitor => "what a loudspeaker plays".to_owned(),
                None => String::new(),
            };
            let rate = device.rate.map(rate).unwrap_or_default();
            [format!("{mark} {}", device.name), device.host.clone(), rate, channels, remark]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: String =
            cells.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - measure_text_width(cell) + 2))).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A sample rate as people say it: 48 kHz, 44.1 kHz.
pub(crate) fn rate(hz: u32) -> String {
    format!("{} kHz", f64::from(hz) / 1_000.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn rates_are_as_people_say_them() {
        assert_eq!([48_000, 44_100, 22_050].map(super::rate), ["48 kHz", "44.1 kHz", "22.05 kHz"]);
    }
}
