//! Files, and raw samples from a pipe, played as if they came from a microphone.
//!
//! A reader thread decodes ahead, because a pipe can keep its reader waiting for ever; the worker hands out 20 ms at a time when
//! they are due, so it can be stopped at any moment. A reader that is still waiting then is left behind.

use std::io::{self, Read};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::meter::Meter;
use super::source::{Events, SendEnded};
use super::{
    AudioError, AudioReader, Consumer, LiveSource, SAMPLE_RATE, SourceEvent, SourceInfo, SourceReport, StopHandle,
};

/// Samples handed out at once: 20 ms.
const STEP: usize = SAMPLE_RATE as usize / 50;
/// Blocks the reader is ahead, of a quarter of a second or a little more.
const AHEAD: usize = 8;
/// How often a waiting worker looks whether its consumer has room again.
const LOOK: Duration = Duration::from_millis(5);

/// Plays any file that [`AudioReader`] reads. `speed` 1 is real time, 2 twice as fast, 0 as fast as the consumer takes it.
pub fn play_file(path: impl AsRef<Path>, speed: f64, consumer: impl Consumer) -> Result<LiveSource, AudioError> {
    let path = path.as_ref();
    let mut reader = AudioReader::open(path)?;
    let name = path.display().to_string();
    let read = move |to: &Sender<Piece>| {
        let why = loop {
            match reader.next_block() {
                Ok(Some(block)) => {
                    if to.send(Piece::Samples(block.to_vec())).is_err() {
                        return;
                    }
                }
                Ok(None) => break None,
                Err(e) => break Some(e.to_string()),
            }
        };
        let notices = reader.notices().into_iter().map(Piece::Notice);
        for piece in notices.chain(why.map(Piece::Failed)) {
            let _ = to.send(piece);
        }
    };
    start(&name, "file", speed, consumer, read)
}

/// Plays raw samples, 16-bit little-endian 16 kHz mono, until the reader ends. `name` is for messages.
pub fn play_samples(
    mut from: impl Read + Send + 'static,
    name: &str,
    speed: f64,
    consumer: impl Consumer,
) -> Result<LiveSource, AudioError> {
    let read = move |to: &Sender<Piece>| {
        let mut bytes = [0; 2 * STEP];
        let mut have = 0;
        loop {
            match from.read(&mut bytes[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let _ = to.send(Piece::Failed(e.to_string()));
                    break;
                }
            }
            let samples: Vec<f32> =
                bytes[..have].chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0).collect();
            bytes.copy_within(samples.len() * 2..have, 0);
            have -= samples.len() * 2;
            if !samples.is_empty() && to.send(Piece::Samples(samples)).is_err() {
                break;
            }
        }
    };
    start(name, "pipe", speed, consumer, read)
}

enum Piece {
    Samples(Vec<f32>),
    Notice(String),
    Failed(String),
}

fn start(
    name: &str,
    host: &str,
    speed: f64,
    consumer: impl Consumer,
    read: impl FnOnce(&Sender<Piece>) + Send + 'static,
) -> Result<LiveSource, AudioError> {
    let no_thread = |source| AudioError::Read { file: name.to_owned(), source };
    let info = SourceInfo {
        device: name.to_owned(),
        host: host.to_owned(),
        rate: SAMPLE_RATE,
        channels: 1,
        format: "i16".to_owned(),
    };
    let (to, pieces) = bounded(AHEAD);
    let reader = spawn("player-read", move || read(&to)).map_err(no_thread)?;
    let (events, told) = Events::new();
    let (stop, woken) = StopHandle::new();
    let pace = Pace { speed: if speed.is_finite() { speed.max(0.0) } else { 0.0 }, begun: Instant::now(), given: 0 };
    let player = Player { info: info.clone(), pieces, pace, events, stop: stop.clone(), woken };
    let worker = spawn("player", move || player.run(consumer)).map_err(no_thread)?;
    // The reader may wait for a pipe for ever: nobody waits for it.
    drop(reader);
    Ok(LiveSource::new(info, told, stop, worker, Vec::new()))
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// When samples are due. Time that was spent waiting for the pipe or the consumer is not made up for, as no microphone could.
struct Pace {
    speed: f64,
    begun: Instant,
    given: u64,
}

impl Pace {
    fn due(&self) -> Option<Instant> {
        if self.speed == 0.0 {
            return None;
        }
        let seconds = self.given as f64 / f64::from(SAMPLE_RATE) / self.speed;
        // A speed next to 0 would overflow: an hour is as good as never.
        Some(self.begun + Duration::from_secs_f64(seconds.min(3_600.0 * 24.0)))
    }

    fn gave(&mut self, n: usize) {
        let late = self.due().map_or(Duration::ZERO, |due| due.elapsed());
        if late > Duration::from_millis(500) {
            self.begun += late;
        }
        self.given += n as u64;
    }
}

struct Player {
    info: SourceInfo,
    pieces: Receiver<Piece>,
    pace: Pace,
    events: Events,
    stop: StopHandle,
    woken: Receiver<()>,
}

impl Player {
    fn run(mut self, mut consumer: impl Consumer) -> SourceReport {
        let ended = SendEnded(self.events.clone());
        let begun = Instant::now();
        let mut report = SourceReport::default();
        let mut meter = Meter::new(false);
        'play: while let Some(piece) = self.next() {
            match piece {
                Piece::Samples(samples) => {
                    if report.first_samples_after.is_none() {
                        report.first_samples_after = Some(begun.elapsed());
                        self.events.send(SourceEvent::Started(self.info.clone()));
                        self.pace.begun = Instant::now();
                    }
                    for step in samples.chunks(STEP) {
                        // As with a microphone, samples come when they are over.
                        self.pace.gave(step.len());
                        if !self.wait(&consumer) {
                            break 'play;
                        }
                        meter.push(step, |event| self.events.send(event));
                        consumer.samples(step);
                    }
                }
                Piece::Notice(text) => self.events.send(SourceEvent::Notice(format!("{}: {text}", self.info.device))),
                Piece::Failed(why) => {
                    let reason = format!("{} broke off: {why}", self.info.device);
                    report.lost = Some(reason.clone());
                    let hint = "what came before it was heard".to_owned();
                    self.events.send(SourceEvent::Lost { reason, hint });
                    break;
                }
            }
        }
        meter.report(&mut report);
        drop(consumer);
        drop(ended);
        report
    }

    /// The next piece; `None` at the end, or when asked to stop.
    fn next(&self) -> Option<Piece> {
        loop {
            if self.stop.asked().is_some() {
                return None;
            }
            crossbeam_channel::select! {
                recv(self.pieces) -> piece => return piece.ok(),
                recv(self.woken) -> _ => {}
            }
        }
    }

    /// Until the samples are due and the consumer has room; `false` when asked to stop.
    fn wait(&self, consumer: &impl Consumer) -> bool {
        loop {
            if self.stop.asked().is_some() {
                return false;
            }
            let left = self.pace.due().map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
            if left.is_zero() && !consumer.busy() {
                return true;
            }
            // Woken, or the time is over: the loop looks at both.
            if self.woken.recv_timeout(left.max(LOOK)) == Err(RecvTimeoutError::Disconnected) {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    fn collect() -> (Arc<Mutex<Vec<f32>>>, impl Consumer) {
        let all = Arc::new(Mutex::new(Vec::new()));
        let into = all.clone();
        (all, move |block: &[f32]| into.lock().expect("not poisoned").extend(block))
    }

    fn raw(n: i32) -> (Vec<u8>, Vec<f32>) {
        let values: Vec<i16> = (0..n).map(|i| (i * 7 % 60_000 - 30_000) as i16).collect();
        let floats = values.iter().map(|&v| f32::from(v) / 32_768.0).collect();
        (values.iter().flat_map(|v| v.to_le_bytes()).collect(), floats)
    }

    /// Gives odd numbers of bytes, then an end, an error, or nothing for ever.
    struct Dribble(Vec<u8>, usize, &'static str);

    impl Read for Dribble {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = buf.len().min(37).min(self.0.len() - self.1);
            if n == 0 {
                match self.2 {
                    "error" => return Err(io::Error::other("the cable is cut")),
                    "wait" => loop {
                        std::thread::park();
                    },
                    _ => return Ok(0),
                }
            }
            buf[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    #[test]
    fn every_sample_comes_once_whatever_the_pipe_does() {
        let (bytes, floats) = raw(30_011);
        for end in ["", "error"] {
            let (heard, consumer) = collect();
            let source = play_samples(Dribble(bytes.clone(), 0, end), "a pipe", 0.0, consumer).expect("threads");
            let events: Vec<_> = source.events().iter().collect();
            assert_eq!(events.last(), Some(&SourceEvent::Ended));
            assert!(matches!(events[0], SourceEvent::Started(_)));
            let report = source.finish();
            assert_eq!(*heard.lock().expect("not poisoned"), floats);
            assert_eq!(report.samples, 30_011);
            assert_eq!(report.lost.is_some_and(|why| why.contains("the cable is cut")), end == "error");
        }
    }

    #[test]
    fn a_file_is_played_as_it_is_read() {
        let path = "tests/data/speech/stereo44k_001.flac";
        let path = if Path::new(path).exists() { path } else { "tests/data/speech/mono48k_001.flac" };
        let (heard, consumer) = collect();
        let source = play_file(path, 0.0, consumer).expect("is in the repository");
        let levels = source.events().iter().filter(|event| matches!(event, SourceEvent::Level { .. })).count();
        let report = source.finish();
        let all = AudioReader::open(path).expect("opens").read_all().expect("reads");
        assert_eq!(*heard.lock().expect("not poisoned"), all);
        assert_eq!(report.samples, all.len() as u64);
        assert!(levels > 10 && report.active_seconds > 1.0, "{levels} {report:?}");
        assert!(matches!(play_file("nowhere.wav", 1.0, |_: &[f32]| {}), Err(AudioError::Open { .. })));
    }

    #[test]
    fn real_time_is_real_time_and_double_speed_is_half_of_it() {
        for (speed, seconds) in [(1.0, 0.5), (2.0, 0.25)] {
            let (heard, consumer) = collect();
            let begun = Instant::now();
            let source = play_samples(io::Cursor::new(raw(8_000).0), "a pipe", speed, consumer).expect("threads");
            assert!(source.events().iter().any(|event| event == SourceEvent::Ended));
            let took = begun.elapsed().as_secs_f64();
            assert!(took >= seconds - 0.001 && took < seconds + 0.3, "{took} s at {speed}");
            assert_eq!(heard.lock().expect("not poisoned").len(), 8_000);
        }
    }

    #[test]
    fn a_pipe_that_hangs_does_not_hold_anybody() {
        let (heard, consumer) = collect();
        let source = play_samples(Dribble(raw(1_600).0, 0, "wait"), "a pipe", 0.0, consumer).expect("threads");
        while heard.lock().expect("not poisoned").len() < 1_600 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        source.stop();
        source.stop();
        assert_eq!(source.finish().samples, 1_600);
        assert!(begun.elapsed() < Duration::from_millis(200));
    }

    #[test]
    fn it_can_be_stopped_and_dropped_at_any_moment() {
        for wait in [0, 1, 30] {
            let (_, consumer) = collect();
            let source = play_samples(io::repeat(0), "a pipe", 0.01, consumer).expect("threads");
            std::thread::sleep(Duration::from_millis(wait));
            let begun = Instant::now();
            drop(source);
            assert!(begun.elapsed() < Duration::from_millis(200));
        }
    }

    #[test]
    fn a_busy_consumer_is_waited_for() {
        struct Slow(Arc<AtomicBool>, usize);
        impl Consumer for Slow {
            fn samples(&mut self, block: &[f32]) {
                assert!(!self.busy());
                self.1 += block.len();
                if self.1 == 3_200 {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
            fn busy(&self) -> bool {
                self.0.load(Ordering::Relaxed)
            }
        }
        let busy = Arc::new(AtomicBool::new(false));
        let source =
            play_samples(io::Cursor::new(raw(6_400).0), "a pipe", 0.0, Slow(busy.clone(), 0)).expect("threads");
        std::thread::sleep(Duration::from_millis(100));
        assert!(busy.load(Ordering::Relaxed));
        assert!(!source.events().try_iter().any(|event| event == SourceEvent::Ended));
        busy.store(false, Ordering::Relaxed);
        assert!(source.events().iter().any(|event| event == SourceEvent::Ended));
        assert_eq!(source.finish().samples, 6_400);
    }
}
