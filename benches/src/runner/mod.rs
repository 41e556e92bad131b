//! A run: turn after turn as the [`Plan`] says, until it is enough or the user wants no more; what turns tell becomes
//! [`Results`], which are on disk after every turn.
//!
//! Who is too slow at a size is a failure there, and is not tried at larger sizes and in later rounds; so is a single
//! measurement that takes too long. What fails at once is tried again in the next round: it costs no time.

mod cast;
mod host;
mod message;
mod plan;
mod process;
mod progress;
mod steps;
mod turn;

use std::collections::BTreeMap;
use std::time::Duration;

pub use cast::audition;
pub use host::machine;
pub use message::Message;
pub use plan::{Limit, Plan, Slot};
pub use process::{End, run};
pub use progress::Progress;
pub use steps::concerns;
pub use turn::{Order, limit, play};

use crate::Error;
use crate::contender::Contender;
use crate::contender::daemon::Programs;
use crate::measure::Effort;
use crate::results::{Failure, Group, Key, Results};
use crate::workload::Size;
use steps::FIRST;

/// How the error of what was not tried begins.
pub const NOT_TRIED: &str = "not tried";

/// What is the same in every turn.
#[derive(Clone, Debug)]
pub struct Setting {
    /// endpoints of each Service
    pub endpoints: u32,
    /// what is measured
    pub what: Vec<Group>,
    /// how much time a turn has
    pub effort: Effort,
    /// where contenders' programs are
    pub programs: Programs,
}

/// What a run needs of the world outside.
pub trait Outside {
    /// Plays a turn; what it tells goes to `hear`.
    fn play(&mut self, order: &Order, hear: &mut dyn FnMut(Message)) -> End;

    /// Time since the beginning.
    fn elapsed(&self) -> Duration;

    /// A turn begins, at this share of the whole.
    fn turn(&mut self, slot: &Slot, share: f64);

    /// A turn is over: results are to be kept.
    ///
    /// # Errors
    /// They cannot be.
    fn over(&mut self, results: &Results, took: Duration, failures: usize) -> Result<(), Error>;
}

/// Plays all turns.
///
/// # Errors
/// Results cannot be kept.
pub fn perform(
    mut plan: Plan,
    setting: &Setting,
    results: &mut Results,
    outside: &mut dyn Outside,
) -> Result<(), Error> {
    let sizes = plan.sizes();
    // From which size on a contender's step is left out.
    let mut slow: BTreeMap<(Contender, String), u32> = BTreeMap::new();
    while let Some(slot) = plan.next(outside.elapsed()) {
        let start = outside.elapsed();
        outside.turn(&slot, plan.share(start));
        let order = Order {
            contender: slot.contender,
            size: Size { services: slot.services, endpoints: setting.endpoints },
            what: setting.what.clone(),
            skip: (slow.iter())
                .filter(|((contender, _), from)| *contender == slot.contender && **from <= slot.services)
                .map(|((_, step), _)| step.clone())
                .collect(),
            effort: setting.effort,
            programs: setting.programs.clone(),
        };
        let heard = listen(&order, results, outside);
        for failure in &heard.failures {
            results.failures.push(Failure {
                contender: slot.contender,
                services: slot.services,
                what: failure.what.clone(),
                error: format!("round {}: {}", slot.round, failure.error),
            });
            if failure.slow {
                slow.entry((slot.contender, failure.what.clone())).or_insert(slot.services);
                results.failures.extend(untried(&sizes, &slot, &failure.what));
                if failure.what == FIRST {
                    plan.leave_out(slot.contender, slot.services);
                }
            }
        }
        if heard.end == End::Interrupted {
            results.notes.push(format!(
                "The run was interrupted in round {}; turns that were not over are partly here.",
                slot.round
            ));
            results.took = outside.elapsed().as_secs_f64();
            return outside.over(results, outside.elapsed() - start, heard.failures.len());
        }
        plan.played(slot, outside.elapsed() - start);
        results.rounds = plan.rounds();
        results.took = outside.elapsed().as_secs_f64();
        outside.over(results, outside.elapsed() - start, heard.failures.len())?;
    }
    Ok(())
}

struct Heard {
    end: End,
    failures: Vec<Mishap>,
}

struct Mishap {
    what: String,
    error: String,
    slow: bool,
}

/// One turn: samples go to the results.
fn listen(order: &Order, results: &mut Results, outside: &mut dyn Outside) -> Heard {
    let mut step = "the beginning".to_owned();
    let mut failures = Vec::new();
    let end = outside.play(order, &mut |message| match message {
        Message::Step(name) => step = name,
        Message::Failure { what, error, slow } => failures.push(Mishap { what, error, slow }),
        // The floor of programming is measured together with kube-verdict, which may not play.
        Message::Sample { contender, quantity, variant, value } => {
            if results.contenders.iter().any(|entrant| entrant.contender == contender) {
                results.add(Key { quantity, contender, size: order.size, variant }, value);
            }
        }
    });
    let limit = limit(&order.effort);
    match &end {
        End::Over | End::Interrupted => {}
        End::Died(error) => {
            failures.push(Mishap { what: step, error: format!("the turn died: {error}"), slow: false });
        }
        End::Silent => failures.push(Mishap {
            what: step,
            error: format!("it did not come to an end within {} s, and was killed", limit.as_secs()),
            slow: true,
        }),
    }
    Heard { end, failures }
}

/// What is not tried any more.
fn untried<'a>(sizes: &'a [u32], slot: &'a Slot, what: &'a str) -> impl Iterator<Item = Failure> + 'a {
    let larger = sizes.iter().filter(|size| **size > slot.services);
    larger.map(move |services| Failure {
        contender: slot.contender,
        services: *services,
        what: what.to_owned(),
        error: format!("{NOT_TRIED}: too slow at {}", slot.services),
    })
}

#[cfg(test)]
mod tests;
