//! Between the ring and the consumer: delivers, watches, and decides when it is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::feed::Shared;
use super::{CaptureError, CaptureOptions, Tail};
use crate::audio::meter::Meter;
use crate::audio::source::{Events, SendEnded};
use crate::audio::{Consumer, Intake, SAMPLE_RATE, SourceEvent, SourceInfo, SourceReport, StopHandle};

/// How often the ring is emptied. The callback must not wake anybody, so the worker looks by itself.
const LOOK: Duration = Duration::from_millis(20);
/// A look that comes later than this says that the worker was held up, not that the device was.
const LATE: Duration = Duration::from_millis(60);
/// Losses are told at most so often.
const TELL_LOSSES: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    info: SourceInfo,
    tail: Tail,
    first_samples_within: Duration,
    lost_after: Duration,
    intake: Intake,
    ring: rtrb::Consumer<f32>,
    shared: Arc<Shared>,
    events: Events,
    stop: StopHandle,
    woken: Receiver<()>,
    meter: Meter,
    clock: Clock,
    losses: Losses,
    report: SourceReport,
    interleaved: Vec<f32>,
    block: Vec<f32>,
    frames: u64,
}

/// Why the worker ends.
#[derive(Debug)]
enum End {
    Stopped,
    Lost { reason: String, hint: String },
}

impl Worker {
    #[allow(clippy::too_many_arguments)] // once, from the one place that makes them all
    pub(super) fn new(
        info: SourceInfo,
        options: &CaptureOptions,
        intake: Intake,
        ring: rtrb::Consumer<f32>,
        shared: Arc<Shared>,
        events: Events,
        stop: StopHandle,
        woken: Receiver<()>,
    ) -> Self {
        Self {
            info,
            tail: options.tail,
            first_samples_within: options.first_samples_within,
            lost_after: options.lost_after,
            intake,
            ring,
            shared,
            events,
            stop,
            woken,
            meter: Meter::new(true),
            clock: Clock::default(),
            losses: Losses::default(),
            report: SourceReport::default(),
            interleaved: Vec::new(),
            block: Vec::new(),
            frames: 0,
        }
    }

    /// Runs until the end. Dropping `close` lets the owner close the device.
    pub(super) fn run(mut self, mut consumer: impl Consumer, close: Sender<()>) -> SourceReport {
        // Also when the consumer panics.
        let ended = SendEnded(self.events.clone());
        let end = self.listen(&mut consumer);
        self.shared.close();
        drop(close);
        self.deliver(&mut consumer);
        self.block.clear();
        let rest = Intake::new(self.info.rate, usize::from(self.info.channels));
        self.report.repaired_samples = self.intake.n_repaired();
        if let Some(rest) = rest {
            std::mem::replace(&mut self.intake, rest).finish(&mut self.block);
        }
        self.hand_over(&mut consumer);
        self.losses.missing += self.clock.end();
        self.look_for_losses(Instant::now(), true);
        if let End::Lost { reason, hint } = end {
            self.report.lost = Some(reason.clone());
            self.events.send(SourceEvent::Lost { reason, hint });
        }
        self.meter.report(&mut self.report);
        drop(consumer);
        drop(ended);
        self.report
    }

    fn listen(&mut self, consumer: &mut impl Consumer) -> End {
        let begun = Instant::now();
        let mut looked = begun;
        // Not what it is now: the first callback may have been quicker than this thread.
        let mut beat = 0;
        let mut idle = Duration::ZERO;
        loop {
            // Woken to stop, or the time is over: the loop looks at both.
            let _ = self.woken.recv_timeout(LOOK);
            let now = Instant::now();
            // A program that was suspended wakes up to an old heartbeat, and that is not the device's fault.
            idle += (now - looked).min(LATE);
            looked = now;
            let new_beat = self.shared.heartbeat();
            if new_beat != beat {
                beat = new_beat;
                idle = Duration::ZERO;
                if self.report.first_samples_after.is_none() {
                    self.report.first_samples_after = Some(now - begun);
                    self.events.send(SourceEvent::Started(self.info.clone()));
                }
                self.deliver(consumer);
                // What the ring had no room for is counted elsewhere.
                let frames = self.frames + self.shared.dropped_frames();
                let delivered = frames as f64 / f64::from(self.info.rate);
                self.losses.missing += self.clock.look((now - begun).as_secs_f64(), delivered);
            }
            self.look_for_losses(now, false);
            if let Some(asked) = self.stop.asked()
                && (self.stop.at_once() || self.heard_enough(now - asked))
            {
                return End::Stopped;
            }
            if let Some(end) = self.lost(idle) {
                return end;
            }
        }
    }

    /// Whether the last word must be in.
    fn heard_enough(&self, since_stop: Duration) -> bool {
        let calm =
            self.meter.calm_seconds() >= self.tail.calm.as_secs_f32() && self.report.first_samples_after.is_some();
        since_stop >= self.tail.at_most || (calm && since_stop >= self.tail.at_least)
    }

    fn lost(&self, idle: Duration) -> Option<End> {
        if let Some(error) = self.shared.fatal() {
            return Some(End::Lost { reason: error.to_string(), hint: error.hint().to_owned() });
        }
        let begun = self.report.first_samples_after.is_some();
        let patience = if begun { self.lost_after } else { self.first_samples_within };
        if idle < patience {
            return None;
        }
        let seconds = patience.as_secs_f32();
        let reason = match (self.shared.first_error(), begun) {
            (Some(error), _) => error.clone().into_gone().to_string(),
            (None, true) => {
                format!("{} has given no sound for {seconds} s: it was removed, or its server died", self.info.device)
            }
            (None, false) => format!("{} gave no sound within {seconds} s", self.info.device),
        };
        let hint = CaptureError::Gone { device: String::new(), detail: String::new() }.hint();
        let hint = if begun { hint } else { "is it connected and switched on? `--device NAME` takes another one" };
        Some(End::Lost { reason, hint: hint.to_owned() })
    }

    /// Everything in the ring goes to the consumer.
    fn deliver(&mut self, consumer: &mut impl Consumer) {
        let channels = usize::from(self.info.channels);
        let n = self.ring.slots() / channels * channels;
        self.interleaved.clear();
        if let Ok(chunk) = self.ring.read_chunk(n) {
            let (first, second) = chunk.as_slices();
            self.interleaved.extend_from_slice(first);
            self.interleaved.extend_from_slice(second);
            chunk.commit_all();
        }
        self.frames += (n / channels) as u64;
        self.block.clear();
        self.intake.push(&self.interleaved, &mut self.block);
        self.hand_over(consumer);
    }

    fn hand_over(&mut self, consumer: &mut impl Consumer) {
        if !self.block.is_empty() {
            self.meter.push(&self.block, |event| self.events.send(event));
            consumer.samples(&self.block);
        }
    }

    fn look_for_losses(&mut self, now: Instant, at_end: bool) {
        let dropped = self.shared.dropped_frames() as f64 / f64::from(self.info.rate);
        let lost = (dropped + self.losses.missing) * f64::from(SAMPLE_RATE);
        let new = (lost as u64).saturating_sub(self.report.dropped_samples);
        let overruns = self.shared.overruns();
        let due = at_end || self.losses.told.is_none_or(|told| now - told >= TELL_LOSSES);
        if !due || (new == 0 && overruns == self.losses.overruns) {
            return;
        }
        self.losses.told = Some(now);
        // The system said that something is missing but not how much: the clock will tell.
        self.losses.overruns = overruns;
        if new > 0 {
            self.report.dropped_samples += new;
            self.events.send(SourceEvent::Overrun { dropped_samples: new });
        }
    }
}

#[derive(Debug, Default)]
struct Losses {
    /// Seconds that the clock misses.
    missing: f64,
    overruns: u64,
    told: Option<Instant>,
}

/// Notices what was lost before it came to us, in the driver or in the sound server: sound that arrives late catches up,
/// sound that was lost leaves the recording behind the clock for good.
///
/// Per window, the smallest distance between clock and sound is kept; it grows between windows only by what is missing
/// (and by the drift of the device's clock, which is far below the threshold in one window).
#[derive(Debug, Default)]
struct Clock {
    window: Option<Window>,
    before: Option<f64>,
}

#[derive(Debug)]
struct Window {
    begun: f64,
    last: f64,
    smallest: f64,
}

impl Clock {
    /// Long enough that sound which is late has caught up in it.
    const WINDOW: f64 = 5.0;
    /// The last window may be shorter.
    const LAST_WINDOW: f64 = 1.0;
    const THRESHOLD: f64 = 0.2;

    /// Takes seconds since the start and seconds of sound so far; returns seconds that are found missing.
    fn look(&mut self, elapsed: f64, delivered: f64) -> f64 {
        let over = self.window.as_ref().is_some_and(|window| elapsed - window.begun >= Self::WINDOW);
        let missing = if over { self.compare() } else { 0.0 };
        let behind = elapsed - delivered;
        let window = self.window.get_or_insert(Window { begun: elapsed, last: elapsed, smallest: behind });
        window.last = elapsed;
        window.smallest = window.smallest.min(behind);
        missing
    }

    /// What is found missing at the end of the recording.
    fn end(&mut self) -> f64 {
        let enough = self.window.as_ref().is_some_and(|window| window.last - window.begun >= Self::LAST_WINDOW);
        if enough { self.compare() } else { 0.0 }
    }

    fn compare(&mut self) -> f64 {
        let Some(window) = self.window.take() else { return 0.0 };
        let grown = self.before.map_or(0.0, |before| window.smallest - before);
        self.before = Some(window.smallest);
        if grown > Self::THRESHOLD { grown } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks 50 times a second at a device whose sound arrives as `delivered` says; where none arrives, nobody looks.
    fn missing(seconds: u32, delivered: impl Fn(f64) -> f64) -> f64 {
        let mut clock = Clock::default();
        let mut found = 0.0;
        let mut last = -1.0;
        for t in (0..seconds * 50).map(|i| f64::from(i) / 50.0) {
            let sound = delivered(t);
            if sound > last {
                found += clock.look(t, sound);
                last = sound;
            }
        }
        found + clock.end()
    }

    #[test]
    fn late_sound_is_not_lost_sound() {
        assert_eq!(missing(60, |t| t - 0.1), 0.0);
        assert_eq!(missing(60, |t| (t * 2.0).floor() / 2.0 - 0.3), 0.0, "in lumps of half a second");
        assert_eq!(missing(60, |t| if (20.0..24.0).contains(&t) { 20.0 } else { t }), 0.0, "a stall that is caught up");
        assert_eq!(missing(7_200, |t| t * 0.9998), 0.0, "a clock that is 200 ppm slow, for two hours");
    }

    #[test]
    fn lost_sound_is_found_and_measured() {
        for lost in [0.3, 1.0, 7.0] {
            for seconds in [60, 30, 29] {
                let found = missing(seconds, |t| if t < 20.0 { t } else { (t - lost).max(20.0) });
                assert!((found - lost).abs() < 0.1, "{found} of {lost} s in {seconds}");
            }
        }
    }
}
