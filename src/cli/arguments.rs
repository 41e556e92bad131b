//! What may be written on the command line, and what `--help` says about it.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::Protocol;

use super::flags::{self, ProxyFlags};
use crate::config::flags::Group;
use crate::config::{self, Flags, Logging, State};

/// A service proxy: it keeps the kernel's nftables equal to the Services and EndpointSlices of a cluster, or of a
/// directory.
///
/// Without a command it is the daemon, in the foreground, until it is stopped; the rules stay when it stops.
/// It needs CAP_NET_ADMIN; `check`, `render` and `explain` do not. It takes kube-proxy's flags, and its configuration
/// file; with --config all flags are ignored that could stand in the file.
#[derive(Debug, Parser)]
#[command(name = "kube-verdict", max_term_width = 100, args_conflicts_with_subcommands = false)]
#[command(after_help = "\
Examples:
  kube-verdict --manifests /etc/kube-verdict/manifests
  kube-verdict check DIR
  kube-verdict render --manifests DIR | nft --check -f -
  kube-verdict explain --manifests DIR --from 203.0.113.9 --to 192.168.0.10:30080

Exit codes: 0 done, 1 failed, 2 not understood. RUST_LOG goes before -v.")]
pub struct Arguments {
    #[command(flatten)]
    pub(super) sources: Sources,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// the program was started under kube-proxy's name
    #[arg(skip)]
    pub(super) is_kube_proxy: bool,
}

/// The Kubernetes network proxy of this node, kube-verdict in kube-proxy's place: it keeps the kernel's nftables
/// equal to the Services and EndpointSlices of the cluster.
///
/// It takes kube-proxy's flags, and its configuration file; with --config all flags are ignored that could stand
/// in the file. The rules stay when it stops; --cleanup removes them.
#[derive(Debug, Parser)]
#[command(name = KUBE_PROXY, max_term_width = 100)]
struct KubeProxyArguments {
    #[command(flatten)]
    sources: Sources,
    /// kube-proxy puts up with empty arguments, which templates leave behind, and with no others
    #[arg(hide = true, value_parser = nothing)]
    arguments: Vec<String>,
}

const KUBE_PROXY: &str = "kube-proxy";
/// The heading of what only mode ipvs has.
const IPVS: &str = Group::Ipvs.heading();

fn nothing(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { Err(format!("{KUBE_PROXY} does not take any arguments")) }
}

impl Arguments {
    /// Reads a command line, the program's name first: `kube-proxy` has no commands. Ends the program if it is
    /// not understood, or asks for help.
    pub fn of(words: impl IntoIterator<Item = OsString>) -> Arguments {
        Arguments::try_of(words).unwrap_or_else(|error| error.exit())
    }

    fn try_of(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
        let words = flags::normal(words);
        let name = words.first().map(Path::new).and_then(Path::file_name);
        if name.is_none_or(|name| name != KUBE_PROXY) {
            return Arguments::try_parse_from(words);
        }
        let KubeProxyArguments { sources, arguments: _ } = KubeProxyArguments::try_parse_from(words)?;
        Ok(Arguments { sources, command: None, is_kube_proxy: true })
    }
}

/// Where everything comes from.
#[derive(Debug, Args)]
pub(super) struct Sources {
    /// Directory of Service, EndpointSlice, Node and ServiceCIDR manifests (*.yaml, *.yml, *.json), in place of a
    /// cluster
    #[arg(long, value_name = "DIR", global = true, display_order = 100)]
    manifests: Option<PathBuf>,
    /// Serve the Services of a cluster whose label service.kubernetes.io/service-proxy-name is this, beside
    /// kube-proxy, which serves those without it [default: those without it]
    #[arg(long, value_name = "NAME", global = true, display_order = 1, conflicts_with = "manifests")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    service_proxy_name: Option<String>,
    #[command(flatten)]
    flags: ProxyFlags,
    /// In mode ipvs, the packet marks that are given to IPVS: those that are VALUE under MASK; the other bits number
    /// virtual servers. All virtual servers of such marks are the daemon's, and go with `cleanup` [default:
    /// 0x4b000000/0xff000000]
    #[arg(long, value_name = "VALUE/MASK", global = true, display_order = 199, help_heading = IPVS)]
    ipvs_mark: Option<Marks>,
    /// Directory in which the daemon keeps its table, for a start without its API server or manifests; empty: none
    /// [default: $STATE_DIRECTORY, which systemd sets, else none]
    #[arg(long, value_name = "DIR", global = true, display_order = 101, value_parser = clap::builder::OsStringValueParser::new())]
    state_dir: Option<OsString>,
    /// How old a table that was kept may be to be used, such as 12h [default: 24h]
    #[arg(long, value_name = "DURATION", global = true, display_order = 102, value_parser = config::positive)]
    state_max_age: Option<Duration>,
    /// Have the tables in the kernel belong to the daemon: nobody else can change or flush them while it runs, and they
    /// stay when it ends. Needs Linux 6.9
    #[arg(long, global = true, display_order = 103)]
    own_tables: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Programme the kernel once, without a daemon (mode nftables), and show before what will change. Exits with 3 if
    /// there are changes that were not made
    Apply(Applying),
    /// Say what is wrong with a directory of manifests: what the daemon would log, and objects that miss each other.
    /// Exits with 1 if there are errors
    Check(Checks),
    /// Print what would be programmed, as text that `nft -f` loads; what IPVS mode has besides stands in comments
    Render(Extent),
    /// Print what happens to a packet, and why
    Explain(Question),
    /// Remove everything that the daemon programmed from the kernel, and what kube-proxy left in whichever mode;
    /// connections to services end. Virtual servers of IPVS are known by their marks: name those of the daemon
    /// (--ipvs-mark) if they were others than these
    Cleanup(Leavings),
    /// Write manual pages and shell completions into a directory, for packages
    #[command(hide = true)]
    Generate {
        /// Where to; it has to exist
        directory: PathBuf,
    },
}

/// How `apply` goes about it.
#[derive(Debug, Default, Args)]
pub(super) struct Applying {
    /// Only show what would change
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) yes: bool,
    /// How to print the changes
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// What `check` looks at.
#[derive(Debug, Default, Args)]
pub(super) struct Checks {
    /// The directory [default: that of --manifests]
    #[arg(value_name = "DIR", required_unless_present = "manifests")]
    pub(super) directory: Option<PathBuf>,
    /// Exit with 1 for warnings, too
    #[arg(long)]
    pub(super) strict: bool,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// How much `render` prints.
#[derive(Debug, Default, Args)]
pub(super) struct Extent {
    /// Print only this part, as the program wants it whose it is: `nft -f`, `ipvsadm -R`, or a shell
    #[arg(long, value_name = "PART", value_enum)]
    pub(super) only: Option<Part>,
}

/// A part of what is programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// The ruleset
    Nftables,
    /// IPVS's virtual servers
    Ipvs,
    /// The policy routing that brings packets to IPVS
    Routing,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    #[default]
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
    /// The directory; without one objects come from an API server.
    pub(super) fn manifests(&self) -> Option<&PathBuf> {
        self.manifests.as_ref()
    }

    /// What the configuration is to be made from.
    pub(super) fn flags(&self) -> Flags {
        let mut flags = self.flags.0.clone();
        flags.standalone = self.manifests.is_some();
        flags.service_proxy_name.clone_from(&self.service_proxy_name);
        flags.ipvs_marks = self.ipvs_mark;
        flags.state = self.state();
        flags.own_tables = self.own_tables;
        flags
    }

    /// Where the table is kept, if it is.
    pub(super) fn state(&self) -> Option<State> {
        let directory =
            State::directory(self.state_dir.as_deref().map(Path::new), std::env::var_os("STATE_DIRECTORY"))?;
        Some(State { directory, max_age: self.state_max_age.unwrap_or(State::MAX_AGE) })
    }

    /// The marks that are IPVS's.
    pub(super) fn ipvs_marks(&self) -> Marks {
        self.ipvs_mark.unwrap_or_default()
    }

    /// What the flags alone say of the log: for commands, and until a configuration is read.
    pub(super) fn logging(&self) -> Logging {
        self.flags.0.logging()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
        KubeProxyArguments::command().debug_assert();
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
            let arguments = arguments(line).unwrap();
            assert_eq!(arguments.sources.manifests(), Some(&PathBuf::from("d")));
        }
    }

    fn arguments(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_of(line.split(' ').map(OsString::from))
    }

    #[test]
    fn kube_proxy_has_no_commands() {
        assert!(arguments("/usr/local/bin/kube-proxy --v=2 --cleanup").unwrap().is_kube_proxy);
        for line in ["kube-proxy render", "/bin/kube-proxy --v=2 something"] {
            let text = arguments(line).unwrap_err().to_string();
            assert!(text.contains("does not take any arguments"), "{text}");
        }
        assert!(arguments("kube-proxy ").is_ok(), "an empty argument is none");
        let help = arguments("kube-proxy --help").unwrap_err().to_string();
        assert!(help.contains("kube-proxy [OPTIONS]") && help.contains("Local traffic:"), "{help}");
        assert!(!help.contains("explain"), "{help}");
    }

    #[test]
    fn versions() {
        let version = |line: &str| super::super::version::asked_for(&arguments(line).unwrap());
        assert_eq!(
            version("kube-verdict --version").unwrap(),
            concat!("kube-verdict ", env!("CARGO_PKG_VERSION"), "\n")
        );
        assert!(version("kube-proxy --version").unwrap().starts_with("Kubernetes v1."));
        assert!(version("kube-proxy --version=raw").unwrap().contains("kube-verdict"));
        assert_eq!(version("kube-proxy --version=false"), None);
        assert_eq!(version("kube-proxy --version=v1.30.0"), None);
        assert_eq!(version("kube-verdict"), None);
    }

    #[test]
    fn help_of_a_command_is_short() {
        let help = arguments("kube-verdict render --help").unwrap_err().to_string();
        assert!(help.contains("--manifests") && help.contains("--config"), "{help}");
        assert!(!help.contains("--conntrack-min"), "{help}");
    }

    #[test]
    fn the_marks_of_ipvs_are_our_own_flag() {
        let marks = |line: &str| arguments(line).map(|arguments| arguments.sources.flags().ipvs_marks);
        let expected: Marks = "0x100/0xf00".parse().unwrap();
        for line in ["kube-verdict --ipvs-mark 0x100/0xf00 render", "kube-proxy --ipvs-mark=0x100/0xf00"] {
            assert_eq!(marks(line).unwrap(), Some(expected));
        }
        assert_eq!(marks("kube-verdict").unwrap(), None);
        let refused = marks("kube-verdict --ipvs-mark=0/0xff").unwrap_err().to_string();
        assert!(
            refused.contains("the value is 0, which is what packets have that nobody marked"),
            "{refused}"
        );
        let help = arguments("kube-verdict --help").unwrap_err().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("[default: {}]", Marks::default())), "{help}");
    }
}
