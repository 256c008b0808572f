//! `diy-typeless`: exit codes, and which command runs.

mod args;
mod devices;
mod diagnose;
mod failure;
mod find_model;
mod generate;
mod input;
mod interrupt;
mod json_events;
mod keys;
mod live_region;
mod output;
mod record;
mod recording;
mod show;
mod transcribe;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, Diagnosis};
use failure::Code;

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Record(args) => record::run(&args),
        Command::Transcribe(args) => transcribe::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Diagnose(args) => match args.what {
            Diagnosis::Audio(args) => diagnose::run(&args),
        },
        Command::Completions(args) => generate::completions(&args).map(|()| Code::Ok),
        Command::Man(_) => generate::man().map(|()| Code::Ok),
    };
    let code = match result {
        Ok(code) => code,
        Err(failure) if failure.closed_pipe => Code::Ok,
        Err(failure) => {
            ui::Screen::plain().failure(&failure);
            failure.code
        }
    };
    ExitCode::from(code as u8)
}
