//! The command line: one file a command. Everything that a command prints for its user goes to standard
//! output, everything else is log and goes to standard error.
//!
//! Exit codes: 0 when the command did what it says, 1 when it could not, 2 when it was not understood.

mod arguments;
mod cleanup;
mod daemon;
mod explain;
mod kernel;
mod logging;
mod render;
mod table;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

pub use arguments::Arguments;
use arguments::Command;

/// Why a command failed. Its text says what happened and what to do; whoever prints it adds nothing.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the program.
pub fn main() -> ExitCode {
    crate::memory::configure();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a command was asked for. A reader who has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sources = &arguments.sources;
    match &arguments.command {
        None => daemon::run(sources, &arguments.log),
        Some(command) => {
            logging::for_command(&arguments.log);
            match command {
                Command::Render => render::run(sources),
                Command::Explain(question) => explain::run(sources, question),
                Command::Cleanup(leavings) => cleanup::run(leavings),
            }
        }
    }
}
