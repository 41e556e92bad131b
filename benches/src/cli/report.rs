//! `report`: the report of a run, once more.

use std::path::{Path, PathBuf};
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
    /// Also put the overview and the main table between the marks of this README
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
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
    let folder = arguments.output.as_deref().or(beside).unwrap_or_else(|| Path::new("."));
    println!("{}", report::write(&results, folder)?.display());
    if let Some(readme) = &arguments.readme {
        let picture = folder.join(report::OVERVIEW_FILE);
        let text = std::fs::read_to_string(readme)
            .map_err(|error| format!("cannot read {}: {error}", readme.display()))?;
        let text = report::readme(&text, &results, &relative(&picture, readme)?)
            .map_err(|error| format!("{}: {error}", readme.display()))?;
        std::fs::write(readme, text)
            .map_err(|error| format!("cannot write {}: {error}", readme.display()))?;
        println!("{}", readme.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A file as README, which is above it, calls it.
fn relative(file: &Path, readme: &Path) -> Result<String, Error> {
    let (file, readme) = (file.canonicalize()?, readme.canonicalize()?);
    let beside = readme.parent().unwrap_or(Path::new("/"));
    match file.strip_prefix(beside) {
        Ok(path) => Ok(path.display().to_string()),
        Err(_) => Err(format!(
            "{} is not beneath {}: name a folder there with -o",
            file.display(),
            beside.display()
        )
        .into()),
    }
}
