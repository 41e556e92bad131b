//! What was measured, as it is kept: `results.json`. The schema is these types; `docs/benchmark.md` describes it.
//!
//! A *figure* is one quantity of one contender at one size, with one sample of it for every round. What a round measured
//! many times (percentiles) is a sample of each percentile.

mod difference;
mod file;
mod noise;
mod quantity;

use serde::{Deserialize, Serialize};

pub use difference::{Change, Difference, Pair};
pub use file::FILE;
pub use noise::{Comparison, Spread, compare};
pub use quantity::{Better, Group, Quantity, Unit};

use crate::contender::Contender;

/// The schema's version; it grows when what was written before can no longer be read.
pub const SCHEMA: u32 = 1;

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// [`SCHEMA`]
    pub schema: u32,
    /// when the run began, RFC 3339, UTC
    pub started: String,
    /// how long it took, seconds
    pub took: f64,
    /// the command line
    pub command: Vec<String>,
    /// rounds that were played to their end
    pub rounds: u32,
    /// where it ran
    pub machine: Machine,
    /// who took part, in the order in which they are shown
    pub contenders: Vec<Entrant>,
    /// who could not take part, and why
    pub absent: Vec<Absence>,
    /// what was measured
    pub figures: Vec<Figure>,
    /// what could not be measured, or was not as it should be
    pub failures: Vec<Failure>,
    /// what a reader must know: what was pinned, warmed up, left out
    pub notes: Vec<String>,
}

/// Where a run took place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// release of the kernel
    pub kernel: String,
    /// model of the processor
    pub processor: String,
    /// cores that may be used
    pub cores: u32,
    /// memory, bytes
    pub memory: u64,
    /// programs and their versions: `nft`, `iptables`, …
    pub programs: Vec<(String, String)>,
}

/// A contender that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entrant {
    /// who
    pub contender: Contender,
    /// its version, as it says itself; empty: none
    pub version: String,
}

/// A contender that could not take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// who
    pub contender: Contender,
    /// why
    pub reason: String,
}

/// One quantity of one contender at one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// what
    pub quantity: Quantity,
    /// of whom
    pub contender: Contender,
    /// number of Services; 0: it does not depend on them
    pub services: u32,
    /// endpoints of each
    pub endpoints: u32,
    /// under which circumstances, where there are several: `udp, last service`, `1000 changes/s`
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// one for each round, in the quantity's unit
    pub samples: Vec<f64>,
}

/// Something that did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// of whom
    pub contender: Contender,
    /// number of Services
    pub services: u32,
    /// what was tried
    pub what: String,
    /// what came instead
    pub error: String,
}

impl Results {
    /// Adds a sample to the figure that it belongs to.
    pub fn add(&mut self, key: Key, sample: f64) {
        match self.figures.iter_mut().find(|figure| figure.is(&key)) {
            Some(figure) => figure.samples.push(sample),
            None => self.figures.push(Figure {
                quantity: key.quantity,
                contender: key.contender,
                services: key.size.services,
                endpoints: key.size.endpoints,
                variant: key.variant,
                samples: vec![sample],
            }),
        }
    }
}

/// Which figure a sample belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// what
    pub quantity: Quantity,
    /// of whom
    pub contender: Contender,
    /// at which size
    pub size: crate::workload::Size,
    /// under which circumstances; empty: there is only one way
    pub variant: String,
}

impl Figure {
    fn is(&self, key: &Key) -> bool {
        self.quantity == key.quantity
            && self.contender == key.contender
            && (self.services, self.endpoints) == (key.size.services, key.size.endpoints)
            && self.variant == key.variant
    }
}
