//! The decisions, in the kernel's order.

use std::sync::Arc;

use super::origin::{Origin, source};
use super::{Explanation, Packet, Verdict, words};
use crate::fate::{Fate, Frontend, Masquerade, Route, Selection, Target};
use crate::net::Family;
use crate::node::Balancer;
use crate::table::ServiceTable;

impl ServiceTable {
    /// What becomes of `packet`, and why.
    pub fn explain(&self, packet: &Packet) -> Explanation {
        let mut explanation = Explanation {
            verdict: Verdict::Pass,
            backends: Vec::new(),
            scheduler: None,
            masquerade: false,
            service: None,
            frontend: None,
            because: Vec::new(),
        };
        if packet.from != source(packet) {
            explanation.because.push(words::source_of_other_family(packet));
        }
        match self.find(packet) {
            Some((frontend, fate)) => {
                let walk = Walk { table: self, packet, frontend, fate, origin: Origin::of(packet, self) };
                walk.explain(&mut explanation);
            }
            None => self.explain_unclaimed(packet, &mut explanation),
        }
        explanation
    }

    /// The frontend that a packet hits.
    fn find(&self, packet: &Packet) -> Option<(Frontend, &Arc<Fate>)> {
        let Packet { to: ip, port, protocol, .. } = *packet;
        let address = Frontend::Address { ip, protocol, port };
        if let Some(fate) = self.fate(&address) {
            return Some((address, fate));
        }
        let node_port = node_port(packet);
        let fate = self.fate(&node_port)?;
        self.node().serves_node_ports(ip).then_some((node_port, fate))
    }

    /// Reference §3.2, the rows on addresses and ports that are nobody's.
    fn explain_unclaimed(&self, packet: &Packet, explanation: &mut Explanation) {
        let because = &mut explanation.because;
        if let Some(fate) = self.fate(&node_port(packet)) {
            because.push(words::node_port_not_served(packet, fate, self.node()));
        }
        let prefix = self.service_cidrs().iter().find(|prefix| prefix.contains(packet.to));
        explanation.verdict = if self.node().is_local(packet.to) {
            because.push(words::left_to_the_host(packet));
            Verdict::Pass
        } else if self.is_cluster_ip(packet.to) {
            because.push(words::unknown_port(packet));
            Verdict::Reject
        } else if let Some(prefix) = prefix {
            because.push(words::unallocated(packet, prefix));
            Verdict::Drop
        } else {
            because.push(words::nobodys(packet));
            Verdict::Pass
        };
    }
}

fn node_port(packet: &Packet) -> Frontend {
    Frontend::NodePort { family: Family::of(packet.to), protocol: packet.protocol, port: packet.port }
}

/// One packet that hit a frontend.
struct Walk<'a> {
    table: &'a ServiceTable,
    packet: &'a Packet,
    frontend: Frontend,
    fate: &'a Fate,
    origin: Origin,
}

impl Walk<'_> {
    fn explain(&self, out: &mut Explanation) {
        let fate = self.fate;
        out.service = Some((*fate.service).clone());
        out.frontend = Some(words::frontend(&self.frontend, fate.kind));
        out.because.push(words::claimed(self.packet, fate));
        for rival in self.table.rivals(&self.frontend) {
            out.because.push(words::rival(rival));
        }
        if !self.source_is_allowed(out) {
            out.verdict = Verdict::Drop;
            return;
        }
        let target = self.target(out);
        match target {
            Target::Reject => {
                out.verdict = Verdict::Reject;
                out.because.push(words::rejected(fate));
            }
            Target::Drop => {
                out.verdict = Verdict::Drop;
                out.because.push(words::dropped(fate));
            }
            Target::Backends(selection) => self.dnat(selection, out),
        }
    }

    /// Reference §5: before everything else.
    fn source_is_allowed(&self, out: &mut Explanation) -> bool {
        let Some(sources) = &self.fate.sources else { return true };
        let from = source(self.packet);
        let range = from.and_then(|from| sources.iter().find(|range| range.contains(from)));
        out.because.push(words::source_range(from, range));
        range.is_some()
    }

    /// Reference §3.4: who gets which list.
    fn target(&self, out: &mut Explanation) -> &Target {
        match &self.fate.route {
            Route::Everyone(target) => target,
            Route::ByOrigin { inside, outside } => {
                // Where nothing is usable anywhere, the origin decides nothing.
                if *inside != Target::Reject {
                    out.because.push(words::by_origin(self.origin).into());
                }
                if self.origin == Origin::Elsewhere { outside } else { inside }
            }
        }
    }

    fn dnat(&self, selection: &Selection, out: &mut Explanation) {
        out.verdict = Verdict::Dnat;
        out.backends = selection.backends.to_vec();
        out.because.push(words::choice(self.fate, selection, self.table.node().zone.as_deref()));
        if let Some(affinity) = self.fate.affinity {
            out.because.push(words::affinity(affinity));
        }
        if let Balancer::Ipvs { scheduler: default } = &self.table.settings().balancer {
            out.scheduler = Some(self.fate.scheduler.as_ref().unwrap_or(default).to_string());
            out.because.push(words::scheduler(self.fate, default));
        }
        let (masquerade, why) = self.masquerade();
        out.masquerade = masquerade;
        out.because.push(why);
        if !masquerade {
            self.hairpin(selection, out);
        }
    }

    /// Reference §4.1, all rows but the hairpin's.
    fn masquerade(&self) -> (bool, String) {
        let masquerade = match (&self.fate.route, self.fate.masquerade) {
            (Route::ByOrigin { .. }, _) => self.origin == Origin::ThisNode,
            (Route::Everyone(_), Masquerade::Always) => true,
            (Route::Everyone(_), Masquerade::Never) => false,
            (Route::Everyone(_), Masquerade::UnlessLocalPod) => self.origin != Origin::LocalPod,
        };
        (masquerade, words::masquerade(self.fate, self.origin, self.table.settings().masquerade_all))
    }

    /// Reference §4.1, the last row: a source that may be its own backend.
    fn hairpin(&self, selection: &Selection, out: &mut Explanation) {
        let Some(from) = source(self.packet) else { return };
        let is_own = |backend: &&crate::fate::Backend| {
            backend.ip == from && self.table.is_hairpin(self.packet.protocol, **backend)
        };
        let own = selection.backends.iter().filter(is_own).count();
        if own > 0 {
            out.masquerade = own == selection.backends.len();
            out.because.push(words::hairpin(from, out.masquerade));
        }
    }
}
