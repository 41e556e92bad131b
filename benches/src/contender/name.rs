//! The names of contenders: in `--modes`, in `results.json`, in reports; and their colours in plots.

use serde::{Deserialize, Serialize};

/// What sort of contender it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// kube-verdict
    Ours,
    /// the real kube-proxy
    Peer,
    /// rules of kube-proxy's shape, loaded by the harness without a kube-proxy
    Rules,
    /// what nobody can go below
    Floor,
}

macro_rules! contenders {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $label:literal, $colour:literal;)*) => {
        /// Who takes part.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Contender { $($(#[$doc])* $name,)* }

        impl Contender {
            /// All of them, in the order of a report.
            pub const ALL: &[Contender] = &[$(Contender::$name,)*];

            /// What sort it is.
            pub fn kind(self) -> Kind {
                match self { $(Contender::$name => Kind::$kind,)* }
            }

            /// As a report calls it.
            pub fn label(self) -> &'static str {
                match self { $(Contender::$name => $label,)* }
            }

            /// Its colour in every plot, `#rrggbb`: the same contender has the same one, dark enough on white.
            pub fn colour(self) -> &'static str {
                match self { $(Contender::$name => $colour,)* }
            }
        }
    };
}

contenders! {
    /// kube-verdict, nftables mode
    KubeVerdictNftables: Ours, "kube-verdict nftables", "#0b6e4f";
    /// kube-verdict, IPVS mode
    KubeVerdictIpvs: Ours, "kube-verdict ipvs", "#5fbf8f";
    /// the real kube-proxy, nftables mode
    KubeProxyNftables: Peer, "kube-proxy nftables", "#1f4e9c";
    /// the real kube-proxy, iptables mode on iptables-legacy
    KubeProxyIptablesLegacy: Peer, "kube-proxy iptables-legacy", "#b3261e";
    /// the real kube-proxy, iptables mode on iptables-nft
    KubeProxyIptablesNft: Peer, "kube-proxy iptables-nft", "#d97706";
    /// the real kube-proxy, ipvs mode
    KubeProxyIpvs: Peer, "kube-proxy ipvs", "#7b3fa0";
    /// rules as kube-proxy's nftables mode writes them, loaded with nft
    RulesNftables: Rules, "nftables rules of kube-proxy's shape", "#6f94d2";
    /// rules as kube-proxy's iptables mode writes them, loaded with iptables-legacy-restore
    RulesIptablesLegacy: Rules, "iptables-legacy rules of kube-proxy's shape", "#e08a84";
    /// rules as kube-proxy's iptables mode writes them, loaded with iptables-nft-restore
    RulesIptablesNft: Rules, "iptables-nft rules of kube-proxy's shape", "#efb564";
    /// the same netlink messages, in bytes before, sent to an empty kernel
    FloorNetlink: Floor, "floor: raw netlink batch", "#444444";
    /// routing without connection tracking
    FloorRouting: Floor, "floor: routing", "#a0a0a0";
    /// connection tracking without NAT
    FloorConntrack: Floor, "floor: connection tracking", "#808080";
    /// one rule that translates the destination
    FloorDnat: Floor, "floor: one static DNAT rule", "#606060";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_colours_differ() {
        let labels: BTreeSet<_> = Contender::ALL.iter().map(|contender| contender.label()).collect();
        let colours: BTreeSet<_> = Contender::ALL.iter().map(|contender| contender.colour()).collect();
        assert_eq!((labels.len(), colours.len()), (Contender::ALL.len(), Contender::ALL.len()));
    }
}
