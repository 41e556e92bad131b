//! What becomes of packets, and what may: the simulation's judge. It keeps a table of its own, of the news that the
//! daemon has taken in, and sends packets through the kernels in memory after each change that anybody makes to them.
//!
//! For each frontend it knows which fates a packet may meet: those of the table since the last moment at which packets
//! met the latest. From a permitted fate a change of ours leads to a permitted fate, never back to an earlier one; and
//! where the table did not change there is only one. What others do may break anything: what is broken is theirs, until
//! it is whole again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kube_verdict_ipvs::kernel::key;
use kube_verdict_ipvs::kernel::memory::MemoryKernel as Ipvs;
use kube_verdict_nftables::kernel::memory::{Ending, MemoryKernel, Packet};
use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::{
    Backend, Family, Frontend, NodeState, PerFamily, Protocol, ServiceTable, Settings, Verdict, explain,
};

use super::objects::{NODE_IPS, OUTSIDE_IPS, POD_IPS};
use crate::reconcile::Input;

/// NF_INET_* of linux/netfilter.h
const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
/// IPVS takes packets of this node after this (`ip_vs_ops4` of ip_vs_core.c).
const BEFORE_IPVS: i32 = -100;

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// nobody's frontend is known for it
    Unclaimed,
    /// silence
    Dropped,
    /// an answer that nobody is there
    Rejected,
    /// one of these, each with whether it is masqueraded on the way there
    Sent(BTreeSet<(Backend, bool)>),
    /// some are sent and some are not, or it is left alone, or is for a virtual server that is not there or has nobody
    Lost(&'static str),
}

/// Of each source.
type Outcomes = Vec<Outcome>;

/// What is known of a frontend.
struct Watched {
    /// the latest is the last
    permitted: Vec<Outcomes>,
    actual: Outcomes,
    /// of the virtual servers that lead to it
    marks: BTreeSet<u32>,
    /// it is served by what stands in for the table only: what comes after may lose it, as it was lost before
    is_lent: bool,
}

impl Watched {
    fn is_permitted(&self) -> Option<usize> {
        self.permitted.iter().rposition(|permitted| self.actual == *permitted)
    }

    fn is_latest(&self) -> bool {
        self.permitted.last().is_some_and(|latest| self.actual == *latest)
    }

    /// IPVS is changed one server after the other, and meanwhile packets go to some that were or will be.
    fn is_between(&self) -> bool {
        self.permitted.len() > 1
            && (0..self.actual.len()).all(|source| {
                let is_sent = matches!(self.actual[source], Outcome::Sent(_));
                self.permitted.iter().any(|permitted| match permitted[source] {
                    Outcome::Sent(_) => is_sent,
                    _ => self.actual[source] == permitted[source],
                })
            })
    }
}

/// Which frontends a change of the kernel can concern.
#[derive(Clone, Debug)]
pub enum Touched {
    Everything,
    Frontends(BTreeSet<Frontend>),
    Mark(Family, u32),
}

/// What may be wrong after a change of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excuse {
    /// nothing
    None,
    /// what is new: IPVS takes no orders, or what frontends share is broken
    ForNews,
    /// anything: virtual servers were given to other frontends by others, and IPVS takes no orders
    ForAll,
}

/// The kernels.
pub struct Kernels<'a> {
    pub nft: &'a MemoryKernel,
    pub ipvs: &'a Ipvs,
    pub marks: Option<Marks>,
}

/// The judge.
pub struct Ledger {
    table: ServiceTable,
    /// of a process that has begun and has taken nothing in
    next: Option<ServiceTable>,
    frontends: BTreeMap<Frontend, Watched>,
}

impl Ledger {
    /// A process begins: it knows the node, and no objects yet.
    pub fn begin(&mut self, settings: Settings, node: NodeState) {
        self.next = Some(ServiceTable::new(settings, node));
    }

    /// Before the first process.
    pub fn new() -> Self {
        let settings = Settings {
            node_name: String::new(),
            detector: Default::default(),
            masquerade_all: false,
            allow_external_ips: true,
            balancer: Default::default(),
        };
        Ledger {
            table: ServiceTable::new(settings, NodeState::default()),
            next: None,
            frontends: BTreeMap::new(),
        }
    }

    /// The table of all that was taken in.
    pub fn table(&self) -> &ServiceTable {
        &self.table
    }

    /// The daemon takes news in. The first of a process are all that there is.
    pub fn take_in(&mut self, news: &Input, kernels: &Kernels<'_>) {
        let is_first = self.next.is_some();
        if let Some(table) = self.next.take() {
            self.table = table;
        }
        let update = self.table.update_all(news.node.clone(), news.events.clone());
        let change = &update.change;
        let concerns_all = is_first
            || news.node.is_some()
            || change.service_cidrs.is_some()
            || change.hairpins != Default::default();
        let mut concerned: BTreeSet<Frontend> =
            change.frontends.iter().map(|changed| changed.frontend).collect();
        if concerns_all {
            concerned.extend(self.frontends.keys());
            concerned.extend(self.table.frontends().map(|(frontend, _)| *frontend));
        }
        for frontend in concerned {
            let expected = loosely(expected(&self.table, &frontend), &frontend);
            let watched = self.frontends.entry(frontend).or_insert_with(|| {
                let (actual, marks) = actual(&self.table, &frontend, kernels);
                let actual = loosely(actual, &frontend);
                let permitted = vec![vec![Outcome::Unclaimed; actual.len()]];
                Watched { permitted, actual, marks, is_lent: false }
            });
            if watched.permitted.last() != Some(&expected) {
                watched.permitted.push(expected);
            }
            if watched.is_latest() {
                watched.permitted.drain(..watched.permitted.len() - 1);
            }
        }
        self.forget();
    }

    /// Of what is gone, and of what everybody sees that it is gone, nothing more is known.
    fn forget(&mut self) {
        let table = &self.table;
        self.frontends.retain(|frontend, watched| table.fate(frontend).is_some() || !watched.is_latest());
    }

    fn concerned(&self, touched: &Touched) -> Vec<Frontend> {
        match touched {
            Touched::Everything => self.frontends.keys().copied().collect(),
            Touched::Frontends(some) => {
                some.iter().filter(|frontend| self.frontends.contains_key(frontend)).copied().collect()
            }
            Touched::Mark(family, mark) => {
                let leads_there = |(frontend, watched): &(&Frontend, &Watched)| {
                    frontend.family() == *family && watched.marks.contains(mark)
                };
                self.frontends.iter().filter(leads_there).map(|(frontend, _)| *frontend).collect()
            }
        }
    }

    /// The kernel was changed: by us, or by others, who may break what they like. Says what is wrong.
    pub fn changed(
        &mut self,
        touched: &Touched,
        is_ours: bool,
        excuse: &PerFamily<Excuse>,
        kernels: &Kernels<'_>,
    ) -> Result<(), String> {
        for frontend in self.concerned(touched) {
            let (now, marks) = actual(&self.table, &frontend, kernels);
            let now = loosely(now, &frontend);
            let Some(watched) = self.frontends.get_mut(&frontend) else { continue };
            watched.marks = marks;
            let has_bridge = kernels.nft.has_bridge(frontend.family());
            watched.is_lent &= has_bridge;
            if now == watched.actual {
                continue;
            }
            let was = watched.is_permitted();
            let was_between = kernels.marks.is_some() && watched.is_between();
            let before = std::mem::replace(&mut watched.actual, now);
            let is = watched.is_permitted();
            let is_well = match (was, is) {
                (None, _) if !was_between => true,
                (Some(was), Some(is)) => was <= is,
                (None, Some(_)) => true,
                (_, None) => kernels.marks.is_some() && watched.is_between(),
            };
            let is_excused = match excuse[frontend.family()] {
                Excuse::None => false,
                Excuse::ForNews => watched.permitted.len() > 1,
                Excuse::ForAll => true,
            };
            if is_ours && !is_well && !is_excused && !watched.is_lent {
                return Err(format!(
                    "{frontend}: a change of ours leads packets from\n    {before:?}\n  to\n    {:?}\n  and permitted \
                     is, the latest last,\n    {:?}",
                    watched.actual, watched.permitted
                ));
            }
            let was_lost = before.iter().all(|outcome| *outcome == Outcome::Unclaimed);
            watched.is_lent = has_bridge && is.is_some() && (watched.is_lent || is_ours && was_lost);
            if let Some(is) = is.filter(|_| is_ours) {
                watched.permitted.drain(..is);
            }
        }
        self.forget();
        Ok(())
    }

    /// Who does not meet what the table says, as far as is known.
    pub fn unsettled(&self) -> Option<String> {
        let (frontend, watched) = self.frontends.iter().find(|(_, watched)| !watched.is_latest())?;
        let (actual, latest) = (&watched.actual, watched.permitted.last());
        Some(format!("{frontend}: packets meet\n    {actual:?}\n  and should meet\n    {latest:?}"))
    }

    /// Whether packets meet what the table says, everywhere. The table is made anew from its objects' truth first.
    pub fn is_settled(&mut self, kernels: &Kernels<'_>) -> Result<(), String> {
        let mut all: BTreeSet<Frontend> = self.frontends.keys().copied().collect();
        all.extend(self.table.frontends().map(|(frontend, _)| *frontend));
        for frontend in all {
            let (actual, _) = actual(&self.table, &frontend, kernels);
            let expected = expected(&self.table, &frontend);
            if actual != expected {
                return Err(format!(
                    "{frontend}: packets meet\n    {actual:?}\n  and should meet\n    {expected:?}"
                ));
            }
        }
        self.is_right_with_nobodys(kernels)
    }

    /// Reference §3.2: unknown ports of ClusterIPs, and addresses that no Service has.
    fn is_right_with_nobodys(&self, kernels: &Kernels<'_>) -> Result<(), String> {
        let elsewhere = ["10.96.0.200", "fd00:96::2:0", "192.0.2.77", "2001:db8:ffff::1"]
            .map(|ip| ip.parse().expect("an address"));
        for to in self.table.cluster_ips().chain(elsewhere) {
            let from = sources(Family::of(to))[2];
            let (port, protocol) = (9999, Protocol::Udp);
            let told = self.table.explain(&explain::Packet {
                from: Some(from),
                in_interface: None,
                to,
                port,
                protocol,
            });
            let mut packet = Packet::new(from, to, port, protocol);
            let is_local = |ip| self.table.node().is_local(ip);
            let ending = kernels.nft.hook(PREROUTING, i32::MIN..=i32::MAX, &mut packet, &is_local);
            let expected = match told.verdict {
                Verdict::Reject => Ending::Rejected,
                Verdict::Drop => Ending::Dropped,
                Verdict::Dnat | Verdict::Pass => Ending::Accepted,
            };
            if ending != expected {
                return Err(format!(
                    "{to}, which no frontend is at: {ending:?}, and it should be {expected:?}"
                ));
            }
        }
        Ok(())
    }
}

/// A local pod, this node, one from outside that Services may allow, and one that they do not.
fn sources(family: Family) -> [IpAddr; 4] {
    let of = |ips: [&str; 2]| ips[usize::from(family == Family::V6)].parse().expect("an address");
    [of(POD_IPS), of(NODE_IPS), of(OUTSIDE_IPS[0]), of(OUTSIDE_IPS[1])]
}

fn destination(frontend: &Frontend) -> IpAddr {
    match frontend {
        Frontend::Address { ip, .. } => *ip,
        Frontend::NodePort { family, .. } => sources(*family)[1],
    }
}

/// What the table says.
fn expected(table: &ServiceTable, frontend: &Frontend) -> Outcomes {
    let to = destination(frontend);
    let of = |from: IpAddr| {
        if table.fate(frontend).is_none() {
            return Outcome::Unclaimed;
        }
        let (port, protocol) = (frontend.port(), frontend.protocol());
        let packet = explain::Packet { from: Some(from), in_interface: None, to, port, protocol };
        let explanation = table.explain(&packet);
        match explanation.verdict {
            Verdict::Pass => Outcome::Unclaimed,
            Verdict::Drop => Outcome::Dropped,
            Verdict::Reject => Outcome::Rejected,
            Verdict::Dnat => {
                let is_own = |there: &Backend| there.ip == from && table.is_hairpin(protocol, *there);
                let sent = explanation.backends.iter();
                Outcome::Sent(sent.map(|there| (*there, explanation.masquerade || is_own(there))).collect())
            }
        }
    };
    sources(frontend.family()).map(of).into()
}

/// Without whether a pod that is sent to itself is masqueraded: who keeps a backend because the kernel refuses another
/// does not keep what all its frontends share, and in IPVS mode it is said a moment after the backend serves.
fn loosely(mut outcomes: Outcomes, frontend: &Frontend) -> Outcomes {
    for (outcome, from) in outcomes.iter_mut().zip(sources(frontend.family())) {
        if let Outcome::Sent(to) = outcome {
            *to = to
                .iter()
                .map(|(there, is_masqueraded)| (*there, *is_masqueraded || there.ip == from))
                .collect();
        }
    }
    outcomes
}

/// What the kernels do, and which virtual servers have a part in it.
fn actual(table: &ServiceTable, frontend: &Frontend, kernels: &Kernels<'_>) -> (Outcomes, BTreeSet<u32>) {
    let (to, is_local) = (destination(frontend), |ip| table.node().is_local(ip));
    let mut marks = BTreeSet::new();
    let outcomes = sources(frontend.family()).map(|from| {
        let (mut sent, mut other) = (BTreeSet::new(), None);
        let (mut chance, mut spread) = (0, 1);
        while chance < spread {
            let mut packet = Packet::new(from, to, frontend.port(), frontend.protocol());
            packet.random = chance;
            let outcome = walk(&mut packet, kernels, &is_local, &mut marks);
            spread = packet.spread;
            chance += 1;
            match outcome {
                Outcome::Sent(to) => sent.extend(to),
                outcome => other = Some(outcome),
            }
        }
        match (sent.is_empty(), other) {
            (false, None) => Outcome::Sent(sent),
            (true, Some(other)) => other,
            _ => Outcome::Lost("some are sent and some are not"),
        }
    });
    (outcomes.into(), marks)
}

fn walk(
    packet: &mut Packet,
    kernels: &Kernels<'_>,
    is_local: &dyn Fn(IpAddr) -> bool,
    marks: &mut BTreeSet<u32>,
) -> Outcome {
    let (hook, last) = match is_local(packet.source) {
        true if kernels.marks.is_some() => (OUTPUT, BEFORE_IPVS),
        true => (OUTPUT, i32::MAX),
        false => (PREROUTING, i32::MAX),
    };
    match kernels.nft.hook(hook, i32::MIN..=last, packet, is_local) {
        _ if !packet.is_claimed => return Outcome::Unclaimed,
        Ending::Dropped => return Outcome::Dropped,
        Ending::Rejected => return Outcome::Rejected,
        Ending::Accepted => {}
    }
    if kernels.marks.is_some_and(|marks| marks.is_ours(packet.mark)) {
        marks.insert(packet.mark);
        return balanced(packet, kernels, is_local);
    }
    if packet.original.is_none() {
        return Outcome::Lost("it is left alone");
    }
    kernels.nft.hook(POSTROUTING, i32::MIN..=i32::MAX, packet, is_local);
    let there = Backend { ip: packet.destination, port: packet.port };
    Outcome::Sent([(there, packet.is_masqueraded)].into())
}

/// IPVS sends it on, with the mark that it had before.
fn balanced(packet: &Packet, kernels: &Kernels<'_>, is_local: &dyn Fn(IpAddr) -> bool) -> Outcome {
    let server = kernels.ipvs.contents().get(&key(Family::of(packet.destination), packet.mark));
    let Some(server) = server else { return Outcome::Lost("there is no such virtual server") };
    let serving = server.real.values().filter(|(real, _)| real.weight > 0);
    let sent: BTreeSet<(Backend, bool)> = serving
        .map(|(real, _)| {
            let mut packet = Packet { destination: real.address, port: real.port, mark: 0, ..packet.clone() };
            kernels.nft.hook(POSTROUTING, i32::MIN..=i32::MAX, &mut packet, is_local);
            (Backend { ip: real.address, port: real.port }, packet.is_masqueraded)
        })
        .collect();
    if sent.is_empty() { Outcome::Lost("nobody serves in its virtual server") } else { Outcome::Sent(sent) }
}
