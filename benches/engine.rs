//! Speed, memory and latency of the engine, measured through the public interface. `benches/README.md` says how to run it
//! and holds the numbers.
//!
//!     cargo bench --features files --bench engine -- offline MODEL 5 15 30 60
//!     cargo bench --features files --bench engine -- live MODEL
//!     cargo bench --features files --bench engine -- soak MODEL 60
//!     cargo bench --features files --bench engine -- segments MODEL
//!     cargo bench --features files --bench engine -- cancel MODEL
//!
//! Every row is a process of its own, so that its peak memory is its own.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a benchmark is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use diy_typeless::audio::AudioReader;
use diy_typeless::{Event, Model, Options, Progress, Stats, Stream};

type Outcome<T> = Result<T, Box<dyn Error>>;

const RATE: usize = 16_000;

fn main() -> Outcome<()> {
    // `cargo bench` adds this word.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["offline", model, seconds @ ..] if !seconds.is_empty() => {
            println!("{}", describe(Path::new(model))?);
            println!(
                "| audio | load | mel | encode | prefill (rows) | per token (tokens) | all, with load | x real time | peak memory |"
            );
            println!("|---|---|---|---|---|---|---|---|---|");
            seconds.iter().try_for_each(|length| child(&["offline-row", model, length]))
        }
        ["offline-row", model, length] => offline(Path::new(model), length.parse()?),
        ["live", model] => {
            println!("{}", describe(Path::new(model))?);
            child(&["live-rows", model])
        }
        ["live-rows", model] => live(Path::new(model)),
        ["soak", model, minutes] => soak(Path::new(model), minutes.parse()?),
        ["segments", model] => segments(Path::new(model)),
        ["cancel", model] => cancel(Path::new(model)),
        // `cargo test --all-targets` runs benchmarks without arguments: nothing is measured then.
        [] => Ok(()),
        _ => {
            Err("usage: offline MODEL SECONDS... | live MODEL | soak MODEL MINUTES | segments MODEL | cancel MODEL"
                .into())
        }
    }
}

fn child(arguments: &[&str]) -> Outcome<()> {
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("{arguments:?}: {status}").into()) }
}

fn describe(model: &Path) -> Outcome<String> {
    let info = Model::open(model)?.info();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let threads = std::thread::available_parallelism()?;
    Ok(format!("{cpu}, {threads} threads; {info:?}\n"))
}

/// Shipped speech, over and over.
fn speech(samples: usize) -> Outcome<Vec<f32>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/long_unseen_001.flac");
    let once = AudioReader::open(file)?.read_all()?;
    Ok(once.iter().copied().cycle().take(samples).collect())
}

/// A line of /proc/self/status in MB; 0 where there is none.
fn memory_mb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value =
        status.lines().find_map(|line| line.strip_prefix(field)).and_then(|rest| rest.split_whitespace().nth(1));
    value.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Seconds of CPU of all threads so far; 0 where /proc is missing.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// One piece of audio as one segment, as other implementations do it.
fn offline(model: &Path, seconds: f32) -> Outcome<()> {
    let samples = speech((seconds * RATE as f32) as usize)?;
    let began = Instant::now();
    let opened = Model::open(model)?;
    let load = began.elapsed().as_secs_f64();
    let mut options = Options::default();
    options.segmenter = false;
    options.max_audio_seconds = seconds + 1.0;
    let mut stream = Stream::open(&opened, &options)?;
    let mut text = String::new();
    let mut keep = |event| {
        if let Event::Segment(segment) = event {
            text.push_str(&segment.text);
        }
    };
    stream.feed_all(&samples, &mut keep)?;
    stream.finish_all(&mut keep)?;
    let all = began.elapsed().as_secs_f64();
    let Stats { mel_seconds, encode_seconds, prefill_seconds, decode_seconds, prompt_tokens, text_tokens, .. } =
        stream.stats();
    // The end token is decoded too.
    let per_token = 1e3 * decode_seconds / (text_tokens + 1) as f64;
    println!(
        "| {seconds} s | {load:.2} s | {mel_seconds:.3} s | {encode_seconds:.2} s | {prefill_seconds:.2} s ({prompt_tokens}) | {per_token:.1} ms ({text_tokens}) | {all:.2} s | {:.1} | {} MB |",
        f64::from(seconds) / all,
        memory_mb("VmHWM")
    );
    check_text(model, &text)
}

/// A generated model of full size must print its one text.
fn check_text(model: &Path, text: &str) -> Outcome<()> {
    let Ok(expected) = std::fs::read_to_string(model.join("expected.json")) else { return Ok(()) };
    let expected: serde_json::Value = serde_json::from_str(&expected)?;
    if expected["text"].as_str() == Some(text) {
        Ok(())
    } else {
        Err(format!("the model must say {}, and said {text:?}", expected["text"]).into())
    }
}

/// What happened to one recording that was spoken to the engine. Times in seconds.
#[derive(Default)]
struct Spoken {
    audio: f64,
    cpu: f64,
    first_partial: Option<f64>,
    stable_lag: Vec<f64>,
    stop_to_final: f64,
    /// Words that were called settled, and how many of them the final text has otherwise.
    settled: usize,
    revised: usize,
    stats: Option<Stats>,
}

/// Fewest words to change, drop or insert to make `settled` a beginning of `text`.
fn revised(settled: &[&str], text: &[&str]) -> usize {
    let mut row: Vec<usize> = (0..=text.len()).collect();
    for (i, a) in settled.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in text.iter().enumerate() {
            let cost = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = cost;
        }
    }
    row.into_iter().min().unwrap_or(0)
}

impl Spoken {
    /// A segment is final: was what had been called settled right? Starts anew for the next one.
    fn compare(&mut self, settled: &mut String, text: &str) {
        let words: Vec<&str> = settled.split_whitespace().collect();
        self.settled += words.len();
        self.revised += revised(&words, &text.split_whitespace().collect::<Vec<_>>());
        settled.clear();
    }
}

/// Speaks samples to a stream in blocks of 100 ms at the pace of a clock that does not tick while there is nothing to do: a block
/// comes at its time, and work takes the time it takes. So a minute of idle waiting costs nothing, and falling behind shows.
fn speak(model: &Model, samples: &[f32]) -> Outcome<Spoken> {
    let mut options = Options::default();
    options.partial_ms = 1_000;
    let mut stream = Stream::open(model, &options)?;
    let mut spoken = Spoken { audio: samples.len() as f64 / RATE as f64, ..Spoken::default() };
    let cpu = cpu_seconds();
    let (mut now, mut settled) = (0.0, String::new());
    let blocks: Vec<&[f32]> = samples.chunks(RATE / 10).collect();
    for (i, block) in blocks.iter().enumerate() {
        let comes = (i + 1) as f64 / 10.0;
        now = f64::max(now, comes);
        let mut rest = *block;
        loop {
            let began = Instant::now();
            if !rest.is_empty() {
                rest = &rest[stream.feed(rest)?..];
            }
            let progress = stream.step()?;
            now += began.elapsed().as_secs_f64();
            for event in stream.events() {
                match event {
                    Event::Text(text) => {
                        spoken.first_partial.get_or_insert(now - text.start);
                        if text.stable().len() > settled.len() {
                            spoken.stable_lag.push(now - text.end);
                            settled = text.stable().to_owned();
                        }
                    }
                    Event::Segment(segment) => spoken.compare(&mut settled, &segment.text),
                    _ => {}
                }
            }
            let next_is_here = blocks.get(i + 1).is_some() && now >= comes + 0.1;
            if rest.is_empty() && (progress != Progress::Worked || next_is_here) {
                break;
            }
        }
    }
    let stop = spoken.audio;
    now = f64::max(now, stop);
    let began = Instant::now();
    let mut last = Vec::new();
    stream.finish_all(|event| last.push(event))?;
    spoken.stop_to_final = now - stop + began.elapsed().as_secs_f64();
    spoken.cpu = cpu_seconds() - cpu;
    for event in last {
        if let Event::Segment(segment) = event {
            spoken.compare(&mut settled, &segment.text);
        }
    }
    spoken.stats = Some(stream.stats());
    Ok(spoken)
}

fn percentile(values: &mut [f64], p: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (p * values.len() as f64).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn live(model: &Path) -> Outcome<()> {
    let opened = Model::open(model)?;
    let mut all = Vec::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| {
        path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.ends_with(".flac") && !name.starts_with("silence") && !name.starts_with("noise")
        })
    });
    files.sort();
    // A model of full size takes about as long as the speech: a few files will do.
    let big = opened.info().parameters > 100_000_000;
    for file in files.iter().step_by(if big { 6 } else { 1 }) {
        all.push(speak(&opened, &AudioReader::open(file)?.read_all()?)?);
    }
    // And a minute cut off in the middle of a word.
    all.push(speak(&opened, &speech(60 * RATE)?)?);
    let sum = |part: &dyn Fn(&Spoken) -> f64| all.iter().map(part).sum::<f64>();
    let count = |part: &dyn Fn(&Stats) -> u64| all.iter().filter_map(|one| one.stats.as_ref()).map(part).sum::<u64>();
    let mut first: Vec<f64> = all.iter().filter_map(|one| one.first_partial).collect();
    let mut lag: Vec<f64> = all.iter().flat_map(|one| one.stable_lag.iter().copied()).collect();
    let mut stop: Vec<f64> = all.iter().map(|one| one.stop_to_final).collect();
    let cores = std::thread::available_parallelism()?.get() as f64;
    println!("{} recordings, {:.0} s, partials every second", all.len(), sum(&|one| one.audio));
    println!("| | p50 | p95 |\n|---|---|---|");
    for (name, values) in [
        ("first partial after the segment began", &mut first),
        ("settled text behind speech", &mut lag),
        ("stop to final text", &mut stop),
    ] {
        println!("| {name} | {:.2} s | {:.2} s |", percentile(values, 0.5), percentile(values, 0.95));
    }
    println!("\nCPU: {:.2} of {cores} cores' time", sum(&|one| one.cpu) / sum(&|one| one.audio) / cores);
    println!(
        "partials: {}, of which contradicted settled text: {}",
        count(&|s| s.partials),
        count(&|s| s.contradictions)
    );
    let (settled, revised) =
        all.iter().fold((0, 0), |(settled, revised), one| (settled + one.settled, revised + one.revised));
    println!(
        "words settled early: {settled}, of which the final text has otherwise: {revised} ({:.2} %)",
        100.0 * revised as f64 / settled.max(1) as f64
    );
    println!("draft tokens kept: {} of {}", count(&|s| s.draft_accepted), count(&|s| s.draft_offered));
    println!("peak memory: {} MB", memory_mb("VmHWM"));
    Ok(())
}

/// A recording of several segments as the product takes it: a generated model must say its one text in each.
fn segments(model: &Path) -> Outcome<()> {
    let opened = Model::open(model)?;
    let mut stream = Stream::open(&opened, &Options::default())?;
    let (mut all, began) = (Vec::new(), Instant::now());
    let mut keep = |event| {
        if let Event::Segment(segment) = event {
            all.push(segment.text);
        }
    };
    let seconds = 88;
    stream.feed_all(&speech(seconds * RATE)?, &mut keep)?;
    stream.finish_all(&mut keep)?;
    all.iter().try_for_each(|text| check_text(model, text))?;
    println!(
        "{seconds} s: {} segments, each with the expected text, {:.1} s",
        all.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// How long after the flag was set a step gives up, at moments all over a decode.
fn cancel(model: &Path) -> Outcome<()> {
    let opened = Model::open(model)?;
    let samples = speech(20 * RATE)?;
    let mut took = Vec::new();
    for delay_ms in (100..4_000).step_by(390) {
        let mut stream = Stream::open(&opened, &Options::default())?;
        let handle = stream.cancel_handle();
        let flag = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(delay_ms));
            handle.cancel();
            Instant::now()
        });
        let result = stream.feed_all(&samples, |_| ()).and_then(|()| stream.finish_all(|_| ()));
        let now = Instant::now();
        let set = flag.join().map_err(|_| "the thread that cancels failed")?;
        if result.is_err() {
            took.push(now.saturating_duration_since(set).as_secs_f64());
        }
    }
    let worst = took.iter().copied().fold(0.0, f64::max);
    println!(
        "{} cancellations, p50 {:.0} ms, longest {:.0} ms",
        took.len(),
        1e3 * percentile(&mut took, 0.5),
        1e3 * worst
    );
    Ok(())
}

fn append(text: &mut String, event: Event) {
    if let Event::Segment(segment) = event {
        text.push_str(segment.separator);
        text.push_str(&segment.text);
    }
}

/// Speech for so many minutes as fast as it goes: memory must not grow, nor the time a segment takes.
fn soak(model: &Path, minutes: usize) -> Outcome<()> {
    let opened = Model::open(model)?;
    let mut options = Options::default();
    options.partial_ms = 1_000;
    let mut stream = Stream::open(&opened, &options)?;
    let minute = speech(60 * RATE)?;
    let (mut after_five, mut live) = (0, String::new());
    println!("| minute | resident | seconds it took |\n|---|---|---|");
    for i in 1..=minutes {
        let began = Instant::now();
        for block in minute.chunks(RATE / 10) {
            stream.feed_all(block, |event| append(&mut live, event))?;
        }
        let resident = memory_mb("VmRSS");
        if i == 5 {
            after_five = resident;
        }
        if i <= 5 || i % 10 == 0 || i == minutes {
            println!("| {i} | {resident} MB | {:.2} |", began.elapsed().as_secs_f64());
        }
    }
    stream.finish_all(|event| append(&mut live, event))?;
    let (mut offline, mut again) = (String::new(), Stream::open(&opened, &Options::default())?);
    for _ in 0..minutes {
        again.feed_all(&minute, |event| append(&mut offline, event))?;
    }
    again.finish_all(|event| append(&mut offline, event))?;
    println!("\nlive text equals offline text: {}, {} bytes", live == offline, live.len());
    if minutes > 5 {
        println!("growth after minute 5: {} MB", memory_mb("VmRSS").saturating_sub(after_five));
    }
    Ok(())
}
