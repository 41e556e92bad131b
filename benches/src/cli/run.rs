//! `run`: measures, and ends with a report.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::signal::{SigSet, Signal};

use super::programs::Paths;
use super::turn;
use crate::Error;
use crate::contender::daemon::Programs;
use crate::contender::{Contender, Kind};
use crate::measure::Effort;
use crate::report;
use crate::results::{Absence, Entrant, Group, Results, SCHEMA};
use crate::runner::{self, End, Limit, Message, Order, Outside, Plan, Progress, Setting, Slot};
use crate::workload::Size;

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Numbers of Services
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,1000,10000")]
    services: Vec<u32>,
    /// Number of endpoints of each Service
    #[arg(long, value_name = "N", default_value_t = 10)]
    endpoints: u32,
    /// Who takes part; all that this machine can have, unless named. Rules of kube-proxy's shape stand in for a
    /// kube-proxy that is not there
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    modes: Vec<Contender>,
    /// What is measured
    #[arg(
        long,
        value_name = "WHAT",
        value_delimiter = ',',
        default_value = "program,change,churn,datapath,memory"
    )]
    what: Vec<Group>,
    /// Play rounds for about so many minutes; the first is played to its end
    #[arg(long, value_name = "N", default_value_t = 15.0, conflicts_with = "rounds")]
    minutes: f64,
    /// Play so many rounds, however long they take
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Seconds to wait for anything to come true; who is slower has failed, and is not tried at larger sizes
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Seconds that a measurement takes about once it has enough [default: by the time that there is]
    #[arg(long, value_name = "SECONDS")]
    budget: Option<f64>,
    /// Where to write results.json and the report; must not hold another run's [default: bench-DATE-TIME, in target/ if there is one]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    programs: Paths,
}

/// Measures.
///
/// # Errors
/// It is not possible here; or nobody takes part.
pub fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    arguments.check()?;
    if !nix::unistd::geteuid().is_root() {
        return Err("network namespaces need root: run this again with sudo".into());
    }
    let programs = arguments.programs.find()?;
    let folder = arguments.folder()?;
    let interrupted = watch_signals()?;
    let mut results = begin(&programs);
    let cast = arguments.cast(&programs, &mut results);
    if results.contenders.is_empty() {
        let reasons: Vec<&str> = results.absent.iter().map(|absence| absence.reason.as_str()).collect();
        return Err(format!("nobody can take part: {}", reasons.join("; ")).into());
    }
    let limit = match arguments.rounds {
        Some(rounds) => Limit::Rounds(rounds),
        None => Limit::Time(Duration::try_from_secs_f64(arguments.minutes * 60.0)?),
    };
    let plan = Plan::new(arguments.turns(&cast), limit);
    let setting = Setting {
        endpoints: arguments.endpoints,
        what: arguments.what.clone(),
        effort: arguments.effort(limit, arguments.turns(&cast).len()),
        programs,
    };
    results.notes.extend(notes(&setting, limit));
    let about = match limit {
        Limit::Time(time) => Some(time),
        Limit::Rounds(_) => None,
    };
    let mut house = House {
        start: Instant::now(),
        progress: Progress::start(about),
        folder,
        interrupted,
        temporary: tempfile::tempdir()?,
    };
    runner::perform(plan, &setting, &mut results, &mut house)?;
    house.progress.end();
    let report = report::write(&results, &house.folder)?;
    eprintln!("{} figures, {} failures", results.figures.len(), results.failures.len());
    println!("{}", report.display());
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// What clap cannot know.
    fn check(&self) -> Result<(), Error> {
        for services in &self.services {
            let size = Size { services: *services, endpoints: self.endpoints };
            if *services == 0 || self.endpoints == 0 {
                return Err(
                    "a Service at least, with an endpoint at least: --services 1 --endpoints 1".into()
                );
            }
            if !size.fits() {
                return Err(format!(
                    "{services} Services of {} endpoints are more than the million addresses that there are: \
                     fewer --services, or fewer --endpoints",
                    self.endpoints
                )
                .into());
            }
        }
        match self.minutes > 0.0 && self.minutes < 1e6 && self.patience > 0 {
            true => Ok(()),
            false => Err("--minutes and --patience need some time: more than 0".into()),
        }
    }

    fn folder(&self) -> Result<PathBuf, Error> {
        let folder = match &self.output {
            Some(folder) => folder.clone(),
            None => {
                let name = format!("bench-{}", jiff::Zoned::now().strftime("%Y%m%d-%H%M%S"));
                // Where this is built, what is made belongs there.
                let target = Path::new("target");
                if target.is_dir() { target.join(name) } else { name.into() }
            }
        };
        if folder.join(crate::results::FILE).exists() {
            return Err(
                format!("{} holds a run already: name another folder with -o", folder.display()).into()
            );
        }
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        Ok(folder)
    }

    /// Who takes part; who cannot is written down.
    fn cast(&self, programs: &Programs, results: &mut Results) -> Vec<Contender> {
        let wanted = |contender: &&Contender| self.modes.is_empty() || self.modes.contains(contender);
        for contender in Contender::ALL.iter().copied().filter(|contender| wanted(&contender)) {
            if self.modes.is_empty() && stands_in(contender, results) {
                results.notes.push(format!(
                    "{} did not play: the real one did. `--modes` names who plays.",
                    contender.label()
                ));
                continue;
            }
            match runner::audition(contender, programs) {
                Ok(version) => results.contenders.push(Entrant { contender, version }),
                Err(reason) => results.absent.push(Absence { contender, reason }),
            }
        }
        results.contenders.iter().map(|entrant| entrant.contender).collect()
    }

    /// Who plays at which size.
    fn turns(&self, cast: &[Contender]) -> Vec<(u32, Contender)> {
        let sizes = |contender: Contender| match contender {
            Contender::FloorRouting | Contender::FloorConntrack | Contender::FloorDnat => vec![0],
            _ => self.services.clone(),
        };
        let concerned = |contender: &&Contender| match contender {
            Contender::FloorRouting | Contender::FloorConntrack | Contender::FloorDnat => {
                self.what.contains(&Group::Datapath)
            }
            Contender::FloorNetlink => self.what.contains(&Group::Program),
            _ => true,
        };
        let cast = cast.iter().filter(concerned);
        cast.flat_map(|who| sizes(*who).into_iter().map(|services| (services, *who))).collect()
    }

    /// A turn's share of the time, of which most goes to waiting for contenders to come to rest.
    fn effort(&self, limit: Limit, turns: usize) -> Effort {
        let budget = match (self.budget, limit) {
            (Some(budget), _) => budget.clamp(0.01, 3600.0),
            (None, Limit::Time(time)) => (time.as_secs_f64() / turns.max(1) as f64 / 12.0).clamp(0.5, 2.0),
            (None, Limit::Rounds(_)) => 1.0,
        };
        Effort {
            patience: Duration::from_secs(self.patience),
            budget: Duration::from_secs_f64(budget),
            changes: 100,
        }
    }
}

/// Whether this is a stand-in for somebody who plays himself.
fn stands_in(contender: Contender, results: &Results) -> bool {
    let real = match contender {
        Contender::RulesNftables => Contender::KubeProxyNftables,
        Contender::RulesIptablesLegacy => Contender::KubeProxyIptablesLegacy,
        Contender::RulesIptablesNft => Contender::KubeProxyIptablesNft,
        _ => return false,
    };
    debug_assert_eq!(contender.kind(), Kind::Rules);
    results.contenders.iter().any(|entrant| entrant.contender == real)
}

fn begin(programs: &Programs) -> Results {
    Results {
        schema: SCHEMA,
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        command: std::env::args().collect(),
        machine: runner::machine(programs),
        ..Results::default()
    }
}

fn notes(setting: &Setting, limit: Limit) -> Vec<String> {
    let Effort { patience, budget, changes } = setting.effort;
    let rounds = match limit {
        Limit::Rounds(1) => "one round was asked for".to_owned(),
        Limit::Rounds(rounds) => format!("{rounds} rounds were asked for"),
        Limit::Time(time) => format!(
            "rounds were played for about {:.0} minutes, small sizes more often than large ones",
            time.as_secs_f64() / 60.0
        ),
    };
    vec![
        format!("In each round every contender has a turn at every size, and each round begins with another one; {rounds}."),
        "Every turn begins with new network namespaces and a new process; nothing is warm but the kernel's and the \
         disk's caches, which earlier turns have filled."
            .to_owned(),
        "Clients and endpoints are pinned to the machine's last core; contenders are not pinned, and have all of them. \
         Packets and connections are measured after packets of the same kind that do not count."
            .to_owned(),
        format!(
            "Whatever does not come true within {} s is a failure; a measurement takes about {:.1} s, and at most \
             {changes} changes.",
            patience.as_secs(),
            budget.as_secs_f64()
        ),
    ]
}

/// The world outside of the loop: processes, the clock, the disk and who watches.
struct House {
    start: Instant,
    progress: Progress,
    folder: PathBuf,
    interrupted: Arc<AtomicBool>,
    temporary: tempfile::TempDir,
}

impl Outside for House {
    fn play(&mut self, order: &Order, hear: &mut dyn FnMut(Message)) -> End {
        let program = match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => return End::Died(format!("this program is not found any more: {error}")),
        };
        let mut command = Command::new(program);
        command.args(turn::words(order));
        // Temporary files of a turn that is killed go with the run's; Debian keeps programs where not every user looks.
        command.env("TMPDIR", self.temporary.path());
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        let progress = &self.progress;
        let stop = || self.interrupted.load(Ordering::Relaxed);
        runner::run(command, runner::limit(&order.effort), &stop, &mut |message| {
            if let Message::Step(name) = &message {
                progress.step(name);
            }
            if let Message::Failure { what, error, .. } = &message {
                progress.say(&format!("{}: {what}: {error}", order.contender.label()));
            }
            hear(message);
        })
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn turn(&mut self, slot: &Slot, share: f64) {
        self.progress.turn(slot, share);
    }

    fn over(&mut self, results: &Results, took: Duration, failures: usize) -> Result<(), Error> {
        self.progress.over(took, failures);
        results.save(&self.folder)?;
        Ok(())
    }
}

/// Set by Ctrl-C, and by a request to end: what was measured until then is reported. The second one ends at once.
fn watch_signals() -> Result<Arc<AtomicBool>, Error> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    // Threads that are started later inherit it, and so do programs: a turn undoes it.
    signals.thread_block()?;
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            if set.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!("\ninterrupted: the report is of what there is; once more ends at once");
        }
    });
    Ok(flag)
}
