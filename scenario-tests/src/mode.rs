//! The mode in which every daemon of these tests runs: `KUBE_VERDICT_MODE`, nftables when it is not set.
//!
//! What becomes of a packet is the same in both modes, and so are the tables of packets and the model: the policies
//! are the reference's. Three things differ, and a scenario about one of them asks [`mode`] and says so there:
//! how connections are spread (by chance, or by a scheduler of IPVS that may take turns), where endpoints stand (maps
//! of slots in nf_tables, or real servers in IPVS behind a map of marks), and what a mark of somebody else's lives
//! through. A scenario that does not ask holds in both.

use std::sync::OnceLock;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// nf_tables spreads over slots
    Nftables,
    /// nf_tables marks, and IPVS spreads
    Ipvs,
}

impl Mode {
    /// The configuration's word.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Nftables => "nftables",
            Mode::Ipvs => "ipvs",
        }
    }

    /// The section of the configuration with `masqueradeAll` and `masqueradeBit`: IPVS mode borrows that of iptables
    /// mode (reference §15.2).
    pub fn masquerading_section(self) -> &'static str {
        match self {
            Mode::Nftables => "nftables",
            Mode::Ipvs => "iptables",
        }
    }
}

/// The mode under test.
///
/// # Panics
/// When the variable has another word.
pub fn mode() -> Mode {
    static MODE: OnceLock<Mode> = OnceLock::new();
    *MODE.get_or_init(|| match std::env::var("KUBE_VERDICT_MODE").as_deref() {
        Err(_) | Ok("" | "nftables") => Mode::Nftables,
        Ok("ipvs") => Mode::Ipvs,
        Ok(other) => panic!("KUBE_VERDICT_MODE is {other:?} and should be nftables or ipvs"),
    })
}

/// Whether there is an IPVS to try. A scenario about IPVS's own ways begins with this question, and ends at once, with
/// a word, in the other mode.
pub fn is_about_ipvs() -> bool {
    let is_here = mode() == Mode::Ipvs;
    if !is_here {
        eprintln!("this is about IPVS: KUBE_VERDICT_MODE=ipvs");
    }
    is_here
}
