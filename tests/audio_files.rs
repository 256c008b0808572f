//! What must be true of reading audio files: every format gives the same sound, nothing is lost at the edges, and no file, however
//! broken, does more than end with a sentence.
#![cfg(feature = "files")]

use std::io::Cursor;
use std::path::{Path, PathBuf};

use diy_typeless::audio::{AudioError, AudioReader};

const INT: u16 = 1;
const FLOAT: u16 = 3;

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn read(bytes: Vec<u8>) -> Result<Vec<f32>, AudioError> {
    AudioReader::from_source(Cursor::new(bytes), "test")?.read_all()
}

/// The samples, and what was said about the file at its end.
fn read_with_notices(bytes: Vec<u8>) -> (Vec<f32>, String) {
    let mut reader = AudioReader::from_source(Cursor::new(bytes), "test").expect("opens");
    let mut all = Vec::new();
    while let Some(block) = reader.next_block().expect("reads") {
        all.extend_from_slice(block);
    }
    (all, reader.notices().join("; "))
}

fn sentence(bytes: &[u8]) -> String {
    read(bytes.to_vec()).expect_err("must not be readable").to_string()
}

/// A WAV file with a header that says what it is told to say.
fn wav(tag: u16, bits: u16, channels: u16, rate: u32, samples: &[u8], promised: u32) -> Vec<u8> {
    let align = channels * bits.div_ceil(8);
    let mut file = b"RIFF".to_vec();
    file.extend((36 + promised).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(align)).to_le_bytes());
    file.extend(align.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(promised.to_le_bytes());
    file.extend(samples);
    file
}

fn honest(tag: u16, bits: u16, channels: u16, rate: u32, samples: &[u8]) -> Vec<u8> {
    wav(tag, bits, channels, rate, samples, u32::try_from(samples.len()).expect("short"))
}

/// A second of something with a clear shape, on the 8-bit grid so that every format can hold it exactly.
fn shape(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i as f32 * 0.11).sin() * 90.0 + (i as f32 * 0.013).cos() * 30.0).round() / 128.0).collect()
}

fn bytes<const N: usize>(samples: &[f32], encode: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    samples.iter().flat_map(|&x| encode(x)).collect()
}

fn i16_bytes(samples: &[f32]) -> Vec<u8> {
    bytes(samples, |x| ((x * 32_768.0) as i16).to_le_bytes())
}

/// Correlation of two recordings of the same thing, and the lag in samples at which it is largest.
fn correlation(a: &[f32], b: &[f32]) -> (f64, i64) {
    let at = |lag: i64| {
        let (mut ab, mut aa, mut bb) = (0.0, 1e-12, 1e-12);
        for (i, &x) in a.iter().enumerate().step_by(3) {
            let j = usize::try_from(i as i64 + lag).ok();
            if let Some(&y) = j.and_then(|j| b.get(j)) {
                ab += f64::from(x) * f64::from(y);
                aa += f64::from(x) * f64::from(x);
                bb += f64::from(y) * f64::from(y);
            }
        }
        ab / (f64::sqrt(aa) * f64::sqrt(bb))
    };
    (-1_200..=1_200).map(|lag| (at(lag), lag)).max_by(|x, y| x.0.total_cmp(&y.0)).expect("not empty")
}

#[test]
fn every_wav_encoding_gives_the_same_samples() {
    let samples = shape(16_000);
    let files = [
        ("8", honest(INT, 8, 1, 16_000, &bytes(&samples, |x| [(x * 128.0 + 128.0) as u8]))),
        ("16", honest(INT, 16, 1, 16_000, &i16_bytes(&samples))),
        (
            "24",
            honest(
                INT,
                24,
                1,
                16_000,
                &bytes(&samples, |x| {
                    let [a, b, c, _] = ((x * 8_388_608.0) as i32).to_le_bytes();
                    [a, b, c]
                }),
            ),
        ),
        (
            "32",
            honest(INT, 32, 1, 16_000, &bytes(&samples, |x| ((f64::from(x) * 2_147_483_648.0) as i32).to_le_bytes())),
        ),
        ("float 32", honest(FLOAT, 32, 1, 16_000, &bytes(&samples, f32::to_le_bytes))),
        ("float 64", honest(FLOAT, 64, 1, 16_000, &bytes(&samples, |x| f64::from(x).to_le_bytes()))),
    ];
    for (name, file) in files {
        let (out, notices) = read_with_notices(file);
        assert!(out == samples, "{name} bits: {} samples", out.len());
        assert_eq!(notices, "", "{name} bits");
    }
}

#[test]
fn all_16_bit_values_come_out_bit_identical() {
    let samples: Vec<f32> = (i16::MIN..=i16::MAX).map(|v| f32::from(v) / 32_768.0).collect();
    assert!(read(honest(INT, 16, 1, 16_000, &i16_bytes(&samples))).expect("reads") == samples);
}

#[test]
fn compressed_formats_sound_like_the_original() {
    let original =
        AudioReader::open(data("speech/short_seen_001.flac")).and_then(AudioReader::read_all).expect("reads");
    let start = &original[..40_000];
    let exact = AudioReader::open(data("formats/depth_24.flac")).and_then(AudioReader::read_all).expect("reads");
    assert!(exact == start, "a 24-bit file with 16-bit content is the same sound");
    // Encoders add silence at both ends, and not every container says how much of it.
    for (file, seconds) in
        [("stereo_44100.m4a", 2.5), ("vbr_22050.mp3", 2.5), ("vorbis_48000.ogg", 2.5), ("raw_16000.aac", 2.62)]
    {
        let mut reader = AudioReader::open(data("formats").join(file)).expect("opens");
        if let Some(claim) = reader.seconds() {
            assert!((claim - seconds).abs() < 0.1, "{file} claims {claim} s");
        }
        let mut all = Vec::new();
        while let Some(block) = reader.next_block().expect("reads") {
            all.extend_from_slice(block);
        }
        assert_eq!(reader.notices(), Vec::<String>::new(), "{file}");
        let length = all.len() as f64 / 16_000.0;
        assert!((length - seconds).abs() < 0.08, "{file}: {length} s");
        let (score, lag) = correlation(start, &all);
        assert!(score > 0.95, "{file}: correlation {score:.3} at lag {lag}");
        assert!(lag.abs() < 1_100, "{file}: lag {lag}");
    }
}

#[test]
fn a_chained_file_is_read_to_its_end_across_a_change_of_rate_and_channels() {
    let file = std::fs::read(data("formats/chained.ogg")).expect("there");
    let (all, notices) = read_with_notices(file);
    assert!((all.len() as f64 / 16_000.0 - 2.0).abs() < 0.05, "{} samples", all.len());
    assert_eq!(notices, "");
    let (score, lag) = correlation(&all[1_600..14_000], &all[17_600..30_000]);
    assert!(score > 0.9 && lag.abs() < 300, "both halves are the same second: {score:.3} at {lag}");
}

#[test]
fn rates_and_channels_do_not_matter() {
    for (rate, channels) in [(8_000, 1), (11_025, 2), (44_100, 2), (48_000, 8), (96_000, 6), (192_000, 1), (192_000, 8)]
    {
        let frames = rate as usize;
        let mono: Vec<f32> =
            (0..frames).map(|i| (i as f32 * 440.0 * std::f32::consts::TAU / rate as f32).sin() * 0.5).collect();
        let interleaved: Vec<f32> = mono.iter().flat_map(|&x| std::iter::repeat_n(x, channels)).collect();
        let file = honest(INT, 16, u16::try_from(channels).expect("few"), rate, &i16_bytes(&interleaved));
        let out = read(file).expect("reads");
        assert_eq!(out.len(), 16_000, "{rate} Hz, {channels} channels");
        let worst = (1_000..15_000)
            .map(|i| (out[i] - (i as f32 * 440.0 * std::f32::consts::TAU / 16_000.0).sin() * 0.5).abs())
            .fold(0.0, f32::max);
        assert!(worst < 3e-3, "{rate} Hz, {channels} channels: off by {worst}");
    }
}

#[test]
fn a_header_that_promises_too_much_costs_nothing_that_is_there() {
    let samples = shape(20_001);
    let (out, notices) = read_with_notices(wav(INT, 16, 1, 16_000, &i16_bytes(&samples), 2_000_000));
    assert!(out == samples, "{} samples", out.len());
    assert_eq!(notices, "the header promises 2000000 bytes of samples, the file holds 40002");
}

#[test]
fn a_header_that_was_never_finished_is_no_loss() {
    let samples = shape(20_001);
    for promised in [0, u32::MAX - 36, u32::MAX - 100] {
        let (out, _) = read_with_notices(wav(INT, 16, 1, 16_000, &i16_bytes(&samples), promised));
        assert!(out == samples, "{promised}: {} samples", out.len());
    }
}

#[test]
fn half_a_sample_at_the_end_is_left_out() {
    let samples = shape(5_000);
    let mut raw = i16_bytes(&samples);
    raw.push(9);
    assert!(read(honest(INT, 16, 1, 16_000, &raw)).expect("reads") == samples);
    let (out, _) = read_with_notices(wav(INT, 16, 1, 16_000, &raw, 90_000));
    assert!(out == samples, "{} samples", out.len());
}

#[test]
fn no_samples_are_no_error() {
    assert_eq!(read(honest(INT, 16, 1, 16_000, &[])).expect("reads"), []);
    assert_eq!(read(honest(INT, 16, 2, 44_100, &[])).expect("reads"), []);
    assert_eq!(read(honest(INT, 16, 1, 16_000, &[1, 0])).expect("reads"), [1.0 / 32_768.0]);
}

#[test]
fn samples_that_are_not_numbers_become_silence_and_are_counted() {
    let (out, notices) = read_with_notices(honest(FLOAT, 32, 1, 16_000, &bytes(&[f32::NAN; 4_000], f32::to_le_bytes)));
    assert_eq!(out, vec![0.0; 4_000]);
    assert_eq!(notices, "4000 samples were not numbers and became silence");
}

#[test]
fn damage_in_the_middle_costs_the_middle() {
    // Ogg loses whole pages, a second each in this file.
    for (name, left) in [("vbr_22050.mp3", 34_000), ("depth_24.flac", 30_000), ("vorbis_48000.ogg", 20_000)] {
        let mut file = std::fs::read(data("formats").join(name)).expect("there");
        let middle = file.len() / 2;
        file[middle..middle + 700].fill(0x55);
        let out = read(file).expect("reads");
        assert!(out.len() > left, "{name}: {} of 40000 samples", out.len());
    }
}

#[test]
fn a_file_that_ends_early_is_read_as_far_as_it_goes() {
    for name in ["vbr_22050.mp3", "depth_24.flac", "vorbis_48000.ogg", "raw_16000.aac"] {
        let mut file = std::fs::read(data("formats").join(name)).expect("there");
        file.truncate(file.len() / 2);
        let out = read(file).expect("reads");
        assert!(out.len() > 10_000, "{name}: {} samples", out.len());
    }
}

#[test]
fn what_is_not_audio_is_said_to_be_that() {
    assert_eq!(sentence(b""), "test is empty (0 bytes)");
    let text = "Dear diary, today nobody spoke.\n".repeat(40);
    assert_eq!(sentence(text.as_bytes()), "test is not audio in a format this program reads: it looks like text");
    assert_eq!(
        sentence("ж".repeat(900).as_bytes()),
        "test is not audio in a format this program reads: it looks like text"
    );
    assert_eq!(sentence(&[0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]), "test is not audio in a format this program reads");
    assert_eq!(sentence(&[0]), "test is not audio in a format this program reads");
    let mut film = b"RIFF\x40\0\0\0AVI LIST".to_vec();
    film.extend([0; 60]);
    assert_eq!(sentence(&film), "test is not audio in a format this program reads");
    let mut letters = vec![0; 5_000];
    letters[2_004..2_008].copy_from_slice(b"ftyp");
    assert_eq!(sentence(&letters), "test is not audio in a format this program reads");
    assert_eq!(
        read(std::fs::read(data("formats/opus.ogg")).expect("there")).expect_err("not decoded").to_string(),
        "test holds Opus audio, which this program cannot decode"
    );
}

#[test]
fn a_file_whose_index_was_cut_off_is_damaged() {
    let mut file = std::fs::read(data("formats/stereo_44100.m4a")).expect("there");
    file.truncate(file.len() - 2_000);
    assert_eq!(sentence(&file), "test is damaged: isomp4: missing moov atom");
}

#[test]
fn rates_that_no_recording_has_are_refused() {
    for rate in [1, 999, 800_000, u32::MAX] {
        let mut file = honest(INT, 16, 1, 16_000, &[0; 400]);
        file[24..28].copy_from_slice(&rate.to_le_bytes());
        assert_eq!(
            sentence(&file),
            format!("test has a sample rate of {rate} Hz; rates from 1000 to 768000 Hz are read")
        );
    }
    let mut file = honest(INT, 16, 1, 16_000, &[0; 400]);
    file[24..28].copy_from_slice(&[0; 4]);
    assert!(read(file).is_err());
}

#[test]
fn missing_files_and_directories_are_named() {
    let error = AudioReader::open("/no/such/file.wav").expect_err("not there");
    assert_eq!(error.to_string(), "cannot open /no/such/file.wav: no such file");
    let error = AudioReader::open(data("formats")).expect_err("a directory");
    assert!(error.to_string().ends_with("formats: it is a directory"), "{error}");
}

#[test]
fn every_truncation_of_a_header_ends_with_a_sentence_or_the_samples() {
    let file = honest(INT, 16, 1, 16_000, &i16_bytes(&shape(50)));
    for n in 0..file.len() {
        match read(file[..n].to_vec()) {
            Ok(out) => assert!(n >= 44 && out.len() == (n - 44) / 2, "{n} bytes: {} samples", out.len()),
            Err(error) => assert!(n < 44 && error.to_string().starts_with("test "), "{n} bytes: {error}"),
        }
    }
}

#[test]
fn damaged_bytes_anywhere_neither_crash_nor_hang() {
    let mut seed = 0x5eed_u64;
    let mut next = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    let wav = honest(INT, 16, 2, 44_100, &i16_bytes(&shape(8_000)));
    let mut files = vec![wav];
    for name in ["stereo_44100.m4a", "vbr_22050.mp3", "vorbis_48000.ogg", "raw_16000.aac", "chained.ogg"] {
        files.push(std::fs::read(data("formats").join(name)).expect("there"));
    }
    for file in files {
        for round in 0..24 {
            let mut hurt = file.clone();
            // Every other round aims at the header, where the lengths are.
            let reach = if round % 2 == 0 { hurt.len().min(600) } else { hurt.len() };
            for _ in 0..=next(12) {
                hurt[next(reach)] = [0, 0xff, 0x80, 0x7f, u8::try_from(next(256)).expect("byte")][next(5)];
            }
            if let Ok(out) = read(hurt) {
                assert!(out.iter().all(|x| x.abs() <= 1.0));
                assert!(out.len() < 16_000 * 600, "{} samples out of {} bytes", out.len(), file.len());
            }
        }
    }
}
