//! Capture with a device that does what the tests say.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;
use crate::audio::{SourceEvent, SourceReport};

type Script = Box<dyn FnOnce(Feed) -> Result<(), CaptureError> + Send>;

struct Fake {
    info: SourceInfo,
    open: Option<CaptureError>,
    open_takes: Duration,
    script: Option<Script>,
    close_takes: Duration,
}

impl Backend for Fake {
    fn open(&mut self) -> Result<SourceInfo, CaptureError> {
        std::thread::sleep(self.open_takes);
        self.open.take().map_or_else(|| Ok(self.info.clone()), Err)
    }

    fn run(&mut self, feed: Feed) -> Result<(), CaptureError> {
        self.script.take().expect("run once")(feed)
    }

    fn close(&mut self) {
        std::thread::sleep(self.close_takes);
    }
}

/// A mono device at 16 kHz whose callbacks run on a thread of the script.
fn fake(script: impl FnOnce(Feed) -> Result<(), CaptureError> + Send + 'static) -> Fake {
    Fake {
        info: SourceInfo {
            device: "Yeti".into(),
            host: "fake".into(),
            rate: 16_000,
            channels: 1,
            format: "f32".into(),
        },
        open: None,
        open_takes: Duration::ZERO,
        script: Some(Box::new(script)),
        close_takes: Duration::ZERO,
    }
}

fn options() -> CaptureOptions {
    CaptureOptions {
        first_samples_within: Duration::from_millis(300),
        lost_after: Duration::from_millis(200),
        open_within: Duration::from_millis(300),
        ..CaptureOptions::default()
    }
}

fn heard() -> (Arc<Mutex<Vec<f32>>>, impl Consumer) {
    let all = Arc::new(Mutex::new(Vec::new()));
    let into = all.clone();
    (all, move |block: &[f32]| into.lock().expect("not poisoned").extend(block))
}

/// Callbacks of 10 ms in real time: the n-th sample is a function of n.
fn beat(mut feed: Feed, seconds: f32, sample: impl Fn(usize) -> f32 + Send + 'static) {
    std::thread::spawn(move || {
        let begun = Instant::now();
        for i in 0..(seconds * 100.0) as usize {
            let block: Vec<f32> = (i * 160..(i + 1) * 160).map(&sample).collect();
            feed.push(&block);
            let due = begun + Duration::from_millis(10 * (i as u64 + 1));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
}

fn tone(n: usize) -> f32 {
    (n as f32 * 0.3).sin() * 0.25
}

/// All events but levels.
fn messages(source: &LiveSource) -> Vec<SourceEvent> {
    source.events().iter().filter(|event| !matches!(event, SourceEvent::Level { .. })).collect()
}

fn finish(source: LiveSource) -> (SourceReport, Duration) {
    let begun = Instant::now();
    (source.finish(), begun.elapsed())
}

#[test]
fn every_sample_of_the_callback_reaches_the_consumer_once() {
    let backend = fake(|feed| {
        beat(feed, 60.0, tone);
        Ok(())
    });
    let (all, consumer) = heard();
    let source = start(Box::new(backend), &options(), consumer).expect("opens");
    assert!(matches!(source.events().recv().expect("an event"), SourceEvent::Started(info) if info.device == "Yeti"));
    std::thread::sleep(Duration::from_millis(300));
    source.stop();
    source.stop();
    assert_eq!(messages(&source), [SourceEvent::Ended]);
    let (report, _) = finish(source);
    let all = all.lock().expect("not poisoned");
    assert_eq!(report.samples, all.len() as u64);
    assert!(all.len() >= 160 * 75, "loud until the end: 0.5 s after stop, {} samples", all.len());
    for (i, &x) in all.iter().enumerate() {
        assert!((x - tone(i)).abs() < 1e-4, "sample {i}");
    }
    assert_eq!((report.dropped_samples, report.lost), (0, None));
}

#[test]
fn after_silence_stop_takes_less_than_after_a_word() {
    let mut took = Vec::new();
    for silent_for in [0, 500] {
        let backend = fake(move |feed| {
            beat(feed, 60.0, move |n| if n < 4_800 { tone(n) } else { 0.0005 * tone(n) });
            Ok(())
        });
        let source = start(Box::new(backend), &options(), heard().1).expect("opens");
        std::thread::sleep(Duration::from_millis(280 + silent_for));
        took.push(finish(source).1.as_millis());
    }
    assert!(took[1] >= 140 && took[1] + 80 < took[0] && took[0] <= 800, "{took:?} ms");
}

#[test]
fn a_device_that_falls_silent_is_lost_and_what_was_heard_is_kept() {
    let backend = fake(|feed| {
        beat(feed, 0.3, tone);
        Ok(())
    });
    let source = start(Box::new(backend), &options(), heard().1).expect("opens");
    let events = messages(&source);
    let [SourceEvent::Started(_), SourceEvent::Lost { reason, hint }, SourceEvent::Ended] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(reason, "Yeti has given no sound for 0.2 s: it was removed, or its server died");
    assert!(hint.contains("kept"));
    let (report, took) = finish(source);
    assert_eq!((report.samples, report.lost.as_ref()), (4_800, Some(reason)));
    assert!(took < Duration::from_millis(100));
}

#[test]
fn a_device_that_never_gives_a_sample_is_said_to_and_does_not_hold_up_stop() {
    for stop in [false, true] {
        // As PulseAudio does: playing blocks until the first sample.
        let backend = fake(|feed| {
            std::thread::sleep(Duration::from_secs(5));
            drop(feed);
            Ok(())
        });
        let begun = Instant::now();
        let source = start(Box::new(backend), &options(), heard().1).expect("opens");
        if stop {
            source.stop_handle().stop_at_once();
        }
        let events = messages(&source);
        assert_eq!(events.last(), Some(&SourceEvent::Ended));
        assert!(begun.elapsed() < Duration::from_millis(600));
        if !stop {
            assert_eq!(events[0].message().as_deref(), Some("Yeti gave no sound within 0.3 s"));
        }
        let (report, took) = finish(source);
        assert_eq!((report.samples, report.first_samples_after), (0, None));
        assert!(took < Duration::from_millis(1_200), "the owner is left behind after a second: {took:?}");
    }
}

#[test]
fn a_driver_that_hangs_while_closing_is_left_behind() {
    let mut backend = fake(|feed| {
        beat(feed, 60.0, tone);
        Ok(())
    });
    backend.close_takes = Duration::from_secs(30);
    let source = start(Box::new(backend), &options(), heard().1).expect("opens");
    std::thread::sleep(Duration::from_millis(100));
    let (report, took) = finish(source);
    assert!(report.samples > 0 && took < Duration::from_millis(1_800), "{took:?}");
}

#[test]
fn errors_while_opening_come_from_the_call_and_later_ones_as_events() {
    let busy = CaptureError::Busy { device: "Yeti".into() };
    let mut backend = fake(|_| Ok(()));
    backend.open = Some(busy.clone());
    assert_eq!(start(Box::new(backend), &options(), heard().1).expect_err("busy"), busy);

    let mut backend = fake(|_| Ok(()));
    backend.open_takes = Duration::from_secs(5);
    let error = start(Box::new(backend), &options(), heard().1).expect_err("slow");
    assert!(matches!(error, CaptureError::Slow { .. }), "{error}");

    let mut backend = fake(|_| Ok(()));
    backend.info.rate = 3_000_000;
    let error = start(Box::new(backend), &options(), heard().1).expect_err("no such rate");
    assert!(error.to_string().contains("3000000 Hz"), "{error}");

    let later = busy.clone();
    let source = start(Box::new(fake(move |_| Err(later))), &options(), heard().1).expect("opens");
    assert_eq!(messages(&source)[0].message(), Some(busy.to_string()));
}

#[test]
fn a_consumer_that_is_too_slow_costs_samples_and_the_user_is_told() {
    let (asleep, wait) = bounded(0);
    let (fed, awake) = bounded(0);
    let backend = fake(move |mut feed| {
        std::thread::spawn(move || {
            feed.push(&vec![0.1_f32; 160]);
            wait.recv().expect("the consumer has the first samples");
            // The ring holds 3 s.
            (0..50).for_each(|_| feed.push(&vec![0.1_f32; 1_600]));
            fed.send(()).expect("the consumer waits");
        });
        Ok(())
    });
    let mut first = true;
    let slow = move |_: &[f32]| {
        if std::mem::take(&mut first) {
            asleep.send(()).expect("the device waits");
            awake.recv().expect("the device goes on");
        }
    };
    let source = start(Box::new(backend), &options(), slow).expect("opens");
    let told = messages(&source).into_iter().find_map(|event| match event {
        SourceEvent::Overrun { dropped_samples } => Some(dropped_samples),
        _ => None,
    });
    assert_eq!(told, Some(32_000));
    let report = source.finish();
    assert_eq!((report.dropped_samples, report.samples), (32_000, 48_160));
}

#[test]
fn rates_and_channels_are_those_of_the_device() {
    let mut backend = fake(|mut feed| {
        std::thread::spawn(move || {
            // Left and right of opposite sign: what is in phase stays, the rest cancels.
            for i in 0..50_usize {
                let frames = i * 480..(i + 1) * 480;
                let block: Vec<i16> =
                    frames.flat_map(|n| [8_000, -8_000].map(|side| (tone(n) * 16_000.0) as i16 + side)).collect();
                feed.push(&block);
            }
        });
        Ok(())
    });
    (backend.info.rate, backend.info.channels) = (48_000, 2);
    let (all, consumer) = heard();
    let source = start(Box::new(backend), &options(), consumer).expect("opens");
    assert!(matches!(messages(&source)[0], SourceEvent::Started(_)));
    assert_eq!(source.finish().samples, 8_000);
    let peak = all.lock().expect("not poisoned")[1_000..7_000].iter().fold(0.0_f32, |a, &b| a.max(b.abs()));
    assert!((peak - 0.25 * 16_000.0 / 32_768.0).abs() < 0.01, "{peak}");
}

#[test]
fn dropping_a_source_stops_it() {
    let backend = fake(|feed| {
        beat(feed, 60.0, tone);
        Ok(())
    });
    let (all, consumer) = heard();
    let source = start(Box::new(backend), &options(), consumer).expect("opens");
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    drop(source);
    assert!(begun.elapsed() < Duration::from_millis(200));
    let n = all.lock().expect("not poisoned").len();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(all.lock().expect("not poisoned").len(), n);
}

#[test]
fn a_panic_of_the_consumer_closes_the_device_and_goes_on_in_the_caller() {
    let backend = fake(|feed| {
        beat(feed, 60.0, tone);
        Ok(())
    });
    let source = start(Box::new(backend), &options(), |_: &[f32]| panic!("the consumer")).expect("opens");
    assert_eq!(messages(&source).last(), Some(&SourceEvent::Ended));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| source.finish())).expect_err("goes on");
    assert_eq!(panic.downcast_ref(), Some(&"the consumer"));
}
