//! What may be written on the command line, and what `--help` says about it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use kube_verdict_table::Protocol;

use crate::config::Flags;

/// A service proxy: it keeps the kernel's nftables equal to a directory of Services and EndpointSlices.
///
/// Without a command it is the daemon, in the foreground, until it is stopped; the rules stay when it stops.
/// It needs CAP_NET_ADMIN; `render` and `explain` need nothing.
#[derive(Debug, Parser)]
#[command(name = "kube-verdict", version, max_term_width = 100, args_conflicts_with_subcommands = false)]
#[command(after_help = "\
Examples:
  kube-verdict --manifests /etc/kube-verdict/manifests
  kube-verdict render --manifests DIR | nft --check -f -
  kube-verdict explain --manifests DIR --from 203.0.113.9 --to 192.168.0.10:30080

Exit codes: 0 done, 1 failed, 2 not understood. RUST_LOG goes before -v.")]
pub struct Arguments {
    #[command(flatten)]
    pub(super) sources: Sources,
    #[command(flatten)]
    pub(super) log: Log,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Where everything comes from.
#[derive(Debug, Args)]
pub(super) struct Sources {
    /// Directory of Service, EndpointSlice, Node and ServiceCIDR manifests (*.yaml, *.yml, *.json)
    #[arg(long, value_name = "DIR", global = true, display_order = 10)]
    manifests: Option<PathBuf>,
    /// KubeProxyConfiguration file (kubeproxy.config.k8s.io/v1alpha1)
    #[arg(long, value_name = "FILE", global = true, display_order = 11)]
    config: Option<PathBuf>,
    /// This node's name, as EndpointSlices spell it [default: hostnameOverride of the file, or the host's name]
    #[arg(long, value_name = "NAME", global = true, display_order = 12)]
    hostname_override: Option<String>,
}

/// What is logged, and how.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// Log more: 0 to 3 what matters, 4 and above everything that happens, 6 and above every detail
    #[arg(short = 'v', long = "v", value_name = "LEVEL", global = true, display_order = 13, action = ArgAction::Set)]
    pub(super) verbosity: Option<u32>,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", global = true, display_order = 14, value_enum)]
    pub(super) logging_format: Option<Format>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the ruleset that would be programmed, as text that `nft -f` loads
    Render,
    /// Print what happens to a packet, and why
    Explain(Question),
    /// Remove everything that the daemon programmed from the kernel, and what kube-proxy left in whichever mode;
    /// connections to services end
    Cleanup(Leavings),
}

/// What `cleanup` removes.
#[derive(Debug, Default, Args)]
pub(super) struct Leavings {
    /// Remove only this one's: the other serves this node, and connections go on
    #[arg(long, value_name = "WHOSE", value_enum)]
    pub(super) only: Option<Whose>,
}

/// Who left something in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Whose {
    KubeVerdict,
    KubeProxy,
}

/// Which packet is meant.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// Destination, such as 10.96.0.1:80, [fd00::1]:53/UDP
    #[arg(long, value_name = "IP:PORT[/PROTO]")]
    pub(super) to: Destination,
    /// Source address [default: somewhere that is neither a pod nor this node]
    #[arg(long, value_name = "IP")]
    pub(super) from: Option<IpAddr>,
    /// The interface that the packet arrives on, for detectors that tell pods by it
    #[arg(long, value_name = "IF")]
    pub(super) in_interface: Option<String>,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
        let protocol = protocol.parse()?;
        let address: SocketAddr = address.parse().map_err(|_| {
            format!("{address:?} is no address with a port: write 10.96.0.1:80 or [fd00::1]:80")
        })?;
        Ok(Destination { ip: address.ip().to_canonical(), port: address.port(), protocol })
    }
}

impl Sources {
    /// The directory, without which no command of those that ask can do anything. Ends the program as any
    /// other misuse does.
    pub(super) fn manifests(&self) -> &PathBuf {
        self.manifests.as_ref().unwrap_or_else(|| {
            let message = "a directory of manifests is needed: --manifests DIR";
            Arguments::command().error(clap::error::ErrorKind::MissingRequiredArgument, message).exit()
        })
    }

    /// What the configuration is to be loaded from.
    pub(super) fn flags(&self) -> Flags {
        Flags { config: self.config.clone(), hostname_override: self.hostname_override.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn destinations() {
        let destination = |text: &str| text.parse::<Destination>();
        let expected = Destination { ip: "10.0.0.1".parse().unwrap(), port: 80, protocol: Protocol::Tcp };
        assert_eq!(destination("10.0.0.1:80"), Ok(expected));
        assert_eq!(destination("[::ffff:10.0.0.1]:80/tcp"), Ok(expected));
        let expected = Destination { ip: "fd00::1".parse().unwrap(), port: 53, protocol: Protocol::Udp };
        assert_eq!(destination("[fd00::1]:53/UDP"), Ok(expected));
        for text in ["10.0.0.1", "fd00::1:80", "10.0.0.1:http", "10.0.0.1:80/icmp", ""] {
            assert!(destination(text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_may_stand_before_or_after_the_command() {
        for line in ["kube-verdict --manifests d render", "kube-verdict render --manifests d -v 4"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.sources.manifests(), &PathBuf::from("d"));
        }
    }
}
