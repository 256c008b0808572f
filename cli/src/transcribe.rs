//! `transcribe`: files in, text out. Reading and decoding take turns, so text appears while the file is read and memory does
//! not grow with its length.

use std::path::Path;
use std::time::Instant;

use diy_typeless::audio::{self, AudioReader};
use diy_typeless::{CancelHandle, Event, Language, Model, Options, Progress, SAMPLE_RATE, Stream, Transcript};

use crate::args::Transcribe;
use crate::failure::{Code, Failure};
use crate::find_model::find_model;
use crate::input;
use crate::interrupt;
use crate::output::{Output, Report, Target};
use crate::ui::Screen;

// The audio module gives what the engine takes, though neither knows the other.
const _: () = assert!(audio::SAMPLE_RATE == SAMPLE_RATE);

/// The longest recording decoded in one piece: memory for it is taken at once.
const MAX_ONE_PIECE_MINUTES: usize = 10;

/// The code of the first file that failed.
pub(crate) fn run(args: &Transcribe) -> Result<Code, Failure> {
    let language = args.language.as_deref().map(Language::find).transpose()?;
    let mut options = Options::default();
    options.language = language.map(|language| language.name().to_owned());
    options.context = args.context.clone();
    options.threads = args.threads.map_or(0, usize::from);
    options.segmenter = !args.no_segmenter;

    let model = Model::open(find_model(args.local_asr.as_deref())?)?;
    let screen = Screen::new();
    options.token_events = screen.lives();
    let output = Output::new(args.json, args.output_dir.as_deref())?;
    let mut job = Job { model, options, output, screen, cancel: interrupt::install()? };
    let headings = args.files.len() > 1 && args.output_dir.is_none() && !args.json;
    let mut first = Code::Ok;
    for file in &args.files {
        let name = input::name(file);
        if headings {
            job.screen.say(&format!("==> {name} <=="));
        }
        let result = job.transcribe(file, &name);
        job.screen.end();
        let code = match result {
            Ok(code) => code,
            Err(failure) if failure.ends_the_run() => return Err(failure),
            Err(failure) => {
                job.screen.failure(&failure);
                job.output.failed(&name, &failure)?;
                failure.code
            }
        };
        if first == Code::Ok {
            first = code;
        }
    }
    Ok(first)
}

struct Job {
    model: Model,
    options: Options,
    output: Output,
    screen: Screen,
    cancel: CancelHandle,
}

impl Job {
    fn transcribe(&mut self, file: &Path, name: &str) -> Result<Code, Failure> {
        let begin = Instant::now();
        let mut target = self.output.target(file)?;
        let mut reader = input::open(file, &self.cancel)?;
        let mut transcript = Transcript::default();
        self.screen.begin(reader.seconds());
        let heard = if self.options.segmenter {
            self.as_it_comes(&mut reader, &mut target, &mut transcript)
        } else {
            self.in_one_piece(name, &mut reader, &mut target, &mut transcript)
        };
        self.screen.end();
        if heard.is_err() {
            self.output.end_line(&target)?;
        }
        heard?;
        let report = Report::new(name, &transcript, reader.notices(), begin.elapsed());
        self.output.end(&target, &report, &self.screen)?;
        for notice in &report.notices {
            self.screen.say(&format!("notice: {name}: {notice}"));
        }
        if transcript.text.is_empty() {
            self.screen.say(&format!("notice: {name}: no speech"));
            return Ok(Code::NoSpeech);
        }
        Ok(Code::Ok)
    }

    fn as_it_comes(&self, reader: &mut AudioReader, target: &mut Target, all: &mut Transcript) -> Result<(), Failure> {
        let mut stream = Stream::open_with(&self.model, &self.options, &self.cancel)?;
        // A reader that fails half-way leaves good audio behind: its text comes out before the error.
        let failed = loop {
            match reader.next_block() {
                Ok(Some(block)) => self.feed(&mut stream, block, target, all)?,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        self.finish(stream, target, all)?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn in_one_piece(
        &self,
        name: &str,
        reader: &mut AudioReader,
        target: &mut Target,
        all: &mut Transcript,
    ) -> Result<(), Failure> {
        let mut samples = Vec::new();
        while let Some(block) = reader.next_block()? {
            samples.extend_from_slice(block);
            if samples.len() > MAX_ONE_PIECE_MINUTES * 60 * SAMPLE_RATE as usize {
                let message = format!("{name} is longer than {MAX_ONE_PIECE_MINUTES} minutes, too long for one piece");
                return Err(Failure::new(Code::Other, message).hint("leave out --no-segmenter"));
            }
        }
        let seconds = samples.len() as f32 / SAMPLE_RATE as f32;
        let mut options = self.options.clone();
        options.max_audio_seconds = seconds + 1.0;
        let mut stream = Stream::open_with(&self.model, &options, &self.cancel)?;
        self.feed(&mut stream, &samples, target, all)?;
        self.finish(stream, target, all)
    }

    fn feed(
        &self,
        stream: &mut Stream,
        mut samples: &[f32],
        target: &mut Target,
        all: &mut Transcript,
    ) -> Result<(), Failure> {
        while !samples.is_empty() {
            let taken = stream.feed(samples)?;
            samples = &samples[taken..];
            self.work(stream, target, all)?;
        }
        Ok(())
    }

    fn finish(&self, mut stream: Stream, target: &mut Target, all: &mut Transcript) -> Result<(), Failure> {
        stream.finish()?;
        self.work(&mut stream, target, all)?;
        all.stats = stream.stats();
        Ok(())
    }

    /// Everything the stream can do with the audio it has.
    fn work(&self, stream: &mut Stream, target: &mut Target, all: &mut Transcript) -> Result<(), Failure> {
        loop {
            let progress = stream.step()?;
            for event in stream.events() {
                match event {
                    Event::Text(text) => self.screen.open_text(&text.text),
                    Event::Segment(segment) => {
                        self.screen.open_text("");
                        self.output.segment(target, &segment, &self.screen)?;
                        all.push(segment);
                    }
                    _ => {}
                }
            }
            self.screen.at(stream.stats().done_seconds());
            if progress == Progress::Idle {
                return Ok(());
            }
        }
    }
}
