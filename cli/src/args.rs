//! What the user may type. Definitions only; the help texts, the completions and the man page come from here.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Speech to text on your own machine: no network, no account, nothing leaves the laptop
#[derive(Debug, Parser)]
#[command(name = "diy-typeless", version, after_help = AFTER_HELP, max_term_width = 100, propagate_version = false)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Record(Record),
    Transcribe(Transcribe),
    Devices(Devices),
    Diagnose(Diagnose),
    Completions(Completions),
    Man(Man),
}

/// Turn speech into text while you speak
///
/// Listens to the microphone until Enter, Ctrl-C or SIGTERM, and for as long as it takes to finish the last word; the end of
/// standard input does not stop it. A second Ctrl-C aborts: the audio is kept, the text is not made. On a terminal the text
/// appears as it is spoken, dim where it may still change; elsewhere every segment is a line of standard output as soon as it
/// is complete. The audio and the text are saved as recording_YYYYMMDD_HHMMSS.wav and .txt. The saved text is what
/// `transcribe` makes of the saved audio. Without a model the audio is recorded all the same.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RECORD_HELP)]
pub(crate) struct Record {
    /// Directory of the model [default: $DIY_TYPELESS_MODEL, then an installed model]
    #[arg(long, value_name = "DIR")]
    pub(crate) local_asr: Option<PathBuf>,

    /// Stop by itself after so many seconds of audio
    #[arg(short, long, value_name = "N", value_parser = seconds)]
    pub(crate) duration_seconds: Option<f64>,

    /// Language that is spoken, as a name or a code (English, en, zh, yue); found out for every segment if not given
    #[arg(short, long, value_name = "LANGUAGE")]
    pub(crate) language: Option<String>,

    /// Names, terms or a sentence about the recording, to help with words that are hard to guess
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) context: Option<String>,

    /// Microphone: its name, or a part of it that no other has (diy-typeless devices) [default: the system's]
    #[arg(long, value_name = "NAME", conflicts_with = "input")]
    pub(crate) device: Option<String>,

    /// Sound system to use
    #[arg(long, value_name = "HOST", default_value = "auto", hide = true)]
    pub(crate) host: Host,

    /// Directory for the recordings [default: ~/diy_typeless_recordings]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,

    /// Print one JSON object per event and line
    #[arg(long)]
    pub(crate) json: bool,

    /// Delete the audio once the text is saved
    #[arg(long)]
    pub(crate) no_audio: bool,

    /// Play a file instead of the microphone, or with `-` standard input: raw samples, 16 kHz mono 16-bit little-endian
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// How fast --input is played: 1 is real time, 0 as fast as it can be recognised [default: 1]
    #[arg(long, value_name = "X", default_value = "1", hide_default_value = true, value_parser = speed, requires = "input")]
    pub(crate) speed: f64,

    /// Threads that compute [default: one per physical core, at most 8]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,

    /// Rest so long after every step of recognition: to see what happens on a slow machine
    #[arg(long, value_name = "MS", default_value_t = 0, hide = true)]
    pub(crate) throttle_ms: u16,
}

/// A sound system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Host {
    Auto,
    Pulse,
    Alsa,
}

/// List the inputs that sound can be recorded from
///
/// The one marked with * is taken when none is named. Exit code 3 if there is none.
#[derive(Debug, clap::Args)]
#[command(after_long_help = DEVICES_HELP)]
pub(crate) struct Devices {
    /// Print one JSON object per input and line
    #[arg(long)]
    pub(crate) json: bool,

    /// Sound system to use
    #[arg(long, value_name = "HOST", default_value = "auto", hide = true)]
    pub(crate) host: Host,
}

/// Find out what is wrong
#[derive(Debug, clap::Args)]
pub(crate) struct Diagnose {
    #[command(subcommand)]
    pub(crate) what: Diagnosis,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Diagnosis {
    Audio(DiagnoseAudio),
}

/// Record three seconds and say what the microphone gives: say something meanwhile
///
/// Nothing is saved. Exit codes: 0 speech was heard, 3 no microphone, 5 no speech, 7 device lost.
#[derive(Debug, clap::Args)]
#[command(after_long_help = DIAGNOSE_HELP)]
pub(crate) struct DiagnoseAudio {
    /// Microphone: its name, or a part of it that no other has (diy-typeless devices) [default: the system's]
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,

    /// Sound system to use
    #[arg(long, value_name = "HOST", default_value = "auto", hide = true)]
    pub(crate) host: Host,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Turn audio files into text
///
/// Reads WAV, FLAC, MP3, M4A/AAC and Ogg Vorbis at any sample rate and with any number of channels. The text goes to
/// standard output, everything else to standard error. Long recordings are cut inside pauses, and the text of a segment
/// appears as soon as it is complete; on a terminal every segment has its own line, elsewhere each file is one line.
#[derive(Debug, clap::Args)]
#[command(after_long_help = TRANSCRIBE_HELP)]
pub(crate) struct Transcribe {
    /// Audio files; `-` is standard input, which is read to its end first
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Directory of the model [default: $DIY_TYPELESS_MODEL, then an installed model]
    #[arg(long, value_name = "DIR")]
    pub(crate) local_asr: Option<PathBuf>,

    /// Language that is spoken, as a name or a code (English, en, zh, yue); found out for every segment if not given
    #[arg(short, long, value_name = "LANGUAGE")]
    pub(crate) language: Option<String>,

    /// Names, terms or a sentence about the recording, to help with words that are hard to guess
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) context: Option<String>,

    /// Print one JSON object per file and line, with segments, times and languages
    #[arg(long)]
    pub(crate) json: bool,

    /// Write NAME.txt (with --json NAME.json) for every file into this directory; existing files are never replaced
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,

    /// Threads that compute [default: one per physical core, at most 8]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,

    /// Decode each file in one piece, for comparisons; at most 10 minutes, and memory and time grow with its length
    #[arg(long, hide_short_help = true)]
    pub(crate) no_segmenter: bool,
}

/// Print a completion script for a shell
///
/// For example: diy-typeless completions bash > ~/.local/share/bash-completion/completions/diy-typeless
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    pub(crate) shell: clap_complete::Shell,
}

/// Print the manual page
///
/// For example: diy-typeless man | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct Man {}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 any other error, 2 wrong usage, 3 no microphone or audio that cannot be read, 4 model missing or damaged, \
5 no speech, 7 microphone lost, 130 aborted";

const RECORD_HELP: &str = "\
JSON, one object per event; times are seconds from the beginning of the recording:
  event: ready           sound is heard from now on
    device, host, rate, channels, format
                         what is recorded from; host is \"file\" or \"pipe\" for --input
    recording            the audio while it grows; an ordinary WAV at any moment
  event: model_ready     the model is loaded; what was said before is not lost
    seconds              what loading took
  event: speech_started  somebody begins to speak
    t                    since when
  event: level           ten times a second
    rms_db, peak_db      dB below full scale
    t                    how much was heard
    lag_s                how far recognition is behind
  event: partial         the segment that is being spoken reads differently now
    stable               beginning of its text, which only grows until the segment is complete
    tentative            the rest, which may still change
    separator            what joins it to the text before
    start, t             the audio it is about
  event: segment         a segment is complete, and replaces its partials
    text, language       what was said; language may be null
    separator            what joins it to the text before
    start, end           the audio
    stop                 \"end\", or \"max_tokens\" if the text may be cut short
    reason               why it ends there, \"pause\", \"length\" or \"end\" of the audio
  event: notice          something to know about the microphone, the disk or the machine
    message, hint        sentences; hint may be null
  event: error           something went wrong
    code                 the exit code it leads to
    message, hint        sentences; hint may be null
  event: final           the last line whenever something was recorded, also after an error
    text                 all of it, as it was saved; null if none was made (no model, aborted)
    language             those that were spoken, in their order, or null
    audio_s              length of the recording
    lag_s                from the stop to the text
    files                text, audio: where they are, or null

Exit codes:
  0    done
  1    any other error
  2    wrong usage
  3    no microphone, no permission, or --input cannot be read
  4    model missing or damaged; the audio is saved
  5    no speech was heard
  7    the microphone was lost; what was heard until then is saved
  130  aborted; the audio is kept

Files:
  recording_*.wav             the audio, 16 kHz mono
  recording_*.txt             the text
  recording_*.unfinished.wav  the audio while it grows
They are in ~/diy_typeless_recordings unless --output-dir says otherwise. Only their owner can read them, and nothing is ever
overwritten. If the program is killed, the unfinished audio stays and `transcribe` reads it; the next `record` mentions it
and takes \"unfinished\" out of its name.

Environment:
  DIY_TYPELESS_MODEL  directory of the model
  NO_COLOR            no dim text";

const DEVICES_HELP: &str = "\
JSON, one object per input:
  name, id        either can be given to --device
  host            the sound system: pulse, alsa, coreaudio
  default         whether it is taken when none is named
  monitor         whether it records what a loudspeaker plays
  rate, channels  its own; null when it cannot be opened now
  format          of its samples: i16, f32; or null
  problem         why it cannot be opened now, or null";

const DIAGNOSE_HELP: &str = "\
JSON:
  device, host, rate, channels, format  what was recorded from
  seconds              what was heard
  first_samples_s      from opening the device to its first sound
  rms_db, peak_db      dB below full scale; -120 is digital silence
  clipped_samples      at full scale
  dropped_samples      lost because something did not keep up, at 16 kHz
  repaired_samples     that were not numbers
  speech_s             seconds that were clearly louder than the room
  lost                 why the device broke off, or null
  notices              message, hint: what to do about it";

const TRANSCRIBE_HELP: &str = "\
JSON, one object per file:
  file           as it was named
  text           all of it
  language       those that were spoken, in their order: \"English\", \"English,Chinese\", or null
  audio_seconds  length of the audio
  segments       start, end: seconds from the beginning of the file
                 text, language
                 stop: \"end\", or \"max_tokens\" if the text may be cut short
                 cut: why it ends there, \"pause\", \"length\" or \"end\" of the audio
  notices        what was wrong with the file
  timings        total_seconds, mel_seconds, encode_seconds, prefill_seconds, decode_seconds
A file that failed has file and error: code (the exit code), message, hint.

Exit codes:
  0    done
  1    any other error
  2    wrong usage
  3    audio that cannot be read
  4    model missing or damaged
  5    no speech
  130  aborted
With several files the others go on after a failure; the code is that of the first that failed.

Environment:
  DIY_TYPELESS_MODEL  directory of the model
  NO_COLOR            no dim text";

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=604_800.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.1 to 604800 (a week) is wanted".to_owned()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.0..=1_000.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0 to 1000 is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        assert_eq!(super::seconds("1.5"), Ok(1.5));
        assert_eq!(super::speed("0"), Ok(0.0));
        for text in ["", "x", "-1", "nan", "inf", "1e9"] {
            assert!(super::seconds(text).is_err() && super::speed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_definitions_are_consistent() {
        <super::Args as clap::CommandFactory>::command().debug_assert();
    }
}
