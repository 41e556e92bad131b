//! A program that takes rules on standard input, in a node's namespace, within a time.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kube_verdict_scenario_tests::netns::Netns;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::Error;

/// What a program printed, and the CPU time that it took.
#[derive(Debug)]
pub struct Loaded {
    /// its standard output
    pub output: String,
    /// user and system time
    pub cpu: Duration,
}

/// Runs a program in a namespace with this input. It is killed when its time is over.
///
/// CPU time is that of all children of this process that end meanwhile: there should be no others.
///
/// # Errors
/// It is not there, refuses, or does not end in time.
pub fn load(netns: &Netns, words: &[&str], input: &str, patience: Duration) -> Result<Loaded, Error> {
    // Files rather than pipes: nobody has to read and write at the same time.
    let [mut given, mut said, mut complaint] =
        [tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?];
    given.write_all(input.as_bytes())?;
    given.rewind()?;
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(given).stdout(said.try_clone()?).stderr(complaint.try_clone()?);
    command.env("PATH", path());
    let before = children();
    let mut child =
        netns.run(|| command.spawn()).map_err(|error| format!("{program} cannot be started: {error}"))?;
    let pid = Pid::from_raw(child.id().cast_signed());
    let (ended, end) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        let is_late = end.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_late {
            let _ = kill(pid, Signal::SIGKILL);
        }
        is_late
    });
    // It is waited for, but not yet collected: until the watch has ended the number is its own.
    let waited = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    drop(ended);
    let is_late = watch.join().unwrap_or_default();
    let status = child.wait()?;
    waited?;
    if is_late {
        return Err(format!("{program} had not ended after {patience:?} and was killed").into());
    }
    if !status.success() {
        let complaint = text(&mut complaint)?;
        let complaint = complaint.lines().take(5).collect::<Vec<_>>().join("; ");
        return Err(format!("{program} ended with {status}: {complaint}").into());
    }
    Ok(Loaded { output: text(&mut said)?, cpu: children().saturating_sub(before) })
}

/// Programs of administrators are looked for too.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn text(file: &mut File) -> Result<String, Error> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// CPU time of children that were waited for.
fn children() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            Duration::from_micros(time.tv_sec().unsigned_abs() * 1_000_000 + time.tv_usec().unsigned_abs())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_refusals_and_lateness() {
        let netns = Netns::new();
        let patience = Duration::from_secs(60);
        let loaded = load(&netns, &["cat"], "rules\n", patience).expect("cat runs");
        assert_eq!(loaded.output, "rules\n");
        let refusal = load(&netns, &["sh", "-c", "echo no such chain >&2; exit 3"], "", patience);
        assert!(refusal.is_err_and(|error| error.to_string().ends_with("no such chain")));
        let late = load(&netns, &["sleep", "1000"], "", Duration::from_millis(50));
        assert!(late.is_err_and(|error| error.to_string().contains("was killed")));
        assert!(load(&netns, &["no-such-program"], "", patience).is_err());
    }
}
