//! Contenders that are real processes: kube-verdict and the real kube-proxy, each in a stage's node, each in front of an
//! API server of the harness's own ([`crate::api`]).
//!
//! All are given the same KubeProxyConfiguration, but for the mode: periods, rates and verbosity are at their defaults.
//! Nothing is asked of them but what the kernel says of their processes.

mod candidate;
mod files;
mod order;
mod process;
mod reap;
mod tail;

use std::time::Duration;

pub use candidate::{Candidate, Programs};

use super::{Contestant, Kind, Memory};
use crate::Error;
use crate::api::Api;
use crate::stage::Stage;
use crate::workload::{Change, World};
use files::Files;
use kube_verdict_scenario_tests::netns::Netns;
use process::Process;

/// How long a process may take to end when it is asked to.
const ENDING: Duration = Duration::from_secs(60);

/// A contender that is a process, with its API server and its files. The process is gone with this value.
#[derive(Debug)]
pub struct Daemon {
    candidate: Candidate,
    process: Option<Process>,
    /// the most that processes held which have ended
    peak: u64,
    node: Netns,
    files: Files,
    api: Api,
}

impl Daemon {
    /// On a stage, with its API server, which has this world. It is not started.
    ///
    /// # Errors
    /// Its files cannot be written, or the API server cannot listen.
    pub fn new(candidate: &Candidate, stage: &Stage, world: &World) -> Result<Self, Error> {
        let api = Api::start(&stage.node, world)?;
        let files = Files::write(candidate, api.address())?;
        let (candidate, node) = (candidate.clone(), stage.node.share());
        Ok(Daemon { candidate, process: None, peak: 0, node, files, api })
    }

    fn running(&self) -> Result<&Process, Error> {
        let label = self.candidate.contender().label();
        self.process.as_ref().ok_or_else(|| format!("{label} does not run").into())
    }

    /// An error that says how the process ended, if it has, or what the API server could not answer.
    fn check(&mut self) -> Result<(), Error> {
        let label = self.candidate.contender().label();
        if let Some(question) = self.api.refused() {
            return Err(
                format!("{label} asked what the benchmark's API server does not know, {question}").into()
            );
        }
        match self.process.as_mut().map(Process::end).transpose()?.flatten() {
            Some(end) => Err(format!("{label} has ended: {end}").into()),
            None => Ok(()),
        }
    }
}

impl Contestant for Daemon {
    fn start(&mut self) -> Result<(), Error> {
        if self.process.is_some() {
            return Err(format!("{} runs already", self.candidate.contender().label()).into());
        }
        self.process = Some(Process::start(&self.node, self.files.command(&self.candidate))?);
        Ok(())
    }

    fn tell(&mut self, changes: &[Change]) -> Result<(), Error> {
        self.api.tell(changes);
        self.check()
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.check()?;
        if let Some(process) = self.process.take() {
            self.peak = self.peak.max(process.stop(ENDING)?);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        Daemon::check(self)
    }

    fn cpu(&self) -> Result<Duration, Error> {
        self.running()?.cpu()
    }

    fn memory(&self) -> Result<Option<Memory>, Error> {
        let now = match &self.process {
            Some(process) => process.memory()?,
            None => Memory { resident: 0, peak: 0 },
        };
        Ok(Some(Memory { peak: now.peak.max(self.peak), ..now }))
    }

    /// kube-verdict applies a change at once, whenever the one before it was.
    fn quiet(&self) -> Duration {
        match self.candidate.contender().kind() {
            Kind::Ours => Duration::from_millis(100),
            _ => Duration::from_millis(1100),
        }
    }

    fn order(&self) -> Result<Option<Vec<u32>>, Error> {
        match self.candidate.order_program() {
            Some(program) => self.node.run(|| order::read(program, self.api.world())).map(Some),
            None => Ok(None),
        }
    }
}
