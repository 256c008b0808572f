//! Sound for the virtual microphone, and how well it came back.

use std::path::Path;

use diy_typeless::audio::AudioReader;

/// Speech from the repository, about `seconds` that are loud at both ends: a recording that misses an end misses a word.
pub(crate) fn speech(seconds: f64) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/short_seen_012.flac");
    let all = AudioReader::open(path).expect("is in the repository").read_all().expect("reads");
    let peak = all.iter().fold(0.0_f32, |a, &b| a.max(b.abs()));
    let begin = all.iter().position(|x| x.abs() > peak / 10.0).expect("is speech");
    let end = begin + (seconds * 16_000.0) as usize;
    let loud = |end: &usize| all[end - 320..*end].chunks(80).all(|c| c.iter().any(|x| x.abs() > peak / 5.0));
    let end = (end..).find(loud).expect("goes on");
    all[begin..end].iter().map(|x| x * 0.7 / peak).collect()
}

/// From 16 kHz to any other rate, by a windowed sinc: slow, plain, and not the resampler that is being tested.
pub(crate) fn resample(samples: &[f32], rate: u32) -> Vec<f32> {
    const REACH: f64 = 24.0;
    let ratio = f64::from(rate) / 16_000.0;
    // Of the lower of the two rates.
    let cut = ratio.min(1.0) * 0.95;
    let n = (samples.len() as f64 * ratio) as usize;
    let at = |i: usize| {
        let center = i as f64 / ratio;
        let (from, to) = ((center - REACH / cut).ceil().max(0.0), (center + REACH / cut).floor());
        let weighted = (from as usize..=(to as usize).min(samples.len() - 1)).map(|j| {
            let x = (j as f64 - center) * cut;
            let sinc = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
            let window = 0.5 + 0.5 * (std::f64::consts::PI * x / REACH).cos();
            f64::from(samples[j]) * sinc * window * cut
        });
        weighted.sum::<f64>() as f32
    };
    (0..n).map(at).collect()
}

/// Writes a 16-bit WAV; the channels are the samples, more and more quietly.
pub(crate) fn write_wav(path: &Path, samples: &[f32], rate: u32, channels: u16) {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|&x| (0..channels).map(move |c| (x * 32_767.0 / f32::from(c + 1)).round() as i16))
        .flat_map(i16::to_le_bytes)
        .collect();
    let n = u32::try_from(data.len()).expect("short");
    let mut file = b"RIFF".to_vec();
    file.extend((n + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2 * u32::from(channels)).to_le_bytes());
    file.extend((2 * channels).to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(n.to_le_bytes());
    file.extend(data);
    std::fs::write(path, file).expect("writes");
}

/// Where a recording begins in another, and how alike they are there: 1 is the same but for loudness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub(crate) correlation: f64,
    pub(crate) seconds: f64,
}

/// Looks for `reference` in `captured`, up to a quarter of a second around where it is expected.
pub(crate) fn find(reference: &[f32], captured: &[f32], expected_seconds: f64) -> Match {
    const COARSE: usize = 4;
    let expected = (expected_seconds * 16_000.0) as i64;
    // First in the sound below 2 kHz, at every fourth place, then exactly around the best.
    let (few_r, few_c) = (thin(reference, COARSE), thin(captured, COARSE));
    let center = expected / COARSE as i64;
    let coarse = best(&few_r, &few_c, center - 1_000..=center + 1_000) * COARSE as i64;
    let lag = best(reference, captured, coarse - 8..=coarse + 8);
    Match { correlation: correlation(reference, captured, lag), seconds: lag as f64 / 16_000.0 }
}

fn thin(samples: &[f32], by: usize) -> Vec<f32> {
    samples.chunks(by).map(|chunk| chunk.iter().sum::<f32>()).collect()
}

fn best(reference: &[f32], captured: &[f32], lags: std::ops::RangeInclusive<i64>) -> i64 {
    let mut best = (f64::MIN, 0);
    for lag in lags {
        let value = correlation(reference, captured, lag);
        if value > best.0 {
            best = (value, lag);
        }
    }
    best.1
}

/// Normalised by the loudness of the whole reference and of what lies beside it; what was not captured counts as silence.
pub(crate) fn correlation(reference: &[f32], captured: &[f32], lag: i64) -> f64 {
    let skip = usize::try_from(-lag).unwrap_or(0).min(reference.len());
    let beside = captured.get(usize::try_from(lag).unwrap_or(0)..).unwrap_or(&[]);
    let (mut product, mut power) = (0.0_f32, 0.0_f32);
    // Short sums of floats are exact enough, and fast.
    let mut sums = (0.0_f64, 0.0_f64);
    for (a, b) in reference[skip..].chunks(512).zip(beside.chunks(512)) {
        for (x, y) in a.iter().zip(b) {
            product += x * y;
            power += y * y;
        }
        sums = (sums.0 + f64::from(product), sums.1 + f64::from(power));
        (product, power) = (0.0, 0.0);
    }
    let whole: f64 = reference.iter().map(|x| f64::from(x * x)).sum();
    sums.0 / (whole * sums.1).sqrt().max(1e-12)
}
