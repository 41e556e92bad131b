//! A turn's process, from the runner's side: it is started, listened to, and killed when it says nothing any more.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use super::message::Message;

/// How often it is looked whether to go on.
const LOOK: Duration = Duration::from_millis(100);
/// Lines of a process' standard error that are kept for a failure.
const LAST_WORDS: usize = 8;

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It said all that it had to say.
    Over,
    /// It died, or did not begin.
    Died(String),
    /// It was silent for too long, and was killed.
    Silent,
    /// The user wants no more.
    Interrupted,
}

/// Runs the command to its end; what it says goes to `hear`. It is killed when it says nothing for `patience`, and when
/// `stop` says so.
pub fn run(
    command: Command,
    patience: Duration,
    stop: &dyn Fn() -> bool,
    hear: &mut dyn FnMut(Message),
) -> End {
    let (mut child, _starter) = match start(command) {
        Ok(started) => started,
        Err(error) => return End::Died(error),
    };
    let words = child.stderr.take().map(|stderr| thread::spawn(move || last_words(stderr)));
    let messages = messages(&mut child);
    let mut heard = Instant::now();
    let end = loop {
        match messages.recv_timeout(LOOK) {
            Ok(message) => {
                heard = Instant::now();
                hear(message);
            }
            Err(RecvTimeoutError::Disconnected) => break End::Over,
            Err(RecvTimeoutError::Timeout) if stop() => break End::Interrupted,
            Err(RecvTimeoutError::Timeout) if heard.elapsed() > patience => break End::Silent,
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    if end != End::Over {
        let _ = child.kill();
    }
    let status = child.wait();
    let words = words.and_then(|words| words.join().ok()).unwrap_or_default();
    match status {
        Ok(status) if end == End::Over && !status.success() => End::Died(format!("{status}: {words}")),
        Err(error) => End::Died(error.to_string()),
        Ok(_) => end,
    }
}

/// Starts the command as the first process of a PID namespace: on a thread of its own, since it is the thread that asks
/// for the namespace, and since the process is killed when that thread ends.
fn start(mut command: Command) -> Result<(Child, std::sync::mpsc::Sender<()>), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (alive, over) = channel::<()>();
    let (give, take) = channel();
    thread::spawn(move || {
        let started = unshare(CloneFlags::CLONE_NEWPID)
            .map_err(|error| format!("cannot make a PID namespace: {error}"))
            .and_then(|()| {
                command.spawn().map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))
            });
        let _ = give.send(started);
        let _ = over.recv();
    });
    let child = take.recv().map_err(|_| "the starting thread ended".to_owned())??;
    Ok((child, alive))
}

fn messages(child: &mut Child) -> Receiver<Message> {
    let (give, take) = channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(message) = Message::parse(&line)
                    && give.send(message).is_err()
                {
                    return;
                }
            }
        });
    }
    take
}

/// Reads to the end; the last lines, as one.
fn last_words(stderr: impl Read) -> String {
    let mut lines = VecDeque::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        lines.push_back(line.trim().to_owned());
        if lines.len() > LAST_WORDS {
            lines.pop_front();
        }
    }
    Vec::from(lines).join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn run_script(script: &str, patience: Duration) -> (End, Vec<Message>) {
        let mut heard = Vec::new();
        let end = run(sh(script), patience, &|| false, &mut |message| heard.push(message));
        (end, heard)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_it_says_is_heard_and_noise_is_not() {
        let (end, heard) = run_script("echo '{\"step\":\"first\"}'; echo noise; echo $$ >&2", LONG);
        assert_eq!((end, heard), (End::Over, vec![Message::Step("first".into())]));
    }

    #[test]
    fn what_was_said_before_a_death_is_kept_and_so_are_the_last_words() {
        let (end, heard) = run_script("echo '{\"step\":\"first\"}'; echo 'what a pity' >&2; exit 3", LONG);
        assert_eq!(heard.len(), 1);
        assert!(matches!(end, End::Died(error) if error.contains("what a pity") && error.contains('3')));
    }

    #[test]
    fn the_silent_are_killed_and_whom_they_started() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("(sleep 1.5; echo still there > {}) & sleep 100", file.path().display());
        assert_eq!(run_script(&script, Duration::from_millis(300)).0, End::Silent);
        thread::sleep(Duration::from_secs(2));
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "");
    }

    #[test]
    fn an_interruption_ends_it() {
        assert_eq!(run(sh("sleep 100"), LONG, &|| true, &mut |_| {}), End::Interrupted);
    }

    #[test]
    fn a_programme_that_is_not_there_is_told() {
        let command = Command::new("/nowhere/at-all");
        assert!(
            matches!(run(command, LONG, &|| false, &mut |_| {}), End::Died(error) if error.contains("at-all"))
        );
    }
}
