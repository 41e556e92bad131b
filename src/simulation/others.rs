//! What somebody else does to the kernels: to what is ours, and to what is not.

use kube_verdict_ipvs::Marks;
use kube_verdict_ipvs::kernel::memory::Contents;
use kube_verdict_ipvs_codec::{Key, Order, RealServer};
use kube_verdict_nftables::batch::{Batch, Op};
use kube_verdict_nftables::layout::Element;
use kube_verdict_table::{Backend, Family};

use super::kernel::{touched, words};
use super::ledger::Touched;
use super::world::World;

/// Somebody does something.
pub fn act(world: &mut World) {
    if world.plan.is_ipvs && world.rng.one_in(3) {
        to_ipvs(world);
    } else {
        to_nft(world);
    }
}

fn to_nft(world: &mut World) {
    let family = world.rng.pick(&Family::BOTH);
    let state = world.nft.contents(family).unwrap_or_default();
    let kind = world.rng.below(16);
    let some = state.elements.get(world.rng.below(state.elements.len())).copied();
    let ops = match (kind, some) {
        (0..=3, _) => {
            world.tell("somebody changes another table");
            return world.nft.change_elsewhere();
        }
        (4..=6, Some(element)) => vec![Op::Remove(element)],
        (7 | 8, Some(element)) => {
            let Some(other) = similar(world, &element, &state.elements) else { return };
            vec![Op::Remove(element), Op::Add(other)]
        }
        (9 | 10, Some(element)) => {
            let Some(other) = similar(world, &element, &state.elements) else { return };
            vec![Op::Add(other)]
        }
        (11, _) => {
            let names: Vec<&String> = state.chains.keys().collect();
            if names.is_empty() {
                return;
            }
            vec![Op::FlushChain(world.rng.pick(&names).clone())]
        }
        (12, _) => vec![Op::DeleteTable],
        (13, _) => {
            world.tell(format!("somebody has an {family} table of our name"));
            world.nft.usurp(family);
            return world.changed(&Touched::Everything, false);
        }
        (14, _) => {
            world.tell(format!("somebody litters our {family} table"));
            world.nft.litter(family, "stray");
            return world.changed(&Touched::Everything, false);
        }
        (15, _) => {
            world.tell("somebody flushes the ruleset");
            world.nft.flush();
            return world.changed(&Touched::Everything, false);
        }
        _ => return,
    };
    let batch = Batch { ops, ..Batch::new(family) };
    if world.nft.meddle(&batch) {
        world.tell(format!("somebody: {family} {:?}", batch.ops));
        world.changed(&touched(&batch), false);
    }
}

/// An element that looks like one of ours.
fn similar(world: &mut World, element: &Element, all: &[Element]) -> Option<Element> {
    let another = |backend: Backend| Backend { port: backend.port ^ 1, ..backend };
    let other = *all.get(world.rng.below(all.len()))?;
    Some(match (*element, other) {
        (Element::Slot(frontend, scope, slot, backend), _) => {
            Element::Slot(frontend, scope, slot + world.rng.below(3) as u32, another(backend))
        }
        (Element::Sticky(frontend, scope, hash, backend), _) => {
            Element::Sticky(frontend, scope, hash ^ 1, another(backend))
        }
        (Element::Frontend(frontend, _), Element::Frontend(_, verdict)) => {
            Element::Frontend(frontend, verdict)
        }
        (Element::Inside(frontend, _), Element::Inside(_, verdict)) => Element::Inside(frontend, verdict),
        (Element::Mark(frontend, scope, mark), _) => Element::Mark(frontend, scope, mark + 2),
        (Element::AffinityId(frontend, number), _) => Element::AffinityId(frontend, number + 1),
        (Element::AffinityTimeout(number, seconds), _) => Element::AffinityTimeout(number + 1, seconds),
        (Element::Hairpin(protocol, backend), _) => Element::Hairpin(protocol, another(backend)),
        _ => return None,
    })
}

fn to_ipvs(world: &mut World) {
    let there: Vec<(Key, Vec<RealServer>)> = world
        .ipvs
        .contents()
        .iter()
        .filter(|(key, _)| matches!(key, Key::Mark { mark, .. } if Marks::DEFAULT.is_ours(*mark)))
        .map(|(key, Contents { real, .. })| (*key, real.values().map(|(real, _)| *real).collect()))
        .collect();
    if there.is_empty() {
        return;
    }
    let (key, real) = &there[world.rng.below(there.len())];
    let some = real.get(world.rng.below(real.len())).copied();
    let order = match (world.rng.below(5), some) {
        (0, _) => Order::Delete(*key),
        (1, Some(real)) => Order::DeleteFrom(*key, real),
        (2, Some(real)) => Order::ChangeIn(*key, RealServer { weight: 1 - real.weight.min(1), ..real }),
        (3, Some(real)) => Order::AddTo(*key, RealServer { port: real.port ^ 1, ..real }),
        _ => {
            world.tell("somebody deletes all virtual servers");
            world.ipvs.flush();
            world.is_ipvs_in_trouble = true;
            return world.changed(&Touched::Everything, false);
        }
    };
    if world.ipvs.intrude(&order).is_ok() {
        world.tell(format!("somebody: {}", words(&order)));
        world.is_ipvs_in_trouble = true;
        world.changed(&Touched::Everything, false);
    }
}
