//! The way of a sample from the thread that captures to the thread that recognises, when the latter keeps up and when it
//! does not.
//!
//! Samples go through a [`LiveAudio`] as long as it takes them. The first one it refuses opens the overflow, and everything
//! after it goes there, until the reader has caught up. What is in the overflow waits in the journal, which has it anyway,
//! and in memory only until the journal has confirmed it: so memory grows with what the disk is behind, and not with what the
//! recogniser is behind. Without journal, or when that has ended on a full disk, memory is where it waits.
//!
//! Every sample has a place, counted from the beginning of the recording; that place is the same in the journal.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::audio::{Consumer, Journal, JournalFeed};
use crate::engine::{LiveAudio, LiveFeed, Pulled, SAMPLE_RATE};
use crate::error::Error;

use super::SessionOptions;

/// Samples per piece of memory: 1 s.
const PIECE: usize = SAMPLE_RATE as usize;
/// A source that can wait does so while the disk is behind by more than this: 10 s.
const DISK_LEAD: u64 = 10 * SAMPLE_RATE as u64;

/// Takes the samples of the source: the journal gets them, and the recogniser.
#[derive(Debug)]
pub struct SessionConsumer {
    backlog: Arc<Backlog>,
    journal: Option<JournalFeed>,
    live: Option<LiveFeed>,
    /// The place of the next sample.
    at: u64,
    /// Samples from here on may be silence in the journal.
    trusted: u64,
    lead: u64,
}

/// Where the recogniser gets its samples.
#[derive(Debug)]
pub(super) struct Reader {
    backlog: Arc<Backlog>,
    live: LiveAudio,
    /// The place of the next sample.
    at: u64,
}

/// What both ends, and those who show how far things are, know.
#[derive(Debug)]
pub(super) struct Backlog {
    received: AtomicU64,
    processed: AtomicU64,
    /// Nobody reads any more.
    deaf: AtomicBool,
    overflow: Mutex<Overflow>,
    journal: Weak<Journal>,
}

/// Samples that the live buffer had no room for.
#[derive(Debug, Default)]
struct Overflow {
    /// The place of the first of them; `None`: there is none, samples go through the live buffer.
    begin: Option<u64>,
    /// The place of the first one in memory. Those between `begin` and this one are in the journal.
    memory: u64,
    pieces: VecDeque<Vec<i16>>,
}

/// The two ends. There is no reader if no text is wanted.
pub(super) fn pair(
    options: &SessionOptions,
    wants_text: bool,
    journal: Option<&Arc<Journal>>,
    journal_feed: Option<JournalFeed>,
) -> Result<(SessionConsumer, Option<Reader>), Error> {
    let backlog = Arc::new(Backlog {
        received: AtomicU64::new(0),
        processed: AtomicU64::new(0),
        deaf: AtomicBool::new(!wants_text),
        overflow: Mutex::default(),
        journal: journal.map_or_else(Weak::new, Arc::downgrade),
    });
    let (live, feed) = if wants_text { LiveAudio::new(options.buffer_seconds).map(Some)? } else { None }.unzip();
    let lead = (f64::from(options.lead_seconds.max(0.1)) * f64::from(SAMPLE_RATE)) as u64;
    let consumer =
        SessionConsumer { backlog: backlog.clone(), journal: journal_feed, live: feed, at: 0, trusted: u64::MAX, lead };
    Ok((consumer, live.map(|live| Reader { backlog, live, at: 0 })))
}

impl SessionConsumer {
    pub(super) fn backlog(&self) -> Arc<Backlog> {
        self.backlog.clone()
    }

    fn offer(&mut self, block: &[f32]) {
        let Some(live) = &mut self.live else { return };
        if self.backlog.deaf.load(Ordering::Acquire) {
            // Frees what is in it, when the reader's end is gone too.
            self.live = None;
            return;
        }
        let mut overflow = self.backlog.overflow();
        let taken = if overflow.begin.is_some() { 0 } else { live.push(block) };
        if taken < block.len() {
            if overflow.begin.is_none() {
                overflow.open(self.at + taken as u64);
            }
            overflow.push(&block[taken..]);
        }
        if overflow.begin.is_some() {
            overflow.release(self.trusted.min(self.backlog.written()));
        }
    }
}

impl Consumer for SessionConsumer {
    fn samples(&mut self, block: &[f32]) {
        if let Some(journal) = &mut self.journal {
            journal.push(block);
            if journal.dropped() > 0 {
                self.trusted = self.trusted.min(self.at);
            }
        }
        self.offer(block);
        self.at += block.len() as u64;
        self.backlog.received.store(self.at, Ordering::Release);
    }

    fn busy(&self) -> bool {
        let disk = self.journal.as_ref().is_some_and(|journal| !journal.is_stopped());
        let recogniser = self.live.is_some() && !self.backlog.deaf.load(Ordering::Acquire);
        (disk && self.at.saturating_sub(self.backlog.written()) > DISK_LEAD)
            || (recogniser && self.backlog.lag() > self.lead)
    }
}

impl Reader {
    /// The next samples, up to as many as the block has room for. If there are none, waits for the first, at most so long.
    pub(super) fn pull(&mut self, block: &mut [f32], wait: Duration) -> Result<Pulled, Error> {
        loop {
            let begin = self.backlog.overflow().begin;
            if begin.is_some_and(|begin| self.at >= begin) {
                let n = self.pull_overflow(block)?;
                if n > 0 {
                    self.at += n as u64;
                    return Ok(Pulled::Samples(n));
                }
                continue;
            }
            // What is in the live buffer comes before what is in the overflow.
            match self.live.pull(block, if begin.is_some() { Duration::ZERO } else { wait }) {
                Pulled::Samples(n) => {
                    self.at += n as u64;
                    return Ok(Pulled::Samples(n));
                }
                _ if begin.is_some() => {
                    return Err(Error::Internal { message: format!("the audio at sample {} got lost", self.at) });
                }
                // The overflow may have been opened in the meantime.
                other if self.backlog.overflow().begin.is_none() => return Ok(other),
                _ => {}
            }
        }
    }

    /// None: this was the end of the overflow, and it is closed.
    fn pull_overflow(&self, block: &mut [f32]) -> Result<usize, Error> {
        let mut overflow = self.backlog.overflow();
        let memory = overflow.memory;
        if self.at >= memory {
            return Ok(overflow.take(self.at, block));
        }
        // Not while the thread that captures waits for the lock.
        drop(overflow);
        let n = usize::try_from(memory - self.at).unwrap_or(usize::MAX).min(block.len());
        let samples = match self.backlog.journal.upgrade() {
            Some(journal) => journal.read_back(self.at..self.at + n as u64),
            None => Ok(Vec::new()),
        };
        let place = self.at as f64 / f64::from(SAMPLE_RATE);
        let cannot = |why: String| Error::Internal {
            message: format!("the recording cannot be read back at {place:.1} s, to catch up: {why}"),
        };
        let samples = samples.map_err(|e| cannot(e.to_string()))?;
        if samples.len() != n {
            return Err(cannot(format!("{} samples of {n} are there", samples.len())));
        }
        block[..n].copy_from_slice(&samples);
        Ok(n)
    }

    /// Says that everything before this sample needs no more work for now.
    pub(super) fn processed(&self, samples: u64) {
        self.backlog.processed.store(samples, Ordering::Release);
    }

    /// How far the recogniser is behind.
    pub(super) fn lag_seconds(&self) -> f64 {
        self.backlog.lag_seconds()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.backlog.deaf.store(true, Ordering::Release);
        // The consumer looks at `deaf` before it takes this lock: at most one more block comes after this.
        *self.backlog.overflow() = Overflow::default();
    }
}

impl Backlog {
    fn overflow(&self) -> MutexGuard<'_, Overflow> {
        // Nothing that can panic leaves it half changed.
        self.overflow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples the journal has.
    fn written(&self) -> u64 {
        self.journal.upgrade().map_or(0, |journal| journal.written())
    }

    fn lag(&self) -> u64 {
        // In this order: what is received only grows.
        let processed = self.processed.load(Ordering::Acquire);
        self.received.load(Ordering::Acquire).saturating_sub(processed)
    }

    /// How far recognition is behind; 0 when there is none.
    pub(super) fn lag_seconds(&self) -> f64 {
        if self.deaf.load(Ordering::Acquire) { 0.0 } else { self.lag() as f64 / f64::from(SAMPLE_RATE) }
    }

    /// Length of what was heard.
    pub(super) fn seconds(&self) -> f64 {
        self.received.load(Ordering::Acquire) as f64 / f64::from(SAMPLE_RATE)
    }
}

impl Overflow {
    fn open(&mut self, at: u64) {
        *self = Self { begin: Some(at), memory: at, pieces: VecDeque::new() };
    }

    fn push(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            if self.pieces.back().is_none_or(|piece| piece.len() == PIECE) {
                self.pieces.push_back(Vec::with_capacity(PIECE));
            }
            let Some(piece) = self.pieces.back_mut() else { return };
            let (now, later) = samples.split_at(samples.len().min(PIECE - piece.len()));
            // As the journal rounds: of samples on the 16-bit grid nothing is lost.
            piece.extend(now.iter().map(|x| (x * 32_768.0).round() as i16));
            samples = later;
        }
    }

    /// Forgets what lies before this place: it can be read back.
    fn release(&mut self, safe: u64) {
        while let Some(piece) = self.pieces.front()
            && self.memory + piece.len() as u64 <= safe
        {
            self.memory += piece.len() as u64;
            self.pieces.pop_front();
        }
    }

    /// Gives the samples from `at` on, which is not before those in memory; none, if there are none, and closes.
    fn take(&mut self, at: u64, block: &mut [f32]) -> usize {
        let mut n = 0;
        while let Some(piece) = self.pieces.front() {
            let from = usize::try_from(at + n as u64 - self.memory).unwrap_or(usize::MAX).min(piece.len());
            let some = (piece.len() - from).min(block.len() - n);
            for (to, from) in block[n..n + some].iter_mut().zip(&piece[from..]) {
                *to = f32::from(*from) / 32_768.0;
            }
            n += some;
            if from + some < piece.len() {
                return n;
            }
            self.memory += piece.len() as u64;
            self.pieces.pop_front();
        }
        *self = Self::default();
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(range: std::ops::Range<usize>) -> Vec<f32> {
        range.map(|i| ((i * 7_919) % 65_536) as f32 / 32_768.0 - 1.0).collect()
    }

    /// Pushes and pulls in turns of random sizes; the reader is slow at first and then fast.
    fn everything_comes_once_and_in_order(path: Option<&std::path::Path>) -> usize {
        let options = SessionOptions { buffer_seconds: 0.5, ..SessionOptions::default() };
        let (journal, feed) = path
            .map(|path| Journal::create(path).expect("creates"))
            .map(|(journal, feed)| (Arc::new(journal), feed))
            .unzip();
        let (mut consumer, reader) = pair(&options, true, journal.as_ref(), feed).expect("memory");
        let mut reader = reader.expect("wanted");
        let backlog = consumer.backlog();
        let all = ramp(0..400_000);
        let (mut given, mut heard, mut block) = (0, Vec::new(), vec![0.0; 9_000]);
        let (mut most, mut random) = (0, 1_usize);
        let mut below = |n: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % n
        };
        for turn in 0.. {
            if given < all.len() {
                let n = below(2_000).min(all.len() - given);
                consumer.samples(&all[given..given + n]);
                given += n;
                // A disk that keeps up, however busy the machine is.
                while journal.as_ref().is_some_and(|journal| journal.written() + 2_000 < given as u64) {
                    std::thread::sleep(Duration::from_micros(100));
                }
            } else {
                consumer.live = None;
            }
            if turn < 150 || turn % 100 > 50 {
                most = most.max(backlog.overflow().pieces.len());
                continue;
            }
            let room = 1 + below(9_000);
            match reader.pull(&mut block[..room], Duration::ZERO).expect("reads") {
                Pulled::Samples(n) => heard.extend_from_slice(&block[..n]),
                Pulled::Nothing => {}
                Pulled::End => break,
            }
        }
        assert!(heard == all, "{} of {}", heard.len(), all.len());
        assert!(backlog.overflow().begin.is_none());
        most
    }

    #[test]
    fn without_journal_memory_keeps_what_the_live_buffer_refuses() {
        assert!(everything_comes_once_and_in_order(None) >= 8, "150 times 1000 samples are 9 s");
    }

    #[test]
    fn with_a_journal_memory_keeps_what_the_disk_does_not_have_yet() {
        let path = std::env::temp_dir().join(format!("diy-typeless-backlog-{}.wav", std::process::id()));
        let most = everything_comes_once_and_in_order(Some(&path));
        std::fs::remove_file(&path).expect("is there");
        assert!(most <= 5, "{most}");
    }

    #[test]
    fn what_may_be_silence_in_the_journal_stays_in_memory() {
        let mut overflow = Overflow::default();
        overflow.open(100);
        overflow.push(&ramp(0..3 * PIECE + 10));
        overflow.release(99);
        assert_eq!((overflow.memory, overflow.pieces.len()), (100, 4));
        overflow.release(100 + PIECE as u64);
        assert_eq!((overflow.memory, overflow.pieces.len()), (100 + PIECE as u64, 3));
        overflow.release(100 + 3 * PIECE as u64 - 1);
        assert_eq!((overflow.memory, overflow.pieces.len()), (100 + 2 * PIECE as u64, 2));
        let mut block = vec![0.0; PIECE];
        assert_eq!(overflow.take(100 + 2 * PIECE as u64 + 5, &mut block), PIECE);
        assert_eq!(block, ramp(2 * PIECE + 5..3 * PIECE + 5));
        assert_eq!(overflow.take(100 + 3 * PIECE as u64 + 5, &mut block), 5);
        assert!(overflow.begin.is_none());
    }

    #[test]
    fn when_nobody_reads_nothing_piles_up_and_nobody_waits() {
        let options = SessionOptions { buffer_seconds: 0.1, ..SessionOptions::default() };
        let (mut consumer, reader) = pair(&options, true, None, None).expect("memory");
        consumer.samples(&ramp(0..100_000));
        assert!(consumer.busy());
        drop(reader);
        consumer.samples(&ramp(0..100_000));
        assert!(!consumer.busy() && consumer.live.is_none());
        assert!(consumer.backlog.overflow().pieces.is_empty());
        assert_eq!((consumer.backlog.seconds(), consumer.backlog.lag_seconds()), (12.5, 0.0));
    }
}
