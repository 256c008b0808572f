//! A recording while it goes on, as people see it: with a region that lives, on a terminal, or as plain lines elsewhere.
//!
//! Text goes to standard output, a line per segment; everything else goes to standard error.

use std::path::Path;
use std::time::{Duration, Instant};

use console::measure_text_width;
use diy_typeless::audio::SourceInfo;
use diy_typeless::{Segment, SessionEvent};

use crate::devices::rate;
use crate::failure::{Code, Failure};
use crate::keys::Echo;
use crate::live_region::{LiveRegion, View};
use crate::output::print;
use crate::recording::shown;
use crate::ui::Screen;

/// Who has waited for so long gets the text as it comes.
const SHORT: Duration = Duration::from_secs(1);
/// Between keys.
const GAP: &str = "   ";
const NO_MODEL: &str = "no model: only the audio is recorded";
/// Terminals from here on have the microphone and the keys on one line.
const ONE_LINE: usize = 100;

/// What somebody who started a recording gets to see. Errors mean that standard output is gone.
pub(crate) trait Show {
    /// Sound is heard from now on; it goes into this file.
    fn ready(&mut self, info: &SourceInfo, recording: &Path) -> Result<(), Failure>;
    /// Anything else happened.
    fn event(&mut self, event: &SessionEvent) -> Result<(), Failure>;
    /// Something to know.
    fn notice(&mut self, message: &str, hint: Option<&str>) -> Result<(), Failure>;
    /// Something went wrong.
    fn error(&mut self, failure: &Failure) -> Result<(), Failure>;
    /// Time passed.
    fn tick(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    /// The recording was stopped.
    fn finishing(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    /// This is what came of it.
    fn done(&mut self, done: &Done<'_>) -> Result<(), Failure>;
}

/// What came of a recording.
pub(crate) struct Done<'a> {
    /// All of it; `None` if none was made.
    pub(crate) text: Option<&'a str>,
    pub(crate) language: Option<&'a str>,
    pub(crate) audio_seconds: f64,
    /// From the stop to the text.
    pub(crate) lag_seconds: f64,
    pub(crate) text_file: Option<&'a Path>,
    pub(crate) audio_file: Option<&'a Path>,
    /// What makes the text that is missing.
    pub(crate) command: Option<&'a str>,
}

/// What is known before anything is heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Enter stops.
    pub(crate) enter: bool,
    /// There is a model, which is being loaded.
    pub(crate) model: bool,
}

/// Without a terminal: nothing moves.
pub(crate) struct Lines {
    screen: Screen,
    /// Standard output is there.
    text: bool,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self { screen: Screen::plain(), text: true }
    }

    /// For when nobody reads the text any more.
    pub(crate) fn without_text() -> Self {
        Self { screen: Screen::plain(), text: false }
    }
}

impl Show for Lines {
    fn ready(&mut self, info: &SourceInfo, _recording: &Path) -> Result<(), Failure> {
        self.screen.say(&source(info));
        Ok(())
    }

    fn event(&mut self, event: &SessionEvent) -> Result<(), Failure> {
        match event {
            SessionEvent::Segment(segment) if self.text => print_segment(segment),
            _ => Ok(()),
        }
    }

    fn notice(&mut self, message: &str, hint: Option<&str>) -> Result<(), Failure> {
        self.screen.notice(message, hint);
        Ok(())
    }

    fn error(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.screen.failure(failure);
        Ok(())
    }

    fn done(&mut self, done: &Done<'_>) -> Result<(), Failure> {
        if let Some(line) = saved(done) {
            self.screen.say(&line);
        }
        Ok(())
    }
}

/// On a terminal.
pub(crate) struct Terminal {
    setting: Setting,
    screen: Screen,
    region: LiveRegion,
    view: View,
    echo: Echo,
    columns: usize,
    stopped: Option<Instant>,
    /// Complete segments that wait for the line before them, which says how long they took.
    held: Vec<Segment>,
    /// That line was written.
    announced: bool,
}

impl Terminal {
    /// `None` where standard error is not a terminal that can move its cursor.
    pub(crate) fn new(setting: Setting, echo: Echo) -> Option<Self> {
        let screen = Screen::new();
        if !screen.lives() {
            return None;
        }
        let term = console::Term::stderr();
        let columns = usize::from(term.size().1);
        echo.off();
        Some(Self {
            setting,
            screen: Screen::plain(),
            region: LiveRegion::new(term),
            view: View::default(),
            echo,
            columns,
            stopped: None,
            held: Vec::new(),
            announced: false,
        })
    }

    /// Writes something above the region.
    fn above<T>(&mut self, write: impl FnOnce(&Screen) -> T) -> T {
        let was_there = self.region.clear();
        let result = write(&self.screen);
        if was_there {
            self.region.draw(&self.view);
        }
        result
    }

    fn segment(&mut self, segment: &Segment) -> Result<(), Failure> {
        self.view.text("", 0);
        if self.stopped.is_some() && !self.announced {
            self.held.push(segment.clone());
            return Ok(());
        }
        self.above(|_| print_segment(segment))
    }

    /// Says how long it takes, or took, and lets the text go.
    fn announce(&mut self, seconds: f64) -> Result<(), Failure> {
        if !self.announced {
            self.announced = true;
            self.above(|screen| screen.say(&format!("Finishing ... {seconds:.1} s")));
        }
        let held = std::mem::take(&mut self.held);
        held.iter().try_for_each(|segment| self.above(|_| print_segment(segment)))
    }

    /// What is recorded from and how it is stopped, on one line or on as many as it takes.
    fn heading(&self, info: &SourceInfo) -> String {
        let source = source(info);
        let keys = ["[Enter] stop", "[Ctrl-C] stop", "[Ctrl-C twice] abort, audio kept"];
        let keys = &keys[usize::from(!self.setting.enter)..];
        let all = keys.join(GAP);
        let room = self.columns.saturating_sub(1);
        let left = room.checked_sub(measure_text_width(&source) + all.len()).filter(|&left| left >= GAP.len());
        if let (true, Some(left)) = (self.columns >= ONE_LINE, left) {
            return format!("{source}{}{all}", " ".repeat(left.min(20)));
        }
        let mut text = source;
        let mut used = room;
        for key in keys {
            let fits = used + GAP.len() + key.len() <= room;
            text.push_str(if fits { GAP } else { "\n" });
            text.push_str(key);
            used = if fits { used + GAP.len() } else { 0 } + key.len();
        }
        text
    }
}

impl Show for Terminal {
    fn ready(&mut self, info: &SourceInfo, _recording: &Path) -> Result<(), Failure> {
        let heading = self.heading(info);
        self.above(|screen| screen.say(&heading));
        self.view.status = if self.setting.model { "loading the model ..." } else { NO_MODEL };
        self.region.draw(&self.view);
        Ok(())
    }

    fn event(&mut self, event: &SessionEvent) -> Result<(), Failure> {
        match event {
            SessionEvent::ModelReady { .. } => self.view.status = "",
            SessionEvent::Level { rms_dbfs, seconds, lag_seconds, .. } => {
                self.view.level(*rms_dbfs);
                self.view.seconds = *seconds;
                self.view.lag_seconds = *lag_seconds;
                self.region.refresh(&self.view);
            }
            SessionEvent::Partial { text, stable, .. } => {
                self.view.text(text, *stable);
                self.region.refresh(&self.view);
            }
            SessionEvent::Segment(segment) => return self.segment(segment),
            _ => {}
        }
        Ok(())
    }

    fn notice(&mut self, message: &str, hint: Option<&str>) -> Result<(), Failure> {
        self.above(|screen| screen.notice(message, hint));
        Ok(())
    }

    fn error(&mut self, failure: &Failure) -> Result<(), Failure> {
        if failure.code == Code::Model {
            self.view.status = NO_MODEL;
        }
        self.above(|screen| screen.failure(failure));
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Failure> {
        let Some(stopped) = self.stopped else { return Ok(()) };
        if stopped.elapsed() > SHORT && !self.held.is_empty() {
            self.announce(stopped.elapsed().as_secs_f64())?;
        }
        self.view.finishing = Some(stopped.elapsed().as_secs_f64());
        self.region.refresh(&self.view);
        Ok(())
    }

    fn finishing(&mut self) -> Result<(), Failure> {
        self.stopped.get_or_insert_with(Instant::now);
        self.view.status = "";
        self.tick()
    }

    fn done(&mut self, done: &Done<'_>) -> Result<(), Failure> {
        self.region.clear();
        if self.stopped.is_some() && done.text.is_some_and(|text| !text.is_empty()) {
            self.announce(done.lag_seconds)?;
        }
        if let Some(line) = saved(done) {
            self.screen.say(&line);
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.region.clear();
        self.echo.restore();
    }
}

fn print_segment(segment: &Segment) -> Result<(), Failure> {
    if segment.text.is_empty() { Ok(()) } else { print(format!("{}\n", segment.text).as_bytes()) }
}

/// What is recorded from.
fn source(info: &SourceInfo) -> String {
    match info.host.as_str() {
        "file" | "pipe" => format!("Playing: {}", info.device),
        host => format!("Mic: {} ({host}, {})", info.device, rate(info.rate)),
    }
}

/// Where everything is.
fn saved(done: &Done<'_>) -> Option<String> {
    let hint = done.command.map(|command| format!("\n  hint: {command}")).unwrap_or_default();
    Some(match (done.text_file, done.audio_file) {
        (Some(text), Some(audio)) if audio.with_extension("txt") == text => format!("Saved {} (and .wav)", shown(text)),
        (Some(text), Some(audio)) => format!("Saved {} and {}", shown(text), shown(audio)),
        (Some(text), None) => format!("Saved {}", shown(text)),
        (None, Some(audio)) => format!("Kept the audio: {}{hint}", shown(audio)),
        (None, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(columns: usize, enter: bool) -> Terminal {
        Terminal {
            setting: Setting { enter, model: true },
            screen: Screen::plain(),
            region: LiveRegion::new(console::Term::stderr()),
            view: View::default(),
            echo: Echo::default(),
            columns,
            stopped: None,
            held: Vec::new(),
            announced: false,
        }
    }

    fn yeti() -> SourceInfo {
        SourceInfo {
            device: "Blue Yeti".to_owned(),
            host: "pulse".to_owned(),
            rate: 48_000,
            channels: 2,
            format: "i16".to_owned(),
        }
    }

    #[test]
    fn the_heading_is_one_line_where_there_is_room() {
        assert_eq!(
            terminal(120, true).heading(&yeti()),
            "Mic: Blue Yeti (pulse, 48 kHz)                    [Enter] stop   [Ctrl-C] stop   [Ctrl-C twice] abort, audio kept"
        );
        assert_eq!(
            terminal(80, true).heading(&yeti()),
            "Mic: Blue Yeti (pulse, 48 kHz)\n[Enter] stop   [Ctrl-C] stop   [Ctrl-C twice] abort, audio kept"
        );
        assert_eq!(
            terminal(40, false).heading(&yeti()),
            "Mic: Blue Yeti (pulse, 48 kHz)\n[Ctrl-C] stop\n[Ctrl-C twice] abort, audio kept"
        );
        assert_eq!(terminal(0, false).heading(&yeti()).lines().count(), 3);
    }

    #[test]
    fn what_was_saved_is_named_with_what_makes_a_missing_text() {
        let line = |text: Option<&str>, audio: Option<&str>| {
            saved(&Done {
                text: None,
                language: None,
                audio_seconds: 1.0,
                lag_seconds: 0.0,
                text_file: text.map(Path::new),
                audio_file: audio.map(Path::new),
                command: text.is_none().then_some("diy-typeless transcribe /r/a.wav"),
            })
        };
        assert_eq!(line(Some("/r/a.txt"), Some("/r/a.wav")).as_deref(), Some("Saved /r/a.txt (and .wav)"));
        assert_eq!(line(Some("/r/a.txt"), None).as_deref(), Some("Saved /r/a.txt"));
        let kept = "Kept the audio: /r/a.wav\n  hint: diy-typeless transcribe /r/a.wav";
        assert_eq!(line(None, Some("/r/a.wav")).as_deref(), Some(kept));
        assert_eq!(line(None, None), None);
    }
}
