//! The one way of samples to the engine: mean over the channels, resampling, clamp, one rounding to 16 bits.
//!
//! The rounding makes what is heard the same as what a 16-bit recording holds, so transcribing the recording again
//! gives the same text. Samples that are not numbers become silence here and are counted.

use super::Resampler;

/// Turns interleaved samples of any rate and channel count into 16 kHz mono on the 16-bit grid.
#[derive(Debug)]
pub struct Intake {
    channels: usize,
    resampler: Resampler,
    mono: Vec<f32>,
    n_repaired: u64,
}

impl Intake {
    /// `None` for no channels, or a rate that [`Resampler::new`] refuses.
    pub fn new(rate: u32, channels: usize) -> Option<Self> {
        (channels > 0).then_some(())?;
        Some(Self { channels, resampler: Resampler::new(rate)?, mono: Vec::new(), n_repaired: 0 })
    }

    /// Samples per second of the input.
    pub fn rate(&self) -> u32 {
        self.resampler.rate()
    }

    /// Channels of the input.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples so far that were NaN or infinite and became 0.
    pub fn n_repaired(&self) -> u64 {
        self.n_repaired
    }

    /// Takes whole frames (an incomplete last frame is ignored) and appends 16 kHz samples to `out`.
    pub fn push(&mut self, interleaved: &[f32], out: &mut Vec<f32>) {
        self.mono.clear();
        for frame in interleaved.chunks_exact(self.channels) {
            let mut sum = 0.0;
            for &sample in frame {
                if sample.is_finite() {
                    // The bound keeps the sum and the filter finite for absurd floats; real samples are below 1.
                    sum += sample.clamp(-1e6, 1e6);
                } else {
                    self.n_repaired += 1;
                }
            }
            self.mono.push(sum / self.channels as f32);
        }
        let begin = out.len();
        self.resampler.push(&self.mono, out);
        out[begin..].iter_mut().for_each(to_grid);
    }

    /// No more samples will come: appends the rest.
    pub fn finish(self, out: &mut Vec<f32>) {
        let begin = out.len();
        self.resampler.finish(out);
        out[begin..].iter_mut().for_each(to_grid);
    }
}

/// The nearest of the 65,536 values a 16-bit sample can have, as a float in [-1, 1).
fn to_grid(x: &mut f32) {
    *x = (*x * 32_768.0).round().clamp(-32_768.0, 32_767.0) / 32_768.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(rate: u32, channels: usize, samples: &[f32]) -> (Vec<f32>, u64) {
        let mut intake = Intake::new(rate, channels).expect("valid");
        let mut out = Vec::new();
        intake.push(samples, &mut out);
        let repaired = intake.n_repaired();
        intake.finish(&mut out);
        (out, repaired)
    }

    #[test]
    fn every_16_bit_value_passes_bit_identical() {
        let all: Vec<f32> = (i16::MIN..=i16::MAX).map(|v| f32::from(v) / 32_768.0).collect();
        assert_eq!(through(16_000, 1, &all).0, all);
    }

    #[test]
    fn channels_are_averaged() {
        assert_eq!(through(16_000, 2, &[0.5, 0.25, -0.5, 0.5]).0, [0.375, 0.0]);
        assert_eq!(through(16_000, 8, &[0.5; 16]).0, [0.5, 0.5]);
        assert_eq!(through(16_000, 2, &[0.5, 0.5, 0.9]).0, [0.5], "half a frame is no frame");
    }

    #[test]
    fn too_loud_is_clipped_and_not_a_number_is_silence() {
        let (out, repaired) = through(16_000, 1, &[2.0, -2.0, f32::NAN, f32::INFINITY, 0.5]);
        assert_eq!(out, [32_767.0 / 32_768.0, -1.0, 0.0, 0.0, 0.5]);
        assert_eq!(repaired, 2);
    }

    #[test]
    fn absurd_floats_do_not_poison_what_follows() {
        let mut input = vec![0.0_f32; 48_000];
        input[100] = f32::MAX;
        input[200] = f32::NAN;
        let (out, _) = through(48_000, 1, &input);
        assert!(out.iter().all(|x| x.is_finite() && x.abs() <= 1.0));
        assert!(out[2_000..].iter().all(|&x| x == 0.0));
    }

    #[test]
    fn a_second_pass_changes_nothing() {
        let input: Vec<f32> = (0..4_410).map(|i| (i as f32 * 0.37).sin() * 0.8).collect();
        let (once, _) = through(44_100, 1, &input);
        assert_eq!(through(16_000, 1, &once).0, once);
    }
}
