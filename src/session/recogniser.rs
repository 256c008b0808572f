//! The thread that computes: opens the model, pulls samples, steps the stream, and passes on what it says.
//!
//! Between two steps it looks at everything: new samples, the end, an abort. Samples are fed as they come, also during a
//! decode, so a segment that has become final is not behind a partial text of it. When finished segments fall behind,
//! partial texts are switched off until it has caught up; no sample is ever left out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::engine::{CancelHandle, Event, Model, Options, Progress, Pulled, SAMPLE_RATE, Stream, Transcript};
use crate::error::Error;

use super::backlog::Reader;
use super::{ModelSource, SessionEvent, SessionOptions, panic_text, spawn};

/// Samples per feed: 0.5 s.
const BLOCK: usize = SAMPLE_RATE as usize / 2;
/// How long a recogniser without work sleeps at most before it looks at an abort. Samples wake it.
const LOOK: Duration = Duration::from_millis(50);
/// Seconds of unprocessed audio at which partial texts are switched off, ...
const BEHIND: f64 = 3.0;
/// ... and on again.
const CAUGHT_UP: f64 = 0.5;
/// So long they have to be off before it is worth telling: after a start with a model that loads slowly they are for a moment.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// And no more often than this.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What became of it.
#[derive(Debug)]
pub(super) struct Recognised {
    /// What is final; complete if the result is `Ok`.
    pub(super) transcript: Transcript,
    pub(super) result: Result<(), Error>,
    /// When it was done.
    pub(super) at: Instant,
}

/// The ends of the thread that others hold.
#[derive(Debug)]
pub(super) struct Recognition {
    pub(super) news: Receiver<SessionEvent>,
    /// One message, after all news.
    pub(super) done: Receiver<Recognised>,
    pub(super) thread: std::thread::JoinHandle<()>,
}

pub(super) struct Recogniser {
    reader: Reader,
    engine: Options,
    throttle: Duration,
    cancel: CancelHandle,
    news: Sender<SessionEvent>,
    transcript: Transcript,
    /// Where the open segment begins, once that was told.
    speech_at: Option<f64>,
    pace: Pace,
}

impl Recogniser {
    pub(super) fn spawn(
        model: ModelSource,
        reader: Reader,
        options: &SessionOptions,
        cancel: &CancelHandle,
    ) -> Result<Recognition, Error> {
        let (news, told) = unbounded();
        let (done, ended) = bounded(1);
        let mut recogniser = Self {
            reader,
            engine: options.engine.clone(),
            throttle: options.throttle,
            cancel: cancel.clone(),
            news,
            transcript: Transcript::default(),
            speech_at: None,
            pace: Pace::new(&options.engine),
        };
        let thread = spawn("recognition", move || {
            let result = catch_unwind(AssertUnwindSafe(|| recogniser.run(model))).unwrap_or_else(|panic| {
                Err(Error::Internal { message: format!("recognition crashed: {}", panic_text(panic.as_ref())) })
            });
            let Self { transcript, reader, .. } = recogniser;
            // Nobody listens any more: what comes now is for the recording.
            drop(reader);
            let _ = done.send(Recognised { transcript, result, at: Instant::now() });
        })?;
        Ok(Recognition { news: told, done: ended, thread })
    }

    fn run(&mut self, model: ModelSource) -> Result<(), Error> {
        let begun = Instant::now();
        let model = match model {
            ModelSource::Open(model) => model,
            ModelSource::Load(dir, options) => Model::open_with(dir, &options)?,
            ModelSource::None => return Ok(()),
        };
        let mut stream = Stream::open_with(&model, &self.engine, &self.cancel)?;
        self.tell(SessionEvent::ModelReady { info: model.info(), load_seconds: begun.elapsed().as_secs_f64() });
        let result = self.listen(&mut stream);
        self.transcript.stats = stream.stats();
        result
    }

    fn listen(&mut self, stream: &mut Stream) -> Result<(), Error> {
        let mut block = vec![0.0; BLOCK];
        let mut rest = 0..0;
        let (mut ended, mut finished, mut idle) = (false, false, true);
        loop {
            if rest.is_empty() && !ended {
                match self.reader.pull(&mut block, if idle { LOOK } else { Duration::ZERO })? {
                    Pulled::Samples(n) => rest = 0..n,
                    Pulled::Nothing => {}
                    Pulled::End => ended = true,
                }
            }
            let taken = if rest.is_empty() { 0 } else { stream.feed(&block[rest.clone()])? };
            rest.start += taken;
            if ended && !finished {
                stream.finish()?;
                finished = true;
            }
            // Looks at an abort, too, also when there is no work.
            let worked = stream.step()? == Progress::Worked;
            while let Some(event) = stream.next_event() {
                self.pass_on(event);
            }
            idle = !worked && rest.is_empty();
            self.keep_pace(stream, idle);
            if worked {
                // For tests; 0 does nothing.
                std::thread::sleep(self.throttle);
            } else if finished {
                return Ok(());
            } else if taken == 0 && !rest.is_empty() {
                return Err(Error::Internal {
                    message: "the engine takes no more samples and has nothing to do".to_owned(),
                });
            }
        }
    }

    fn pass_on(&mut self, event: Event) {
        match event {
            Event::Text(text) => {
                self.tell_speech(text.start);
                self.tell(SessionEvent::partial(text));
            }
            Event::Segment(segment) => {
                if !segment.text.is_empty() {
                    self.tell_speech(segment.start);
                }
                self.speech_at = None;
                self.transcript.push(segment.clone());
                self.tell(SessionEvent::Segment(segment));
            }
        }
    }

    fn tell_speech(&mut self, at: f64) {
        if self.speech_at.is_none() {
            self.speech_at = Some(at);
            self.tell(SessionEvent::SpeechStarted { at });
        }
    }

    fn tell(&self, event: SessionEvent) {
        // Nobody there any more: the session is being dropped.
        let _ = self.news.send(event);
    }

    fn keep_pace(&mut self, stream: &mut Stream, idle: bool) {
        let stats = stream.stats();
        self.reader.processed(self.pace.processed(stats.segments, stats.samples_fed, idle));
        let lag = self.reader.lag_seconds();
        if let Some(partial_ms) = self.pace.switch(lag) {
            stream.set_partial_ms(partial_ms);
        }
        if self.pace.tells(Instant::now()) {
            self.tell(SessionEvent::Notice {
                message: format!("recognition is {lag:.0} s behind: showing finished segments only"),
                hint: Some("nothing is lost; a smaller model, or fewer other programs, would keep up".to_owned()),
            });
        }
    }
}

/// Whether there is time for partial texts.
#[derive(Debug)]
struct Pace {
    partial_ms: u32,
    /// Since when they are off, unless they are on.
    off: Option<Instant>,
    /// When that was last told.
    told: Option<Instant>,
    /// Segments begun when there was last nothing to do.
    segments: u64,
    processed: u64,
}

impl Pace {
    fn new(engine: &Options) -> Self {
        Self { partial_ms: engine.partial_ms, off: None, told: None, segments: 0, processed: 0 }
    }

    /// The samples that are dealt with. A partial text in the making does not count as work left to do, however long it takes:
    /// it gives way to whatever is final.
    fn processed(&mut self, segments: u64, fed: u64, idle: bool) -> u64 {
        if idle {
            self.segments = segments;
        }
        if segments == self.segments {
            self.processed = fed;
        }
        self.processed
    }

    /// The new pace of partial texts, if it is to change.
    fn switch(&mut self, lag: f64) -> Option<u32> {
        if self.partial_ms == 0 {
            return None;
        }
        match self.off {
            None if lag > BEHIND => {
                self.off = Some(Instant::now());
                Some(0)
            }
            Some(_) if lag <= CAUGHT_UP => {
                self.off = None;
                Some(self.partial_ms)
            }
            _ => None,
        }
    }

    fn tells(&mut self, now: Instant) -> bool {
        let tells = self.off.is_some_and(|off| now - off >= TELL_AFTER && self.told.is_none_or(|told| off > told))
            && self.told.is_none_or(|told| now - told >= TELL_AGAIN);
        if tells {
            self.told = Some(now);
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(partial_ms: u32) -> Pace {
        Pace::new(&Options { partial_ms, ..Options::default() })
    }

    #[test]
    fn partial_texts_go_when_finals_are_behind_and_come_back_when_they_are_not() {
        let mut pace = pace(700);
        assert_eq!(
            [0.0, 2.9, 3.1, 60.0, 0.6, 0.4, 1.0].map(|lag| pace.switch(lag)),
            [None, None, Some(0), None, None, Some(700), None]
        );
        assert_eq!(self::pace(0).switch(100.0), None, "never on, never off");
    }

    #[test]
    fn being_behind_is_told_when_it_lasts_and_not_again_and_again() {
        let mut pace = pace(1_000);
        let begun = Instant::now();
        pace.switch(5.0);
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        assert!(!pace.tells(at(0.5)));
        assert!(pace.tells(at(1.5)));
        assert!(!pace.tells(at(2.0)) && !pace.tells(at(100.0)), "the same time");
        pace.switch(0.0);
        pace.off = Some(at(10.0));
        assert!(!pace.tells(at(20.0)));
        assert!(pace.tells(at(70.0)), "a later time");
    }

    #[test]
    fn a_final_in_the_making_is_work_left_to_do_and_a_partial_is_not() {
        let mut pace = pace(1_000);
        assert_eq!(pace.processed(0, 8_000, true), 8_000);
        assert_eq!(pace.processed(0, 16_000, false), 16_000, "a partial");
        assert_eq!(pace.processed(1, 24_000, false), 16_000, "a final");
        assert_eq!(pace.processed(1, 32_000, true), 32_000);
    }
}
