//! A device of the system behind the interface that the owner thread knows.

use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, Data, SampleFormat};

use super::device::{Found, find, quiet_alsa};
use super::feed::Feed;
use super::{AudioHost, Backend, CaptureError};
use crate::audio::SourceInfo;

/// Callbacks a second that are asked for where asking is needed.
const CALLBACKS: u32 = 10;
/// How long the system may take to make the stream; ALSA also looks this often whether a silent device is still there.
const STREAM_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct CpalBackend {
    host: AudioHost,
    wanted: Option<String>,
    found: Option<Found>,
    stream: Option<cpal::Stream>,
}

impl CpalBackend {
    pub(super) fn new(host: AudioHost, wanted: Option<String>) -> Self {
        Self { host, wanted, found: None, stream: None }
    }
}

impl Backend for CpalBackend {
    fn open(&mut self) -> Result<SourceInfo, CaptureError> {
        quiet_alsa();
        let found = find(self.host, self.wanted.as_deref())?;
        let info = found.info.clone();
        self.found = Some(found);
        Ok(info)
    }

    fn run(&mut self, mut feed: Feed) -> Result<(), CaptureError> {
        let Some(Found { device, config, info }) = self.found.take() else { return Ok(()) };
        let mut stream_config = config.config();
        if info.host == "pulse" {
            // Left to itself a PulseAudio or PipeWire server may send two seconds at a time. A fixed size also bounds what
            // it keeps for a program that does not read: of a 3 s stop of the whole program half a second survives,
            // measured with 0.1 s. Smaller pieces lose more and bring nothing.
            stream_config.buffer_size = BufferSize::Fixed((info.rate / CALLBACKS).max(1));
        }
        let shared = feed.shared();
        let name = info.device.clone();
        let failed = |e: &cpal::Error| CaptureError::from_cpal(e, &info.device);
        let stream = device
            .build_input_stream_raw(
                stream_config,
                config.sample_format(),
                move |data: &Data, _: &_| forward(data, &mut feed),
                move |e| shared.error(&e, &name),
                Some(STREAM_WITHIN),
            )
            .map_err(|e| failed(&e))?;
        // Kept before it plays: playing may block, and a stream that was not kept would be closed.
        self.stream.insert(stream).play().map_err(|e| failed(&e))
    }

    fn close(&mut self) {
        self.stream = None;
    }
}

fn forward(data: &Data, feed: &mut Feed) {
    macro_rules! push {
        ($($format:ident $sample:ty,)*) => {
            match data.sample_format() {
                $(SampleFormat::$format => feed.push(data.as_slice::<$sample>().unwrap_or_default()),)*
                // Not chosen when the device was opened.
                _ => {}
            }
        };
    }
    push!(
        I8 i8, I16 i16, I24 cpal::I24, I32 i32, I64 i64, U8 u8, U16 u16, U24 cpal::U24, U32 u32, U64 u64, F32 f32, F64 f64,
    );
}
