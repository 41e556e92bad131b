//! What a turn's process tells the runner, a line of JSON each on its standard output, as it comes: what was measured
//! before a turn died is kept.

use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::results::Quantity;

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// A step begins.
    Step(String),
    /// Something was measured.
    Sample {
        /// of whom
        contender: Contender,
        /// what
        quantity: Quantity,
        /// under which circumstances
        variant: String,
        /// how much
        value: f64,
    },
    /// Something could not be measured.
    Failure {
        /// the step
        what: String,
        /// what came instead
        error: String,
        /// It was given all the time that there is: larger sizes would take longer still.
        slow: bool,
    },
}

impl Message {
    /// A line without its end.
    ///
    /// # Errors
    /// A number that JSON does not have.
    pub fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Of a line; none of what something else wrote there.
    pub fn parse(line: &str) -> Option<Message> {
        serde_json::from_str(line).ok()
    }
}
