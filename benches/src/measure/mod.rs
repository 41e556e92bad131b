//! What is measured of a contender, while it is on its stage: one turn, from an empty kernel on.
//!
//! Everything is seen from outside: by a client that asks a Service where it leads, by the kernel's account of the process.
//! No contender is asked how it does. A room for each [`Group`](crate::results::Group).

pub mod change;
pub mod churn;
pub mod datapath;
pub mod memory;
mod notice;
mod percentile;
pub mod programme;
mod rest;
pub mod restart;
mod served;

use std::time::Duration;

use crate::Error;
use crate::contender::Contestant;
use crate::results::Quantity;
use crate::stage::Stage;
use crate::workload::{Change, World};

/// How much time a turn may take. Fast contenders make many samples of a round in it, slow ones few.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// how long to wait for anything to come true, before it is a failure
    pub patience: Duration,
    /// about how long one measurement goes on once it has enough
    pub budget: Duration,
    /// changes after which there are enough for percentiles
    pub changes: u32,
}

/// One contender's turn.
pub struct Turn<'a> {
    /// where
    pub stage: &'a Stage,
    /// who
    pub contestant: &'a mut dyn Contestant,
    /// the objects as they are now
    pub world: World,
    /// how much
    pub effort: Effort,
    /// Where samples go: what, under which circumstances (empty: there is one way only), how much.
    pub record: &'a mut dyn FnMut(Quantity, &str, f64),
}

impl Turn<'_> {
    /// Makes changes, here and at the contender.
    ///
    /// # Errors
    /// Those of [`Contestant::tell`].
    pub fn tell(&mut self, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            self.world.apply(*change);
        }
        self.contestant.tell(changes)
    }

    fn record(&mut self, quantity: Quantity, variant: &str, sample: f64) {
        (self.record)(quantity, variant, sample);
    }
}

/// One error of all that went wrong while everything was tried.
fn together(troubles: Vec<String>) -> Result<(), Error> {
    if troubles.is_empty() { Ok(()) } else { Err(troubles.join("; ").into()) }
}
