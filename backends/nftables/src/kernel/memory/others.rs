//! What somebody else does to a kernel in memory.

use std::collections::VecDeque;

use kube_verdict_table::{Family, PerFamily};

use super::{MemoryKernel, Table, element_family, key, perform};
use crate::batch::Batch;
use crate::bytecode::Expr;
use crate::kernel::{Author, ChainState, Note, SetState, Tenure};
use crate::layout::{Chain, Element, Set};

impl MemoryKernel {
    /// Someone else removes everything.
    pub fn flush(&mut self) {
        (self.tables, self.bridges) = (PerFamily::default(), PerFamily::default());
        self.note(true);
    }

    /// Someone else changes what is not ours.
    pub fn change_elsewhere(&mut self) {
        self.note(false);
    }

    /// Notes are dropped, as when there are too many.
    pub fn lose_notes(&mut self) {
        self.notes = VecDeque::from([Note::Lost]);
    }

    /// Someone else sends a batch of operations on our table. Says whether it became real.
    pub fn meddle(&mut self, batch: &Batch) -> bool {
        let mut table = self.tables[batch.family].clone();
        let is_real = batch.ops.iter().all(|op| perform(&mut table, op, batch.family).is_ok());
        if is_real {
            self.tables[batch.family] = table;
            self.note(true);
        }
        is_real
    }

    /// Someone else has a table of our name, and nothing of ours in it.
    pub fn usurp(&mut self, family: Family) {
        self.tables[family] = Some(Table { comment: "somebody else's".into(), ..Table::default() });
        self.note(true);
    }

    /// Someone else leaves a chain and a set in our table that are none of ours, and an element that we would not have
    /// written.
    pub fn litter(&mut self, family: Family, name: &str) {
        let Some(table) = &mut self.tables[family] else { return };
        table
            .chains
            .insert(name.into(), ChainState { rules: vec![vec![Expr::Foreign("log".into())]], base: None });
        table.sets.insert(name.into(), SetState::of(Set::ClusterIps, family));
        let key = vec![0xff; table.sets.get(Set::Hairpins.name()).map_or(0, |set| set.key_length as usize)];
        if !key.is_empty() {
            table.elements.insert((Set::Hairpins, (key, None)), None);
        }
        self.note(true);
    }

    /// The process that used it is gone, and another one begins: what was to be told to the first is told to nobody.
    pub fn reopen(&mut self) {
        self.notes.clear();
        self.is_deaf = false;
    }

    /// Whether there is something to hear.
    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// A transaction of someone else's became real.
    fn note(&mut self, is_about_us: bool) {
        self.generation += 1;
        if self.hears == Some(true) && !self.is_deaf {
            let author = Some(Author { name: "nft".into(), pid: 4711 });
            self.notes.push_back(Note::Transaction { generation: self.generation, is_about_us, author });
        }
    }

    /// The table's owner is another from now on, as when ours is gone.
    pub fn pass_on(&mut self, family: Family, tenure: Tenure) {
        if let Some(table) = &mut self.tables[family] {
            table.tenure = tenure;
        }
    }

    /// The table's comment is another one: some other program's, or of another layout.
    pub fn relabel(&mut self, family: Family, comment: &str) {
        if let Some(table) = &mut self.tables[family] {
            table.comment = comment.to_owned();
            self.note(true);
        }
    }

    /// Someone else puts an element in.
    pub fn intrude(&mut self, element: Element) {
        let family = element_family(&element);
        if let Some(table) = &mut self.tables[family] {
            table.elements.insert((element.set(), key(&element)), Some(element));
            self.note(true);
        }
    }

    /// Someone else takes an element out.
    pub fn snatch(&mut self, element: &Element) {
        if let Some(table) = &mut self.tables[element_family(element)] {
            table.elements.remove(&(element.set(), key(element)));
            self.note(true);
        }
    }

    /// Someone else removes a chain's rules.
    pub fn flush_chain(&mut self, family: Family, chain: Chain) {
        if let Some(table) = &mut self.tables[family]
            && let Some(chain) = table.chains.get_mut(&chain.to_string())
        {
            chain.rules.clear();
            self.note(true);
        }
    }
}
