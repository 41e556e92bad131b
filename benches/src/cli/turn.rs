//! `turn`: one turn of one contender, told on standard output. `run` starts it again and again; by hand it shows what a
//! contender does when something is odd.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::programs::Paths;
use crate::Error;
use crate::contender::Contender;
use crate::measure::Effort;
use crate::results::Group;
use crate::runner::{self, Order};
use crate::workload::Size;

/// Options of `turn`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Who plays
    #[arg(long)]
    contender: Contender,
    /// Number of Services
    #[arg(long, default_value_t = 100)]
    services: u32,
    /// Number of endpoints of each Service
    #[arg(long, default_value_t = 10)]
    endpoints: u32,
    /// What is measured
    #[arg(long, value_delimiter = ',', default_value = "program,change,churn,datapath,memory")]
    what: Vec<Group>,
    /// Steps that are left out
    #[arg(long)]
    skip: Vec<String>,
    /// Seconds to wait for anything to come true
    #[arg(long, default_value_t = 60.0)]
    patience: f64,
    /// Seconds that a measurement takes about once it has enough
    #[arg(long, default_value_t = 2.0)]
    budget: f64,
    /// Changes after which there are enough for percentiles
    #[arg(long, default_value_t = 100)]
    changes: u32,
    #[command(flatten)]
    programs: Paths,
}

/// Plays it.
///
/// # Errors
/// It cannot be played.
pub fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    runner::play(&Order {
        contender: arguments.contender,
        size: Size { services: arguments.services, endpoints: arguments.endpoints },
        what: arguments.what.clone(),
        skip: arguments.skip.clone(),
        effort: Effort {
            patience: Duration::try_from_secs_f64(arguments.patience)?,
            budget: Duration::try_from_secs_f64(arguments.budget)?,
            changes: arguments.changes,
        },
        programs: arguments.programs.find()?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The words of a command line that plays this turn.
pub fn words(order: &Order) -> Vec<String> {
    let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
        value().map_or(String::new(), |value| value.get_name().to_owned())
    };
    let what: Vec<String> =
        order.what.iter().map(|group| name(&|| clap::ValueEnum::to_possible_value(group))).collect();
    let mut words = vec![
        "turn".to_owned(),
        format!("--contender={}", name(&|| clap::ValueEnum::to_possible_value(&order.contender))),
        format!("--services={}", order.size.services),
        format!("--endpoints={}", order.size.endpoints),
        format!("--what={}", what.join(",")),
        format!("--patience={}", order.effort.patience.as_secs_f64()),
        format!("--budget={}", order.effort.budget.as_secs_f64()),
        format!("--changes={}", order.effort.changes),
        format!("--daemon={}", order.programs.kube_verdict.display()),
    ];
    words.extend(order.skip.iter().map(|step| format!("--skip={step}")));
    words.extend(order.programs.kube_proxy.iter().map(|path| format!("--kube-proxy={}", path.display())));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli;
    use crate::contender::daemon::Programs;

    #[test]
    fn the_words_of_a_turn_are_understood() {
        let order = Order {
            contender: Contender::KubeProxyIptablesLegacy,
            size: Size { services: 5, endpoints: 3 },
            what: vec![Group::Program, Group::Churn],
            skip: vec!["first sync".into()],
            effort: Effort {
                patience: Duration::from_millis(1500),
                budget: Duration::from_secs(2),
                changes: 7,
            },
            programs: Programs { kube_verdict: "/bin/sh".into(), kube_proxy: Some("/bin/cat".into()) },
        };
        let line = [vec!["bench".to_owned()], words(&order)].concat();
        let cli::Command::Turn(found) = cli::Arguments::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        assert_eq!((found.contender, found.services, found.endpoints), (order.contender, 5, 3));
        assert_eq!((found.what, found.skip, found.changes), (order.what, order.skip, 7));
        assert_eq!((found.patience, found.budget), (1.5, 2.0));
        let programs = found.programs.find().unwrap();
        assert_eq!(programs.kube_proxy, Some("/bin/cat".into()));
    }
}
