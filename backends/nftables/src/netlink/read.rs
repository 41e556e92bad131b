//! Reading our table back: dumps of chains, rules, sets and elements.

use std::collections::BTreeMap;
use std::io;

use kube_verdict_table::Family;

use super::attributes::{Message, Writer, attribute, attributes, messages};
use super::encode::{element, kind};
use super::objects::{nfproto, read_rule};
use super::{Answer, Netlink, own, userdata};
use crate::batch::ForeignElement;
use crate::kernel::{ChainState, ReadError, SetState, TableState};
use crate::layout::{BRIDGE, Set, TABLE, Verdict};
use crate::wire::{self, Payload};

/// NLM_F_DUMP_INTR
const INTERRUPTED: u16 = 0x10;
const GENERATION_ID: u16 = 1;

/// NFTA_TABLE_*
mod table_attribute {
    pub(super) const NAME: u16 = 1;
    pub(super) const USERDATA: u16 = 6;
}

/// NFTA_CHAIN_*, NFTA_HOOK_*
mod chain_attribute {
    pub(super) const TABLE: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const HOOK: u16 = 4;
    pub(super) const TYPE: u16 = 7;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
}

/// NFTA_RULE_TABLE
const RULE_TABLE: u16 = 1;

/// NFTA_SET_*
mod set_attribute {
    pub(super) const TABLE: u16 = 1;
    pub(super) const NAME: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const KEY_LENGTH: u16 = 5;
    pub(super) const DATA_TYPE: u16 = 6;
    pub(super) const DATA_LENGTH: u16 = 7;
}

/// What is ours in one family.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Found {
    /// our table; None when there is none
    pub(super) table: Option<TableState>,
    /// whether what stands in for it is there
    pub(super) has_bridge: bool,
}

/// Reads it.
pub(super) fn found(netlink: &mut Netlink, family: Family) -> Result<Found, ReadError> {
    let mut has_bridge = false;
    let mut found = None;
    let us = netlink.socket.number();
    netlink.dump(kind::GETTABLE, family, &[], |message| {
        let body = message.body();
        let name = attribute(body, table_attribute::NAME).and_then(|name| name.str());
        has_bridge |= name == Some(BRIDGE);
        if name == Some(TABLE) {
            let data = attribute(body, table_attribute::USERDATA);
            found = Some(TableState {
                comment: data.and_then(|data| userdata::comment_of(data.data)),
                tenure: own::tenure(body, us),
                ..TableState::default()
            });
        }
    })?;
    let Some(mut table) = found else { return Ok(Found { table: None, has_bridge }) };
    table.chains = chains(netlink, family)?;
    netlink.dump(kind::GETRULE, family, &[(RULE_TABLE, TABLE)], |message| {
        if attribute(message.body(), RULE_TABLE).and_then(|table| table.str()) != Some(TABLE) {
            return;
        }
        if let Some((chain, exprs)) = read_rule(message.whole) {
            table.chains.entry(chain).or_default().rules.push(exprs);
        }
    })?;
    table.sets = sets(netlink, family)?;
    let ours: Vec<Set> = table.sets.keys().filter_map(|name| Set::named(name)).collect();
    for set in ours {
        if set != Set::Affinity && table.sets.get(set.name()) == Some(&SetState::of(set, family)) {
            elements(netlink, family, set, &mut table)?;
        }
    }
    Ok(Found { table: Some(table), has_bridge })
}

/// The ruleset's generation (NFT_MSG_GETGEN).
pub(super) fn generation(netlink: &mut Netlink) -> Result<u32, ReadError> {
    let mut generation = None;
    netlink.request(kind::GETGEN, libc::NLM_F_REQUEST as u16, 0, &[], |message| {
        generation = attribute(message.body(), GENERATION_ID).and_then(|id| id.u32());
    })?;
    generation.ok_or_else(|| ReadError::Io(io::Error::other("no generation in the kernel's answer")))
}

fn chains(netlink: &mut Netlink, family: Family) -> Result<BTreeMap<String, ChainState>, ReadError> {
    let mut chains = BTreeMap::new();
    netlink.dump(kind::GETCHAIN, family, &[], |message| {
        let body = message.body();
        if attribute(body, chain_attribute::TABLE).and_then(|table| table.str()) != Some(TABLE) {
            return;
        }
        let Some(name) = attribute(body, chain_attribute::NAME) else { return };
        let base = attribute(body, chain_attribute::HOOK).and_then(|hook| {
            let number = attribute(hook.data, chain_attribute::HOOK_NUMBER)?.u32()?;
            let priority = attribute(hook.data, chain_attribute::HOOK_PRIORITY)?.u32()?.cast_signed();
            let kind = attribute(body, chain_attribute::TYPE)?.str()?.to_owned();
            Some((kind, number, priority))
        });
        let name = name.str().unwrap_or_default().to_owned();
        chains.insert(name, ChainState { base, rules: Vec::new() });
    })?;
    Ok(chains)
}

fn sets(netlink: &mut Netlink, family: Family) -> Result<BTreeMap<String, SetState>, ReadError> {
    let mut sets = BTreeMap::new();
    netlink.dump(kind::GETSET, family, &[(set_attribute::TABLE, TABLE)], |message| {
        let body = message.body();
        if attribute(body, set_attribute::TABLE).and_then(|table| table.str()) != Some(TABLE) {
            return;
        }
        let number = |kind| attribute(body, kind).and_then(|attribute| attribute.u32()).unwrap_or(0);
        let data_type = number(set_attribute::DATA_TYPE);
        let state = SetState {
            key_length: number(set_attribute::KEY_LENGTH),
            flags: number(set_attribute::FLAGS),
            // The kernel gives the size of its own struct for verdicts.
            data_length: if data_type == wire::DATA_VERDICT { 0 } else { number(set_attribute::DATA_LENGTH) },
            data_type,
        };
        if let Some(name) =
            attribute(body, set_attribute::NAME).and_then(|name| name.str().map(str::to_owned))
        {
            sets.insert(name, state);
        }
    })?;
    Ok(sets)
}

fn elements(
    netlink: &mut Netlink,
    family: Family,
    set: Set,
    table: &mut TableState,
) -> Result<(), ReadError> {
    let names = [(element::LIST_TABLE, TABLE), (element::LIST_SET, set.name())];
    netlink.dump(kind::GETSETELEM, family, &names, |message| {
        let Some(list) = attribute(message.body(), element::LIST_ELEMENTS) else { return };
        for elem in attributes(list.data).filter(|elem| elem.kind == element::LIST_ELEM) {
            read_element(family, set, elem.data, table);
        }
    })
}

fn read_element(family: Family, set: Set, elem: &[u8], table: &mut TableState) {
    let value = |kind| {
        let nest = attribute(elem, kind)?;
        attribute(nest.data, element::VALUE).map(|value| value.data)
    };
    let Some(key) = value(element::KEY) else { return };
    let key_end = value(element::KEY_END);
    let decoded = match value(element::DATA) {
        Some(bytes) => wire::decode(set, family, key, key_end, Payload::Bytes(bytes)),
        None => match attribute(elem, element::DATA).map(|data| read_verdict(data.data)) {
            Some(Some(verdict)) => wire::decode(set, family, key, key_end, Payload::Verdict(verdict)),
            Some(None) => None,
            None => wire::decode(set, family, key, key_end, Payload::None),
        },
    };
    match decoded {
        Some(element) => table.elements.push(element),
        None => table.foreign.push(ForeignElement { set, key: key.into(), key_end: key_end.map(Into::into) }),
    }
}

fn read_verdict(data: &[u8]) -> Option<Verdict> {
    let verdict = attribute(data, element::VERDICT)?;
    match attribute(verdict.data, element::CODE)?.u32()? {
        element::DROP => Some(Verdict::Drop),
        element::GOTO => attribute(verdict.data, element::CHAIN)?.str()?.parse().ok().map(Verdict::Goto),
        _ => None,
    }
}

impl Netlink {
    pub(super) fn dump(
        &mut self,
        kind: u16,
        family: Family,
        names: &[(u16, &str)],
        each: impl FnMut(&Message<'_>),
    ) -> Result<(), ReadError> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        self.request(kind, flags, nfproto(family), names, each)
    }

    /// Sends a request and hands on the messages of its answer.
    fn request(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        names: &[(u16, &str)],
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<(), ReadError> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let mut writer = Writer::default();
        let open = writer.message(kind::of(kind), flags, sequence, family, 0);
        for (kind, name) in names {
            writer.put_str(*kind, name);
        }
        writer.end_message(open);
        self.socket.send(&writer.bytes)?;
        let dump = flags & libc::NLM_F_DUMP as u16 != 0;
        loop {
            let datagram = match self.socket.receive() {
                Ok(datagram) => datagram,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Err(ReadError::Unstable),
                Err(error) => return Err(ReadError::Io(error)),
            };
            for message in messages(datagram).filter(|message| message.sequence == sequence) {
                self.is_disturbed |= message.flags & INTERRUPTED != 0;
                if i32::from(message.kind) == libc::NLMSG_DONE {
                    return Ok(());
                }
                if let Some(answer) = Answer::of(&message) {
                    return failed(answer.errno);
                }
                each(&message);
                if !dump {
                    return Ok(());
                }
            }
        }
    }
}

/// What an error in place of an answer means.
fn failed(errno: i32) -> Result<(), ReadError> {
    match errno {
        0 => Ok(()),
        // The dump lost its place, or what it was about went meanwhile.
        libc::EINTR | libc::EAGAIN | libc::ENOENT => Err(ReadError::Unstable),
        errno => Err(ReadError::Io(io::Error::from_raw_os_error(errno))),
    }
}
