//! Whole recordings in one call, or update by update.

use std::iter::FusedIterator;

use crate::error::Error;

use super::stream::stuck;
use super::{CancelHandle, Event, Model, Options, Progress, Stream, Transcript, seconds};

/// Transcribes recordings that are there as a whole. Can be shared between threads: every transcription is its own.
///
/// ```
/// use diy_typeless::{Model, Options, Transcriber};
///
/// let model = Model::open("tests/data/tiny-qwen3-asr")?;
/// let transcriber = Transcriber::new(&model, Options::default())?;
/// let silence = vec![0.0; 16_000];
/// assert_eq!(transcriber.transcribe(&silence)?.text, "");
/// # Ok::<(), diy_typeless::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Transcriber {
    model: Model,
    options: Options,
    cancel: CancelHandle,
}

impl Transcriber {
    /// Fails if an option is unusable in itself, for example an unknown language.
    pub fn new(model: &Model, options: Options) -> Result<Self, Error> {
        options.to_raw()?;
        Ok(Self { model: model.clone(), options, cancel: CancelHandle::default() })
    }

    /// The text of `samples` (16 kHz, mono, -1 to 1).
    pub fn transcribe(&self, samples: &[f32]) -> Result<Transcript, Error> {
        self.begin(samples, false)?.finish()
    }

    /// The same, telling `on_update` what happens: text token by token, segments, and how far it is.
    ///
    /// ```
    /// # use diy_typeless::{Event, Model, Options, Transcriber};
    /// # let model = Model::open("tests/data/tiny-qwen3-asr")?;
    /// # let transcriber = Transcriber::new(&model, Options::default())?;
    /// # let samples = vec![0.0; 16_000];
    /// let transcript = transcriber.transcribe_with(&samples, |update| {
    ///     if let Some(Event::Text(text)) = &update.event {
    ///         eprint!("\r{:3.0} % {}", 100.0 * update.fraction(), text.text);
    ///     }
    /// })?;
    /// # Ok::<(), diy_typeless::Error>(())
    /// ```
    pub fn transcribe_with(&self, samples: &[f32], on_update: impl FnMut(&Update)) -> Result<Transcript, Error> {
        let mut on_update = on_update;
        let mut transcription = self.begin(samples, true)?;
        for update in &mut transcription {
            on_update(&update?);
        }
        transcription.finish()
    }

    /// The same as an iterator: the work is done in its `next`, and stops when it is dropped.
    ///
    /// ```
    /// # use diy_typeless::{Model, Options, Transcriber};
    /// # let model = Model::open("tests/data/tiny-qwen3-asr")?;
    /// # let transcriber = Transcriber::new(&model, Options::default())?;
    /// # let samples = vec![0.0; 16_000];
    /// let mut transcription = transcriber.start(&samples)?;
    /// for update in &mut transcription {
    ///     println!("{:.1} s of {:.1} s", update?.seconds_done, 1.0);
    /// }
    /// let transcript = transcription.finish()?;
    /// # Ok::<(), diy_typeless::Error>(())
    /// ```
    pub fn start<'a>(&self, samples: &'a [f32]) -> Result<Transcription<'a>, Error> {
        self.begin(samples, true)
    }

    /// A stream with the same options, stopped by the same handle: for audio that is not there as a whole.
    pub fn stream(&self) -> Result<Stream, Error> {
        Stream::open_with(&self.model, &self.options, &self.cancel)
    }

    /// A handle that stops everything this transcriber and its clones do, now and later.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    fn begin<'a>(&self, samples: &'a [f32], token_events: bool) -> Result<Transcription<'a>, Error> {
        let options = Options { token_events, ..self.options.clone() };
        Ok(Transcription {
            stream: Stream::open_with(&self.model, &options, &self.cancel)?,
            rest: samples,
            seconds_total: seconds(samples.len() as u64),
            finished: false,
            samples_done: 0,
            transcript: Transcript::default(),
            ended: None,
        })
    }
}

/// What a [`Transcription`] has to tell.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// What happened; `None` if it is only further than before.
    pub event: Option<Event>,
    /// Up to where the audio has been dealt with.
    pub seconds_done: f64,
    /// Length of the audio.
    pub seconds_total: f64,
}

impl Update {
    /// How much of the audio has been dealt with, 0 to 1.
    pub fn fraction(&self) -> f64 {
        if self.seconds_total > 0.0 { (self.seconds_done / self.seconds_total).clamp(0.0, 1.0) } else { 1.0 }
    }
}

/// A transcription that is going on; made by [`Transcriber::start`].
#[derive(Debug)]
pub struct Transcription<'a> {
    stream: Stream,
    rest: &'a [f32],
    seconds_total: f64,
    finished: bool,
    samples_done: u64,
    transcript: Transcript,
    ended: Option<Ended>,
}

#[derive(Debug, Clone, Copy)]
enum Ended {
    Well,
    Failed,
}

impl Transcription<'_> {
    /// Does what is left to do and gives the result.
    pub fn finish(mut self) -> Result<Transcript, Error> {
        for update in &mut self {
            update?;
        }
        match self.ended {
            Some(Ended::Well) => Ok(self.transcript),
            _ => Err(Error::State { message: "the transcription has failed before; it has no result".to_owned() }),
        }
    }

    /// A handle that stops this transcription from any thread, and with it all of its transcriber.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.stream.cancel_handle()
    }

    fn advance(&mut self) -> Result<Option<Update>, Error> {
        loop {
            if let Some(update) = self.news() {
                return Ok(Some(update));
            }
            if self.stream.step()? == Progress::Worked {
                continue;
            }
            if !self.rest.is_empty() {
                let taken = self.stream.feed(self.rest)?;
                if taken == 0 {
                    return Err(stuck());
                }
                self.rest = &self.rest[taken..];
            } else if !self.finished {
                self.stream.finish()?;
                self.finished = true;
            } else {
                return Ok(None);
            }
        }
    }

    /// An event, or at least progress.
    fn news(&mut self) -> Option<Update> {
        let event = self.stream.next_event();
        if let Some(Event::Segment(segment)) = &event {
            self.transcript.push(segment.clone());
        }
        let done = self.stream.stats().samples_done;
        let moved = done > self.samples_done;
        self.samples_done = self.samples_done.max(done);
        (moved || event.is_some()).then(|| Update {
            event,
            seconds_done: seconds(self.samples_done),
            seconds_total: self.seconds_total,
        })
    }
}

impl Iterator for Transcription<'_> {
    type Item = Result<Update, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended.is_some() {
            return None;
        }
        match self.advance() {
            Ok(Some(update)) => Some(Ok(update)),
            Ok(None) => {
                self.transcript.stats = self.stream.stats();
                self.ended = Some(Ended::Well);
                None
            }
            Err(error) => {
                self.ended = Some(Ended::Failed);
                Some(Err(error))
            }
        }
    }
}

impl FusedIterator for Transcription<'_> {}
