//! A recording on its way through the engine: samples in, events out, at the caller's pace.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use crate::error::Error;
use crate::sys;

use super::call::{Answer, Failure, call};
use super::{CancelHandle, Event, Model, Options, SAMPLE_RATE};

/// One recording being transcribed.
///
/// Feed samples (16 kHz, mono, -1 to 1), [`step`](Self::step) until there is nothing to do, take the events; say
/// [`finish`](Self::finish) after the last sample and do the same once more. The text does not depend on the pieces in
/// which the samples come, nor on the pace.
///
/// ```
/// use diy_typeless::{Event, Model, Options, Progress, Stream};
///
/// let model = Model::open("tests/data/tiny-qwen3-asr")?;
/// let mut stream = Stream::open(&model, &Options::default())?;
/// for block in vec![0.0; 40_000].chunks(1_600) {
///     let mut rest = block;
///     while !rest.is_empty() {
///         rest = &rest[stream.feed(rest)?..];
///         while stream.step()? == Progress::Worked {}
///     }
/// }
/// stream.finish()?;
/// while stream.step()? == Progress::Worked {
///     for event in stream.events() {
///         if let Event::Segment(segment) = event {
///             println!("{:.1} s: {}", segment.start, segment.text);
///         }
///     }
/// }
/// # Ok::<(), diy_typeless::Error>(())
/// ```
///
/// A stream can be moved to another thread, but not be used by two:
///
/// ```compile_fail,E0277
/// # use diy_typeless::{Model, Options, Stream};
/// # let model = Model::open("tests/data/tiny-qwen3-asr").unwrap();
/// let stream = Stream::open(&model, &Options::default()).unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(|| stream.stats());
///     stream.stats();
/// });
/// ```
pub struct Stream {
    raw: Handle,
    events: VecDeque<Event>,
    finished: bool,
    // Both are needed until qwen_stream_close has returned; fields go after `drop`.
    cancel: CancelHandle,
    _model: Model,
}

/// The C stream; closed by the drop of the [`Stream`] around it.
struct Handle(NonNull<sys::qwen_stream>);

// SAFETY: a qwen_stream belongs to one thread at a time, not to a certain one: it uses no thread-local state, and its
// worker threads are reached through it alone. Not Sync: the pointer inside sees to that.
unsafe impl Send for Handle {}

/// What a [`step`](Stream::step) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "step again after `Worked`; feed or stop after `Idle`"]
pub enum Progress {
    /// Something: there may be events, and there may be more to do.
    Worked,
    /// Nothing: more audio is needed, or, after [`finish`](Stream::finish), everything is done.
    Idle,
}

/// What a stream has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Samples taken.
    pub samples_fed: u64,
    /// Samples that were not a number or infinite, and became 0.
    pub samples_repaired: u64,
    /// Samples beyond -1 or 1, which became that.
    pub samples_clipped: u64,
    /// Every sample before this one has been dealt with.
    pub samples_done: u64,
    /// Segments begun.
    pub segments: u64,
    /// Positions of audio in the prompts of finished segments.
    pub audio_tokens: u64,
    /// Positions of the prompts of finished segments, audio included.
    pub prompt_tokens: u64,
    /// Tokens of finished segments.
    pub text_tokens: u64,
    /// Times a segment was decoded while it was being spoken.
    pub partials: u64,
    /// How many of these disagreed with text that had been called settled.
    pub contradictions: u64,
    /// Feature rows computed, for partials too.
    pub frames: u64,
    /// Pieces of 1 s that went through the convolutions, for partials too.
    pub chunks: u64,
    /// Windows that went through the encoder, for partials too.
    pub windows: u64,
    /// Rows that went through the decoder before the first new token, for partials too.
    pub prompt_rows: u64,
    /// Tokens of earlier partials that were verified in a batch.
    pub draft_offered: u64,
    /// How many of these were right.
    pub draft_accepted: u64,
    /// Seconds spent on spectra.
    pub mel_seconds: f64,
    /// Seconds spent in the audio encoder.
    pub encode_seconds: f64,
    /// Seconds spent reading prompts.
    pub prefill_seconds: f64,
    /// Seconds spent decoding text.
    pub decode_seconds: f64,
}

impl Stats {
    /// Length of the audio taken, in seconds.
    pub fn audio_seconds(&self) -> f64 {
        super::seconds(self.samples_fed)
    }

    /// Up to where the audio has been dealt with, in seconds.
    pub fn done_seconds(&self) -> f64 {
        super::seconds(self.samples_done)
    }
}

impl Stream {
    /// Opens a stream. All memory it will need is taken here.
    pub fn open(model: &Model, options: &Options) -> Result<Self, Error> {
        Self::open_with(model, options, &CancelHandle::default())
    }

    /// Opens a stream that an existing handle cancels.
    pub fn open_with(model: &Model, options: &Options, cancel: &CancelHandle) -> Result<Self, Error> {
        let options = options.to_raw()?;
        let params = options.params(cancel.as_ptr());
        let mut stream = ptr::null_mut();
        call(|error| {
            // SAFETY: `stream`, `params` (with the strings in `options`) and `error` are live for the call; the model and
            // the cancel flag, which the stream goes on using, are kept by the `Stream` made below.
            unsafe { sys::qwen_stream_open(&raw mut stream, model.as_ptr(), &raw const params, error) }
        })
        .map_err(Failure::into_error)?;
        let raw = NonNull::new(stream)
            .ok_or_else(|| Error::Internal { message: "the engine opened a stream and gave none".to_owned() })?;
        Ok(Self {
            raw: Handle(raw),
            events: VecDeque::new(),
            finished: false,
            cancel: cancel.clone(),
            _model: model.clone(),
        })
    }

    /// Takes samples, as many as there is room for, and says how many that were. Those left are taken after
    /// [`step`](Self::step) has made room.
    pub fn feed(&mut self, samples: &[f32]) -> Result<usize, Error> {
        let mut taken = 0;
        call(|error| {
            // SAFETY: the stream is open and ours alone (`&mut`); `samples` holds `samples.len()` floats; `taken` and
            // `error` are live for the call.
            unsafe {
                sys::qwen_stream_feed(self.raw.0.as_ptr(), samples.as_ptr(), samples.len(), &raw mut taken, error)
            }
        })
        .map_err(Failure::into_error)?;
        Ok(taken.min(samples.len()))
    }

    /// Takes all samples, working in between, and gives every event to `on_event`.
    pub fn feed_all(&mut self, samples: &[f32], mut on_event: impl FnMut(Event)) -> Result<(), Error> {
        let mut rest = samples;
        while !rest.is_empty() {
            let taken = self.feed(rest)?;
            rest = &rest[taken..];
            if !self.work(&mut on_event)? && taken == 0 {
                return Err(stuck());
            }
        }
        Ok(())
    }

    /// Says that no more samples will come, does what is left to do, and gives every event to `on_event`.
    pub fn finish_all(&mut self, mut on_event: impl FnMut(Event)) -> Result<(), Error> {
        self.finish()?;
        self.work(&mut on_event).map(drop)
    }

    /// Steps until there is nothing to do; whether there was anything.
    fn work(&mut self, on_event: &mut impl FnMut(Event)) -> Result<bool, Error> {
        let mut worked = false;
        loop {
            let progress = self.step()?;
            self.events().for_each(&mut *on_event);
            match progress {
                Progress::Worked => worked = true,
                Progress::Idle => return Ok(worked),
            }
        }
    }

    /// Says that no more samples will come. Saying it again does nothing.
    pub fn finish(&mut self) -> Result<(), Error> {
        call(|error| {
            // SAFETY: the stream is open and ours alone (`&mut`); `error` is live for the call.
            unsafe { sys::qwen_stream_finish(self.raw.0.as_ptr(), error) }
        })
        .map_err(Failure::into_error)?;
        self.finished = true;
        Ok(())
    }

    /// Changes [`Options::partial_ms`] from here on: 0 while the caller is behind and wants finished segments only, and back. A
    /// stream that was opened without partials stays without. The final text is the same for every value.
    pub fn set_partial_ms(&mut self, partial_ms: u32) {
        let partial_ms = i32::try_from(partial_ms).unwrap_or(i32::MAX);
        // SAFETY: the stream is open and ours alone (`&mut`).
        unsafe { sys::qwen_stream_set_partials(self.raw.0.as_ptr(), partial_ms) }
    }

    /// Does a bounded piece of work: a window of audio, a block of the prompt, or one token.
    pub fn step(&mut self) -> Result<Progress, Error> {
        // Work on silence passes no layer, where the engine would look.
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let answer = call(|error| {
            // SAFETY: the stream is open and ours alone (`&mut`); `error` is live for the call.
            unsafe { sys::qwen_stream_step(self.raw.0.as_ptr(), error) }
        })
        .map_err(Failure::into_error)?;
        self.collect()?;
        Ok(match answer {
            Answer::Done => Progress::Worked,
            Answer::Again => Progress::Idle,
        })
    }

    /// Takes what the engine has to tell, so that it can go on however late the caller asks.
    fn collect(&mut self) -> Result<(), Error> {
        let mut event = MaybeUninit::uninit();
        loop {
            // SAFETY: the stream is open and ours alone (`&mut`); `event` is live for the call.
            let status = unsafe { sys::qwen_stream_next(self.raw.0.as_ptr(), event.as_mut_ptr()) };
            if status == sys::qwen_status::QWEN_AGAIN {
                return Ok(());
            }
            if status != sys::qwen_status::QWEN_OK {
                return Err(Error::Internal { message: format!("the engine gave no event (status {})", status.0) });
            }
            // SAFETY: QWEN_OK means that it was filled.
            let filled = unsafe { event.assume_init_ref() };
            // SAFETY: just filled, and the next call on the stream comes after.
            let new = unsafe { Event::from_c(filled) }?;
            // A newer text stands for the older one, of the same segment or of one that is complete.
            if matches!(self.events.back(), Some(Event::Text(_))) {
                self.events.pop_back();
            }
            self.events.push_back(new);
        }
    }

    /// The oldest event nobody has taken. A text that was not taken is replaced by what follows it.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes all events there are.
    ///
    /// ```compile_fail,E0505
    /// # use diy_typeless::{Model, Options, Stream};
    /// # let model = Model::open("tests/data/tiny-qwen3-asr").unwrap();
    /// let mut stream = Stream::open(&model, &Options::default()).unwrap();
    /// let events = stream.events();
    /// drop(stream);
    /// events.count();
    /// ```
    pub fn events(&mut self) -> Events<'_> {
        Events(self)
    }

    /// Counts and times.
    pub fn stats(&self) -> Stats {
        // SAFETY: the stream is open, describing it reads only, and no other thread can use it (not Sync).
        let stats = unsafe { sys::qwen_stream_describe(self.raw.0.as_ptr()) };
        Stats {
            samples_fed: stats.samples_fed,
            samples_repaired: stats.samples_repaired,
            samples_clipped: stats.samples_clipped,
            samples_done: stats.samples_done,
            segments: stats.segments,
            audio_tokens: stats.audio_tokens,
            prompt_tokens: stats.prompt_tokens,
            text_tokens: stats.text_tokens,
            partials: stats.partials,
            contradictions: stats.contradictions,
            frames: stats.frames,
            chunks: stats.chunks,
            windows: stats.windows,
            prompt_rows: stats.prompt_rows,
            draft_offered: stats.draft_offered,
            draft_accepted: stats.draft_accepted,
            mel_seconds: stats.mel_s,
            encode_seconds: stats.encode_s,
            prefill_seconds: stats.prefill_s,
            decode_seconds: stats.decode_s,
        }
    }

    /// A handle that stops this stream from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the pointer came from qwen_stream_open and is closed only here; the model and the cancel flag are
        // fields, which are dropped after this.
        unsafe { sys::qwen_stream_close(self.raw.0.as_ptr()) }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("stats", &self.stats()).field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// Takes the events of a [`Stream`], oldest first.
#[derive(Debug)]
pub struct Events<'a>(&'a mut Stream);

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.next_event()
    }
}

impl FusedIterator for Events<'_> {}

/// The engine refuses samples although it has nothing to do.
pub(super) fn stuck() -> Error {
    Error::Internal { message: format!("the engine takes no more samples at {SAMPLE_RATE} Hz and has nothing to do") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_itself_looks_at_the_flag() {
        let model = Model::open("tests/data/tiny-qwen3-asr").expect("the small model is in the repository");
        let whole = Options { segmenter: false, ..Options::default() };
        let mut stream = Stream::open(&model, &whole).expect("opens");
        stream.feed(&[0.0; 16_000]).expect("feeds");
        stream.finish().expect("finishes");
        stream.cancel_handle().cancel();
        // Not through `step`, which looks before it calls.
        let step = || {
            call(|error| {
                // SAFETY: the stream is open and ours alone; `error` is live for the call.
                unsafe { sys::qwen_stream_step(stream.raw.0.as_ptr(), error) }
            })
        };
        // The first steps may pass no layer.
        let end = (0..10).map(|_| step()).find(|result| !matches!(result, Ok(Answer::Done)));
        assert!(end.is_some_and(|end| end.is_err_and(|e| e.status == sys::qwen_status::QWEN_ERR_CANCELLED)));
    }
}
