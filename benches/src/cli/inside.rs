//! `inside`: what kube-verdict's parts cost.

use std::process::ExitCode;

use clap::Args;

use super::programs::Paths;
use crate::Error;
use crate::inside::{self, Part};

/// Options of `inside`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    part: Part,
    #[command(flatten)]
    programs: Paths,
}

/// Measures.
///
/// # Errors
/// Something that is needed is not there.
pub fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let programs = arguments.programs.find()?;
    inside::measure(&arguments.part, &programs.kube_verdict).map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}
