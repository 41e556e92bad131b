//! `mode`: which proxy an operator asks for, and which one runs.

/// A mode as kube-proxy knows it, on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `nftables`
    Nftables,
    /// `iptables`, and `""`, which has meant iptables for as long as there are configurations: nftables runs,
    /// with what is said for iptables. Whoever never chose a mode finds NodePorts where they were.
    Iptables,
    /// `ipvs`
    Ipvs,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Option<Mode> {
        Some(match text {
            "nftables" => Mode::Nftables,
            "" | "iptables" => Mode::Iptables,
            "ipvs" => Mode::Ipvs,
            _ => return None,
        })
    }

    /// The section of the file that the shared settings (masquerading, sync periods) are taken from:
    /// reference §15.2.
    pub(super) fn section(self) -> &'static str {
        match self {
            Mode::Nftables => "nftables",
            Mode::Iptables => "iptables",
            Mode::Ipvs => "ipvs",
        }
    }
}
