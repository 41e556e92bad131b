//! A child process, and what the kernel says of it: CPU time, memory, how it ended.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::tether::{Tether, try_spawn};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::reap::{Reaped, reap};
use super::tail::Tail;
use crate::Error;
use crate::contender::Memory;

/// A process in a node. It is killed when this is dropped, and when this process dies.
#[derive(Debug)]
pub struct Process {
    child: Child,
    _tether: Tether,
    log: Tail,
    ended: Option<Reaped>,
}

impl Process {
    /// Starts it in a namespace. What it says to standard error is kept, as far as it is the last.
    pub fn start(node: &Netns, mut command: Command) -> Result<Self, Error> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let program = command.get_program().to_owned();
        let (mut child, tether) = try_spawn(node, command)
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let log = child.stderr.take().map(Tail::of).unwrap_or_default();
        Ok(Process { child, _tether: tether, log, ended: None })
    }

    /// How it ended, in words; none: it goes on.
    pub fn end(&mut self) -> Result<Option<String>, Error> {
        if self.ended.is_none() {
            self.ended = reap(self.child.id(), false)?;
        }
        Ok(self.ended.map(|ended| format!("{}. Its last words:\n{}", ended.status, self.log.lines())))
    }

    /// SIGTERM, and waits; the most that was resident, its children included as far as that is known.
    pub fn stop(mut self, patience: Duration) -> Result<u64, Error> {
        let known = self.memory()?.peak;
        kill(self.pid(), Signal::SIGTERM)?;
        let start = Instant::now();
        loop {
            self.end()?;
            match self.ended {
                // For the kernel a process also held what this one did, whose copy it was at first.
                Some(ended) if ended.peak > own_peak() => return Ok(known.max(ended.peak)),
                Some(_) => return Ok(known),
                None if start.elapsed() > patience => {
                    return Err(
                        format!("it goes on {patience:?} after SIGTERM:\n{}", self.log.lines()).into()
                    );
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// What it used, and what its children used that it waited for.
    pub fn cpu(&self) -> Result<Duration, Error> {
        // To the nanosecond; only of children the kernel tells no better than in ticks.
        let own =
            clock_getcpuclockid(self.pid()).and_then(clock_gettime).map_err(|error| self.gone(&error))?;
        let stat = self.read("stat")?;
        let ticks = children(&stat).ok_or_else(|| format!("/proc/PID/stat is not understood: {stat:?}"))?;
        let second = sysconf(SysconfVar::CLK_TCK)?.filter(|ticks| *ticks > 0).unwrap_or(100);
        Ok(Duration::from(own) + Duration::from_secs_f64(ticks as f64 / second as f64))
    }

    /// What it holds.
    pub fn memory(&self) -> Result<Memory, Error> {
        let status = self.read("status")?;
        let bytes = |key: &str| {
            kilobytes(&status, key)
                .map(|kilobytes| kilobytes * 1024)
                .ok_or_else(|| format!("/proc/PID/status has no {key} of {}: it has ended", self.child.id()))
        };
        Ok(Memory { resident: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn read(&self, file: &str) -> Result<String, Error> {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).map_err(|error| self.gone(&error))
    }

    fn gone(&self, error: &dyn std::error::Error) -> Error {
        format!("the process is no longer there ({error}). Its last words:\n{}", self.log.lines()).into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = kill(self.pid(), Signal::SIGKILL);
            let _ = reap(self.child.id(), true);
        }
    }
}

/// The most that this process ever held.
fn own_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    kilobytes(&status, "VmHWM:").map_or(u64::MAX, |kilobytes| kilobytes * 1024)
}

/// Ticks of the children that were waited for, in user and in kernel mode, as /proc/PID/stat has them: the 16th and the
/// 17th field. The second one is a name in brackets, with anything in it.
fn children(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(13)?.parse::<u64>().ok()? + fields.get(14)?.parse::<u64>().ok()?)
}

/// A line of /proc/PID/status.
fn kilobytes(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 20 0 0 11 12 13 14 20 0 1 0 5 6 7";
        assert_eq!(children(stat), Some(27));
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmHWM:\t 12 kB\nVmRSS:\t 10 kB\n", "VmRSS:"), Some(10));
        assert_eq!(kilobytes("State:\tZ (zombie)\n", "VmRSS:"), None);
    }

    #[test]
    fn a_childs_child_counts() {
        let netns = Netns::new();
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; sleep 60"]);
        let mut process = Process::start(&netns, command).expect("sh");
        let start = Instant::now();
        while process.cpu().expect("it runs") < Duration::from_millis(30) {
            assert!(start.elapsed() < Duration::from_secs(60), "its child used no CPU time");
            thread::sleep(Duration::from_millis(5));
        }
        let memory = process.memory().expect("it runs");
        assert!(memory.resident > 100 << 10 && memory.peak >= memory.resident, "{memory:?}");
        assert!(process.end().expect("it can be asked").is_none());
        assert!(process.stop(Duration::from_secs(60)).expect("it ends") >= memory.peak);
    }

    #[test]
    fn how_it_ended_is_told() {
        let netns = Netns::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'a reason' >&2; exit 7"]);
        let mut process = Process::start(&netns, command).expect("sh");
        let start = Instant::now();
        let end = loop {
            match process.end().expect("it can be asked") {
                Some(end) if end.contains("a reason") => break end,
                _ => assert!(start.elapsed() < Duration::from_secs(60), "it goes on, or gives no reason"),
            }
        };
        assert!(end.starts_with("exit status: 7"), "{end}");
        let missing = Process::start(&netns, Command::new("/nowhere/program"));
        assert!(missing.is_err_and(|error| error.to_string().contains("/nowhere/program cannot be started")));
    }
}
