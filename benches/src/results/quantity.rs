//! What is measured, once each: its name in `results.json`, its title in a report, its unit, and which way is better.

use serde::{Deserialize, Serialize};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// seconds
    Seconds,
    /// of something, a second
    PerSecond,
    /// bytes
    Bytes,
    /// bits a second
    BitsPerSecond,
    /// things
    Count,
    /// share of one core, 1 being all of it
    Cores,
}

/// Which of two numbers is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// the lower
    Lower,
    /// the higher
    Higher,
}

/// What belongs together in a run (`--what`) and in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// first sync and restart
    Program,
    /// one change at a time
    Change,
    /// a stream of changes
    Churn,
    /// packets and connections
    Datapath,
    /// resident memory, and CPU at rest
    Memory,
}

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident: $group:ident, $unit:ident, $better:ident, $title:literal;)*) => {
        /// Something that is measured.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Quantity { $($(#[$doc])* $name,)* }

        impl Quantity {
            /// All of them, in the order of a report.
            pub const ALL: &[Quantity] = &[$(Quantity::$name,)*];

            /// What it belongs to.
            pub fn group(self) -> Group {
                match self { $(Quantity::$name => Group::$group,)* }
            }

            /// What its numbers count.
            pub fn unit(self) -> Unit {
                match self { $(Quantity::$name => Unit::$unit,)* }
            }

            /// Which way is better.
            pub fn better(self) -> Better {
                match self { $(Quantity::$name => Better::$better,)* }
            }

            /// As a report calls it.
            pub fn title(self) -> &'static str {
                match self { $(Quantity::$name => $title,)* }
            }
        }
    };
}

quantities! {
    /// From the start of an empty node until clients of the first and the last Service are served.
    FirstSync: Program, Seconds, Lower, "first sync: start until a client is served";
    /// CPU time of the process and its children until then.
    FirstSyncCpu: Program, Seconds, Lower, "first sync: CPU time";
    /// The objects are in hand, and the kernel has taken all of them: for kube-verdict's own table, and for the same
    /// batch in bytes before.
    Kernel: Program, Seconds, Lower, "objects in hand until the kernel has committed them";
    /// A change is made while nobody runs: from the start of the process until a client notices it.
    Restart: Program, Seconds, Lower, "restart: start until a change meanwhile is live";
    /// CPU time of that start.
    RestartCpu: Program, Seconds, Lower, "restart: CPU time";
    /// New connections that failed between the end of the process and then.
    RestartFailed: Program, Count, Lower, "restart: failed new connections";
    /// An endpoint is replaced: from the change until a client reaches the new one, the median of a round.
    ChangeP50: Change, Seconds, Lower, "one endpoint replaced until a client notices, p50";
    /// The 99th percentile of a round.
    ChangeP99: Change, Seconds, Lower, "one endpoint replaced until a client notices, p99";
    /// The worst of a round.
    ChangeMax: Change, Seconds, Lower, "one endpoint replaced until a client notices, max";
    /// CPU time of the process and its children for one such change.
    ChangeCpu: Change, Seconds, Lower, "one endpoint replaced: CPU time";
    /// The endpoints of up to 100 Services are replaced at once: until the last is live.
    Rolling: Change, Seconds, Lower, "rolling update of up to 100 Services until the last is live";
    /// A Service and its slice are created: until a client is served.
    Create: Change, Seconds, Lower, "Service created until a client is served";
    /// A Service and its slice are deleted: until clients are served no longer.
    Delete: Change, Seconds, Lower, "Service deleted until clients are served no longer";
    /// The highest rate of the ladder at which changes are live within two seconds; 0: there is none. kube-proxy waits one of
    /// them on purpose.
    ChurnRate: Churn, PerSecond, Higher, "endpoint changes a second without lagging";
    /// From a change in the stream until a client notices, the median.
    ChurnLagP50: Churn, Seconds, Lower, "in a stream of changes: until a client notices, p50";
    /// The 99th percentile.
    ChurnLagP99: Churn, Seconds, Lower, "in a stream of changes: until a client notices, p99";
    /// CPU that the process and its children take meanwhile.
    ChurnCpu: Churn, Cores, Lower, "in a stream of changes: CPU";
    /// New connections to a Service that nobody changes which failed meanwhile.
    ChurnFailed: Churn, Count, Lower, "in a stream of changes: failed new connections";
    /// The first packet of a UDP flow through the node, p50.
    FirstPacketP50: Datapath, Seconds, Lower, "first packet through the node, p50";
    /// The 99th percentile.
    FirstPacketP99: Datapath, Seconds, Lower, "first packet through the node, p99";
    /// TCP connections opened and closed, or UDP questions from new ports answered, a second, one after the other.
    Connections: Datapath, PerSecond, Higher, "new connections a second, one after the other";
    /// Bytes over one established connection.
    Throughput: Datapath, BitsPerSecond, Higher, "throughput of one established connection";
    /// Connections that failed while these were measured.
    ConnectionsFailed: Datapath, Count, Lower, "failed connections in these measurements";
    /// Resident memory at rest.
    Resident: Memory, Bytes, Lower, "resident memory at rest";
    /// The highest so far, children included where they were larger.
    Peak: Memory, Bytes, Lower, "resident memory, peak";
    /// CPU that is used while nothing happens.
    IdleCpu: Memory, Cores, Lower, "CPU while nothing happens";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_files_are_kebab_case_and_titles_differ() {
        assert_eq!(
            serde_json::to_string(&Quantity::FirstPacketP50).expect("it is a word"),
            "\"first-packet-p50\""
        );
        let titles: std::collections::BTreeSet<_> =
            Quantity::ALL.iter().map(|quantity| quantity.title()).collect();
        assert_eq!(titles.len(), Quantity::ALL.len());
    }
}
