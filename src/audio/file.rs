//! Audio files as a sequence of 16 kHz blocks: WAV, FLAC, MP3, M4A/AAC, Ogg Vorbis.
//!
//! symphonia takes the containers and codecs apart; what is added here is that hours of audio never sit in memory, that the
//! content decides and not the name, and that a damaged place costs that place and not the file: bad packets are left out and
//! counted, a file that ends early is read as far as it goes, and both are told in [`AudioReader::notices`].

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use super::riff::Patches;
use super::{AudioError, Intake, MAX_RATE, MIN_RATE, SAMPLE_RATE};

/// Blocks hold at least this many samples, save the last: a quarter of a second.
const BLOCK: usize = SAMPLE_RATE as usize / 4;

/// What audio can be read from: a file, or bytes in memory. Seeking is needed, some formats have their index at the end.
pub trait Source: Read + Seek + Send + Sync + 'static {}
impl<T: Read + Seek + Send + Sync + 'static> Source for T {}

/// Reads one audio file, block by block.
pub struct AudioReader {
    file: String,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    format_name: &'static str,
    seconds: Option<f64>,
    missing: Option<(u64, u64)>,
    /// Made at the first decoded packet: only the decoder knows rate and channels for certain.
    intake: Option<Intake>,
    interleaved: Vec<f32>,
    block: Vec<f32>,
    n_given: u64,
    n_packets: u64,
    n_bad_packets: u64,
    n_repaired: u64,
    broke_off: Option<String>,
    done: bool,
}

impl AudioReader {
    /// Opens a file. Its name is for messages only, the content says what it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AudioError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let open = |source| AudioError::Open { file: name.clone(), source };
        if path.metadata().map_err(open)?.is_dir() {
            return Err(open(io::ErrorKind::IsADirectory.into()));
        }
        Self::from_source(File::open(path).map_err(open)?, &name)
    }

    /// Reads from anything seekable, from its beginning; `name` is for messages.
    pub fn from_source(mut source: impl Source, name: &str) -> Result<Self, AudioError> {
        let read = |source| AudioError::Read { file: name.to_owned(), source };
        let len = source.seek(SeekFrom::End(0)).map_err(read)?;
        if len == 0 {
            return Err(AudioError::Empty { file: name.to_owned() });
        }
        let patches = Patches::find(&mut source, len).map_err(read)?;
        source.seek(SeekFrom::Start(0)).map_err(read)?;
        let mut head = Vec::new();
        source.by_ref().take(512).read_to_end(&mut head).map_err(read)?;
        source.seek(SeekFrom::Start(0)).map_err(read)?;

        let missing = patches.missing;
        let stream = MediaSourceStream::new(Box::new(Patched { source, patches, pos: 0, len }), Default::default());
        // No hint from the name: what is in the file counts.
        let format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|e| unreadable(name, &head, e))?;
        let track = audio_track(format.as_ref(), name)?;
        let seconds = known_seconds(track);
        let (track_id, decoder) = (track.id, decoder_for(track, name)?);
        Ok(Self {
            file: name.to_owned(),
            format_name: format.format_info().long_name,
            format,
            decoder,
            track_id,
            seconds,
            missing,
            intake: None,
            interleaved: Vec::new(),
            block: Vec::new(),
            n_given: 0,
            n_packets: 0,
            n_bad_packets: 0,
            n_repaired: 0,
            broke_off: None,
            done: false,
        })
    }

    /// The container's name, for people.
    pub fn format_name(&self) -> &'static str {
        self.format_name
    }

    /// How long the file says it is. A claim, not a promise: for progress bars only.
    pub fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    /// Seconds of audio given out so far.
    pub fn seconds_read(&self) -> f64 {
        self.n_given as f64 / f64::from(SAMPLE_RATE)
    }

    /// The next samples, 16 kHz mono on the 16-bit grid; `None` at the end. A file of 0 samples ends at once.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, AudioError> {
        self.block.clear();
        while self.block.len() < BLOCK && !self.done {
            self.read_packet()?;
        }
        self.n_given += self.block.len() as u64;
        Ok((!self.block.is_empty()).then_some(self.block.as_slice()))
    }

    /// All samples in one piece: for short files.
    pub fn read_all(mut self) -> Result<Vec<f32>, AudioError> {
        let mut all = Vec::new();
        while let Some(block) = self.next_block()? {
            all.extend_from_slice(block);
        }
        Ok(all)
    }

    /// What was wrong with the file so far, as sentences; to be asked at its end.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if let Some((promised, there)) = self.missing {
            notices.push(format!("the header promises {promised} bytes of samples, the file holds {there}"));
        }
        if self.n_bad_packets > 0 {
            notices.push(format!("{} of {} packets were damaged and left out", self.n_bad_packets, self.n_packets));
        }
        let n_repaired = self.n_repaired + self.intake.as_ref().map_or(0, Intake::n_repaired);
        if n_repaired > 0 {
            notices.push(format!("{n_repaired} samples were not numbers and became silence"));
        }
        if let Some(why) = &self.broke_off {
            notices.push(format!("it breaks off after {:.1} s: {why}", self.seconds_read()));
        }
        notices
    }

    fn read_packet(&mut self) -> Result<(), AudioError> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return self.end(None),
            // A new stream begins in the same file (chained Ogg): other rate, other channels, perhaps another codec.
            Err(DecodeError::ResetRequired) => {
                let track = audio_track(self.format.as_ref(), &self.file)?;
                (self.track_id, self.decoder) = (track.id, decoder_for(track, &self.file)?);
                return Ok(());
            }
            Err(DecodeError::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return self.end(Some("the file ends in the middle of something".to_owned()));
            }
            Err(DecodeError::IoError(source)) => return Err(AudioError::Read { file: self.file.clone(), source }),
            Err(e) => return self.end(Some(e.to_string())),
        };
        if packet.track_id != self.track_id {
            return Ok(());
        }
        self.n_packets += 1;
        match self.decoder.decode(&packet) {
            Ok(decoded) => {
                let spec = decoded.spec();
                let (rate, channels) = (spec.rate(), spec.channels().count());
                if decoded.frames() == 0 || channels == 0 {
                    return Ok(());
                }
                self.interleaved.clear();
                decoded.copy_to_vec_interleaved(&mut self.interleaved);
                self.take(rate, channels)
            }
            // The rest of the file can still be good: leave out what is not.
            Err(DecodeError::DecodeError(_) | DecodeError::IoError(_)) => {
                self.n_bad_packets += 1;
                Ok(())
            }
            Err(DecodeError::ResetRequired) => {
                self.decoder.reset();
                self.n_bad_packets += 1;
                Ok(())
            }
            Err(e) => self.end(Some(e.to_string())),
        }
    }

    /// Sends the decoded samples through the intake, a new one where rate or channels change.
    fn take(&mut self, rate: u32, channels: usize) -> Result<(), AudioError> {
        let same = self.intake.as_ref().is_some_and(|intake| intake.rate() == rate && intake.channels() == channels);
        if !same {
            self.drain();
            self.intake = Intake::new(rate, channels);
        }
        match &mut self.intake {
            Some(intake) => intake.push(&self.interleaved, &mut self.block),
            None => return Err(AudioError::Rate { file: self.file.clone(), rate }),
        }
        Ok(())
    }

    /// What the current intake still holds back goes into the block.
    fn drain(&mut self) {
        if let Some(intake) = self.intake.take() {
            self.n_repaired += intake.n_repaired();
            intake.finish(&mut self.block);
        }
    }

    fn end(&mut self, why: Option<String>) -> Result<(), AudioError> {
        let heard = self.intake.is_some() || self.n_given > 0;
        self.drain();
        self.done = true;
        if heard {
            self.broke_off = why;
            return Ok(());
        }
        let detail = match why {
            Some(why) => why,
            None if self.n_bad_packets > 0 => format!("none of its {} packets could be decoded", self.n_packets),
            None => return Ok(()),
        };
        Err(AudioError::Damaged { file: self.file.clone(), detail })
    }
}

impl std::fmt::Debug for AudioReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioReader")
            .field("file", &self.file)
            .field("format", &self.format_name)
            .field("seconds", &self.seconds)
            .finish_non_exhaustive()
    }
}

fn audio_track<'a>(format: &'a dyn FormatReader, file: &str) -> Result<&'a Track, AudioError> {
    format
        .default_track(TrackType::Audio)
        .ok_or_else(|| AudioError::Unsupported { file: file.to_owned(), what: "no audio track".to_owned() })
}

fn decoder_for(track: &Track, file: &str) -> Result<Box<dyn AudioDecoder>, AudioError> {
    let unsupported = |what: String| AudioError::Unsupported { file: file.to_owned(), what };
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio())
        .ok_or_else(|| unsupported("audio of an unknown kind".to_owned()))?;
    if let Some(rate) = params.sample_rate.filter(|rate| !(MIN_RATE..=MAX_RATE).contains(rate)) {
        return Err(AudioError::Rate { file: file.to_owned(), rate });
    }
    symphonia::default::get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default()).map_err(|e| match e {
        DecodeError::Unsupported(_) => unsupported(codec_name(params.codec)),
        e => AudioError::Damaged { file: file.to_owned(), detail: e.to_string() },
    })
}

/// Names the codecs that people have in files and that are not decoded here.
fn codec_name(codec: symphonia::core::codecs::audio::AudioCodecId) -> String {
    use symphonia::core::codecs::audio::well_known::{CODEC_ID_ALAC, CODEC_ID_OPUS, CODEC_ID_SPEEX};
    match codec {
        CODEC_ID_OPUS => "Opus audio".to_owned(),
        CODEC_ID_ALAC => "Apple Lossless audio".to_owned(),
        CODEC_ID_SPEEX => "Speex audio".to_owned(),
        other => format!("audio of codec {other}"),
    }
}

fn known_seconds(track: &Track) -> Option<f64> {
    let base = track.time_base?;
    let ticks = track.duration.map(|duration| duration.get()).or(track.num_frames)?;
    let seconds = ticks as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get());
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

fn unreadable(file: &str, head: &[u8], error: DecodeError) -> AudioError {
    let file = file.to_owned();
    let text = error.to_string();
    // Nothing was found; or, anywhere in the first megabyte, four letters that happened to be there.
    let by_chance = text.contains("isomp4") && head.get(4..8) != Some(b"ftyp".as_slice());
    if by_chance || text.contains("no suitable format") || text.contains("riff form is not wave") {
        return AudioError::NotAudio { file, text: looks_like_text(head) };
    }
    match error {
        DecodeError::IoError(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            AudioError::Read { file, source }
        }
        DecodeError::IoError(_) => AudioError::Damaged { file, detail: "it ends inside its header".to_owned() },
        DecodeError::Unsupported(what) if what.contains("missing") => {
            AudioError::Damaged { file, detail: what.to_owned() }
        }
        DecodeError::Unsupported(what) => AudioError::Unsupported { file, what: what.to_owned() },
        _ => AudioError::Damaged { file, detail: text },
    }
}

/// The beginning is UTF-8 (a character may be cut at its end) without control characters that no text has.
fn looks_like_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if head.len() - e.valid_up_to() < 4 => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

/// A source whose WAV header tells the truth.
struct Patched<S> {
    source: S,
    patches: Patches,
    pos: u64,
    len: u64,
}

impl<S: Source> Read for Patched<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buf)?;
        self.patches.apply(self.pos, &mut buf[..n]);
        self.pos += n as u64;
        Ok(n)
    }
}

impl<S: Source> Seek for Patched<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.pos = self.source.seek(to)?;
        Ok(self.pos)
    }
}

impl<S: Source> MediaSource for Patched<S> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}
