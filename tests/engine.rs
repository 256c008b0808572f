//! What must be true of the safe interface, tried on the small model and the speech that come with the sources.

mod support;

use std::fs;
use std::path::Path;

use diy_typeless::{
    CancelHandle, Error, Language, Model, Options, Progress, Stream, Transcriber, Transcription, languages,
};

use support::{data, model, scratch};

const SECOND: usize = diy_typeless::SAMPLE_RATE as usize;

fn transcriber() -> Transcriber {
    Transcriber::new(&model(), Options::default()).expect("default options are good")
}

fn options(change: impl FnOnce(&mut Options)) -> Options {
    let mut options = Options::default();
    change(&mut options);
    options
}

// ---- opening ---------------------------------------------------------------------------------------------------------

#[test]
fn what_may_be_shared_between_threads_is_and_what_may_not_is_not() {
    fn shared<T: Send + Sync + Clone>() {}
    fn sent<T: Send>() {}
    shared::<Model>();
    shared::<Transcriber>();
    shared::<CancelHandle>();
    sent::<Stream>();
    sent::<Transcription<'_>>();
    sent::<Error>();
}

#[test]
fn a_model_tells_what_it_is() {
    let info = model().info();
    assert!(["scalar", "avx2", "avx512", "neon"].contains(&info.kernels), "{}", info.kernels);
    assert!(["native", "openblas", "accelerate"].contains(&info.gemm), "{}", info.gemm);
    assert!(info.parameters > 2_000_000 && info.mapped_bytes >= 2 * info.parameters, "{info:?}");
    assert!(info.encoder_layers > 0 && info.decoder_layers > 0 && info.vocab_size > 600, "{info:?}");
    assert_eq!(model().dir(), data("tiny-qwen3-asr"));
}

#[track_caller]
fn refused(dir: impl AsRef<Path>) -> (Error, String) {
    let dir = dir.as_ref();
    let error = Model::open(dir).expect_err("must not open");
    let message = error.to_string();
    assert!(message.contains(&*dir.to_string_lossy()), "names the directory: {message}");
    assert!(!message.ends_with('.') && !message.contains('\n'), "one sentence: {message}");
    (error, message)
}

#[test]
fn a_directory_without_a_model_is_missing_with_a_hint_to_fetch_one() {
    for dir in [data("no-such-model"), scratch("no_model")] {
        let (error, message) = refused(&dir);
        assert!(matches!(error, Error::ModelMissing { .. }), "{message}");
        let hint = error.hint().expect("there is something to do");
        assert!(hint.starts_with("./download_model.sh --model small --dir "), "{hint}");
    }
    let (error, message) = refused(data("tiny-qwen3-asr/config.json"));
    assert!(matches!(error, Error::ModelMissing { .. }), "{message}");
    assert!(error.hint().expect("known").ends_with("tiny-qwen3-asr"), "{:?}", error.hint());
}

#[test]
fn names_that_no_directory_can_have_are_sentences_too() {
    let message = Model::open("").expect_err("empty").to_string();
    assert_eq!(message, "the name of the model's directory is empty");
    let message = Model::open("a\0b").expect_err("NUL").to_string();
    assert!(message.ends_with("the name contains a NUL character"), "{message}");
}

#[test]
fn a_model_that_was_cut_short_is_damaged_and_resuming_is_the_hint() {
    let dir = scratch("cut_short");
    for entry in fs::read_dir(data("tiny-qwen3-asr")).expect("there").flatten() {
        fs::copy(entry.path(), dir.join(entry.file_name())).expect("copies");
    }
    let weights = fs::read(dir.join("model.safetensors")).expect("reads");
    fs::write(dir.join("model.safetensors"), &weights[..weights.len() / 2]).expect("writes");
    let (error, message) = refused(&dir);
    assert!(matches!(error, Error::ModelDamaged { .. }), "{message}");
    assert!(message.contains("model.safetensors is incomplete"), "{message}");
    assert!(error.hint().expect("known").ends_with("(resumes and verifies)"), "{:?}", error.hint());

    fs::write(dir.join("config.json"), "{\"thinker_config\": 3}").expect("writes");
    let (error, message) = refused(&dir);
    assert!(message.contains("config.json"), "{message}");
    assert!(matches!(error, Error::ModelDamaged { .. } | Error::ModelUnsupported { .. }), "{message}");
}

// ---- options ---------------------------------------------------------------------------------------------------------

#[test]
fn languages_are_found_by_name_and_code_in_any_case() {
    assert_eq!(languages().len(), 30);
    for language in languages() {
        for name in [language.name(), language.code()] {
            for name in [name.to_owned(), name.to_uppercase(), format!(" {} ", name.to_lowercase())] {
                assert_eq!(Language::find(&name).expect("known"), language, "{name}");
            }
        }
    }
    assert_eq!(Language::find("yue").expect("known").to_string(), "Cantonese");
}

#[test]
fn an_unknown_language_is_refused_at_once_and_the_known_ones_are_listed() {
    let unknown = options(|o| o.language = Some("Klingon".to_owned()));
    for error in [
        Transcriber::new(&model(), unknown.clone()).expect_err("unknown"),
        Stream::open(&model(), &unknown).expect_err("unknown"),
        Language::find("Klingon").expect_err("unknown"),
    ] {
        let message = error.to_string();
        assert!(matches!(error, Error::Options { .. }), "{message}");
        for listed in ["Klingon", "English", "Cantonese", "Macedonian"] {
            assert!(message.contains(listed), "{listed} in {message}");
        }
    }
    assert!(matches!(Language::find("  "), Err(Error::Options { .. })));
}

#[test]
fn unusable_options_are_sentences_with_the_value_in_them() {
    let context = options(|o| o.context = Some("a\0b".to_owned()));
    let threads = options(|o| o.threads = 1_000_000);
    let more_threads = options(|o| o.threads = usize::MAX);
    let tokens = options(|o| o.max_tokens = usize::MAX);
    let cases = [(context, "NUL"), (threads, "1000000"), (more_threads, "too many"), (tokens, "too many")];
    let lengths = [0.0, -1.0, f32::NAN, f32::INFINITY, 1e9].map(|seconds| {
        let change = |o: &mut Options| (o.segmenter, o.max_audio_seconds) = (false, seconds);
        (options(change), "max_audio_s")
    });
    for (options, part) in cases.into_iter().chain(lengths) {
        let error = Stream::open(&model(), &options).expect_err("unusable");
        assert!(matches!(error, Error::Options { .. }) && error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_blank_language_and_an_empty_context_are_none() {
    let blank = options(|o| (o.language, o.context) = (Some(" ".to_owned()), Some(String::new())));
    Transcriber::new(&model(), blank).expect("usable").transcribe(&[0.0; 100]).expect("transcribes");
}

// ---- sound without speech ----------------------------------------------------------------------------------------------

#[test]
fn no_audio_no_text() {
    for n in [0, 1, 159, 1_600, SECOND] {
        let transcript = transcriber().transcribe(&vec![0.0; n]).expect("transcribes");
        assert_eq!((transcript.text.as_str(), transcript.language), ("", None), "{n} samples");
        assert_eq!(transcript.stats.samples_fed, n as u64);
        assert_eq!(transcript.stats.samples_done, n as u64);
    }
}

#[test]
fn samples_that_are_no_sound_are_counted_and_do_no_harm() {
    let samples = [[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0, -2.0, 0.0]; 1_000].concat();
    let transcript = transcriber().transcribe(&samples).expect("transcribes");
    assert_eq!((transcript.stats.samples_repaired, transcript.stats.samples_clipped), (3_000, 2_000));
    let transcript = transcriber().transcribe(&vec![f32::NAN; 3 * SECOND]).expect("transcribes");
    assert_eq!(transcript.text, "");
}

#[test]
fn a_finished_stream_takes_no_more_audio() {
    let mut stream = Stream::open(&model(), &Options::default()).expect("opens");
    assert_eq!(stream.step().expect("steps"), Progress::Idle);
    assert_eq!(stream.feed(&[0.0; 100]).expect("feeds"), 100);
    stream.finish().expect("finishes");
    stream.finish().expect("saying it twice does nothing");
    let error = stream.feed(&[0.0]).expect_err("finished");
    assert!(matches!(error, Error::State { .. }) && error.to_string().contains("finished"), "{error}");
    stream.finish_all(|event| panic!("{event:?} out of nothing")).expect("can still be worked off");
    assert_eq!(stream.stats().samples_done, 100);
}

#[test]
fn audio_longer_than_the_one_segment_may_be_is_refused_in_words() {
    let short = options(|o| (o.segmenter, o.max_audio_seconds) = (false, 1.0));
    let transcriber = Transcriber::new(&model(), short).expect("usable");
    assert_eq!(transcriber.transcribe(&vec![0.0; SECOND]).expect("fits").segments.len(), 1);
    let error = transcriber.transcribe(&vec![0.0; SECOND + 1]).expect_err("does not fit");
    assert!(matches!(error, Error::Options { .. }) && error.to_string().contains("longer than the 1 s"), "{error}");
}

// ---- cancelling --------------------------------------------------------------------------------------------------------

#[test]
fn what_was_cancelled_stays_cancelled_and_nothing_else_is() {
    let first = transcriber();
    let handle = first.cancel_handle();
    assert!(!handle.is_cancelled());
    handle.cancel();
    for _ in 0..2 {
        let error = first.transcribe(&[0.0; 1_000]).expect_err("cancelled");
        assert!(error.is_cancelled() && error.to_string() == "the transcription was cancelled", "{error}");
    }
    assert!(first.stream().expect("opens").step().expect_err("cancelled").is_cancelled());
    transcriber().transcribe(&[0.0; 1_000]).expect("another one goes on");
}

#[test]
fn a_handle_outlives_what_it_cancels() {
    let stream = Stream::open(&model(), &Options::default()).expect("opens");
    let handle = stream.cancel_handle();
    drop(stream);
    handle.cancel();
    assert!(handle.is_cancelled());
}

// ---- speech ------------------------------------------------------------------------------------------------------------

#[cfg(feature = "files")]
mod speech {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;
    use std::time::{Duration, Instant};

    use diy_typeless::{CpuFeatures, Event, ModelOptions, Segment, StopReason, Text, Transcript};

    use super::support::{Random, official, samples};
    use super::*;

    const SHORT: &str = "short_seen_001.flac";
    const MANDARIN: &str = "mandarin_001.flac";
    const LONG: &str = "long_unseen_001.flac";

    fn segments(stream: &mut Stream, pieces: &mut dyn Iterator<Item = &[f32]>) -> Vec<Segment> {
        let mut segments = Vec::new();
        let mut keep = |event| {
            if let Event::Segment(segment) = event {
                segments.push(segment);
            }
        };
        for piece in pieces {
            stream.feed_all(piece, &mut keep).expect("feeds");
        }
        stream.finish_all(&mut keep).expect("finishes");
        segments
    }

    /// Two transcripts are the same but for the time they took.
    #[track_caller]
    fn same(a: &Transcript, b: &Transcript, what: &str) {
        assert_eq!((&a.text, &a.language, &a.segments), (&b.text, &b.language, &b.segments), "{what}");
    }

    #[test]
    fn a_transcript_says_what_when_and_in_which_language() {
        let transcript = transcriber().transcribe(&samples(SHORT)).expect("transcribes");
        assert_eq!(transcript.text, official(SHORT));
        assert_eq!(transcript.language.as_deref(), Some("English"));
        let [segment] = transcript.segments.as_slice() else { panic!("{:?}", transcript.segments) };
        assert!(0.0 <= segment.start && segment.start < 1.0 && segment.end > 6.0 && segment.end <= 7.9, "{segment:?}");
        assert_eq!((segment.stop, segment.stop.as_str()), (StopReason::End, "end"));
        assert!(segment.tokens > 10 && segment.audio_tokens > 70 && segment.separator.is_empty(), "{segment:?}");
        let stats = transcript.stats;
        assert!(
            (stats.audio_seconds() - 7.86).abs() < 0.01 && stats.done_seconds() == stats.audio_seconds(),
            "{stats:?}"
        );
        assert_eq!((stats.segments, stats.text_tokens), (1, u64::from(segment.tokens)));
        for seconds in [stats.mel_seconds, stats.encode_seconds, stats.prefill_seconds, stats.decode_seconds] {
            assert!(seconds > 0.0 && seconds < 100.0, "{stats:?}");
        }
    }

    #[test]
    fn splitting_audio_anywhere_gives_the_same_segments() {
        let model = model();
        for file in [SHORT, LONG] {
            let all = samples(file);
            let whole = transcriber().transcribe(&all).expect("transcribes").segments;
            for size in [1, 160, 1_600, SECOND] {
                let mut stream = Stream::open(&model, &Options::default()).expect("opens");
                assert_eq!(segments(&mut stream, &mut all.chunks(size)), whole, "{file} in pieces of {size}");
            }
            for seed in [1, 2] {
                let mut random = Random(seed);
                let mut rest = all.as_slice();
                let mut pieces = std::iter::from_fn(|| {
                    let n = random.below(3 * SECOND).min(rest.len());
                    let (piece, left) = rest.split_at(n);
                    rest = left;
                    (n > 0 || !left.is_empty()).then_some(piece)
                });
                let mut stream = Stream::open(&model, &Options::default()).expect("opens");
                assert_eq!(segments(&mut stream, &mut pieces), whole, "{file} in random pieces, seed {seed}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let all = samples(SHORT);
        let with = |threads| {
            let options = options(|o| o.threads = threads);
            Transcriber::new(&model(), options).expect("usable").transcribe(&all).expect("transcribes")
        };
        let one = with(1);
        for threads in [0, 2, 3, 7] {
            same(&with(threads), &one, &format!("{threads} threads"));
        }
    }

    #[test]
    fn four_threads_on_one_model_hear_what_each_hears_alone() {
        let files = [SHORT, MANDARIN, LONG, "short_unseen_001.flac"];
        let audio = files.map(samples);
        let single = Transcriber::new(&model(), options(|o| o.threads = 2)).expect("usable");
        let alone = audio.each_ref().map(|samples| single.transcribe(samples).expect("transcribes"));
        let shared = Transcriber::new(&model(), options(|o| o.threads = 2)).expect("usable");
        thread::scope(|scope| {
            let together =
                audio.each_ref().map(|samples| scope.spawn(|| shared.transcribe(samples).expect("transcribes")));
            for ((file, alone), together) in files.iter().zip(&alone).zip(together) {
                same(&together.join().expect("does not panic"), alone, file);
            }
        });
    }

    #[test]
    fn a_stream_keeps_its_model_and_goes_on_in_another_thread() {
        let all = samples(SHORT);
        let model = model();
        let mut stream = Stream::open(&model, &Options::default()).expect("opens");
        drop(model);
        let (first, second) = all.split_at(all.len() / 2);
        stream.feed_all(first, drop).expect("feeds");
        let heard = thread::scope(|scope| {
            scope.spawn(move || segments(&mut stream, &mut std::iter::once(second))).join().expect("does not panic")
        });
        assert_eq!(heard[0].text, official(SHORT));
    }

    #[test]
    fn text_grows_token_by_token_until_the_segment_is_final() {
        let all = samples(LONG);
        let mut open: Option<Text> = None;
        let mut joined = String::new();
        let (mut n_texts, mut n_segments, mut end, mut done) = (0, 0, 0.0, 0.0);
        let transcript = transcriber()
            .transcribe_with(&all, |update| {
                assert!(update.seconds_done >= done && update.fraction() <= 1.0, "{update:?}");
                done = update.seconds_done;
                match &update.event {
                    Some(Event::Text(text)) => {
                        n_texts += 1;
                        if let Some(before) = &open {
                            assert!(text.tokens > before.tokens && text.text != before.text, "{before:?} {text:?}");
                        }
                        assert!(text.start >= end && text.start < text.end, "{text:?} after {end}");
                        open = Some(text.clone());
                    }
                    Some(Event::Segment(segment)) => {
                        n_segments += 1;
                        let last = open.take().expect("texts come first");
                        assert_eq!((last.start, last.end), (segment.start, segment.end));
                        assert_eq!(last.language, segment.language);
                        assert_eq!(last.text.trim_end(), segment.text);
                        assert!(last.tokens <= segment.tokens);
                        joined += segment.separator;
                        joined += &segment.text;
                        end = segment.end;
                    }
                    _ => {}
                }
            })
            .expect("transcribes");
        assert!(n_segments >= 2 && n_texts > 10 * n_segments, "{n_texts} texts, {n_segments} segments");
        assert_eq!((joined, n_segments), (transcript.text.clone(), transcript.segments.len()));
        assert_eq!(done, transcript.stats.done_seconds());
        same(&transcript, &transcriber().transcribe(&all).expect("transcribes"), "with and without updates");
    }

    #[test]
    fn what_is_shown_while_somebody_speaks_grows_and_changes_nothing_in_the_end() {
        let all = samples(LONG);
        let live = options(|o| o.partial_ms = 1_000);
        let mut stream = Stream::open(&model(), &live).expect("opens");
        let mut heard = Transcript::default();
        let mut stable = String::new();
        let mut n_texts = 0;
        let mut show = |event| match event {
            Event::Text(text) => {
                n_texts += 1;
                assert!(text.stable().starts_with(&stable), "{stable:?} was settled, now {text:?}");
                assert_eq!(format!("{}{}", text.stable(), text.tentative()), text.text);
                stable = text.stable().to_owned();
            }
            Event::Segment(segment) => {
                stable.clear();
                heard.push(segment);
            }
            _ => {}
        };
        for piece in all.chunks(1_600) {
            stream.feed_all(piece, &mut show).expect("feeds");
        }
        stream.finish_all(&mut show).expect("finishes");
        let stats = stream.stats();
        assert!(n_texts > 20 && stats.partials >= n_texts, "{n_texts} texts, {stats:?}");
        same(&heard, &transcriber().transcribe(&all).expect("transcribes"), "live and as a whole");
    }

    #[test]
    fn events_wait_until_somebody_asks() {
        let all = samples(LONG);
        let token_events = options(|o| o.token_events = true);
        let mut stream = Stream::open(&model(), &token_events).expect("opens");
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            rest = &rest[stream.feed(rest).expect("feeds")..];
            while stream.step().expect("steps") == Progress::Worked {}
        }
        stream.finish().expect("finishes");
        while stream.step().expect("steps") == Progress::Worked {}
        let mut late = Transcript::default();
        for event in stream.events() {
            let Event::Segment(segment) = event else { panic!("{event:?} is out of date") };
            late.push(segment);
        }
        same(&late, &transcriber().transcribe(&all).expect("transcribes"), "late");
    }

    #[test]
    fn a_transcription_can_be_dropped_at_any_time() {
        let all = samples(SHORT);
        let transcriber = transcriber();
        for n in [0, 1, 5, 20] {
            let mut transcription = transcriber.start(&all).expect("starts");
            for update in transcription.by_ref().take(n) {
                update.expect("transcribes");
            }
            assert_eq!(transcription.finish().expect("goes on").text, official(SHORT));
            let mut dropped = transcriber.start(&all).expect("starts");
            assert_eq!(dropped.by_ref().take(n).count(), n);
        }
    }

    #[test]
    fn a_panic_in_the_closure_is_the_callers_and_leaves_the_model_whole() {
        let all = samples(SHORT);
        let transcriber = transcriber();
        let mut n = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            transcriber.transcribe_with(&all, |_| {
                n += 1;
                assert!(n < 5, "five is enough");
            })
        }));
        let said = result.expect_err("the panic comes through");
        assert_eq!(said.downcast_ref::<&str>(), Some(&"five is enough"));
        assert_eq!(transcriber.transcribe(&all).expect("transcribes").text, official(SHORT));
    }

    #[test]
    fn cancelling_takes_effect_at_once() {
        let hour = samples(LONG).repeat(100);
        let from_inside = transcriber();
        let mut n = 0;
        let result = from_inside.transcribe_with(&hour, |_| {
            n += 1;
            if n == 20 {
                from_inside.cancel_handle().cancel();
            }
        });
        assert!(result.expect_err("cancelled").is_cancelled());
        assert_eq!(n, 20, "nothing is told after that");

        let transcriber = transcriber();
        let handle = transcriber.cancel_handle();
        thread::scope(|scope| {
            let work = scope.spawn(|| (transcriber.transcribe(&hour), Instant::now()));
            thread::sleep(Duration::from_millis(300));
            handle.cancel();
            let asked = Instant::now();
            let (result, ended) = work.join().expect("does not panic");
            assert!(result.expect_err("cancelled").is_cancelled());
            let late = ended.saturating_duration_since(asked);
            assert!(late < Duration::from_millis(500), "{late:?} after it was asked to stop");
        });
    }

    #[test]
    fn a_failed_transcription_has_no_result() {
        let all = samples(SHORT);
        let transcriber = transcriber();
        let mut transcription = transcriber.start(&all).expect("starts");
        assert!(transcription.next().expect("some").is_ok());
        transcription.cancel_handle().cancel();
        assert!(transcription.next().expect("some").expect_err("cancelled").is_cancelled());
        assert!(transcription.next().is_none());
        assert!(matches!(transcription.finish(), Err(Error::State { .. })));
    }

    #[test]
    fn weights_in_memory_and_plain_kernels_hear_the_same() {
        let mut plain = ModelOptions::default();
        plain.no_mmap = true;
        plain.disabled_cpu_features = CpuFeatures::ALL;
        let model = Model::open_with(data("tiny-qwen3-asr"), &plain).expect("opens");
        assert_eq!(model.info().kernels, "scalar");
        let transcriber = Transcriber::new(&model, Options::default()).expect("usable");
        assert_eq!(transcriber.transcribe(&samples(SHORT)).expect("transcribes").text, official(SHORT));
    }

    #[test]
    fn a_forced_language_is_the_one_reported() {
        let forced = options(|o| o.language = Some("zh".to_owned()));
        let transcript =
            Transcriber::new(&model(), forced).expect("usable").transcribe(&samples(MANDARIN)).expect("transcribes");
        assert_eq!(transcript.language.as_deref(), Some("Chinese"));
        assert!(!transcript.text.is_empty());
    }

    #[test]
    fn the_limit_of_tokens_is_kept_and_told() {
        let limited = options(|o| o.max_tokens = 6);
        let transcript =
            Transcriber::new(&model(), limited).expect("usable").transcribe(&samples(SHORT)).expect("transcribes");
        for segment in &transcript.segments {
            assert_eq!((segment.stop, segment.tokens), (StopReason::MaxTokens, 6));
        }
        assert!(official(SHORT).starts_with(&transcript.text), "{}", transcript.text);
    }
}
