//! The virtual servers that marks stand for, each with how many frontends send to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube_verdict_table::{Backend, Fate, Frontend, Protocol, ServicePortName};

use crate::layout::{Programme, Scope};

/// What packets with a mark are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// whose it is
    pub service: Arc<ServicePortName>,
    /// what it serves
    pub protocol: Protocol,
    /// the scheduler that its Service asks for, as it is written there
    pub scheduler: Option<Arc<str>>,
    /// where its connections go, sorted
    pub backends: Arc<[Backend]>,
}

/// What is to become of a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// it is to be so
    Server(Server),
    /// it stays as it is: what it serves is not known
    AsItIs,
    /// nothing sends to it any more
    Gone,
}

/// What is wanted of virtual servers, by mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// these
    pub servers: BTreeMap<u32, Want>,
    /// and no others
    pub is_all: bool,
}

/// The virtual servers of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    used: BTreeMap<u32, Used>,
    kept: BTreeSet<u32>,
}

#[derive(Clone, Debug)]
struct Used {
    frontends: u32,
    server: Server,
}

impl Servers {
    /// Everything that is wanted.
    pub(super) fn all(&self) -> Wanted {
        let kept = self.kept.iter().map(|mark| (*mark, Want::AsItIs));
        let used = self.used.iter().map(|(mark, used)| (*mark, Want::Server(used.server.clone())));
        Wanted { servers: kept.chain(used).collect(), is_all: true }
    }

    /// One that is there and is left alone.
    pub(super) fn keep(&mut self, mark: u32) {
        self.kept.insert(mark);
    }

    /// A frontend has another programme; notes what of it was before.
    pub(super) fn change(
        &mut self,
        frontend: &Frontend,
        old: Option<&Programme>,
        new: Option<(&Programme, &Fate)>,
        before: &mut BTreeMap<u32, Option<Server>>,
    ) {
        let marks = |programme: Option<&Programme>| programme.map(|p| p.marks).unwrap_or_default();
        let (old_marks, new_marks) = (marks(old), marks(new.map(|(programme, _)| programme)));
        for (_, mark) in old_marks.iter().chain(new_marks.iter()) {
            before.entry(mark).or_insert_with(|| self.used.get(&mark).map(|used| used.server.clone()));
        }
        for (scope, mark) in new_marks.iter() {
            let Some(server) = new.and_then(|(_, fate)| server(frontend, fate, scope)) else { continue };
            match self.used.get_mut(&mark) {
                Some(used) => {
                    used.frontends += 1;
                    used.server = server;
                }
                None => drop(self.used.insert(mark, Used { frontends: 1, server })),
            }
        }
        for (_, mark) in old_marks.iter() {
            if let Some(used) = self.used.get_mut(&mark) {
                used.frontends -= 1;
                if used.frontends == 0 {
                    self.used.remove(&mark);
                }
            }
        }
    }

    /// What differs from what was before.
    pub(super) fn differing(&self, before: BTreeMap<u32, Option<Server>>) -> BTreeMap<u32, Want> {
        let after = |mark: &u32| self.used.get(mark).map(|used| &used.server);
        let differing = before.into_iter().filter(|(mark, before)| before.as_ref() != after(mark));
        differing
            .map(|(mark, _)| (mark, after(&mark).map_or(Want::Gone, |server| Want::Server(server.clone()))))
            .collect()
    }
}

fn server(frontend: &Frontend, fate: &Fate, scope: Scope) -> Option<Server> {
    let mut selections = fate.scoped_selections();
    let (_, selection) = selections.find(|(is_outside, _)| *is_outside == (scope == Scope::Local))?;
    Some(Server {
        service: Arc::clone(&fate.service),
        protocol: frontend.protocol(),
        scheduler: fate.scheduler.clone(),
        backends: Arc::clone(&selection.backends),
    })
}
