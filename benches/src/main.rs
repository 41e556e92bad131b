//! The benchmark's program. What it does is in the library.

use std::process::ExitCode;

use clap::Parser;
use kube_verdict_bench::cli;

fn main() -> ExitCode {
    match cli::main(cli::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
