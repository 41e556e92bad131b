//! How kube-proxy programmes the kernel, and what it has there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::netns::Netns;
use crate::plan::Family;

/// Its mode, and in iptables mode the variant of the program that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// nftables mode
    Nftables,
    /// iptables mode, into ip_tables and ip6_tables
    IptablesLegacy,
    /// iptables mode, into nf_tables
    IptablesNft,
}

impl Mode {
    /// The configuration's word.
    pub fn word(self) -> &'static str {
        if self == Mode::Nftables { "nftables" } else { "iptables" }
    }

    /// What the kernel has of a family in the place that this mode writes to, as text.
    ///
    /// # Panics
    /// When the program that lists it is not there.
    pub fn listing(self, node: &Netns, family: Family) -> String {
        let command = match (self, family) {
            (Mode::Nftables, Family::V4) => "nft list table ip kube-proxy",
            (Mode::Nftables, Family::V6) => "nft list table ip6 kube-proxy",
            (Mode::IptablesLegacy, Family::V4) => "iptables-legacy-save -c",
            (Mode::IptablesLegacy, Family::V6) => "ip6tables-legacy-save -c",
            (Mode::IptablesNft, Family::V4) => "iptables-nft-save -c",
            (Mode::IptablesNft, Family::V6) => "ip6tables-nft-save -c",
        };
        let mut words = command.split(' ');
        let mut program = Command::new(words.next().unwrap_or_default());
        let output = node.run(|| program.args(words).output());
        let output = output.unwrap_or_else(|e| panic!("{command} (packages nftables, iptables): {e}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes a directory in which iptables and its sisters are of the variant.
    pub(super) fn choose_iptables(self, directory: &Path) {
        let variant = if self == Mode::IptablesLegacy { "xtables-legacy-multi" } else { "xtables-nft-multi" };
        fs::create_dir(directory).expect("a directory");
        for name in ["iptables", "ip6tables"] {
            for suffix in ["", "-save", "-restore"] {
                let link = directory.join(format!("{name}{suffix}"));
                symlink(Path::new("/usr/sbin").join(variant), link).expect("a link");
            }
        }
    }
}
