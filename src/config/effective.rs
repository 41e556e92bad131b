//! The settings that are in effect: what the rest of the daemon works with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use kube_verdict_nftables::Options;
use kube_verdict_nftables::layout::{Balancer as BackendBalancer, Marks};
use kube_verdict_table::net::parse_ip;
use kube_verdict_table::{Balancer, Cidr, NodePortEntry, Settings};

use super::client::Client;
use super::conntrack::Conntrack;
use super::detect::DetectLocal;
use super::duration::GoDuration;
use super::families::Prefixes;
use super::file::{File, Iptables, Nftables};
use super::flags::Flags;
use super::ipvs::Ipvs;
use super::mode::Mode;
use super::serving::Serving;
use super::state::State;
use super::{defaults, gates, node_ports};

/// Everything that a configuration file and flags decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// the node's name, if it is not the host's; not yet trimmed or lower-cased (see `node::name`)
    pub hostname_override: Option<String>,
    /// the node's primary IP, and thereby its primary family, if an operator insists
    pub bind_address: Option<IpAddr>,
    /// how packets of pods are told
    pub detect_local: DetectLocal,
    /// where NodePorts are served; never empty
    pub node_port_addresses: Vec<NodePortEntry>,
    /// whether everything to a ClusterIP is masqueraded
    pub masquerade_all: bool,
    /// the bit of the packet mark that says: masquerade
    pub masquerade_mark: u32,
    /// the longest time between two full comparisons with the kernel
    pub sync_period: Duration,
    /// the shortest time between two changes; `None` when the file does not ask for one, so that the first
    /// change of a quiet period goes out at once
    pub min_sync_period: Option<Duration>,
    /// what IPVS is to be like; None: another mode
    pub ipvs: Option<Ipvs>,
    /// which packet marks are, or were in an earlier run, given to IPVS, in whichever mode
    pub ipvs_marks: Marks,
    /// whether externalIPs are served
    pub allow_external_ips: bool,
    /// Services that carry this name are served, and no others; None: those that carry none (reference §1.1)
    pub service_proxy_name: Option<String>,
    /// how the API server is reached
    pub client: Client,
    /// where health and metrics are served
    pub serving: Serving,
    /// what conntrack is to be like
    pub conntrack: Conntrack,
    /// whether the metrics server shows `/flagz`
    pub flagz: bool,
    /// whether the metrics server shows `/statusz`
    pub statusz: bool,
    /// how willingly the kernel ends this process when memory is short, -1000 to 1000; None: as it is
    pub oom_score_adj: Option<i32>,
    /// whether our tables in the kernel belong to the daemon, so that nobody else can change them
    pub own_tables: bool,
    /// where the table is kept for a start without its source; None: it is not
    pub state: Option<State>,
    /// what the families of the host are compared with
    pub(super) prefixes: Prefixes,
}

/// What the sections of the modes have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shared {
    pub(super) masquerade_bit: Option<i32>,
    pub(super) masquerade_all: Option<bool>,
    pub(super) sync_period: Option<GoDuration>,
    pub(super) min_sync_period: Option<GoDuration>,
}

impl Shared {
    /// The section that the mode reads (reference §15.2: IPVS takes masquerading from `iptables`).
    pub(super) fn of(file: &File, mode: Mode) -> Shared {
        let Iptables { masquerade_bit, masquerade_all, sync_period, min_sync_period, .. } =
            file.iptables.clone().unwrap_or_default();
        let iptables = Shared { masquerade_bit, masquerade_all, sync_period, min_sync_period };
        match mode {
            Mode::Iptables => iptables,
            Mode::Ipvs => {
                let ipvs = file.ipvs.clone().unwrap_or_default();
                Shared { sync_period: ipvs.sync_period, min_sync_period: ipvs.min_sync_period, ..iptables }
            }
            Mode::Nftables => {
                let Nftables { masquerade_bit, masquerade_all, sync_period, min_sync_period } =
                    file.nftables.clone().unwrap_or_default();
                Shared { masquerade_bit, masquerade_all, sync_period, min_sync_period }
            }
        }
    }

    /// kube-proxy waits a second between two changes unless told otherwise. Here only an explicit wish makes
    /// anything wait.
    pub(super) fn explicit_min_sync_period(&self) -> Option<GoDuration> {
        self.min_sync_period.filter(|period| *period != GoDuration::ZERO)
    }
}

impl Effective {
    /// The mode that runs, in kube-proxy's word for it.
    pub fn mode(&self) -> &'static str {
        if self.ipvs.is_some() { "ipvs" } else { "nftables" }
    }

    /// What the nftables backend is to know beside the table.
    pub fn nftables(&self) -> Options {
        let ipvs = self.ipvs.as_ref();
        let balancer = ipvs.map_or(BackendBalancer::Slots, |ipvs| BackendBalancer::Ipvs(ipvs.marks));
        Options { masquerade_mark: self.masquerade_mark, balancer, own: self.own_tables }
    }

    /// What a validated and complete file says, and the flags that could not stand in it.
    pub(super) fn of(file: &File, flags: &Flags) -> Self {
        let mode = Mode::parse(file.mode.as_deref().unwrap_or_default()).unwrap_or(Mode::Iptables);
        let shared = Shared::of(file, mode);
        let mark = shared.masquerade_bit.and_then(|bit| 1u32.checked_shl(u32::try_from(bit).ok()?));
        let ipvs_marks = flags.ipvs_marks.unwrap_or_default();
        let bind_address = file.bind_address.as_deref().and_then(parse_ip);
        let name = file.hostname_override.clone().filter(|name| !name.trim().is_empty());
        Effective {
            hostname_override: name,
            bind_address: bind_address.filter(|ip| !ip.is_unspecified()),
            detect_local: DetectLocal::of(file),
            node_port_addresses: node_ports::entries(file.node_port_addresses.as_deref().unwrap_or_default()),
            masquerade_all: shared.masquerade_all == Some(true),
            masquerade_mark: mark.unwrap_or(1 << defaults::MASQUERADE_BIT),
            sync_period: shared.sync_period.unwrap_or(defaults::SYNC_PERIOD).to_std(),
            min_sync_period: shared.explicit_min_sync_period().map(GoDuration::to_std),
            ipvs: (mode == Mode::Ipvs).then(|| Ipvs::of(file, ipvs_marks)),
            ipvs_marks,
            allow_external_ips: gates::is_on(file, gates::ALLOW_SERVICE_EXTERNAL_IPS),
            service_proxy_name: flags.service_proxy_name.clone(),
            client: Client::of(file, flags.master.as_deref()),
            serving: Serving::of(file),
            flagz: gates::is_on(file, gates::COMPONENT_FLAGZ),
            statusz: gates::is_on(file, gates::COMPONENT_STATUSZ),
            conntrack: Conntrack::of(file),
            oom_score_adj: file.oom_score_adj,
            own_tables: flags.own_tables,
            state: flags.state.clone(),
            prefixes: Prefixes::of(file),
        }
    }

    /// The table's part of it.
    pub fn settings(&self, node_name: &str, pod_cidrs: &[Cidr]) -> Settings {
        Settings {
            node_name: node_name.to_owned(),
            detector: self.detect_local.detectors(pod_cidrs),
            masquerade_all: self.masquerade_all,
            allow_external_ips: self.allow_external_ips,
            balancer: self
                .ipvs
                .as_ref()
                .map_or(Balancer::Random, |ipvs| Balancer::Ipvs { scheduler: Arc::clone(&ipvs.scheduler) }),
        }
    }
}
