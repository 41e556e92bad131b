//! A batch that is too large for the socket or for the memory that the kernel has just now, as several smaller ones. It
//! is no longer atomic as a whole, but what a frontend has stays together: a packet meets its old fate or its new one,
//! as before, and only meets the new one of some frontends earlier than that of others. Pure.

use std::collections::BTreeMap;

use super::Culprit;
use crate::batch::{Batch, Op};
use crate::kernel::{CommitError, Refusal};
use crate::layout::{Chain, Element};

/// Some operations of a batch.
pub(super) struct Part {
    /// these, in their order
    pub(super) batch: Batch,
    /// where they stand in the whole
    places: Vec<usize>,
}

impl Part {
    /// All of it.
    pub(super) fn whole(batch: &Batch) -> Part {
        Part { batch: batch.clone(), places: (0..batch.ops.len()).collect() }
    }

    /// Parts of about half the size, or one if it cannot be split.
    pub(super) fn halves(&self) -> Vec<Part> {
        let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        for (index, group) in groups_of(&self.batch.ops).into_iter().enumerate() {
            groups.entry(group).or_default().push(index);
        }
        let most = self.batch.ops.len().div_ceil(2);
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for indices in groups.into_values() {
            match parts.last_mut() {
                Some(part) if part.len() + indices.len() <= most => part.extend(indices),
                _ => parts.push(indices),
            }
        }
        let part = |indices: Vec<usize>| {
            let ops = indices.iter().map(|index| self.batch.ops[*index].clone()).collect();
            let places = indices.iter().map(|index| self.places[*index]).collect();
            Part { batch: Batch { ops, ..self.batch.clone_head() }, places }
        };
        parts.into_iter().map(part).collect()
    }

    /// The same error, about the whole batch.
    pub(super) fn blame(&self, error: CommitError) -> CommitError {
        match error {
            CommitError::Refused(refusals) => {
                let in_whole = |Refusal { op, errno }| Refusal { op: self.places[op], errno };
                CommitError::Refused(refusals.into_iter().map(in_whole).collect())
            }
            error => error,
        }
    }
}

/// Whether a batch failed for its size: nothing of it is real, and less of it might be.
pub(super) fn is_too_large(error: &CommitError) -> bool {
    let CommitError::Io(error) = error else { return false };
    matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::ENOBUFS | libc::ENOMEM))
}

/// What goes together, and in which order: rules and what they need, what frontends share and gain, each frontend, what
/// they share and lose, with the addresses that are ClusterIPs, at which all but frontends is rejected. Last the hooks
/// that bring packets, if they are made: before that a table is incomplete and would turn away what it does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Rules,
    Gained(Culprit),
    Frontend(Culprit),
    Last(Culprit),
    Hooks,
}

fn groups_of(ops: &[Op]) -> Vec<Group> {
    // An element that is replaced is gained, under whichever of its data.
    let mut gained: BTreeMap<Culprit, bool> = BTreeMap::new();
    for op in ops {
        if let Op::Add(element) | Op::Remove(element) = op {
            *gained.entry(key(element)).or_default() |= matches!(op, Op::Add(_));
        }
    }
    let is_made = |chain: Chain| ops.contains(&Op::AddChain(chain));
    let made = [Chain::Prerouting, Chain::Output].map(|chain| is_made(chain).then_some(chain));
    let group = |op: &Op| match op {
        Op::AddChain(chain) | Op::AddRule(chain, _) if made.contains(&Some(*chain)) => Group::Hooks,
        // Rules say whether these are looked at.
        Op::Add(Element::NodePortAddress(_)) | Op::Remove(Element::NodePortAddress(_)) => Group::Rules,
        Op::Add(element) | Op::Remove(element) => match key(element) {
            frontend @ Culprit::Frontend(_) => Group::Frontend(frontend),
            shared @ Culprit::Element(Element::ClusterIp(_)) => Group::Last(shared),
            shared if gained.get(&shared) == Some(&true) => Group::Gained(shared),
            shared => Group::Last(shared),
        },
        // Those of others, and whatever is left over, make room for ours.
        _ => Group::Rules,
    };
    ops.iter().map(group).collect()
}

/// The frontend, or what tells a shared element from others.
fn key(element: &Element) -> Culprit {
    match element {
        Element::AffinityTimeout(number, _) => Culprit::Element(Element::AffinityTimeout(*number, 0)),
        element => Culprit::of(element),
    }
}

#[cfg(test)]
mod tests {
    use kube_verdict_table::{Backend, Family, Frontend, Protocol};

    use super::*;
    use crate::layout::{BRIDGE, Scope, Verdict};

    fn frontend(port: u16) -> Frontend {
        Frontend::Address { ip: [10, 96, 0, 1].into(), protocol: Protocol::Tcp, port }
    }

    fn slot(port: u16, slot: u32, last: u8) -> Element {
        let backend = Backend { ip: [10, 0, 0, last].into(), port: 8080 };
        Element::Slot(frontend(port), Scope::Cluster, slot, backend)
    }

    #[test]
    fn what_belongs_together_stays_together_and_in_order() {
        let shared = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|ip| Element::ClusterIp(ip.into()));
        let ops = vec![
            Op::AddChain(Chain::Prerouting),
            Op::AddChain(Chain::NoEndpoints),
            Op::Remove(shared[0]),
            Op::Remove(slot(80, 0, 1)),
            Op::Remove(slot(81, 0, 1)),
            Op::Remove(Element::AffinityTimeout(7, 60)),
            Op::Add(slot(80, 0, 2)),
            Op::Add(slot(81, 0, 2)),
            Op::Add(Element::Frontend(frontend(80), Verdict::Drop)),
            Op::Add(shared[1]),
            Op::Add(Element::AffinityTimeout(7, 90)),
        ];
        let batch = Batch { ops, ..Batch::new(Family::V4) };
        let parts = Part::whole(&batch).halves();
        let places: Vec<&[usize]> = parts.iter().map(|part| &part.places[..]).collect();
        assert_eq!(places, [&[1, 5, 10, 3, 6, 8][..], &[4, 7, 2, 9, 0][..]]);
        let all: usize = parts.iter().map(|part| part.batch.ops.len()).sum();
        assert_eq!(all, batch.ops.len());
        let quarters = parts[1].halves();
        assert_eq!(
            quarters.iter().map(|part| &part.places[..]).collect::<Vec<_>>(),
            [[4, 7, 2].as_slice(), &[9, 0]]
        );
        let refused = CommitError::Refused(vec![Refusal { op: 1, errno: 5 }]);
        let blamed = parts[1].blame(refused);
        assert!(matches!(blamed, CommitError::Refused(refusals) if refusals[0].op == 7));
    }

    #[test]
    fn parts_are_of_the_same_table() {
        let ops = (80..88).map(|port| Op::Add(slot(port, 0, 1))).collect();
        let batch = Batch { ops, table: BRIDGE, ..Batch::new(Family::V4) };
        let parts = Part::whole(&batch).halves();
        assert_eq!(parts.iter().map(|part| part.batch.table).collect::<Vec<_>>(), [BRIDGE, BRIDGE]);
    }

    #[test]
    fn one_frontend_is_not_split() {
        let ops = (0..8).map(|n| Op::Add(slot(80, n, 1))).collect();
        let batch = Batch { ops, ..Batch::new(Family::V4) };
        assert_eq!(Part::whole(&batch).halves().len(), 1);
    }
}
