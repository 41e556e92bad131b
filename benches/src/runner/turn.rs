//! One turn, in a process of its own: a new stage, a contender, one measurement after the other.
//!
//! The process is the first of its own PID namespace. When it ends, however it ends, the kernel ends everything that it
//! started; the network namespaces go with the last process in them.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};

use super::cast;
use super::message::Message;
use super::steps::{FIRST, STEPS};
use crate::Error;
use crate::contender::Contender;
use crate::contender::daemon::Programs;
use crate::measure::{Effort, Turn};
use crate::parts;
use crate::results::{Group, Key, Quantity};
use crate::stage::Stage;
use crate::workload::{Size, World};

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Order {
    /// who
    pub contender: Contender,
    /// how large a world
    pub size: Size,
    /// what is measured
    pub what: Vec<Group>,
    /// steps that took too long before
    pub skip: Vec<String>,
    /// how much time there is
    pub effort: Effort,
    /// where contenders' programs are
    pub programs: Programs,
}

/// Plays the turn and tells about it on standard output.
///
/// # Errors
/// There is no stage, or the contender cannot play at all.
pub fn play(order: &Order) -> Result<(), Error> {
    // Contenders are to hear what they are told; the runner keeps it from itself.
    SigSet::all().thread_unblock()?;
    isolate()?;
    if order.contender == Contender::FloorNetlink {
        tell(&Message::Step(KERNEL.to_owned()));
        return parts::measure_kernel(order.size, &mut |key, value| tell(&sample(key, value)));
    }
    let stage = catch("the stage", || Ok(Stage::new()))?;
    let world = World::new(order.size);
    let mut contestant = catch("the contender", || {
        cast::make(order.contender, &stage, &world, &order.programs, order.effort.patience)
    })?;
    let mut record = |quantity: Quantity, variant: &str, value: f64| {
        if order.what.contains(&quantity.group()) {
            let (contender, size) = (order.contender, order.size);
            tell(&sample(Key { quantity, contender, size, variant: variant.to_owned() }, value));
        }
    };
    let effort = order.effort;
    let mut turn =
        Turn { stage: &stage, contestant: contestant.as_mut(), world, effort, record: &mut record };
    for step in STEPS {
        let wanted = step.groups.iter().any(|group| order.what.contains(group));
        let can = step.kinds.contains(&order.contender.kind());
        if !wanted || !can || order.skip.iter().any(|name| name == step.name) {
            continue;
        }
        tell(&Message::Step(step.name.to_owned()));
        let start = Instant::now();
        if let Err(error) = catch(step.name, || (step.measure)(&mut turn)) {
            let slow = start.elapsed() >= effort.patience;
            tell(&Message::Failure { what: step.name.to_owned(), error: error.to_string(), slow });
            if step.name == FIRST {
                break;
            }
        }
    }
    // What still runs is ended by the kernel, with this process.
    Ok(())
}

/// What the floor beneath programming is called in failures.
const KERNEL: &str = "kernel";

fn sample(key: Key, value: f64) -> Message {
    let Key { quantity, contender, variant, .. } = key;
    Message::Sample { contender, quantity, variant, value }
}

/// A panic is a failure like others.
fn catch<T>(what: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        Err(format!("{what} panicked: {text}").into())
    })
}

fn tell(message: &Message) {
    if let Ok(line) = message.line() {
        // Who does not listen any more ends this process.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// In a PID namespace of one's own `/proc` has to be its own too: programs look for themselves there.
fn isolate() -> Result<(), Error> {
    if std::process::id() != 1 {
        return Ok(());
    }
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let none = None::<&str>;
    let done = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none));
    done.map_err(|error| format!("cannot mount a /proc of the turn's own: {error}").into())
}

/// How long a step may take before the runner takes it for dead: it may wait several times.
pub fn limit(effort: &Effort) -> Duration {
    effort.patience * 3 + effort.budget * 10 + Duration::from_secs(10)
}
