//! The command line: one file a command. Everything that a command prints for its user goes to standard
//! output, everything else is log and goes to standard error.
//!
//! Exit codes: 0 when the command did what it says, 1 when it could not, 2 when it was not understood.

mod arguments;
mod cleanup;
mod daemon;
mod explain;
mod logging;
mod render;
mod table;

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

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sources = &arguments.sources;
    match &arguments.command {
        None => daemon::run(sources, &arguments.log),
        Some(Command::Render) => {
            logging::start(&arguments.log, None);
            render::run(sources)
        }
        Some(Command::Explain(question)) => {
            logging::start(&arguments.log, None);
            explain::run(sources, question)
        }
        Some(Command::Cleanup) => {
            logging::start(&arguments.log, None);
            cleanup::run()
        }
    }
}
