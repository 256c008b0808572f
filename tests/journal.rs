//! The recording on disk, killed, starved of space, and read again.
#![cfg(feature = "live")]
#![allow(clippy::print_stdout)] // how the process that will be killed says how far it is

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diy_typeless::audio::{AudioReader, Journal};

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Left by an earlier run, if at all.
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("creates");
    dir
}

/// The n-th sample: never the same as its neighbours, so that a sample too many or too few is noticed.
fn sample(n: u64) -> f32 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    (mixed as i32 - 32_768) as f32 / 32_768.0
}

fn samples(range: std::ops::Range<u64>) -> Vec<f32> {
    range.map(sample).collect()
}

fn read(path: &Path) -> Vec<f32> {
    AudioReader::open(path).expect("opens").read_all().expect("reads")
}

#[test]
fn what_was_pushed_is_what_is_read_whatever_the_pieces() {
    let path = scratch("journal-pieces").join("a.wav");
    let (journal, mut feed) = Journal::create(&path).expect("creates");
    let mut n = 0;
    for piece in [1, 160, 1_600, 1, 7, 48_000, 333, 20_000] {
        feed.push(&samples(n..n + piece));
        n += piece;
    }
    drop(feed);
    let report = journal.finish();
    assert_eq!((report.samples, report.dropped, report.stopped), (n, 0, None));
    assert_eq!(read(&path), samples(0..n));
}

#[test]
fn a_recording_of_nothing_is_a_wav_of_nothing() {
    let path = scratch("journal-empty").join("a.wav");
    let (journal, feed) = Journal::create(&path).expect("creates");
    drop(feed);
    assert_eq!(journal.finish().samples, 0);
    assert_eq!(std::fs::metadata(&path).expect("is there").len(), 44);
    assert_eq!(read(&path), []);
}

#[test]
fn an_existing_file_is_not_touched_and_a_new_one_is_private() {
    let path = scratch("journal-new").join("a.wav");
    std::fs::write(&path, "something of the user's").expect("writes");
    let error = Journal::create(&path).expect_err("exists").to_string();
    assert!(error.contains("a.wav"), "{error}");
    assert_eq!(std::fs::read(&path).expect("reads"), b"something of the user's");
    assert!(Journal::create("/nowhere/at/all.wav").is_err());

    let path = path.with_file_name("b.wav");
    let (journal, _feed) = Journal::create(&path).expect("creates");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).expect("is there").permissions().mode() & 0o777, 0o600);
    }
    journal.finish();
}

#[test]
fn what_was_written_can_be_read_back_while_more_comes() {
    let path = scratch("journal-back").join("a.wav");
    let (journal, mut feed) = Journal::create(&path).expect("creates");
    feed.push(&samples(0..100_000));
    let begun = Instant::now();
    while journal.written() < 99_200 {
        assert!(begun.elapsed() < Duration::from_secs(5), "whole tenths of a second are written at once");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(journal.read_back(0..10).expect("reads"), samples(0..10));
    assert_eq!(journal.read_back(77_777..99_000).expect("reads"), samples(77_777..99_000));
    assert_eq!(journal.read_back(99_000..200_000).expect("reads"), samples(99_000..99_200), "as far as it goes");
    assert_eq!(journal.read_back(300_000..400_000).expect("reads"), []);
    feed.push(&samples(100_000..101_000));
    // Twice a second the header is true, without anybody finishing.
    let begun = Instant::now();
    while read(&path).len() < 100_000 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(feed);
    assert_eq!(journal.finish().samples, 101_000);
    assert_eq!(read(&path), samples(0..101_000));
}

/// A file system that is too small. Only root can make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_journal_with_a_notice_and_a_valid_file() {
    let dir = scratch("journal-full");
    let mount = |args: &[&str]| {
        let run = Command::new("mount").args(args).arg(&dir).stdin(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"]) {
        // Past the test harness, which hides what passing tests print.
        let _ = writeln!(std::io::stderr(), "!!!! skipped: a full disk, because mounting a small one needs root");
        return;
    }
    let path = dir.join("a.wav");
    let result = std::panic::catch_unwind(|| {
        let (journal, mut feed) = Journal::create(&path).expect("creates");
        for i in 0..200 {
            feed.push(&samples(i * 320..(i + 1) * 320));
        }
        let event = journal.events().recv_timeout(Duration::from_secs(5)).expect("a notice");
        assert!(event.message().contains("the disk is full"), "{event:?}");
        drop(feed);
        let report = journal.finish();
        assert_eq!(report.stopped, Some(event.message()));
        assert!(report.samples > 24_000, "{report:?}");
        assert_eq!(read(&path), samples(0..report.samples));
    });
    let unmounted = Command::new("umount").arg(&dir).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    result.expect("as said");
}

/// Runs in a process of its own, until it is killed: records in real time and says how far it is.
#[test]
#[ignore = "started by the next test"]
fn record_until_killed() {
    let Some(path) = std::env::var_os("JOURNAL_TO_KILL") else { return };
    let (_journal, mut feed) = Journal::create(path).expect("creates");
    let begun = Instant::now();
    for i in 0_u64.. {
        feed.push(&samples(i * 160..(i + 1) * 160));
        println!("pushed {}", (i + 1) * 160);
        let due = begun + Duration::from_millis(10 * (i + 1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// `QWEN_TEST_SEED`, or another one in every run.
fn seed() -> u64 {
    if let Ok(text) = std::env::var("QWEN_TEST_SEED") {
        return text.parse().expect("QWEN_TEST_SEED is a whole number");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::from(now.subsec_nanos()) ^ now.as_secs() << 20
}

#[test]
fn killed_at_any_moment_all_but_the_last_second_can_be_read() {
    let dir = scratch("journal-kill");
    let seed = seed();
    // Past the test harness, which hides what passing tests print.
    let _ = writeln!(std::io::stderr(), "moments to kill at: seed {seed} (QWEN_TEST_SEED)");
    let mut random = seed;
    let started = (0..20_u64).map(|i| {
        let path = dir.join(format!("{i}.wav"));
        let child = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", "record_until_killed", "--ignored", "--nocapture", "--test-threads=1"])
            .env("JOURNAL_TO_KILL", &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        // From 0.1 s to 2.6 s, scattered over the times between two syncs.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis(100 + (random >> 33) % 2_500);
        (child, path, moment)
    });
    let watched: Vec<_> = started
        .map(|(mut child, path, moment)| {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
                let mut pushed = 0_u64;
                let mut until = None;
                for line in lines.by_ref() {
                    if let Some((_, n)) = line.rsplit_once("pushed ") {
                        pushed = n.parse().expect("a number");
                        if Instant::now() >= *until.get_or_insert_with(|| Instant::now() + moment) {
                            break;
                        }
                    }
                }
                child.kill().expect("kills");
                child.wait().expect("ends");
                (path, pushed)
            })
        })
        .collect();
    for watched in watched {
        let (path, pushed) = watched.join().expect("watches");
        let there = read(&path);
        let n = there.len() as u64;
        assert!(pushed > 0 && n + 16_000 >= pushed, "{n} of {pushed} samples in {}", path.display());
        assert_eq!(there, samples(0..n), "{}", path.display());
    }
}
