//! How loud it is, and whether somebody is speaking: the level meter, the hints, and the end of a recording.
//!
//! Frames of 20 ms are compared with a noise floor that falls at once and rises slowly. This is for people and for the
//! decision when to close the microphone only: what is speech for the text is the engine's affair.

use super::source::{SourceEvent, SourceReport};

/// Samples in 20 ms.
const FRAME: usize = 320;
/// Frames in one level event.
const LEVEL_FRAMES: u32 = 5;
/// Frames in 3 s: nothing but zeros, or but noise, for so long is worth a word.
const HINT_FRAMES: u32 = 150;
/// Frames between two hints about clipping: 10 s.
const CLIPPING_PAUSE: u32 = 500;
/// Nothing is quieter than this, so that sums and differences of levels stay finite.
const SILENCE_DBFS: f32 = -120.0;
/// Below this nothing is taken for speech.
const FAINT_DBFS: f32 = -65.0;
/// A room is quieter than this in every tenth of a second, somebody who speaks to a microphone is not.
const HEARD_DBFS: f32 = -55.0;
/// -1 dBFS, as an amplitude.
const CLIPPING: f32 = 0.891;
/// So far above the noise floor a frame counts as speech.
const MARGIN_DB: f32 = 8.0;
/// The floor follows a noise that got louder by so much per frame: 2.5 dB a second.
const FLOOR_RISE_DB: f32 = 0.05;

/// Follows a stream of 16 kHz samples.
#[derive(Debug)]
pub(super) struct Meter {
    /// Hints are for microphones; a file is as it is.
    hints: bool,
    frame: Sums,
    level: Sums,
    level_frames: u32,
    total: Sums,
    clipped: u64,
    floor: f32,
    /// Frames since the last one that may have been speech.
    calm: u32,
    active: u64,
    frames: u32,
    zeros: u32,
    told_zeros: bool,
    nonzero_seen: bool,
    loudest: f32,
    told_quiet: bool,
    told_clipping: Option<u32>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    n: u64,
    power: f64,
    peak: f32,
}

impl Sums {
    fn add(&mut self, x: f32) {
        self.n += 1;
        self.power += f64::from(x) * f64::from(x);
        self.peak = self.peak.max(x.abs());
    }

    fn rms_dbfs(&self) -> f32 {
        if self.n == 0 { SILENCE_DBFS } else { dbfs((self.power / self.n as f64).sqrt() as f32) }
    }
}

fn dbfs(amplitude: f32) -> f32 {
    (20.0 * amplitude.max(1e-9).log10()).max(SILENCE_DBFS)
}

impl Meter {
    pub(super) fn new(hints: bool) -> Self {
        Self {
            hints,
            frame: Sums::default(),
            level: Sums::default(),
            level_frames: 0,
            total: Sums::default(),
            clipped: 0,
            // Of a quiet room; a recording that begins in the middle of a word must not take the word for the room.
            floor: -55.0,
            calm: 0,
            active: 0,
            frames: 0,
            zeros: 0,
            told_zeros: false,
            nonzero_seen: false,
            loudest: SILENCE_DBFS,
            told_quiet: false,
            told_clipping: None,
        }
    }

    /// Takes samples and tells what they show.
    pub(super) fn push(&mut self, block: &[f32], mut tell: impl FnMut(SourceEvent)) {
        for &x in block {
            self.frame.add(x);
            self.level.add(x);
            self.total.add(x);
            self.clipped += u64::from(x >= 32_767.0 / 32_768.0 || x <= -1.0);
            if self.frame.n == FRAME as u64 {
                self.end_frame(&mut tell);
            }
        }
    }

    /// Seconds at the end without anything like speech.
    #[cfg(any(feature = "capture", test))]
    pub(super) fn calm_seconds(&self) -> f32 {
        self.calm as f32 * 0.02
    }

    /// Fills in what was measured.
    pub(super) fn report(&self, report: &mut SourceReport) {
        report.samples = self.total.n;
        report.clipped_samples = self.clipped;
        report.peak_dbfs = dbfs(self.total.peak);
        report.rms_dbfs = self.total.rms_dbfs();
        report.active_seconds = self.active as f32 * 0.02;
    }

    fn end_frame(&mut self, tell: &mut impl FnMut(SourceEvent)) {
        let frame = std::mem::take(&mut self.frame);
        let level = frame.rms_dbfs();
        self.frames = self.frames.saturating_add(1);
        self.floor = (self.floor + FLOOR_RISE_DB).min(level).max(SILENCE_DBFS);
        if level > self.floor + MARGIN_DB && level > FAINT_DBFS {
            self.calm = 0;
            self.active += 1;
        } else {
            self.calm = self.calm.saturating_add(1);
        }
        if self.hints {
            self.hint(frame.peak, tell);
        }
        self.level_frames += 1;
        if self.level_frames == LEVEL_FRAMES {
            self.level_frames = 0;
            let level = std::mem::take(&mut self.level);
            self.loudest = self.loudest.max(level.rms_dbfs());
            tell(SourceEvent::Level { rms_dbfs: level.rms_dbfs(), peak_dbfs: dbfs(level.peak) });
        }
    }

    fn hint(&mut self, peak: f32, tell: &mut impl FnMut(SourceEvent)) {
        if peak == 0.0 {
            self.zeros = self.zeros.saturating_add(1);
            if self.zeros >= HINT_FRAMES && !self.told_zeros {
                self.told_zeros = true;
                tell(SourceEvent::Silent { since_start: !self.nonzero_seen });
            }
        } else {
            self.zeros = 0;
            if !self.nonzero_seen {
                // Permission came, or the mute button was found: a later silence is another matter.
                self.nonzero_seen = true;
                self.told_zeros = false;
            }
        }
        if self.frames >= HINT_FRAMES && !self.told_quiet {
            self.told_quiet = true;
            if self.nonzero_seen && self.loudest < HEARD_DBFS {
                tell(SourceEvent::Quiet { rms_dbfs: self.loudest });
            }
        }
        let due = self.told_clipping.is_none_or(|last| self.frames - last >= CLIPPING_PAUSE);
        if peak >= CLIPPING && due {
            self.told_clipping = Some(self.frames);
            tell(SourceEvent::Clipping);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, amplitude: f32) -> Vec<f32> {
        let mut seed = 1_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..n).map(|_| next() * amplitude).collect()
    }

    fn events(meter: &mut Meter, samples: &[f32]) -> Vec<SourceEvent> {
        let mut all = Vec::new();
        for block in samples.chunks(777) {
            meter.push(block, |event| all.push(event));
        }
        all
    }

    fn hints(meter: &mut Meter, samples: &[f32]) -> Vec<SourceEvent> {
        let mut all = events(meter, samples);
        all.retain(|event| !matches!(event, SourceEvent::Level { .. }));
        all
    }

    #[test]
    fn levels_come_ten_times_a_second_and_are_right() {
        let tone: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.2).sin() * 0.1).collect();
        let mut meter = Meter::new(true);
        let all = events(&mut meter, &tone);
        assert_eq!(all.len(), 10);
        for event in all {
            let SourceEvent::Level { rms_dbfs, peak_dbfs } = event else { panic!("{event:?}") };
            assert!((rms_dbfs + 23.0).abs() < 0.2 && (peak_dbfs + 20.0).abs() < 0.2, "{rms_dbfs} {peak_dbfs}");
        }
    }

    #[test]
    fn three_seconds_of_zeros_are_told_once() {
        let mut meter = Meter::new(true);
        assert_eq!(hints(&mut meter, &vec![0.0; 47_000]), []);
        assert_eq!(hints(&mut meter, &vec![0.0; 2_000]), [SourceEvent::Silent { since_start: true }]);
        assert_eq!(hints(&mut meter, &vec![0.0; 160_000]), []);
        assert_eq!(hints(&mut meter, &noise(16_000, 0.1)), []);
        assert_eq!(hints(&mut meter, &vec![0.0; 160_000]), [SourceEvent::Silent { since_start: false }]);
    }

    #[test]
    fn a_faint_microphone_is_told_after_three_seconds_and_a_quiet_speaker_is_not() {
        let mut faint = Meter::new(true);
        assert!(
            matches!(hints(&mut faint, &noise(80_000, 0.0002))[..], [SourceEvent::Quiet { rms_dbfs }] if rms_dbfs < -75.0)
        );
        let mut speaker = Meter::new(true);
        assert_eq!(
            hints(&mut speaker, &[noise(16_000, 0.0002), noise(8_000, 0.01), noise(80_000, 0.0002)].concat()),
            []
        );
    }

    #[test]
    fn clipping_is_told_at_most_every_ten_seconds() {
        let mut meter = Meter::new(true);
        assert_eq!(hints(&mut meter, &noise(16_000 * 25, 1.0)), vec![SourceEvent::Clipping; 3]);
        let mut file = Meter::new(false);
        assert_eq!(hints(&mut file, &noise(16_000 * 25, 1.0)), [], "a file is as it is");
    }

    #[test]
    fn calm_is_counted_from_the_last_word() {
        for floor in [0.0, 0.0005, 0.005] {
            let mut meter = Meter::new(true);
            let speech = [noise(16_000, floor), noise(16_000, 0.1), noise(4_800, floor)].concat();
            events(&mut meter, &speech);
            assert!((meter.calm_seconds() - 0.3).abs() < 0.03, "{} over {floor}", meter.calm_seconds());
            events(&mut meter, &noise(3_200, 0.1));
            assert_eq!(meter.calm_seconds(), 0.0);
        }
    }

    #[test]
    fn the_report_counts_everything() {
        let mut meter = Meter::new(true);
        events(&mut meter, &[vec![0.0; 8_000], vec![-1.0; 10], noise(7_990, 0.5)].concat());
        let mut report = SourceReport::default();
        meter.report(&mut report);
        assert_eq!((report.samples, report.clipped_samples, report.peak_dbfs), (16_000, 10, 0.0));
        assert!((report.active_seconds - 0.5).abs() < 0.05 && report.rms_dbfs < -10.0, "{report:?}");
    }
}
