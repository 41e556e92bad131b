//! Which figures are plotted and shown at once; all others are in tables that a reader opens.

use crate::results::Quantity;

/// Those with a plot of their own.
pub const PLOTTED: &[(Quantity, &str)] = &[
    (Quantity::FirstSync, ""),
    (Quantity::FirstSyncCpu, ""),
    (Quantity::Kernel, ""),
    (Quantity::Restart, ""),
    (Quantity::ChangeP50, ""),
    (Quantity::ChangeP99, ""),
    (Quantity::ChangeCpu, ""),
    (Quantity::Rolling, ""),
    (Quantity::ChurnRate, ""),
    (Quantity::ChurnLagP99, "100 changes/s"),
    (Quantity::ChurnCpu, "100 changes/s"),
    (Quantity::FirstPacketP50, "udp, last Service"),
    (Quantity::Connections, "tcp, last Service"),
    (Quantity::Connections, "udp, last Service"),
    (Quantity::Resident, ""),
    (Quantity::Peak, ""),
];

/// Those of the overview, which README shows too, in two rows; and what they are called where there is little room.
pub const OVERVIEW: &[(Quantity, &str, &str)] = &[
    (Quantity::ChangeP50, "", "Change until a client notices, p50"),
    (Quantity::FirstSync, "", "First sync until a client is served"),
    (Quantity::Restart, "", "Restart until a change is live"),
    (Quantity::FirstPacketP50, "udp, last Service", "First packet to the last Service"),
    (Quantity::ChurnCpu, "100 changes/s", "CPU at 100 changes a second"),
    (Quantity::Resident, "", "Resident memory at rest"),
];

/// Whether a table is open.
pub fn is_open(quantity: Quantity, variant: &str) -> bool {
    PLOTTED.contains(&(quantity, variant)) || matches!(quantity, Quantity::Throughput)
}
