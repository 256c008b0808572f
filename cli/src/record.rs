//! `record`: from the microphone, or from what is played in its place, to a saved text.
//!
//! The words of the user come first: whatever fails, the audio is kept, and only the failure to hear anything at all keeps a
//! recording from starting.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use diy_typeless::audio::capture::{CaptureOptions, capture};
use diy_typeless::audio::{Consumer, JournalError, LiveSource, play_file, play_samples};
use diy_typeless::{
    Error, Language, ModelOptions, ModelSource, Outcome, SAMPLE_RATE, Session, SessionConsumer, SessionEvent,
    SessionHandle, SessionOptions,
};
use jiff::ZonedDateTime;

use crate::args::Record;
use crate::failure::{Code, Failure};
use crate::find_model::find_model;
use crate::input::is_stdin;
use crate::interrupt::{self, Wish};
use crate::json_events::JsonLines;
use crate::keys::{self, Echo};
use crate::live_region::clock;
use crate::recording::{Recording, Recordings, shown, transcribe_command};
use crate::show::{Done, Lines, Setting, Show, Terminal};

/// How often the screen may change without news.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Record) -> Result<Code, Failure> {
    let result = record(args);
    if let (true, Err(failure)) = (args.json, &result) {
        // Nothing was recorded. Readers of JSON learn why in their stream too.
        JsonLines::new().early(failure)?;
    }
    result
}

fn record(args: &Record) -> Result<Code, Failure> {
    // What was mistyped is said before anything is begun.
    let mut options = SessionOptions::default();
    options.engine.language = args.language.as_deref().map(Language::find).transpose()?.map(|l| l.name().to_owned());
    options.engine.context = args.context.clone();
    options.engine.threads = args.threads.map_or(0, usize::from);
    options.keep_journal = !args.no_audio;
    options.throttle = Duration::from_millis(args.throttle_ms.into());
    if args.speed > 0.0 {
        // A file played at a pace stands for a microphone, which does not wait for the machine either.
        options.lead_seconds = f32::INFINITY;
    }
    let recordings = Recordings::open(args.output_dir.as_deref())?;

    let model = find_model(args.local_asr.as_deref());
    let echo = Echo::default();
    let restore = echo.clone();
    let (wish, wishes) = unbounded();
    interrupt::listen_for(wish.clone(), move || restore.restore())?;
    let enter = wish.clone();
    let reads_stdin = args.input.as_deref().is_some_and(is_stdin);
    let stop = move || {
        // Fails when the recording is over.
        let _ = enter.send(Wish::Stop);
    };
    let enter = !reads_stdin && keys::watch_enter(stop);
    let mut stage = Stage::new(args.json, Setting { enter, model: model.is_ok() }, echo);

    for left in recordings.take_leftovers() {
        let message = format!("an earlier recording was not finished: {} ({})", shown(&left.path), clock(left.seconds));
        stage.show(|show| show.notice(&message, Some(&transcribe_command(args.local_asr.as_deref(), &left.path))));
    }
    let (session, recording) = start(args, &model, &options, &recordings, &wish)?;
    if let Err(failure) = &model {
        stage.show(|show| show.error(failure));
    }
    follow(&session, &wishes, &mut stage, &recording, args);
    let outcome = session.finish()?;
    conclude(args, model.err(), &outcome, &recording, &mut stage)
}

/// Starts listening, under a name that no recording has.
fn start(
    args: &Record,
    model: &Result<PathBuf, Failure>,
    options: &SessionOptions,
    recordings: &Recordings,
    wish: &Sender<Wish>,
) -> Result<(Session, Recording), Failure> {
    loop {
        let recording = recordings.begin(&ZonedDateTime::now())?;
        let mut options = options.clone();
        options.journal = Some(recording.growing());
        let model = match model {
            Ok(dir) => ModelSource::Load(dir.clone(), ModelOptions::default()),
            Err(_) => ModelSource::None,
        };
        match Session::start(model, options, |consumer| open_source(args, consumer, wish)) {
            // Somebody else began in the same second.
            Err(Error::Journal(JournalError::Create { source, .. }))
                if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                recording.keep_audio();
                return Err(error.into());
            }
            Ok(session) => return Ok((session, recording)),
        }
    }
}

fn open_source(args: &Record, consumer: SessionConsumer, wish: &Sender<Wish>) -> Result<LiveSource, Error> {
    let left = args.duration_seconds.map_or(u64::MAX, |seconds| (seconds * f64::from(SAMPLE_RATE)).round() as u64);
    let consumer = Limited { consumer, left, end: wish.clone() };
    Ok(match &args.input {
        Some(path) if is_stdin(path) => play_samples(io::stdin(), "standard input", args.speed, consumer)?,
        Some(path) => play_file(path, args.speed, consumer)?,
        None => {
            let mut options = CaptureOptions::default();
            options.device.clone_from(&args.device);
            options.host = args.host.into();
            capture(&options, consumer)?
        }
    })
}

/// Takes so many samples, then wishes for the end.
struct Limited {
    consumer: SessionConsumer,
    left: u64,
    end: Sender<Wish>,
}

impl Consumer for Limited {
    fn samples(&mut self, block: &[f32]) {
        let n = block.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if n > 0 {
            self.consumer.samples(&block[..n]);
            self.left -= n as u64;
            if self.left == 0 {
                // Fails when the recording has ended already.
                let _ = self.end.send(Wish::Stop);
            }
        }
    }

    fn busy(&self) -> bool {
        self.consumer.busy()
    }
}

/// Shows what happens and does what is wished for, until everything has been heard and understood.
fn follow(session: &Session, wishes: &Receiver<Wish>, stage: &mut Stage, recording: &Recording, args: &Record) {
    let handle = session.handle();
    loop {
        select! {
            recv(session.events()) -> event => match event {
                Ok(SessionEvent::Ended) | Err(_) => return,
                Ok(event) => stage.event(&event, recording, args),
            },
            recv(wishes) -> wish => match wish {
                Ok(Wish::Stop) => {
                    handle.stop();
                    stage.show(|show| show.finishing());
                }
                // There is always a sender: the caller's.
                Ok(Wish::Abort) | Err(_) => handle.abort(),
            },
            default(TICK) => {}
        }
        stage.show(|show| show.tick());
        stage.stop_unheard(&handle);
    }
}

/// Where everything is shown. When standard output is gone nobody will know what is being recorded, so it ends.
struct Stage {
    show: Box<dyn Show>,
    gone: Option<Failure>,
}

impl Stage {
    fn new(json: bool, setting: Setting, echo: Echo) -> Self {
        let show: Box<dyn Show> = if json {
            Box::new(JsonLines::new())
        } else if let Some(terminal) = Terminal::new(setting, echo) {
            Box::new(terminal)
        } else {
            Box::new(Lines::new())
        };
        Self { show, gone: None }
    }

    fn show(&mut self, what: impl FnOnce(&mut dyn Show) -> Result<(), Failure>) {
        if let Err(failure) = what(self.show.as_mut()) {
            self.show = Box::new(Lines::without_text());
            self.gone.get_or_insert(failure);
        }
    }

    fn stop_unheard(&self, handle: &SessionHandle) {
        if self.gone.is_some() && !handle.is_stopping() {
            handle.stop();
        }
    }

    fn event(&mut self, event: &SessionEvent, recording: &Recording, args: &Record) {
        self.show(|show| match event {
            SessionEvent::Ready { info, .. } => show.ready(info, &recording.growing()),
            SessionEvent::Notice { message, hint } => show.notice(message, hint.as_deref()),
            SessionEvent::Error { code, message, hint } => {
                let failure = Failure::new(exit_code(code, args), message.clone());
                show.error(&Failure { hint: hint.clone(), ..failure })
            }
            event => show.event(event),
        });
    }
}

fn exit_code(word: &str, args: &Record) -> Code {
    match word {
        "model" => Code::Model,
        "options" => Code::Usage,
        // A file cannot be lost, but it can turn out to be damaged.
        "device_lost" if args.input.is_some() => Code::Audio,
        "device_lost" => Code::DeviceLost,
        _ => Code::Other,
    }
}

/// Saves what there is, and says so.
fn conclude(
    args: &Record,
    no_model: Option<Failure>,
    outcome: &Outcome,
    recording: &Recording,
    stage: &mut Stage,
) -> Result<Code, Failure> {
    // Errors were told when they came; what counts here is what they mean for the text.
    let mut failed = None;
    let mut code = match &outcome.device_lost {
        Some(_) => exit_code("device_lost", args),
        None => Code::Ok,
    };
    let text = outcome.transcript.text.as_str();
    let complete = no_model.is_none() && outcome.model_error.is_none() && !outcome.aborted;
    let mut text_file = None;
    if outcome.aborted {
        code = Code::Aborted;
        failed = Some(Failure::new(code, "aborted: there is no text"));
    } else if let Some(failure) = no_model {
        code = failure.code;
    } else if let Some(error) = &outcome.model_error {
        code = Code::of(error);
    } else if !text.is_empty() {
        match recording.save_text(text) {
            Ok(path) => text_file = Some(path),
            Err(failure) => failed = Some(failure),
        }
    } else if code == Code::Ok {
        code = Code::NoSpeech;
    }
    if let Some(failure) = failed {
        code = failure.code;
        stage.show(|show| show.error(&failure));
    } else if code == Code::NoSpeech {
        stage.show(|show| show.notice("no speech was heard", None));
    }

    let deleted = text_file.is_some() && delete_audio(outcome, stage);
    let audio_file = if deleted { None } else { recording.keep_audio() };
    let command = audio_file.as_deref().map(|audio| transcribe_command(args.local_asr.as_deref(), audio));
    stage.show(|show| {
        show.done(&Done {
            text: complete.then_some(text),
            language: outcome.transcript.language.as_deref(),
            audio_seconds: outcome.audio_seconds,
            lag_seconds: outcome.finish_seconds,
            text_file: text_file.as_deref(),
            audio_file: audio_file.as_deref(),
            command: command.as_deref().filter(|_| !complete || text_file.is_none() && !text.is_empty()),
        })
    });
    match stage.gone.take() {
        Some(failure) if !failure.closed_pipe && code == Code::Ok => Err(failure),
        _ => Ok(code),
    }
}

fn delete_audio(outcome: &Outcome, stage: &mut Stage) -> bool {
    outcome.text_saved().unwrap_or_else(|error| {
        let message = format!("the audio could not be deleted: {error}");
        stage.show(|show| show.notice(&message, None));
        false
    })
}
