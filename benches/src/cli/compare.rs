//! `compare`.
use crate::Error;
use clap::Args;
use std::process::ExitCode;
/// Options of `compare`.
#[derive(Debug, Args)]
pub struct Arguments {}
/// Compares.
///
/// # Errors
/// None.
pub fn main(_arguments: &Arguments) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
