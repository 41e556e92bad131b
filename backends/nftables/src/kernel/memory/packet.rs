//! What becomes of a packet in a kernel in memory: the rules' bytecode, carried out as `nft_do_chain` of
//! nf_tables_core.c does. It knows nothing of layouts and services, so it can tell whether rules and elements do what
//! they are meant to. Routing and IPVS are not here; whoever walks a packet through hooks does their part between two.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use kube_verdict_table::{Family, Protocol};

use super::{MemoryKernel, Table};
use crate::bytecode::{
    CT_DIRECTION, CT_DST_IP, CT_DST_IP6, CT_ID, CT_MARK, CT_PROTO_DST, CT_STATE, CT_STATE_NEW, CT_STATUS,
    CT_STATUS_DNAT, Compare, DYNSET_DELETE, Expr, FIB_DADDR, Jump, META_IIFNAME, META_L4PROTO, META_MARK,
    META_PRIORITY, NETWORK_HEADER, NUMGEN_RANDOM, RTN_LOCAL, TCP_FLAGS, TCP_SYN,
};
use crate::jhash::jhash;
use crate::layout::{Element, Set, Verdict};
use crate::wire::{self, Payload};

/// RTN_UNICAST of linux/rtnetlink.h
const RTN_UNICAST: u32 = 1;
/// NF_INET_POST_ROUTING of linux/netfilter.h
const POST_ROUTING: u32 = 4;
/// Jumps within jumps; NFT_JUMP_STACK_SIZE of net/netfilter/nf_tables.h
const JUMPS: usize = 16;
/// Bytes of registers; NFT_REG32_NUM words
const REGISTERS: usize = 80;

/// The first packet of a connection, as rules see it and change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// where it comes from
    pub source: IpAddr,
    /// where it goes to
    pub destination: IpAddr,
    /// the port there
    pub port: u16,
    /// the transport protocol
    pub protocol: Protocol,
    /// where it came in; None: this node sends it
    pub in_interface: Option<String>,
    /// its mark
    pub mark: u32,
    /// its priority
    pub priority: u32,
    /// its connection's mark
    pub connection_mark: u32,
    /// where it went to in the beginning, once that was changed
    pub original: Option<(IpAddr, u16)>,
    /// its source is to be rewritten
    pub is_masqueraded: bool,
    /// a verdict map had something for it
    pub is_claimed: bool,
    /// what number generators give, modulo what they are asked for
    pub random: u32,
    /// the largest modulus that one was asked for, by now
    pub spread: u32,
    /// what packets have written, by set and key: what is remembered of clients
    pub written: BTreeMap<(String, Vec<u8>), Vec<u8>>,
}

impl Packet {
    /// One that nobody has done anything to.
    pub fn new(source: IpAddr, destination: IpAddr, port: u16, protocol: Protocol) -> Self {
        Packet {
            source,
            destination,
            port,
            protocol,
            in_interface: None,
            mark: 0,
            priority: 0,
            connection_mark: 0,
            original: None,
            is_masqueraded: false,
            is_claimed: false,
            random: 0,
            spread: 1,
            written: BTreeMap::new(),
        }
    }
}

/// How a hook ends for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// it goes on
    Accepted,
    /// silence
    Dropped,
    /// an answer that nobody is there
    Rejected,
}

impl MemoryKernel {
    /// Takes a packet through the base chains of a hook (NF_INET_*) that have one of these priorities, in their order.
    /// `is_local` knows this node's addresses.
    pub fn hook(
        &self,
        hook: u32,
        priorities: RangeInclusive<i32>,
        packet: &mut Packet,
        is_local: &dyn Fn(IpAddr) -> bool,
    ) -> Ending {
        let family = Family::of(packet.destination);
        // Of chains of one priority those of what stands in for our table come after the table's own, which were
        // registered later.
        let tables = [&self.tables[family], &self.bridges[family]];
        let mut base: Vec<(i32, usize, &str, bool)> = Vec::new();
        for (place, table) in tables.iter().enumerate() {
            for (name, chain) in table.iter().flat_map(|table| &table.chains) {
                if let Some((kind, number, priority)) = &chain.base
                    && *number == hook
                    && priorities.contains(priority)
                {
                    base.push((*priority, place, name, kind == "nat"));
                }
            }
        }
        base.sort_unstable();
        for (_, place, chain, is_nat) in base {
            // nf_nat_inet_fn(): what is translated already is shown to no other chain of that kind.
            if is_nat && (packet.is_masqueraded || hook != POST_ROUTING && packet.original.is_some()) {
                continue;
            }
            let Some(table) = tables[place] else { continue };
            let mut machine = Machine { table, family, packet, is_local, registers: [0; REGISTERS] };
            match machine.chain(chain, 0) {
                None | Some(Ending::Accepted) => {}
                Some(ending) => return ending,
            }
        }
        Ending::Accepted
    }
}

/// What an expression leads to.
enum Next {
    /// the next expression
    Goes,
    /// the next rule
    Breaks,
    Jumps(String),
    Goto(String),
    Ends(Ending),
}

struct Machine<'a> {
    table: &'a Table,
    family: Family,
    packet: &'a mut Packet,
    is_local: &'a dyn Fn(IpAddr) -> bool,
    registers: [u8; REGISTERS],
}

impl Machine<'_> {
    /// None: it returns.
    fn chain(&mut self, name: &str, depth: usize) -> Option<Ending> {
        let table = self.table;
        if depth > JUMPS {
            return Some(Ending::Dropped);
        }
        for rule in &table.chains.get(name)?.rules {
            for expr in rule {
                match self.carry_out(expr) {
                    Next::Goes => {}
                    Next::Breaks => break,
                    Next::Jumps(chain) => match self.chain(&chain, depth + 1) {
                        None => {}
                        ended => return ended,
                    },
                    Next::Goto(chain) => return self.chain(&chain, depth + 1),
                    Next::Ends(ending) => return Some(ending),
                }
            }
        }
        None
    }

    fn carry_out(&mut self, expr: &Expr) -> Next {
        match expr {
            Expr::Payload { base, offset, length, slot } => {
                let bytes = self.header(*base, *offset, *length);
                self.set(*slot, &bytes)
            }
            Expr::Meta { key, slot } => {
                let bytes = self.meta(*key);
                self.set(*slot, &bytes)
            }
            Expr::MetaSet { key, slot } => {
                let number = self.number(*slot);
                match *key {
                    META_MARK => self.packet.mark = number,
                    META_PRIORITY => self.packet.priority = number,
                    _ => {}
                }
                Next::Goes
            }
            Expr::Bitwise { slot, mask, xor } => {
                let bytes: Vec<u8> = self
                    .get(*slot, mask.len())
                    .iter()
                    .zip(mask.iter().zip(xor))
                    .map(|(byte, (mask, xor))| byte & mask ^ xor)
                    .collect();
                self.set(*slot, &bytes)
            }
            Expr::Cmp { op, slot, data } => {
                let is_equal = self.get(*slot, data.len()) == data;
                if is_equal == (*op == Compare::Equal) { Next::Goes } else { Next::Breaks }
            }
            Expr::Lookup { set, slot } => match self.look_up(set, *slot) {
                Some(_) => Next::Goes,
                None => Next::Breaks,
            },
            Expr::Map { set, slot, to } => match self.look_up(set, *slot) {
                Some(Found::Bytes(bytes)) => self.set(*to, &bytes),
                _ => Next::Breaks,
            },
            Expr::VerdictMap { set, slot } => {
                let Some(Found::Verdict(verdict)) = self.look_up(set, *slot) else { return Next::Breaks };
                self.packet.is_claimed = true;
                match verdict {
                    Verdict::Goto(chain) => Next::Goto(chain.to_string()),
                    Verdict::Drop => Next::Ends(Ending::Dropped),
                }
            }
            Expr::Constant { slot, data } => self.set(*slot, data),
            Expr::Verdict(Jump::Drop) => Next::Ends(Ending::Dropped),
            Expr::Verdict(Jump::Accept) => Next::Ends(Ending::Accepted),
            Expr::Verdict(Jump::Jump(chain)) => Next::Jumps(chain.clone()),
            Expr::Verdict(Jump::Goto(chain)) => Next::Goto(chain.clone()),
            Expr::Numgen { kind, modulus, slot } => {
                let modulus = (*modulus).max(1);
                let number = if *kind == NUMGEN_RANDOM { self.packet.random % modulus } else { 0 };
                self.packet.spread = self.packet.spread.max(modulus);
                self.set(*slot, &number.to_ne_bytes())
            }
            Expr::Hash { from, length, slot, modulus, seed, offset } => {
                let hash = jhash(self.get(*from, *length as usize), *seed);
                // reciprocal_scale() of linux/kernel.h
                let scaled = ((u64::from(hash) * u64::from(*modulus)) >> 32) as u32;
                self.set(*slot, &scaled.wrapping_add(*offset).to_ne_bytes())
            }
            Expr::FibType { flags, slot } => {
                let address = if *flags == FIB_DADDR { self.packet.destination } else { self.packet.source };
                let kind = if (self.is_local)(address) { RTN_LOCAL } else { RTN_UNICAST };
                self.set(*slot, &kind.to_ne_bytes())
            }
            Expr::Ct { key, slot, .. } => {
                let bytes = self.connection(*key);
                self.set(*slot, &bytes)
            }
            Expr::CtSet { key, slot } => {
                if *key == CT_MARK {
                    self.packet.connection_mark = self.number(*slot);
                }
                Next::Goes
            }
            Expr::Dnat { address, port, .. } => {
                self.translate(*address, *port);
                Next::Ends(Ending::Accepted)
            }
            Expr::Masquerade { .. } => {
                self.packet.is_masqueraded = true;
                Next::Ends(Ending::Accepted)
            }
            Expr::Reject { .. } => Next::Ends(Ending::Rejected),
            Expr::Dynset { operation, set, key, data, .. } => {
                let state = self.table.sets.get(set).copied();
                let Some(state) = state else { return Next::Breaks };
                let place = (set.clone(), self.get(*key, state.key_length as usize).to_vec());
                match *operation {
                    DYNSET_DELETE => drop(self.packet.written.remove(&place)),
                    _ => {
                        let data = self.get(*data, state.data_length as usize).to_vec();
                        self.packet.written.entry(place).or_insert(data);
                    }
                }
                Next::Goes
            }
            Expr::Foreign(_) => Next::Breaks,
        }
    }

    fn get(&self, slot: u32, length: usize) -> &[u8] {
        let from = slot as usize * 4;
        &self.registers[from..from + length]
    }

    fn number(&self, slot: u32) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.get(slot, 4));
        u32::from_ne_bytes(bytes)
    }

    /// Registers are written in words: what is over is 0.
    fn set(&mut self, slot: u32, bytes: &[u8]) -> Next {
        let from = slot as usize * 4;
        let words = bytes.len().next_multiple_of(4);
        self.registers[from..from + words].fill(0);
        self.registers[from..from + bytes.len()].copy_from_slice(bytes);
        Next::Goes
    }

    fn header(&self, base: u32, offset: u32, length: u32) -> Vec<u8> {
        if base != NETWORK_HEADER {
            return match offset {
                TCP_FLAGS => vec![TCP_SYN],
                _ => self.packet.port.to_be_bytes().to_vec(),
            };
        }
        let (at_source, at_destination) = match self.family {
            Family::V4 => (12, 16),
            Family::V6 => (8, 24),
        };
        let (address, from) = match offset < at_destination {
            true => (self.packet.source, offset - at_source),
            false => (self.packet.destination, offset - at_destination),
        };
        octets(address).into_iter().skip(from as usize).take(length as usize).collect()
    }

    fn meta(&self, key: u32) -> Vec<u8> {
        match key {
            META_MARK => self.packet.mark.to_ne_bytes().into(),
            META_PRIORITY => self.packet.priority.to_ne_bytes().into(),
            META_L4PROTO => vec![self.packet.protocol.number()],
            META_IIFNAME => {
                let mut name = self.packet.in_interface.clone().unwrap_or_default().into_bytes();
                name.resize(libc::IFNAMSIZ, 0);
                name
            }
            _ => vec![0; 4],
        }
    }

    fn connection(&self, key: u32) -> Vec<u8> {
        let (address, port) = self.packet.original.unwrap_or((self.packet.destination, self.packet.port));
        match key {
            CT_STATE => CT_STATE_NEW.to_ne_bytes().into(),
            CT_DIRECTION => vec![0],
            CT_MARK => self.packet.connection_mark.to_ne_bytes().into(),
            CT_STATUS => self.packet.original.map_or(0, |_| CT_STATUS_DNAT).to_ne_bytes().into(),
            CT_PROTO_DST => port.to_be_bytes().into(),
            CT_DST_IP | CT_DST_IP6 => octets(address),
            CT_ID => 1u32.to_ne_bytes().into(),
            _ => vec![0; 4],
        }
    }

    fn translate(&mut self, address: u32, port: Option<u32>) {
        let from = (self.packet.destination, self.packet.port);
        let to = match self.family {
            Family::V4 => self.get(address, 4).try_into().map(|bytes: [u8; 4]| IpAddr::from(bytes)),
            Family::V6 => self.get(address, 16).try_into().map(|bytes: [u8; 16]| IpAddr::from(bytes)),
        };
        let port = port.map(|slot| self.get(slot, 2)).and_then(|bytes| bytes.try_into().ok());
        self.packet.destination = to.unwrap_or(self.packet.destination);
        self.packet.port = port.map_or(self.packet.port, u16::from_be_bytes);
        if from != (self.packet.destination, self.packet.port) {
            self.packet.original = Some(from);
        }
    }

    fn look_up(&self, name: &str, slot: u32) -> Option<Found> {
        let state = self.table.sets.get(name)?;
        let key = self.get(slot, state.key_length as usize).to_vec();
        if let Some(written) = self.packet.written.get(&(name.to_owned(), key.clone())) {
            return Some(Found::Bytes(written.clone()));
        }
        let set = Set::named(name)?;
        let found = match state.flags & wire::flags::INTERVAL {
            0 => self.table.elements.get(&(set, (key, None)))?,
            _ => self.range(set, &key)?,
        };
        Some(found.as_ref().map_or(Found::Nothing, Found::of))
    }

    fn range(&self, set: Set, key: &[u8]) -> Option<&Option<Element>> {
        let from = (set, (Vec::new(), None));
        let ranges = self.table.elements.range(from..).take_while(|((of, _), _)| *of == set);
        let mut holding = ranges.filter(|((_, (first, last)), _)| {
            **first <= *key && last.as_deref().is_some_and(|last| key <= last)
        });
        holding.next().map(|(_, element)| element)
    }
}

/// What a set has for a key.
enum Found {
    /// the key
    Nothing,
    Bytes(Vec<u8>),
    Verdict(Verdict),
}

impl Found {
    fn of(element: &Element) -> Found {
        match wire::encode(element).payload() {
            Payload::None => Found::Nothing,
            Payload::Bytes(bytes) => Found::Bytes(bytes.to_vec()),
            Payload::Verdict(verdict) => Found::Verdict(verdict),
        }
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().into(),
        IpAddr::V6(ip) => ip.octets().into(),
    }
}
