//! Dictation as a whole, from samples that are still coming to the final text and the recording.
#![cfg(feature = "live")]

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod support;

use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use diy_typeless::audio::{AudioReader, Consumer, LiveSource, play_file, play_samples};
use diy_typeless::{
    Error, Model, ModelOptions, ModelSource, Options, Outcome, SAMPLE_RATE, Session, SessionConsumer, SessionEvent,
    SessionHandle, SessionOptions, Stream, Transcriber,
};

use support::{data, model, samples, scratch};

/// Two recordings with a pause between them: several segments, about 20 s.
fn speech() -> &'static [f32] {
    static SPEECH: OnceLock<Vec<f32>> = OnceLock::new();
    SPEECH.get_or_init(|| {
        let mut all = samples("short_seen_001.flac");
        all.extend([0.0; 24_000]);
        all.extend(samples("short_seen_002.flac"));
        all
    })
}

fn offline(model: &Model, samples: &[f32]) -> String {
    let transcriber = Transcriber::new(model, Options::default()).expect("sound options");
    transcriber.transcribe(samples).expect("transcribes").text
}

fn speech_text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let text = offline(&model(), speech());
        assert!(text.contains("stones") && text.contains("contract"), "{text}");
        text
    })
}

fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|x| ((x * 32_768.0).round() as i16).to_le_bytes()).collect()
}

fn options(journal: Option<&Path>) -> SessionOptions {
    let mut options = SessionOptions::default();
    options.engine.threads = 1;
    options.journal = journal.map(Path::to_owned);
    options
}

/// As fast as it is understood.
fn play(samples: &[f32]) -> impl FnOnce(SessionConsumer) -> Result<LiveSource, Error> {
    let bytes = bytes(samples);
    move |consumer| Ok(play_samples(Cursor::new(bytes), "speech", 0.0, consumer)?)
}

/// Like a microphone that hears everything in a moment: it does not wait for anybody.
fn pour(samples: &[f32]) -> impl FnOnce(SessionConsumer) -> Result<LiveSource, Error> {
    let bytes = bytes(samples);
    move |mut consumer| {
        let consumer = move |block: &[f32]| consumer.samples(block);
        Ok(play_samples(Cursor::new(bytes), "speech", 0.0, consumer)?)
    }
}

fn endless(speed: f64) -> impl FnOnce(SessionConsumer) -> Result<LiveSource, Error> {
    let repeated = bytes(speech()).into_iter().cycle();
    let source = Pour(repeated);
    move |consumer| Ok(play_samples(source, "speech", speed, consumer)?)
}

/// A reader of an iterator.
struct Pour<I>(I);

impl<I: Iterator<Item = u8>> Read for Pour<I> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        for (to, from) in buf.iter_mut().zip(&mut self.0) {
            *to = from;
            n += 1;
        }
        Ok(n)
    }
}

fn start(
    model: ModelSource,
    options: SessionOptions,
    source: impl FnOnce(SessionConsumer) -> Result<LiveSource, Error>,
) -> Session {
    Session::start(model, options, source).expect("starts")
}

/// All events and the outcome; what must be true of all events is checked.
fn all(session: Session) -> (Vec<SessionEvent>, Outcome) {
    let events: Vec<_> = session.events().iter().collect();
    let outcome = session.finish().expect("does not crash");
    check(&events, &outcome);
    (events, outcome)
}

fn check(events: &[SessionEvent], outcome: &Outcome) {
    assert_eq!(events.last(), Some(&SessionEvent::Ended));
    assert_eq!(events.iter().filter(|&event| *event == SessionEvent::Ended).count(), 1);
    let ready = events.iter().position(|event| matches!(event, SessionEvent::Ready { .. }));
    assert!(ready.is_none_or(|at| at == 0), "{:?}", events[0]);
    assert!(ready.is_some() || outcome.audio_seconds == 0.0);
    let (mut text, mut shown, mut spoken, mut finals) = (String::new(), String::new(), false, 0);
    for event in events {
        match event {
            SessionEvent::SpeechStarted { .. } => spoken = true,
            SessionEvent::Partial { text, stable, start, end, .. } => {
                assert!(spoken && start < end);
                assert!(text[..*stable].starts_with(&shown), "what is settled stays: {shown:?} in {text:?}");
                text[..*stable].clone_into(&mut shown);
            }
            SessionEvent::Segment(segment) => {
                assert!(spoken || segment.text.is_empty());
                text.push_str(segment.separator);
                text.push_str(&segment.text);
                shown.clear();
                spoken = false;
            }
            SessionEvent::Final { transcript, audio_seconds, lag_seconds } => {
                assert_eq!(transcript, &outcome.transcript);
                assert_eq!(*audio_seconds, outcome.audio_seconds);
                assert_eq!(*lag_seconds, outcome.finish_seconds);
                finals += 1;
            }
            SessionEvent::Notice { message, hint } | SessionEvent::Error { message, hint, .. } => {
                assert!(!message.ends_with('.') && !message.is_empty());
                assert!(hint.as_ref().is_none_or(|hint| !hint.is_empty()));
            }
            _ => {}
        }
    }
    assert_eq!(text, outcome.transcript.text, "the segments are the text");
    assert!(finals <= usize::from(!outcome.aborted && outcome.model_error.is_none()));
}

fn read(path: &Path) -> Vec<f32> {
    AudioReader::open(path).expect("opens").read_all().expect("reads")
}

fn notices(events: &[SessionEvent]) -> Vec<&str> {
    let mut notices = Vec::new();
    for event in events {
        if let SessionEvent::Notice { message, .. } = event {
            notices.push(message.as_str());
        }
    }
    notices
}

fn count(events: &[SessionEvent], of: fn(&SessionEvent) -> bool) -> usize {
    events.iter().filter(|&event| of(event)).count()
}

#[test]
fn the_live_text_is_the_offline_text_and_that_of_the_recording() {
    let dir = scratch("session-text");
    let model = model();
    for (i, (partial_ms, load)) in [(0, false), (1_000, true), (200, false)].into_iter().enumerate() {
        let path = dir.join(format!("{i}.wav"));
        let mut options = options(Some(&path));
        options.engine.partial_ms = partial_ms;
        let source = if load {
            ModelSource::Load(data("tiny-qwen3-asr"), ModelOptions::default())
        } else {
            ModelSource::Open(model.clone())
        };
        let (events, outcome) = all(start(source, options, play(speech())));
        assert_eq!(outcome.transcript.text, speech_text(), "partials of {partial_ms} ms");
        assert!(outcome.model_error.is_none() && outcome.device_lost.is_none() && !outcome.aborted);
        assert_eq!(count(&events, |event| matches!(event, SessionEvent::ModelReady { .. })), 1);
        assert_eq!(count(&events, |event| matches!(event, SessionEvent::Final { .. })), 1);
        let partials = count(&events, |event| matches!(event, SessionEvent::Partial { .. }));
        assert_eq!(partials > 0, partial_ms > 0, "{partials}");
        assert!(count(&events, |event| matches!(event, SessionEvent::Level { .. })) > 100);
        assert_eq!(notices(&events), [""; 0], "nobody is behind");

        let journal = outcome.journal.as_ref().expect("was asked for");
        assert_eq!((journal.samples, journal.dropped, &journal.stopped), (speech().len() as u64, 0, &None));
        assert_eq!(outcome.audio_seconds, speech().len() as f64 / f64::from(SAMPLE_RATE));
        let recorded = read(&path);
        assert!(recorded == speech(), "the recording is what was heard");
    }
    let last = read(&dir.join("2.wav"));
    assert_eq!(offline(&model, &last), speech_text());
}

#[test]
fn files_of_other_rates_and_languages_give_their_offline_text() {
    let model = model();
    for file in ["mandarin_001.flac", "mono48k_001.flac", "stereo44k_001.flac"] {
        let source = |consumer| Ok(play_file(data("speech").join(file), 0.0, consumer)?);
        let (_, outcome) = all(start(ModelSource::Open(model.clone()), options(None), source));
        assert_eq!(outcome.transcript.text, offline(&model, &samples(file)), "{file}");
        assert!(!outcome.transcript.text.is_empty() && outcome.journal.is_none());
    }
}

#[test]
fn it_can_be_stopped_at_any_moment_and_more_than_once() {
    let dir = scratch("session-stop");
    let model = model();
    for (i, wait) in [0, 50, 100, 1_500].into_iter().enumerate() {
        let path = dir.join(format!("{i}.wav"));
        let session = start(ModelSource::Open(model.clone()), options(Some(&path)), endless(1.0));
        let handle = session.handle();
        std::thread::sleep(Duration::from_millis(wait));
        assert!(!handle.is_stopping());
        let begun = Instant::now();
        handle.stop();
        session.handle().stop();
        let (_, outcome) = all(session);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?} after {wait} ms", begun.elapsed());
        assert!(outcome.finish_seconds <= begun.elapsed().as_secs_f64());
        let recorded = read(&path);
        assert_eq!(recorded.len() as f64 / f64::from(SAMPLE_RATE), outcome.audio_seconds);
        assert!(recorded == speech()[..recorded.len()]);
        assert!(wait < 1_500 || outcome.audio_seconds > 0.8);
        assert_eq!(outcome.transcript.text, offline(&model, &recorded));
        // After the end it does nothing.
        handle.stop();
        handle.abort();
    }
}

/// Runs slowly, and returns in the middle of a decode.
fn in_the_middle(journal: Option<&Path>) -> (Session, SessionHandle) {
    let mut options = options(journal);
    options.throttle = Duration::from_millis(30);
    options.engine.partial_ms = 300;
    let session = start(ModelSource::Open(model()), options, endless(4.0));
    let begun = Instant::now();
    let spoken = |event| matches!(event, SessionEvent::SpeechStarted { .. });
    assert!(session.events().iter().any(spoken) && begun.elapsed() < Duration::from_secs(20));
    std::thread::sleep(Duration::from_millis(200));
    let handle = session.handle();
    (session, handle)
}

#[test]
fn an_abort_is_prompt_and_keeps_the_audio() {
    let path = scratch("session-abort").join("a.wav");
    let (session, handle) = in_the_middle(Some(&path));
    let begun = Instant::now();
    handle.abort();
    handle.abort();
    handle.stop();
    let rest: Vec<_> = session.events().iter().collect();
    let outcome = session.finish().expect("does not crash");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(rest.last(), Some(&SessionEvent::Ended));
    assert!(!rest.iter().any(|event| matches!(event, SessionEvent::Final { .. } | SessionEvent::Error { .. })));
    assert!(outcome.aborted && outcome.model_error.is_none() && outcome.device_lost.is_none());
    let recorded = read(&path);
    assert_eq!(recorded.len() as u64, outcome.journal.as_ref().expect("kept").samples);
    assert!(recorded.len() > 8_000);
    let repeated: Vec<f32> = speech().iter().copied().cycle().take(recorded.len()).collect();
    assert!(recorded == repeated);
}

#[test]
fn it_can_be_dropped_at_any_moment() {
    let model = model();
    for wait in [0, 5, 40] {
        let session = start(ModelSource::Open(model.clone()), options(None), endless(1.0));
        std::thread::sleep(Duration::from_millis(wait));
        drops_at_once(session);
    }
    drops_at_once(in_the_middle(None).0);
    // Also when everything is over, and when nobody took the outcome.
    let session = start(ModelSource::Open(model), options(None), play(&speech()[..16_000]));
    assert!(session.events().iter().any(|event| event == SessionEvent::Ended));
    drops_at_once(session);
}

fn drops_at_once(session: Session) {
    let (events, handle) = (session.events().clone(), session.handle());
    let begun = Instant::now();
    drop(session);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // The threads that sent are gone: nothing more can come.
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, SessionEvent::Error { .. }), "{event:?}");
    }
    assert!(events.recv().is_err());
    handle.abort();
}

#[test]
fn a_recogniser_that_is_far_behind_loses_nothing_and_says_so() {
    let path = scratch("session-slow").join("a.wav");
    for journal in [Some(path.as_path()), None] {
        let mut options = options(journal);
        options.buffer_seconds = 0.5;
        options.throttle = Duration::from_millis(15);
        let session = start(ModelSource::Open(model()), options, pour(speech()));
        let (events, outcome) = all(session);
        assert_eq!(outcome.transcript.text, speech_text());
        let notices = notices(&events);
        assert!(notices.len() == 1 && notices[0].contains("s behind: showing finished segments only"), "{notices:?}");
        assert!(outcome.finish_seconds > 1.0, "it was slow: {}", outcome.finish_seconds);
        assert!(outcome.journal.is_none_or(|journal| journal.samples == speech().len() as u64));
    }
}

#[test]
fn a_source_that_can_wait_waits_for_the_recogniser() {
    let mut options = options(None);
    options.throttle = Duration::from_millis(2);
    options.buffer_seconds = 5.0;
    let (events, outcome) = all(start(ModelSource::Open(model()), options, play(speech())));
    assert_eq!(outcome.transcript.text, speech_text());
    let lags =
        events.iter().map(|event| if let SessionEvent::Level { lag_seconds, .. } = event { *lag_seconds } else { 0.0 });
    let most = lags.fold(0.0, f64::max);
    assert!(most > 0.0 && most < 3.0, "{most}");
}

/// Gives what it has, then an error.
struct Broken(Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::Error::other("the cable is cut")),
            n => Ok(n),
        }
    }
}

#[test]
fn what_was_said_before_the_source_broke_off_becomes_text() {
    let path = scratch("session-lost").join("a.wav");
    let heard = &speech()[..100_000];
    let source = Broken(Cursor::new(bytes(heard)));
    let session = start(ModelSource::Open(model()), options(Some(&path)), |consumer| {
        Ok(play_samples(source, "the microphone", 0.0, consumer)?)
    });
    let (events, outcome) = all(session);
    assert!(outcome.device_lost.is_some_and(|why| why.contains("the cable is cut")));
    assert!(!outcome.aborted && outcome.model_error.is_none());
    let lost = |event: &SessionEvent| matches!(event, SessionEvent::Error { code: "device_lost", hint: Some(_), .. });
    assert_eq!(count(&events, lost), 1);
    let recorded = read(&path);
    assert!(recorded == heard);
    assert_eq!(outcome.transcript.text, offline(&model(), &recorded));
    assert!(outcome.transcript.text.contains("stones"));
}

#[test]
fn a_source_that_crashes_is_told_and_what_it_gave_becomes_text() {
    let source = |mut consumer: SessionConsumer| {
        let mut heard = 0;
        let consumer = move |block: &[f32]| {
            assert!(heard < 100_000, "on purpose");
            consumer.samples(block);
            heard += block.len();
        };
        Ok(play_samples(Cursor::new(bytes(speech())), "speech", 0.0, consumer)?)
    };
    let (events, outcome) = all(start(ModelSource::Open(model()), options(None), source));
    assert!(outcome.device_lost.is_some_and(|why| why.contains("on purpose")));
    assert_eq!(count(&events, |event| matches!(event, SessionEvent::Error { .. })), 1);
    let heard = (outcome.audio_seconds * f64::from(SAMPLE_RATE)) as usize;
    assert!(heard >= 100_000);
    assert_eq!(outcome.transcript.text, offline(&model(), &speech()[..heard]));
}

#[test]
fn without_a_usable_model_the_recording_goes_on() {
    let path = scratch("session-model").join("a.wav");
    let nowhere = || ModelSource::Load(PathBuf::from("no/such/model"), ModelOptions::default());
    let (events, outcome) = all(start(nowhere(), options(Some(&path)), play(speech())));
    assert!(matches!(outcome.model_error, Some(Error::ModelMissing { .. })), "{:?}", outcome.model_error);
    assert_eq!(count(&events, |event| matches!(event, SessionEvent::Error { code: "model", hint: Some(_), .. })), 1);
    assert!(read(&path) == speech());
    assert!(!outcome.text_saved().expect("nothing to do"));

    // With neither model nor journal there is nothing to go on for.
    let (_, outcome) = all(start(nowhere(), options(None), endless(1.0)));
    assert!(matches!(outcome.model_error, Some(Error::ModelMissing { .. })) && !outcome.aborted);
}

#[test]
fn it_can_record_only() {
    let path = scratch("session-record").join("a.wav");
    let (events, outcome) = all(start(ModelSource::None, options(Some(&path)), play(speech())));
    assert!(read(&path) == speech());
    assert_eq!(outcome.transcript.text, "");
    assert!(outcome.model_error.is_none() && !outcome.aborted);
    let text = |event: &SessionEvent| {
        matches!(event, SessionEvent::Final { .. } | SessionEvent::Segment(_) | SessionEvent::ModelReady { .. })
    };
    assert_eq!(count(&events, text), 0);
}

#[test]
fn where_nobody_speaks_there_is_no_text() {
    for file in ["silence_001.flac", "noise_001.flac"] {
        let (events, outcome) = all(start(ModelSource::Open(model()), options(None), play(&samples(file))));
        assert_eq!(outcome.transcript.text, "", "{file}");
        assert_eq!(count(&events, |event| matches!(event, SessionEvent::Partial { .. })), 0, "{file}");
        assert_eq!(count(&events, |event| matches!(event, SessionEvent::Final { .. })), 1, "{file}");
    }
    let (events, outcome) = all(start(ModelSource::Open(model()), options(None), play(&[])));
    assert_eq!((outcome.audio_seconds, outcome.transcript.text.as_str()), (0.0, ""));
    assert!(!events.iter().any(|event| matches!(event, SessionEvent::Ready { .. })));
}

#[test]
fn a_recording_for_the_text_alone_goes_when_the_text_is_saved_and_not_before() {
    let dir = scratch("session-discard");
    let discard = |name: &str| {
        let mut options = options(Some(&dir.join(name)));
        options.keep_journal = false;
        options
    };
    let (_, outcome) = all(start(ModelSource::Open(model()), discard("a.wav"), play(&speech()[..32_000])));
    assert!(dir.join("a.wav").exists());
    assert!(outcome.text_saved().expect("deletes"));
    assert!(!dir.join("a.wav").exists());

    let session = start(ModelSource::Open(model()), discard("b.wav"), endless(1.0));
    session.handle().abort();
    let outcome = session.finish().expect("does not crash");
    assert!(!outcome.text_saved().expect("nothing to do"));
    assert!(dir.join("b.wav").exists(), "there is no text");
}

#[test]
fn what_cannot_start_leaves_nothing_behind() {
    let dir = scratch("session-fails");
    let path = dir.join("a.wav");
    let never = |_: SessionConsumer| -> Result<LiveSource, Error> { panic!("is not asked") };

    let mut unknown = options(Some(&path));
    unknown.engine.language = Some("Klingon".to_owned());
    assert!(matches!(Session::start(ModelSource::Open(model()), unknown, never), Err(Error::Options { .. })));
    let mut no_room = options(None);
    no_room.buffer_seconds = f32::NAN;
    assert!(matches!(Session::start(ModelSource::Open(model()), no_room, never), Err(Error::Options { .. })));
    let source = |consumer| Ok(play_file("no/such/file.wav", 0.0, consumer)?);
    let failed = Session::start(ModelSource::Open(model()), options(Some(&path)), source);
    assert!(matches!(failed, Err(Error::Audio(_))));
    assert!(!path.exists());

    std::fs::write(&path, "something of the user's").expect("writes");
    let taken = Session::start(ModelSource::Open(model()), options(Some(&path)), never);
    assert!(taken.is_err_and(|error| error.to_string().contains("a.wav") && error.hint().is_some()));
    assert_eq!(std::fs::read(&path).expect("reads"), b"something of the user's");
}

#[test]
fn partial_texts_can_be_switched_off_and_on_while_the_stream_runs() {
    let model = model();
    let partials = |at_start: u32, change: &dyn Fn(&mut Stream, usize)| {
        let mut options = Options::default();
        options.partial_ms = at_start;
        let mut stream = Stream::open(&model, &options).expect("opens");
        let (mut partials, mut text) = (0, String::new());
        let mut take = |event| match event {
            diy_typeless::Event::Text(_) => partials += 1,
            diy_typeless::Event::Segment(segment) => text += &(segment.separator.to_owned() + &segment.text),
            _ => {}
        };
        for (i, block) in speech().chunks(1_600).enumerate() {
            change(&mut stream, i);
            stream.feed_all(block, &mut take).expect("works");
        }
        stream.finish_all(&mut take).expect("works");
        assert_eq!(text, speech_text());
        partials
    };
    let always = partials(500, &|_, _| {});
    let later = partials(500, &|stream, i| stream.set_partial_ms(if i < 90 { 0 } else { 500 }));
    assert!(later > 0 && later < always, "{later} of {always}");
    assert_eq!(partials(500, &|stream, _| stream.set_partial_ms(0)), 0);
    assert_eq!(partials(0, &|stream, _| stream.set_partial_ms(500)), 0, "was opened without");
}

/// A file system that is too small. Only root can make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_recording_and_not_the_text() {
    let dir = scratch("session-full");
    let run = |program: &str, args: &[&str]| {
        let run = Command::new(program).args(args).arg(&dir).stdin(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    if !run("mount", &["-t", "tmpfs", "-o", "size=128k", "tmpfs"]) {
        // Past the test harness, which hides what passing tests print.
        let _ = writeln!(std::io::stderr(), "!!!! skipped: a full disk, because mounting a small one needs root");
        return;
    }
    let path = Arc::new(dir.join("a.wav"));
    let result = std::panic::catch_unwind(|| {
        let mut options = options(Some(&path));
        // What does not fit here has to wait in memory: the disk does not take it.
        options.buffer_seconds = 0.5;
        options.throttle = Duration::from_millis(2);
        let (events, outcome) = all(start(ModelSource::Open(model()), options, pour(speech())));
        assert_eq!(outcome.transcript.text, speech_text());
        assert!(notices(&events).iter().any(|notice| notice.contains("disk is full")), "{:?}", notices(&events));
        let journal = outcome.journal.expect("was begun");
        assert!(journal.stopped.is_some());
        let recorded = read(&path);
        assert!(!recorded.is_empty() && recorded == speech()[..recorded.len()]);
    });
    assert!(run("umount", &[]));
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
