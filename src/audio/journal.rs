//! The recording on disk, as it grows: whatever kills the program leaves all but the last second of it.
//!
//! A 16-bit 16 kHz mono WAV whose header is true after every sync, twice a second. The disk may stall for as long as it likes:
//! a writer thread waits for it, while [`JournalFeed::push`] copies samples into blocks that were allocated at the start
//! and never waits. When all blocks are full, a minute later, samples are left out of the file, counted, told, and replaced by
//! silence, so that a place in the file stays a place in time. A full disk ends the journal and not the dictation.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::SAMPLE_RATE;

const HEADER: u64 = 44;
/// Samples handed to the writer at once: 0.1 s.
const BLOCK: usize = SAMPLE_RATE as usize / 10;
/// What the disk may be behind: a minute, 1.9 MB.
const BLOCKS: usize = 600;
/// Half of what may be lost, so that a slow sync still keeps the promise.
const SYNC: Duration = Duration::from_millis(500);
/// A WAV counts its bytes in 32 bits: 37 hours.
const MAX_SAMPLES: u64 = (u32::MAX as u64 - HEADER) / 2;
/// How long [`Journal::finish`] waits for a disk that stalls.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file could not be made. Existing files are never overwritten.
    #[error("cannot record to {}: {source}", path.display())]
    Create {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread.
    #[error("cannot start the thread that writes {}: {source}", path.display())]
    Thread {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the user should know about the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalEvent {
    /// Nothing more will be written. What was written is a valid WAV.
    Stopped {
        /// Why, as a sentence without a full stop.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// The disk was too slow for too long; silence stands for the missing samples.
    Dropped {
        /// As many samples.
        samples: u64,
    },
}

impl JournalEvent {
    /// A sentence for the user.
    pub fn message(&self) -> String {
        match self {
            Self::Stopped { reason, .. } => reason.clone(),
            Self::Dropped { samples } => {
                format!("the disk is too slow: {:.1} s of the recording are silence", seconds(*samples))
            }
        }
    }
}

/// What became of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalReport {
    /// The file.
    pub path: PathBuf,
    /// Samples in it.
    pub samples: u64,
    /// Samples that are silence because the disk was too slow.
    pub dropped: u64,
    /// Why it ends before the dictation, if it does.
    pub stopped: Option<String>,
}

impl JournalReport {
    /// Length of the recording.
    pub fn seconds(&self) -> f64 {
        seconds(self.samples)
    }
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

/// A recording that grows on disk.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    shared: Arc<Shared>,
    events: Receiver<JournalEvent>,
    reader: Mutex<File>,
    writer: Option<JoinHandle<()>>,
}

/// The end that takes the samples; it belongs to the thread that has them. Dropping it is the end of the recording.
#[derive(Debug)]
pub struct JournalFeed {
    shared: Arc<Shared>,
    block: Vec<i16>,
    /// Samples lost right before the block.
    gap: u64,
    full: Sender<Message>,
    empty: Receiver<Vec<i16>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Samples in the file.
    written: AtomicU64,
    dropped: AtomicU64,
    /// Nothing more can be written.
    stopped: AtomicBool,
    /// The writer is to end with what it has.
    finish: AtomicBool,
    reason: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Message {
    gap: u64,
    block: Vec<i16>,
}

impl Journal {
    /// Begins a recording in a new file that only its owner can read.
    pub fn create(path: impl AsRef<Path>) -> Result<(Self, JournalFeed), JournalError> {
        let path = path.as_ref();
        let failed = |source: io::Error| JournalError::Create { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let reader = file.write_all(&header(0)).and_then(|()| file.sync_all()).and_then(|()| File::open(path));
        let reader = reader.inspect_err(|_| drop(std::fs::remove_file(path))).map_err(failed)?;
        sync_directory(path);
        Self::with_storage(path, Box::new(file), reader, MAX_SAMPLES)
    }

    fn with_storage(
        path: &Path,
        storage: Box<dyn Storage>,
        reader: File,
        max_samples: u64,
    ) -> Result<(Self, JournalFeed), JournalError> {
        let shared = Arc::new(Shared::default());
        let (full, filled) = bounded(BLOCKS + 1);
        let (empty, emptied) = bounded(BLOCKS + 1);
        for _ in 0..BLOCKS {
            // There is room: the channel was made for so many.
            let _ = empty.try_send(Vec::with_capacity(BLOCK));
        }
        let (tell, events) = bounded(64);
        let mut writer = Writer { shared: shared.clone(), storage, filled, empty, tell, max_samples, told_dropped: 0 };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| JournalError::Thread { path: path.to_owned(), source })?;
        let feed =
            JournalFeed { shared: shared.clone(), block: Vec::with_capacity(BLOCK), gap: 0, full, empty: emptied };
        let journal = Self { path: path.to_owned(), shared, events, reader: Mutex::new(reader), writer: Some(thread) };
        Ok((journal, feed))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user should know, as it happens.
    pub fn events(&self) -> &Receiver<JournalEvent> {
        &self.events
    }

    /// Samples that are in the file by now: what [`read_back`](Self::read_back) can give.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Reads samples again, counted from the start of the recording; fewer, when they are not written yet or never will be.
    pub fn read_back(&self, range: Range<u64>) -> io::Result<Vec<f32>> {
        let end = range.end.min(self.written());
        let n = usize::try_from(end.saturating_sub(range.start)).map_err(io::Error::other)?;
        if n == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; n * 2];
        let mut file = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(HEADER + range.start * 2))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0).collect())
    }

    /// Ends the recording: writes what is left, syncs, and says what there is. The feed should be gone by now. A disk that hangs
    /// is waited for, but not for ever.
    pub fn finish(mut self) -> JournalReport {
        self.shared.finish.store(true, Ordering::Release);
        let deadline = Instant::now() + PATIENCE;
        let mut hangs = false;
        if let Some(writer) = self.writer.take() {
            while !writer.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            hangs = !writer.is_finished();
            if !hangs {
                // It does not panic; if it did, the report would say how much is in the file all the same.
                let _ = writer.join();
            }
        }
        let mut stopped = self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if hangs {
            stopped.get_or_insert_with(|| "the disk hangs: the end of the recording may be missing".to_owned());
        }
        let dropped = self.shared.dropped.load(Ordering::Acquire);
        JournalReport { path: self.path.clone(), samples: self.written(), dropped, stopped }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The writer ends by itself, with everything it has.
        self.shared.finish.store(true, Ordering::Release);
    }
}

impl JournalFeed {
    /// Takes samples. Never waits, for a disk or for anything else.
    pub fn push(&mut self, mut samples: &[f32]) {
        if self.shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        while !samples.is_empty() {
            if self.block.capacity() == 0 {
                match self.empty.try_recv() {
                    Ok(block) => self.block = block,
                    Err(_) => {
                        self.gap += samples.len() as u64;
                        self.shared.dropped.fetch_add(samples.len() as u64, Ordering::Release);
                        return;
                    }
                }
            }
            let (now, later) = samples.split_at(samples.len().min(BLOCK - self.block.len()));
            self.block.extend(now.iter().map(|x| (x * 32_768.0).round() as i16));
            samples = later;
            if self.block.len() == BLOCK {
                self.hand_over();
            }
        }
    }

    /// Samples that were left out so far because the disk is too slow. As long as this is 0, [`Journal::written`] samples can
    /// be read back as they were pushed.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Acquire)
    }

    /// Whether the file has ended, and takes nothing any more.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
    }

    fn hand_over(&mut self) {
        let message = Message { gap: std::mem::take(&mut self.gap), block: std::mem::take(&mut self.block) };
        // The channel has room for every block there is; it fails only when the writer is gone.
        let _ = self.full.try_send(message);
    }
}

impl Drop for JournalFeed {
    fn drop(&mut self) {
        if !self.block.is_empty() || self.gap > 0 {
            self.hand_over();
        }
    }
}

/// What a recording is written to; tests have one that fails.
trait Storage: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the header say that there are so many samples.
    fn set_header(&mut self, samples: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off what follows so many samples.
    fn truncate(&mut self, samples: u64) -> io::Result<()>;
}

impl Storage for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn set_header(&mut self, samples: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(0))?;
        self.write_all(&header(samples))?;
        self.seek(SeekFrom::Start(HEADER + samples * 2)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, samples: u64) -> io::Result<()> {
        self.set_len(HEADER + samples * 2)
    }
}

struct Writer {
    shared: Arc<Shared>,
    storage: Box<dyn Storage>,
    filled: Receiver<Message>,
    empty: Sender<Vec<i16>>,
    tell: Sender<JournalEvent>,
    max_samples: u64,
    told_dropped: u64,
}

impl Writer {
    fn run(&mut self) {
        let mut bytes = Vec::with_capacity(BLOCK * 2);
        let mut synced = (Instant::now(), 0);
        loop {
            let result = match self.filled.recv_timeout(SYNC / 5) {
                Ok(mut message) => {
                    let result = self.write(&message, &mut bytes);
                    message.block.clear();
                    // There is room: the channel was made for all blocks.
                    let _ = self.empty.try_send(message.block);
                    result
                }
                Err(RecvTimeoutError::Timeout) if !self.shared.finish.load(Ordering::Acquire) => Ok(()),
                Err(_) => break,
            };
            let written = self.shared.written.load(Ordering::Relaxed);
            let due = synced.0.elapsed() >= SYNC && written > synced.1;
            if let Err(e) = result.and_then(|()| if due { self.sync(written) } else { Ok(()) }) {
                return self.give_up(&e);
            }
            if due {
                synced = (Instant::now(), written);
                self.tell_dropped();
            }
        }
        self.tell_dropped();
        if let Err(e) = self.sync(self.shared.written.load(Ordering::Relaxed)) {
            self.give_up(&e);
        }
    }

    fn write(&mut self, message: &Message, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut gap = message.gap;
        while gap > 0 {
            let n = gap.min(BLOCK as u64);
            bytes.clear();
            bytes.resize(n as usize * 2, 0);
            self.append(bytes)?;
            gap -= n;
        }
        bytes.clear();
        bytes.extend(message.block.iter().flat_map(|x| x.to_le_bytes()));
        self.append(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let n = bytes.len() as u64 / 2;
        if self.shared.written.load(Ordering::Relaxed) + n > self.max_samples {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.storage.append(bytes)?;
        self.shared.written.fetch_add(n, Ordering::Release);
        Ok(())
    }

    fn sync(&mut self, samples: u64) -> io::Result<()> {
        self.storage.set_header(samples)?;
        self.storage.sync()
    }

    fn tell_dropped(&mut self) {
        let dropped = self.shared.dropped.load(Ordering::Acquire);
        if dropped > self.told_dropped {
            let _ = self.tell.try_send(JournalEvent::Dropped { samples: dropped - self.told_dropped });
            self.told_dropped = dropped;
        }
    }

    /// Leaves a valid file and says why it is not longer.
    fn give_up(&mut self, error: &io::Error) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let written = self.shared.written.load(Ordering::Relaxed);
        // A block may be there in part. If even this fails, the reader goes by the length of the file.
        let _ = self.storage.truncate(written).and_then(|()| self.sync(written));
        let at = seconds(written);
        let (reason, hint) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                format!("the disk is full: the recording ends after {at:.1} s, the dictation goes on"),
                "make room on the disk, or use another --output-dir",
            ),
            io::ErrorKind::FileTooLarge => (
                format!("the recording is as long as a file can be: it ends after {at:.1} s, the dictation goes on"),
                "stop and begin a new one",
            ),
            _ => (
                format!("the recording cannot be written: {error}; it ends after {at:.1} s, the dictation goes on"),
                "look at the disk, or use another --output-dir",
            ),
        };
        *self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        let _ = self.tell.try_send(JournalEvent::Stopped { reason, hint: hint.to_owned() });
    }
}

/// Of a WAV with so many samples.
fn header(samples: u64) -> [u8; HEADER as usize] {
    let data = u32::try_from(samples * 2).unwrap_or(u32::MAX);
    let mut bytes = [0; HEADER as usize];
    let mut at = 0;
    let mut put = |field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    };
    put(b"RIFF");
    put(&data.saturating_add(36).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    put(&1_u16.to_le_bytes()); // integer samples
    put(&1_u16.to_le_bytes()); // one channel
    put(&SAMPLE_RATE.to_le_bytes());
    put(&(SAMPLE_RATE * 2).to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&16_u16.to_le_bytes());
    put(b"data");
    put(&data.to_le_bytes());
    bytes
}

/// A file that is synced can still be without a name after a power cut. Best effort: not every system can do this.
fn sync_directory(path: &Path) {
    if cfg!(unix) {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::AudioReader;
    use std::io::Cursor;

    /// A disk of so many bytes that stalls as long as the gate is locked.
    struct Disk {
        bytes: Arc<Mutex<Vec<u8>>>,
        room: usize,
        gate: Arc<Mutex<()>>,
        synced: Arc<AtomicU64>,
    }

    impl Storage for Disk {
        fn append(&mut self, new: &[u8]) -> io::Result<()> {
            drop(self.gate.lock());
            let mut bytes = self.bytes.lock().expect("not poisoned");
            let n = new.len().min(self.room - bytes.len());
            bytes.extend(&new[..n]);
            if n < new.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn set_header(&mut self, samples: u64) -> io::Result<()> {
            self.bytes.lock().expect("not poisoned")[..44].copy_from_slice(&header(samples));
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            let bytes = self.bytes.lock().expect("not poisoned");
            let promised = u32::from_le_bytes(bytes[40..44].try_into().expect("4 bytes"));
            assert_eq!(promised as usize, bytes.len() - 44, "the header is true before every sync");
            self.synced.store(u64::from(promised) / 2, Ordering::Release);
            Ok(())
        }

        fn truncate(&mut self, samples: u64) -> io::Result<()> {
            self.bytes.lock().expect("not poisoned").truncate((HEADER + 2 * samples) as usize);
            Ok(())
        }
    }

    struct Rig {
        journal: Journal,
        feed: JournalFeed,
        bytes: Arc<Mutex<Vec<u8>>>,
        gate: Arc<Mutex<()>>,
        synced: Arc<AtomicU64>,
    }

    fn rig(room: usize, max_samples: u64) -> Rig {
        let bytes = Arc::new(Mutex::new(header(0).to_vec()));
        let gate = Arc::new(Mutex::new(()));
        let synced = Arc::new(AtomicU64::new(0));
        let disk = Disk { bytes: bytes.clone(), room, gate: gate.clone(), synced: synced.clone() };
        let nothing = File::open("Cargo.toml").expect("tests run in the package");
        let (journal, feed) =
            Journal::with_storage(Path::new("a.wav"), Box::new(disk), nothing, max_samples).expect("a thread");
        Rig { journal, feed, bytes, gate, synced }
    }

    fn ramp(range: Range<i32>) -> Vec<f32> {
        range.map(|i| (i % 20_000 - 10_000) as f32 / 32_768.0).collect()
    }

    fn read(bytes: &Mutex<Vec<u8>>) -> Vec<f32> {
        let bytes = bytes.lock().expect("not poisoned").clone();
        AudioReader::from_source(Cursor::new(bytes), "a.wav").expect("a WAV").read_all().expect("readable")
    }

    #[test]
    fn a_full_disk_ends_the_journal_with_a_notice_and_a_valid_file() {
        let Rig { journal, mut feed, bytes, .. } = rig(44 + 2 * 5_000 + 1, MAX_SAMPLES);
        for i in 0..50 {
            feed.push(&ramp(i * 320..(i + 1) * 320));
        }
        let event = journal.events().recv_timeout(Duration::from_secs(5)).expect("a notice");
        assert!(event.message().contains("disk is full") && event.message().contains("goes on"), "{event:?}");
        feed.push(&ramp(0..100_000));
        drop(feed);
        let report = journal.finish();
        assert_eq!((report.samples, report.dropped), (4_800, 0), "whole blocks");
        assert_eq!(report.stopped, Some(event.message()));
        assert_eq!(read(&bytes), ramp(0..4_800));
    }

    #[test]
    fn what_is_a_second_old_is_synced() {
        let Rig { journal, mut feed, synced, .. } = rig(1 << 20, MAX_SAMPLES);
        let begun = Instant::now();
        for i in 0..250_u64 {
            feed.push(&ramp(0..160));
            std::thread::sleep((begun + Duration::from_millis(10 * i)).saturating_duration_since(Instant::now()));
            let behind = i * 160 - synced.load(Ordering::Acquire).min(i * 160);
            assert!(behind <= 16_000, "{behind} samples after {i} pushes");
        }
        drop(feed);
        assert_eq!(journal.finish().samples, 40_000);
        assert_eq!(synced.load(Ordering::Acquire), 40_000);
    }

    #[test]
    fn the_longest_file_is_not_exceeded() {
        let Rig { journal, mut feed, bytes, .. } = rig(1 << 20, 3_300);
        feed.push(&ramp(0..10_000));
        drop(feed);
        let report = journal.finish();
        assert_eq!(report.samples, 3_200);
        assert!(report.stopped.is_some_and(|why| why.contains("as long as a file can be")));
        assert_eq!(read(&bytes), ramp(0..3_200));
        assert_eq!(header(MAX_SAMPLES)[4..8], (36 + 2 * MAX_SAMPLES as u32).to_le_bytes());
    }

    #[test]
    fn a_disk_that_stalls_costs_memory_for_a_minute_and_then_silence_and_never_time() {
        let Rig { journal, mut feed, bytes, gate, .. } = rig(1 << 30, MAX_SAMPLES);
        let stalled = gate.lock().expect("not poisoned");
        let minute = (BLOCK * BLOCKS) as i32;
        let begun = Instant::now();
        feed.push(&ramp(0..minute));
        feed.push(&ramp(minute..minute + 100_000));
        assert!(begun.elapsed() < Duration::from_secs(2));
        drop(stalled);
        while journal.written() < minute as u64 {
            std::thread::sleep(Duration::from_millis(1));
        }
        feed.push(&ramp(500_000..500_777));
        drop(feed);
        std::thread::sleep(SYNC);
        let events = journal.events().clone();
        let report = journal.finish();
        let written = read(&bytes);
        assert_eq!(written.len() as u64, report.samples);
        // The feed has a block of its own.
        let kept = minute as usize + BLOCK;
        assert_eq!(report.samples, minute as u64 + 100_777);
        assert_eq!(report.dropped, 100_000 - BLOCK as u64);
        assert_eq!(written[..kept], ramp(0..kept as i32));
        assert!(written[kept..minute as usize + 100_000].iter().all(|&x| x == 0.0));
        assert_eq!(written[minute as usize + 100_000..], ramp(500_000..500_777));
        let told: u64 =
            events.try_iter().map(|e| if let JournalEvent::Dropped { samples } = e { samples } else { 0 }).sum();
        assert_eq!(told, report.dropped);
    }
}
