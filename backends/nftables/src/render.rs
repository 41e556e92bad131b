//! What a table asks for, without a kernel: the ruleset as text, and the virtual servers that it leads to. The numbers
//! in both are those that a first sync would choose where there is nothing yet.

use std::collections::{BTreeMap, HashMap};

use kube_verdict_table::{Family, PerFamily, ServiceTable};

use crate::backend::{Options, context, fill};
use crate::layout::{Chain, Element, Set};
use crate::state::{Edits, State, Wanted};
use crate::text;

/// Both families' tables as text that `nft -f` loads in place of what is there.
pub fn render(table: &ServiceTable, options: Options) -> String {
    let mut out = String::from("# Loading this with `nft -f` replaces both tables in one transaction.\n");
    for family in Family::BOTH {
        let name = text::family_and_name(family);
        out.push_str(&format!("table {name}\ndelete table {name}\n"));
    }
    for family in Family::BOTH {
        let (mut state, edits) = filled(table, family, options);
        let mut elements: BTreeMap<Set, Vec<Element>> = BTreeMap::new();
        for element in edits.added() {
            elements.entry(element.set()).or_default().push(element);
        }
        elements.values_mut().for_each(|elements| elements.sort_unstable());
        state.batch(edits);
        let chains: Vec<Chain> = state.chains().iter().copied().collect();
        out.push_str(&text::table(state.context(), &state.sets(), &chains, &elements));
    }
    out
}

/// The elements of one family's table, in no order.
pub fn elements(table: &ServiceTable, family: Family, options: Options) -> Vec<Element> {
    filled(table, family, options).1.added()
}

/// What the ruleset wants of virtual servers; nothing where it spreads connections itself.
pub fn virtual_servers(table: &ServiceTable, options: Options) -> PerFamily<Wanted> {
    PerFamily::from_fn(|family| filled(table, family, options).0.wanted())
}

fn filled(table: &ServiceTable, family: Family, options: Options) -> (State, Edits) {
    let mut state = State::new(context(table, family, options));
    let edits = fill(&mut state, table, &HashMap::new(), |_| true);
    (state, edits)
}
