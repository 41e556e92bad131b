//! The command line: a file for each command, and what several of them need.

pub mod compare;
pub mod inside;
mod programs;
pub mod report;
pub mod run;
pub mod turn;

use clap::{Parser, Subcommand};

use crate::Error;

const EXAMPLES: &str = "\
Examples:
  kube-verdict-bench run
      the standard picture, about 15 minutes
  kube-verdict-bench run --services 1,1000 --what program,change --minutes 5
      two sizes, without packets, streams and memory
  kube-verdict-bench run --modes kube-verdict-nftables,kube-proxy-iptables-legacy
      two contenders
  kube-verdict-bench report DIR
      the report once more, from DIR/results.json
  kube-verdict-bench compare OLD NEW
      what became slower or faster";

/// How fast are iptables mode, kube-proxy's nftables mode, IPVS and kube-verdict on this machine?
#[derive(Debug, Parser)]
#[command(name = "kube-verdict-bench", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure contenders side by side, and write a report
    Run(Box<run::Arguments>),
    /// Write the report of a run: Markdown and plots, from its results.json
    Report(report::Arguments),
    /// Say what became slower or faster from one run to another, beyond the noise of both
    Compare(compare::Arguments),
    /// Play one turn of one contender and print what was measured as lines of JSON: what `run` does many times
    Turn(turn::Arguments),
    /// Measure what kube-verdict's parts cost, each in its own place
    Inside(inside::Arguments),
}

/// Does it.
///
/// # Errors
/// In words for the user, with the next step.
pub fn main(arguments: Arguments) -> Result<std::process::ExitCode, Error> {
    match arguments.command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Report(arguments) => report::main(&arguments),
        Command::Compare(arguments) => compare::main(&arguments),
        Command::Turn(arguments) => turn::main(&arguments),
        Command::Inside(arguments) => inside::main(&arguments),
    }
}
