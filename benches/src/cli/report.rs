//! `report`: the report of a run, once more.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Error;
use crate::report;
use crate::results::Results;

/// Options of `report`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A run's folder, or its results.json
    #[arg(value_name = "DIR")]
    results: PathBuf,
    /// Where to write it [default: beside results.json]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Writes it, and prints where it is.
///
/// # Errors
/// There are no results, or there is no place for it.
pub fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let results = Results::load(&arguments.results)?;
    let beside = if arguments.results.is_dir() {
        Some(arguments.results.as_path())
    } else {
        arguments.results.parent()
    };
    let folder = arguments.output.as_deref().or(beside).unwrap_or_else(|| std::path::Path::new("."));
    println!("{}", report::write(&results, folder)?.display());
    Ok(ExitCode::SUCCESS)
}
