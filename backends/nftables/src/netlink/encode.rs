//! A batch as one datagram: the kernel takes a batch in one piece or not at all.

use super::attributes::{Attribute, HEADER, NFGEN, Writer, attribute, attributes};
use super::objects::{self, Header, nfproto};
use super::own;
use crate::batch::{Batch, ForeignElement, Op};
use crate::bytecode::compile;
use crate::layout::{Element, Set, Verdict, comment};
use crate::wire::{self, Payload};

/// Elements in a message: attributes nest with 16-bit lengths, and an IPv6 element takes under 200 bytes.
const CHUNK: usize = 256;

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
/// NFNL_BATCH_GENID
const BATCH_GENERATION: u16 = 1;
const RESOURCE: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const SUBSYSTEM: u16 = RESOURCE << 8;

/// `enum nf_tables_msg_types`
pub(super) mod kind {
    pub(crate) const NEWTABLE: u16 = 0;
    pub(crate) const GETTABLE: u16 = 1;
    pub(crate) const DELTABLE: u16 = 2;
    pub(crate) const NEWCHAIN: u16 = 3;
    pub(crate) const GETCHAIN: u16 = 4;
    pub(crate) const DELCHAIN: u16 = 5;
    pub(crate) const NEWRULE: u16 = 6;
    pub(crate) const GETRULE: u16 = 7;
    pub(crate) const DELRULE: u16 = 8;
    pub(crate) const NEWSET: u16 = 9;
    pub(crate) const GETSET: u16 = 10;
    pub(crate) const DELSET: u16 = 11;
    pub(crate) const NEWSETELEM: u16 = 12;
    pub(crate) const GETSETELEM: u16 = 13;
    pub(crate) const DELSETELEM: u16 = 14;
    pub(crate) const GETGEN: u16 = 16;

    /// With nf_tables' subsystem number.
    pub(crate) const fn of(kind: u16) -> u16 {
        super::SUBSYSTEM | kind
    }
}

/// NFTA_SET_ELEM_*, NFTA_DATA_*, NFTA_VERDICT_* of linux/netfilter/nf_tables.h
pub(super) mod element {
    pub(crate) const LIST_TABLE: u16 = 1;
    pub(crate) const LIST_SET: u16 = 2;
    pub(crate) const LIST_ELEMENTS: u16 = 3;
    pub(crate) const LIST_ELEM: u16 = 1;
    pub(crate) const KEY: u16 = 1;
    pub(crate) const DATA: u16 = 2;
    pub(crate) const KEY_END: u16 = 10;
    pub(crate) const VALUE: u16 = 1;
    pub(crate) const VERDICT: u16 = 2;
    pub(crate) const CODE: u16 = 1;
    pub(crate) const CHAIN: u16 = 2;
    pub(crate) const GOTO: u32 = -4i32 as u32;
    pub(crate) const DROP: u32 = 0;
}

/// Turns batches into bytes and remembers which operation is where.
pub(super) struct Encoder {
    writer: Writer,
    /// elements in a message
    chunk: usize,
    /// operations in the batch
    ops: usize,
    /// for each message after the first: where it starts, and the index of its first operation
    places: Vec<(usize, usize)>,
}

/// The operation that the kernel stumbled over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blame {
    pub(super) op: usize,
    /// false: it may as well be another one of the same message
    pub(super) is_certain: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { writer: Writer::default(), chunk: CHUNK, ops: 0, places: Vec::new() }
    }
}

impl Encoder {
    /// For kernels that do not say which element of a message they refuse: each has a message of its own.
    pub(super) fn one_by_one() -> Self {
        Encoder { chunk: 1, ..Encoder::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.writer.bytes
    }

    /// Forgets the batch, and the memory of a large one.
    pub(super) fn reset(&mut self) {
        const KEEP: usize = 64 << 10;
        self.writer.bytes.clear();
        self.writer.bytes.shrink_to(KEEP);
        self.places.clear();
        self.places.shrink_to(KEEP / size_of::<(usize, usize)>());
    }

    /// Writes the batch; `first` is the sequence number of its begin message. Returns the number of the
    /// message that the kernel is asked to acknowledge, the last one before the end message.
    pub(super) fn encode(&mut self, batch: &Batch, first: u32) -> u32 {
        self.begin(batch.ops.len(), batch.generation, first);
        let mut sequence = first;
        let mut at = 0;
        while let Some(op) = batch.ops.get(at) {
            sequence = sequence.wrapping_add(1);
            self.places.push((self.writer.bytes.len(), at));
            at += self.message(batch, op, at, sequence);
        }
        self.end(sequence);
        sequence
    }

    /// The same for operations of another kind, a message each, which `write` writes given its index and
    /// sequence number.
    pub(super) fn encode_each(
        &mut self,
        count: usize,
        first: u32,
        write: impl Fn(&mut Writer, usize, u32),
    ) -> u32 {
        self.begin(count, None, first);
        let mut sequence = first;
        for op in 0..count {
            sequence = sequence.wrapping_add(1);
            self.places.push((self.writer.bytes.len(), op));
            write(&mut self.writer, op, sequence);
        }
        self.end(sequence);
        sequence
    }

    fn begin(&mut self, ops: usize, generation: Option<u32>, first: u32) {
        self.reset();
        self.ops = ops;
        let begin = self.writer.message(NFNL_MSG_BATCH_BEGIN, libc::NLM_F_REQUEST as u16, first, 0, RESOURCE);
        if let Some(generation) = generation {
            self.writer.put_u32(BATCH_GENERATION, generation);
        }
        self.writer.end_message(begin);
    }

    fn end(&mut self, last: u32) {
        self.acknowledge_last();
        let sequence = last.wrapping_add(1);
        let end = self.writer.message(NFNL_MSG_BATCH_END, libc::NLM_F_REQUEST as u16, sequence, 0, RESOURCE);
        self.writer.end_message(end);
    }

    /// The operation that message number `message` (1: the first after begin) failed at, given the offset of
    /// the attribute that the kernel blames. Without one it is any of the message's operations.
    pub(super) fn blame(&self, message: u32, offset: Option<usize>) -> Option<Blame> {
        let message = (message as usize).checked_sub(1)?;
        let (start, op) = *self.places.get(message)?;
        let next = self.places.get(message + 1).map_or(self.ops, |(_, op)| *op);
        let body = self.writer.bytes.get(start + HEADER + NFGEN..)?;
        let list = attribute(body, element::LIST_ELEMENTS);
        let Some((list, offset)) = list.zip(offset.and_then(|offset| offset.checked_sub(HEADER + NFGEN)))
        else {
            return Some(Blame { op, is_certain: next - op == 1 });
        };
        let is_before = |elem: &Attribute<'_>| list.place.start + 4 + elem.place.end <= offset;
        Some(Blame { op: op + attributes(list.data).take_while(is_before).count(), is_certain: true })
    }

    /// Writes one message; returns how many operations it holds.
    fn message(&mut self, batch: &Batch, op: &Op, at: usize, sequence: u32) -> usize {
        let family = batch.family;
        let add = |kind| Header {
            kind: kind::of(kind),
            flags: (libc::NLM_F_REQUEST | libc::NLM_F_CREATE) as u16,
            sequence,
        };
        let append = |kind| Header { flags: add(kind).flags | libc::NLM_F_APPEND as u16, ..add(kind) };
        let delete = |kind| Header { kind: kind::of(kind), flags: libc::NLM_F_REQUEST as u16, sequence };
        let out = &mut self.writer;
        let table = batch.table;
        match op {
            Op::AddTable { own } => {
                let flags = if *own { own::FLAGS } else { 0 };
                objects::table(out, family, add(kind::NEWTABLE), table, Some((&comment(), flags)));
            }
            Op::DeleteTable => objects::table(out, family, delete(kind::DELTABLE), table, None),
            Op::AddSet(set) => {
                let declaration = set.declaration(family);
                objects::set(out, family, add(kind::NEWSET), table, set.name(), Some(&declaration));
            }
            Op::DeleteSet(name) => objects::set(out, family, delete(kind::DELSET), table, name, None),
            Op::AddChain(chain) => {
                objects::chain(out, family, add(kind::NEWCHAIN), table, &chain.to_string(), chain.base());
            }
            Op::DeleteChain(name) => objects::chain(out, family, delete(kind::DELCHAIN), table, name, None),
            Op::FlushChain(name) => objects::rule(out, family, delete(kind::DELRULE), table, name, &[]),
            Op::AddRule(chain, rule) => {
                let exprs = compile(rule, family);
                objects::rule(out, family, append(kind::NEWRULE), table, &chain.to_string(), &exprs);
            }
            Op::RemoveForeign(foreign) => {
                let open = self.open_elements(batch, foreign.set, delete(kind::DELSETELEM));
                self.foreign(foreign);
                self.close_elements(open);
            }
            Op::Add(element) => return self.elements(batch, at, element.set(), add(kind::NEWSETELEM)),
            Op::Remove(element) => return self.elements(batch, at, element.set(), delete(kind::DELSETELEM)),
        }
        1
    }

    /// As many of the elements from `at` on as go into one message: of one set, all added or all removed.
    fn elements(&mut self, batch: &Batch, at: usize, set: Set, header: Header) -> usize {
        let adding = matches!(batch.ops[at], Op::Add(_));
        let open = self.open_elements(batch, set, header);
        let mut count = 0;
        for op in batch.ops[at..].iter().take(self.chunk) {
            match op {
                Op::Add(element) if adding && element.set() == set => self.element(element, true),
                Op::Remove(element) if !adding && element.set() == set => self.element(element, false),
                _ => break,
            }
            count += 1;
        }
        self.close_elements(open);
        count
    }

    fn open_elements(
        &mut self,
        batch: &Batch,
        set: Set,
        header: Header,
    ) -> (super::attributes::Open, super::attributes::Open) {
        let Header { kind, flags, sequence } = header;
        let message = self.writer.message(kind, flags, sequence, nfproto(batch.family), 0);
        self.writer.put_str(element::LIST_TABLE, batch.table);
        self.writer.put_str(element::LIST_SET, set.name());
        (message, self.writer.nest(element::LIST_ELEMENTS))
    }

    fn close_elements(&mut self, (message, list): (super::attributes::Open, super::attributes::Open)) {
        self.writer.end_nest(list);
        self.writer.end_message(message);
    }

    fn element(&mut self, element: &Element, with_data: bool) {
        let encoded = wire::encode(element);
        let out = &mut self.writer;
        let elem = out.nest(element::LIST_ELEM);
        put_value(out, element::KEY, encoded.key());
        if let Some(end) = encoded.key_end() {
            put_value(out, element::KEY_END, end);
        }
        if with_data {
            match encoded.payload() {
                Payload::None => {}
                Payload::Bytes(bytes) => put_value(out, element::DATA, bytes),
                Payload::Verdict(verdict) => put_verdict(out, verdict),
            }
        }
        out.end_nest(elem);
    }

    fn foreign(&mut self, foreign: &ForeignElement) {
        let out = &mut self.writer;
        let elem = out.nest(element::LIST_ELEM);
        put_value(out, element::KEY, &foreign.key);
        if let Some(end) = &foreign.key_end {
            put_value(out, element::KEY_END, end);
        }
        out.end_nest(elem);
    }

    /// Asks for an acknowledgement of the last message, whether it fails or not. (Kernels before 6.10 do not
    /// acknowledge a batch's end message.)
    fn acknowledge_last(&mut self) {
        if let Some((start, _)) = self.places.last() {
            let at = start + 6;
            let flags = u16::from_ne_bytes([self.writer.bytes[at], self.writer.bytes[at + 1]]);
            let flags = flags | libc::NLM_F_ACK as u16;
            self.writer.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
        }
    }
}

fn put_value(out: &mut Writer, kind: u16, bytes: &[u8]) {
    let nest = out.nest(kind);
    out.put(element::VALUE, bytes);
    out.end_nest(nest);
}

fn put_verdict(out: &mut Writer, verdict: Verdict) {
    let data = out.nest(element::DATA);
    let nest = out.nest(element::VERDICT);
    match verdict {
        Verdict::Drop => out.put_u32(element::CODE, element::DROP),
        Verdict::Goto(chain) => {
            out.put_u32(element::CODE, element::GOTO);
            out.put_str(element::CHAIN, &chain.to_string());
        }
    }
    out.end_nest(nest);
    out.end_nest(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube_verdict_table::Family;

    #[test]
    fn without_an_offset_only_a_message_of_one_is_certain() {
        let ops = (0..600u16).map(|n| Op::Add(Element::ClusterIp([10, 96, (n / 256) as u8, n as u8].into())));
        let batch = Batch { ops: ops.collect(), ..Batch::new(Family::V4) };
        let mut together = Encoder::default();
        assert_eq!(together.encode(&batch, 7), 7 + 3, "256, 256 and 88 elements");
        assert_eq!(together.blame(3, None), Some(Blame { op: 512, is_certain: false }));
        let mut alone = Encoder::one_by_one();
        assert_eq!(alone.encode(&batch, 7), 7 + 600);
        assert_eq!(alone.blame(600, None), Some(Blame { op: 599, is_certain: true }));
        assert_eq!(alone.blame(601, None), None);
    }
}
