//! A table without kube-proxy's chains: the entries that stay, moved together, and everything that is an offset
//! (jumps, the built-in chains' beginnings and ends) set right.

use kube_verdict_table::Family;

use super::super::names::doomed;
use super::blob::{Blob, Info, Malformed, Target};
use super::layout;

/// What a table becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// as the kernel wants to be told
    pub info: Info,
    /// the entries
    pub bytes: Vec<u8>,
    /// for each of them its number among the old ones
    pub kept: Vec<usize>,
    /// how many chains are gone
    pub chains: usize,
    /// how many rules in other chains are, which jumped to those
    pub jumps: usize,
}

/// Takes kube-proxy's chains and the jumps to them out of a table. None: it has none.
pub fn without_kube_proxy(family: Family, info: &Info, bytes: &[u8]) -> Result<Option<Edited>, Malformed> {
    let blob = Blob::parse(family, info, bytes)?;
    let name = |chain: usize| blob.chains[chain].name.unwrap_or_default();
    let jumps = blob.entries.iter().filter_map(|entry| match entry.target {
        Target::Chain(to) => Some((name(entry.chain), name(to))),
        _ => None,
    });
    let doomed = doomed(blob.chains.iter().filter_map(|chain| chain.name), jumps);
    if doomed.is_empty() {
        return Ok(None);
    }
    let goes: Vec<bool> =
        blob.chains.iter().map(|c| c.name.is_some_and(|name| doomed.contains(name))).collect();
    let jumps_there = |target| matches!(target, Target::Chain(to) if goes[to]);
    let stays = |index: &usize| {
        let entry = &blob.entries[*index];
        !goes[entry.chain] && !jumps_there(entry.target)
    };
    let kept: Vec<usize> = (0..blob.entries.len()).filter(stays).collect();
    let in_other_chains = blob.entries.iter().filter(|entry| !goes[entry.chain]).count();
    let mut edited = Edited {
        info: info.clone(),
        bytes: Vec::new(),
        jumps: in_other_chains - kept.len(),
        chains: goes.iter().filter(|goes| **goes).count(),
        kept,
    };
    move_together(&blob, bytes, &mut edited);
    Ok(Some(edited))
}

fn move_together(blob: &Blob<'_>, old: &[u8], edited: &mut Edited) {
    // Where entries are now: of those that go, where the next that stays is. A chain always keeps its last.
    let mut places = Vec::with_capacity(blob.entries.len());
    let mut kept = edited.kept.iter().peekable();
    let mut end = 0;
    for (index, entry) in blob.entries.iter().enumerate() {
        places.push(end);
        if kept.next_if(|kept| **kept == index).is_some() {
            end += entry.size;
        }
    }
    let place = |at: u32| {
        let index = blob.entries.partition_point(|entry| entry.start < at as usize);
        places.get(index).copied().unwrap_or(end) as u32
    };
    edited.bytes.reserve_exact(end);
    for &index in &edited.kept {
        let entry = &blob.entries[index];
        let start = edited.bytes.len();
        edited.bytes.extend_from_slice(&old[entry.start..entry.start + entry.size]);
        let offset = match entry.target {
            Target::Other => continue,
            Target::Next => start + entry.size,
            Target::Chain(chain) => places.get(blob.chains[chain].first).copied().unwrap_or(end),
        };
        let at = start + (entry.target_at - entry.start) + layout::TARGET;
        edited.bytes[at..at + 4].copy_from_slice(&(offset as i32).to_ne_bytes());
    }
    let info = &mut edited.info;
    for hook in info.hooks() {
        info.hook_entry[hook] = place(info.hook_entry[hook]);
        info.underflow[hook] = place(info.underflow[hook]);
    }
    info.entries = edited.kept.len() as u32;
    info.size = end as u32;
}
