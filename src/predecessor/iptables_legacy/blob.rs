//! A table of ip_tables as the kernel hands it out, one piece of memory, taken apart: entries, the chains that
//! they form, and where they jump. Nothing is copied or changed here; odd bytes are an error.
//!
//! A table is a row of entries. Chains of users begin with an entry whose target `ERROR` carries their name; the
//! built-in ones begin where `hook_entry` says. A jump is a standard target whose verdict is the offset of a
//! chain's first rule; the offset of the next entry means that there is no target at all. Facts:
//! linux/netfilter/x_tables.h, and net/ipv4/netfilter/ip_tables.c, which checks the same.

use std::collections::HashMap;

use kube_verdict_table::Family;

use super::layout::{self, HOOKS};

/// What the kernel says about a table (`struct ipt_getinfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// a bit for each hook at which the table has a built-in chain
    pub valid_hooks: u32,
    /// where the built-in chains begin
    pub hook_entry: [u32; HOOKS],
    /// where their last entries are, the policies
    pub underflow: [u32; HOOKS],
    /// how many entries there are
    pub entries: u32,
    /// their size in bytes
    pub size: u32,
}

impl Info {
    /// The hooks at which the table has a chain.
    pub fn hooks(&self) -> impl Iterator<Item = usize> + use<> {
        let valid = self.valid_hooks;
        (0..HOOKS).filter(move |hook| valid & (1 << hook) != 0)
    }
}

/// Why bytes are not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An entry does not fit, or its parts do not fit into it.
    #[error("the entry at offset {0} does not fit")]
    Entry(usize),
    /// Its verdict is not the offset of a chain's first rule.
    #[error("the entry at offset {0} jumps where no chain begins")]
    Jump(usize),
    /// A built-in chain begins or ends where no entry is, or ends before it begins.
    #[error("the chain of hook {0} is not in the table")]
    Hook(usize),
    /// Their number is not what the kernel said.
    #[error("there are {0} entries where the kernel counts {1}")]
    Count(usize, u32),
}

/// Where an entry's target leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// to the next entry: it has none
    Next,
    /// to the chain of this number
    Chain(usize),
    /// out of the table, or somewhere that only the target knows
    Other,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// its offset
    pub start: usize,
    /// its size
    pub size: usize,
    /// the offset of its target
    pub target_at: usize,
    /// where that leads
    pub target: Target,
    /// the number of the chain that it is in
    pub chain: usize,
}

/// One chain.
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    /// its name; None: it is built in
    pub name: Option<&'a str>,
    /// the index of its first rule
    pub first: usize,
}

/// A table taken apart.
#[derive(Clone, Debug)]
pub struct Blob<'a> {
    /// in the order of their offsets
    pub entries: Vec<Entry>,
    /// in the same order
    pub chains: Vec<Chain<'a>>,
}

impl<'a> Blob<'a> {
    /// Takes a table apart.
    pub fn parse(family: Family, info: &Info, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut entries = entries(family, bytes)?;
        if entries.len() != info.entries as usize {
            return Err(Malformed::Count(entries.len(), info.entries));
        }
        for hook in info.hooks() {
            let is_entry =
                |at: u32| entries.binary_search_by_key(&(at as usize), |entry| entry.start).is_ok();
            let (first, last) = (info.hook_entry[hook], info.underflow[hook]);
            if first > last || !is_entry(first) || !is_entry(last) {
                return Err(Malformed::Hook(hook));
            }
        }
        let mut chains: Vec<Chain<'a>> = Vec::new();
        for (index, entry) in entries.iter_mut().enumerate() {
            let is_built_in = info.hooks().any(|hook| info.hook_entry[hook] as usize == entry.start);
            if let Some(name) = head(bytes, entry) {
                chains.push(Chain { name: Some(name), first: index + 1 });
            } else if is_built_in || chains.is_empty() {
                chains.push(Chain { name: None, first: index });
            }
            entry.chain = chains.len() - 1;
        }
        aim(bytes, &mut entries, &chains)?;
        Ok(Blob { entries, chains })
    }
}

fn entries(family: Family, bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let layout = layout::entry(family);
    let mut entries = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let rest = &bytes[start..];
        let (Some(target), Some(size)) =
            (u16_at(rest, layout.target_offset), u16_at(rest, layout.target_offset + 2))
        else {
            return Err(Malformed::Entry(start));
        };
        if target < layout.size || target + layout::TARGET > size || size > rest.len() || size % 8 != 0 {
            return Err(Malformed::Entry(start));
        }
        entries.push(Entry { start, size, target_at: start + target, target: Target::Other, chain: 0 });
        start += size;
    }
    Ok(entries)
}

/// Finds out where the standard targets lead.
fn aim(bytes: &[u8], entries: &mut [Entry], chains: &[Chain<'_>]) -> Result<(), Malformed> {
    let firsts: HashMap<usize, usize> = chains
        .iter()
        .enumerate()
        .filter(|(_, chain)| chain.name.is_some())
        .filter_map(|(number, chain)| Some((entries.get(chain.first)?.start, number)))
        .collect();
    for entry in entries {
        if target_name(bytes, entry) != layout::STANDARD {
            continue;
        }
        let verdict = verdict(bytes, entry).ok_or(Malformed::Entry(entry.start))?;
        // Below zero it is a verdict that ends the walk, or RETURN.
        let Ok(offset) = usize::try_from(verdict) else { continue };
        entry.target = if offset == entry.start + entry.size {
            Target::Next
        } else {
            Target::Chain(*firsts.get(&offset).ok_or(Malformed::Jump(entry.start))?)
        };
    }
    Ok(())
}

/// The verdict of a standard target.
fn verdict(bytes: &[u8], entry: &Entry) -> Option<i32> {
    let at = entry.target_at + layout::TARGET;
    let bytes = bytes.get(at..at + 4).filter(|_| at + 4 <= entry.start + entry.size)?;
    bytes.try_into().ok().map(i32::from_ne_bytes)
}

/// The name of the chain that begins with this entry, if one does. The entry that ends the table looks like the
/// beginning of a chain called ERROR.
fn head<'a>(bytes: &'a [u8], entry: &Entry) -> Option<&'a str> {
    if target_name(bytes, entry) != layout::ERROR {
        return None;
    }
    let end = (entry.start + entry.size).min(entry.target_at + layout::TARGET + layout::ERROR_NAME_LENGTH);
    // A name that is not text is nobody's whom we look for.
    Some(std::str::from_utf8(until_zero(&bytes[entry.target_at + layout::TARGET..end])).unwrap_or_default())
}

fn target_name<'a>(bytes: &'a [u8], entry: &Entry) -> &'a [u8] {
    let at = entry.target_at + layout::TARGET_NAME;
    until_zero(&bytes[at..at + layout::TARGET_NAME_LENGTH])
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes).map(usize::from)
}
