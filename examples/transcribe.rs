//! Prints what is said in audio files:
//!
//!     cargo run --release --features files --example transcribe -- tests/data/tiny-qwen3-asr tests/data/speech/*.flac
#![allow(clippy::print_stdout, reason = "that is what this program is for")]

use std::env;
use std::error::Error;
use std::path::PathBuf;

use diy_typeless::audio::AudioReader;
use diy_typeless::{Event, Model, Options, Transcriber};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let model = arguments.next().ok_or("usage: transcribe MODEL-DIRECTORY AUDIO-FILE...")?;
    let transcriber = Transcriber::new(&Model::open(model)?, Options::default())?;
    for file in arguments {
        println!("{}", file.display());
        let show = |event| {
            if let Event::Segment(segment) = event {
                println!("{:7.2} {:7.2}  {}", segment.start, segment.end, segment.text);
            }
        };
        // Block by block, so that recordings of any length need little memory.
        let mut reader = AudioReader::open(&file)?;
        let mut stream = transcriber.stream()?;
        while let Some(block) = reader.next_block()? {
            stream.feed_all(block, show)?;
        }
        stream.finish_all(show)?;
    }
    Ok(())
}
