//! What the kernel tells of transactions that were not ours.

use std::fmt;

/// Who sent a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// the thread's name; for a program of one thread its own (NFTA_GEN_PROC_NAME)
    pub name: String,
    /// its number as the first pid namespace counts, which for a container is the node's (NFTA_GEN_PROC_PID)
    pub pid: u32,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has the right to change our tables still does not write our log's lines.
        write!(f, "{} (pid {})", self.name.escape_debug(), self.pid)
    }
}

/// One thing that the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// somebody's transaction is real
    Transaction {
        /// the ruleset's generation that it began
        generation: u32,
        /// whether it changed one of our tables
        is_about_us: bool,
        /// whose it is, where the kernel says so
        author: Option<Author>,
    },
    /// there were more than could be kept
    Lost,
}
