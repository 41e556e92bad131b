//! Judging a packet table: by the model, by `explain`, and by real packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::case::{Case, From, case};
use crate::fate::{Fate, PASS};
use crate::model::{Model, Probe};
use crate::pace;
use crate::plan::Family;
use crate::probe::{self, Seen};
use crate::scenario::Scenario;
use crate::topology::Host;
use crate::wire::Protocol;

/// Lines of a table that are tried at once. With all of them, hundreds of connections, an emulated machine is so busy
/// that it loses packets.
const AT_ONCE: usize = 12;
/// How long to wait before nothing is taken for silence, where silence is expected.
const SILENCE: Duration = Duration::from_millis(300);
/// How long to wait for what should come. Much, because it only costs when a test fails.
const PATIENCE: Duration = Duration::from_secs(3);

/// One line of a table in one family, with all that is known before a packet is sent.
struct Line<'a> {
    case: &'a Case,
    probe: Probe,
    fate: Fate,
}

impl Scenario {
    /// Checks every line in every family it holds in.
    ///
    /// # Panics
    /// With a report of all lines that went wrong.
    pub fn check(&self, cases: &[Case]) {
        self.judge(cases, true);
    }

    /// Sends the packets only: for fates that neither model nor `explain` can know.
    ///
    /// # Panics
    /// With a report of all lines that went wrong.
    pub fn check_packets(&self, cases: &[Case]) {
        self.judge(cases, false);
    }

    /// Sends the packets only, and says which lines went wrong: for whoever programmed this node.
    pub fn packet_complaints(&self, cases: &[Case]) -> Vec<String> {
        self.complaints(&self.lines(cases), false)
    }

    /// Sends the first packet of a new connection in a family, and sees what becomes of it.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn send(&self, from: From, family: Family, to: &str) -> Seen {
        self.send_for(pace::limit(PATIENCE), from, family, to)
    }

    fn send_for(&self, patience: Duration, from: From, family: Family, to: &str) -> Seen {
        let case = case("one packet", from, to, PASS);
        let probe = self.probe(from, case.destination(family), case.protocol());
        let seen = self
            .topology()
            .of(from.host())
            .run(|| probe::volley(probe.protocol, probe.source, probe.to, 1, patience, self.sightings()));
        seen.unwrap_or_else(|e| panic!("{from:?} cannot send to {to}: {e}"))[0]
    }

    /// As [`Scenario::send`], where silence is as good as an answer and not worth a long wait.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn try_send(&self, from: From, family: Family, to: &str) -> Seen {
        self.send_for(pace::limit(SILENCE), from, family, to)
    }

    /// The backend that one new connection reaches.
    ///
    /// # Panics
    /// When it reaches none.
    pub fn reach(&self, from: From, family: Family, to: &str) -> SocketAddr {
        match self.send(from, family, to) {
            Seen::Dnat { backend, .. } => backend,
            seen => panic!("{from:?} to {to} ({family:?}): {seen:?}\n{}", self.files().log()),
        }
    }

    /// How many of so many new connections each backend gets.
    ///
    /// # Panics
    /// When one reaches none.
    pub fn spread(
        &self,
        from: From,
        family: Family,
        to: &str,
        connections: usize,
    ) -> BTreeMap<SocketAddr, usize> {
        let mut counts = BTreeMap::new();
        for _ in 0..connections {
            *counts.entry(self.reach(from, family, to)).or_default() += 1;
        }
        counts
    }

    /// A packet as the model is asked about it. The source of a process of the node is the kernel's choice.
    ///
    /// # Panics
    /// When there is no route.
    pub fn probe(&self, from: From, to: SocketAddr, protocol: Protocol) -> Probe {
        let source = from.address(Family::of(to.ip())).unwrap_or_else(|| {
            self.topology()
                .of(from.host())
                .run(|| probe::source_towards(to.ip()))
                .unwrap_or_else(|e| panic!("{from:?} has no route to {to}: {e}"))
        });
        let interface = from.host().node_interface().map(str::to_owned);
        Probe { source, interface, to, protocol }
    }

    fn judge(&self, cases: &[Case], with_opinions: bool) {
        let lines = self.lines(cases);
        let complaints = self.complaints(&lines, with_opinions);
        assert!(
            complaints.is_empty(),
            "{} of {} lines went wrong:\n{}\n--- the daemon's log:\n{}",
            complaints.len(),
            lines.len(),
            complaints.join("\n"),
            self.files().log(),
        );
    }

    fn lines<'a>(&self, cases: &'a [Case]) -> Vec<Line<'a>> {
        let holds = |case: &Case, family| case.family.is_none_or(|only| only == family);
        let of =
            |case| Family::BOTH.into_iter().filter(move |f| holds(case, *f)).map(move |f| self.line(case, f));
        cases.iter().flat_map(of).collect()
    }

    fn complaints(&self, lines: &[Line<'_>], with_opinions: bool) -> Vec<String> {
        let model = with_opinions.then(|| self.model());
        // Silence is waited for by all at once.
        let (silent, answered): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.fate == Fate::Drop);
        let answered = Mutex::new(answered.into_iter());
        let next = || answered.lock().unwrap_or_else(PoisonError::into_inner).next();
        std::thread::scope(|scope| {
            let opinions = scope.spawn(|| match &model {
                Some(model) => lines.iter().flat_map(|line| self.opinions(model, line)).collect(),
                None => Vec::new(),
            });
            let waiting = silent.into_iter().map(|line| scope.spawn(|| self.packets(line)));
            let mut packets: Vec<_> = waiting.collect();
            packets.extend((0..AT_ONCE).map(|_| {
                scope.spawn(|| std::iter::from_fn(&next).flat_map(|line| self.packets(line)).collect())
            }));
            let mut complaints: Vec<String> =
                packets.into_iter().flat_map(|thread| thread.join().expect("a packet thread")).collect();
            complaints.extend(opinions.join().expect("the opinions thread"));
            complaints
        })
    }

    fn line<'a>(&self, case: &'a Case, family: Family) -> Line<'a> {
        let probe = self.probe(case.from, case.destination(family), case.protocol());
        let fate = case.fate.in_family(family);
        if fate == Fate::Pass {
            self.listen(probe.to, probe.protocol);
        }
        Line { case, probe, fate }
    }

    /// What model and `explain` say, where they disagree with the table.
    fn opinions(&self, model: &Model, line: &Line<'_>) -> Vec<String> {
        let mut complaints = Vec::new();
        let fates = model.fates(&line.probe);
        if fates != BTreeSet::from([line.fate.clone()]) {
            let fates: Vec<String> = fates.iter().map(ToString::to_string).collect();
            complaints.push(line.complaint(&format!("the model says {}", fates.join(" or "))));
        }
        // It is computed, whatever the kernel; in an emulated machine hundreds of processes would take minutes.
        if line.probe.protocol != Protocol::Icmp && !pace::is_emulated() {
            match self.files().explain(self.node(), &line.probe) {
                Err(error) => complaints.push(line.complaint(&format!("explain failed: {error}"))),
                Ok(said) if !explains(&said, &line.fate, line.probe.source) => {
                    complaints.push(line.complaint(&format!("explain says {said}")));
                }
                Ok(_) => {}
            }
        }
        complaints
    }

    /// What packets say, where they disagree. The calling thread moves to the namespace of the source.
    fn packets(&self, line: &Line<'_>) -> Vec<String> {
        self.topology().of(line.case.from.host()).enter();
        let Probe { source, to, protocol, .. } = line.probe;
        let sticky = line.case.fate.sticky;
        let _turn = sticky.then(|| self.affinity.lock().unwrap_or_else(PoisonError::into_inner));
        let patience = pace::limit(if line.fate == Fate::Drop { SILENCE } else { PATIENCE });
        let wanted = match &line.fate {
            // One after the other, for the same reason.
            Fate::Dnat { .. } if sticky => 1,
            Fate::Dnat { backends, .. } => 2 * backends.len() + 2,
            _ => 2,
        };
        let mut seen = Vec::new();
        loop {
            match probe::volley(protocol, source, to, wanted, patience, self.sightings()) {
                Ok(more) => seen.extend(more),
                Err(error) => return vec![line.complaint(&format!("the packet could not be sent: {error}"))],
            }
            if let Some(wrong) = seen.iter().find(|seen| !line.fate.agrees(source, **seen)) {
                return vec![line.complaint(&format!("a packet met {wrong:?}"))];
            }
            let Fate::Dnat { backends, .. } = &line.fate else { return Vec::new() };
            let reached = reached(&seen);
            let enough = if sticky { reached.len() < 2 } else { reached.len() == backends.len() };
            if enough && seen.len() >= 6 {
                return Vec::new();
            }
            // With fair choices, and all the more where a scheduler takes turns, this many connections miss a backend once in millions of runs.
            if (sticky && !enough) || seen.len() > 20 * backends.len() + 6 {
                return vec![line.complaint(&format!("{} packets reached {reached:?}", seen.len()))];
            }
        }
    }
}

fn reached(seen: &[Seen]) -> BTreeSet<SocketAddr> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Dnat { backend, .. } => Some(*backend),
            _ => None,
        })
        .collect()
}

/// Whether `explain`'s answer is a fate.
pub fn explains(said: &Value, fate: &Fate, source: IpAddr) -> bool {
    let verdict = match fate {
        Fate::Dnat { .. } => "dnat",
        Fate::Reject => "reject",
        Fate::Drop => "drop",
        Fate::Pass => "pass",
    };
    let reasons = said["because"].as_array().is_some_and(|because| {
        !because.is_empty()
            && because.iter().all(|reason| reason.as_str().is_some_and(|text| !text.is_empty()))
    });
    if !reasons {
        return false;
    }
    let Fate::Dnat { backends, masquerade } = fate else { return said["verdict"] == verdict };
    let said_backends: Option<BTreeSet<SocketAddr>> = said["backends"]
        .as_array()
        .map(|list| list.iter().filter_map(|b| b.as_str()?.parse().ok()).collect());
    // Where the source may be chosen as its own backend, one boolean cannot tell: it depends on the choice.
    let hairpin = backends.iter().any(|backend| backend.ip() == source);
    said["verdict"] == verdict
        && said["service"].is_string()
        && said_backends.as_ref() == Some(backends)
        && (hairpin || said["masquerade"] == *masquerade)
}

impl Line<'_> {
    fn complaint(&self, what: &str) -> String {
        let Line { case, probe, fate } = self;
        let Probe { source, to, protocol, .. } = probe;
        let how = if case.from.host() == Host::Node { "from the node itself" } else { "through the node" };
        format!("  {:?} ({source} -> {to}/{protocol}, {how}): expected {fate}, but {what}", case.name)
    }
}
