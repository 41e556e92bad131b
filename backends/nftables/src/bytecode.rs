//! Statements as nf_tables expressions: the bytecode that nft 1.0.6 would emit for them, so that its listing
//! reads as the statements do.
//!
//! Registers are counted in 4-byte slots, 0 being `NFT_REG32_00`; see [`register`].

use std::net::IpAddr;

use kube_verdict_table::{Cidr, Family};

use crate::layout::{Bits, Detect, Field, HASH_SEED, OURS, Rule, Set, Statement, loopback};

/// `enum nft_payload_bases`
pub const NETWORK_HEADER: u32 = 1;
/// `enum nft_payload_bases`
pub const TRANSPORT_HEADER: u32 = 2;

/// `enum nft_meta_keys`
pub const META_PRIORITY: u32 = 2;
/// `enum nft_meta_keys`
pub const META_MARK: u32 = 3;
pub(crate) const META_IIFNAME: u32 = 6;
/// `enum nft_meta_keys`
pub const META_L4PROTO: u32 = 16;

pub(crate) const CT_STATE: u32 = 0;
pub(crate) const CT_DIRECTION: u32 = 1;
pub(crate) const CT_MARK: u32 = 3;
pub(crate) const CT_STATUS: u32 = 2;
pub(crate) const CT_PROTO_DST: u32 = 12;
pub(crate) const CT_DST_IP: u32 = 20;
pub(crate) const CT_DST_IP6: u32 = 22;
/// `enum nft_ct_keys`
pub const CT_ID: u32 = 23;
const CT_ORIGINAL: u8 = 0;
pub(crate) const CT_STATE_NEW: u32 = 8;
pub(crate) const CT_STATUS_DNAT: u32 = 1 << 5;
/// Where the flags stand in `struct tcphdr`, and one of them.
pub(crate) const TCP_FLAGS: u32 = 13;
pub(crate) const TCP_SYN: u8 = 2;

/// `enum nft_numgen_types`
pub const NUMGEN_INCREMENTAL: u32 = 0;
/// `enum nft_numgen_types`
pub const NUMGEN_RANDOM: u32 = 1;

/// `enum nft_fib_result`
pub const FIB_RESULT_ADDRTYPE: u32 = 3;
const FIB_SADDR: u32 = 1;
pub(crate) const FIB_DADDR: u32 = 2;
pub(crate) const RTN_LOCAL: u32 = 2;

const DYNSET_ADD: u32 = 0;
const DYNSET_UPDATE: u32 = 1;
pub(crate) const DYNSET_DELETE: u32 = 2;

const NAT_RANGE_PROTO_RANDOM_FULLY: u32 = 1 << 4;
const REJECT_ICMP_UNREACH: u32 = 0;
const REJECT_TCP_RST: u32 = 1;
const ICMP_PORT_UNREACH: u8 = 3;
const ICMPV6_PORT_UNREACH: u8 = 4;

/// `enum nft_cmp_ops`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// NFT_CMP_EQ
    Equal,
    /// NFT_CMP_NEQ
    NotEqual,
}

/// Where an `immediate` goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jump {
    /// NF_DROP
    Drop,
    /// NF_ACCEPT
    Accept,
    /// NFT_JUMP
    Jump(String),
    /// NFT_GOTO
    Goto(String),
}

/// One nf_tables expression. The fields are the kernel's attributes of the same name
/// (linux/netfilter/nf_tables.h), registers in 4-byte slots.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// load from a packet header
    Payload { base: u32, offset: u32, length: u32, slot: u32 },
    /// load meta data
    Meta { key: u32, slot: u32 },
    /// store meta data
    MetaSet { key: u32, slot: u32 },
    /// `(register & mask) ^ xor`
    Bitwise { slot: u32, mask: Vec<u8>, xor: Vec<u8> },
    /// go on if
    Cmp { op: Compare, slot: u32, data: Vec<u8> },
    /// go on if the set has it
    Lookup { set: String, slot: u32 },
    /// load what the map says
    Map { set: String, slot: u32, to: u32 },
    /// go where the verdict map says
    VerdictMap { set: String, slot: u32 },
    /// load a constant
    Constant { slot: u32, data: Vec<u8> },
    /// a verdict
    Verdict(Jump),
    /// number generator
    Numgen { kind: u32, modulus: u32, slot: u32 },
    /// jhash of registers
    Hash { from: u32, length: u32, slot: u32, modulus: u32, seed: u32, offset: u32 },
    /// `fib … type`
    FibType { flags: u32, slot: u32 },
    /// load from the connection
    Ct { key: u32, direction: Option<u8>, slot: u32 },
    /// store in the connection
    CtSet { key: u32, slot: u32 },
    /// destination NAT; the port stays if there is none
    Dnat { family: u32, address: u32, port: Option<u32> },
    /// masquerade
    Masquerade { flags: u32 },
    /// reject
    Reject { kind: u32, code: u8 },
    /// write a set from the packet path; timeout in milliseconds
    Dynset { operation: u32, set: String, key: u32, data: u32, timeout: u64 },
    /// not one of those we use
    Foreign(String),
}

/// The kernel's number of a register that starts at a 4-byte slot: 16-byte registers are preferred, as the
/// kernel itself does when it lists (`nft_dump_register`).
pub fn register(slot: u32) -> u32 {
    if slot.is_multiple_of(4) { 1 + slot / 4 } else { 8 + slot }
}

/// The slot of a register's number.
pub fn slot(register: u32) -> u32 {
    if register < 8 { register.saturating_sub(1) * 4 } else { register - 8 }
}

/// The bytecode of a rule.
pub fn compile(rule: &Rule, family: Family) -> Vec<Expr> {
    let mut code = Code { family, exprs: Vec::new() };
    for statement in rule {
        code.statement(statement);
    }
    code.exprs
}

struct Code {
    family: Family,
    exprs: Vec<Expr>,
}

impl Code {
    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::LocalPod(detect, positive) => self.local_pod(detect, *positive),
            Statement::SourceIsLocal => self.fib(FIB_SADDR, Compare::Equal),
            Statement::DestinationIsLocal(true) => self.fib(FIB_DADDR, Compare::Equal),
            Statement::DestinationIsLocal(false) => self.fib(FIB_DADDR, Compare::NotEqual),
            Statement::NotLoopback => self.prefix(Field::Daddr, &loopback(self.family), Compare::NotEqual),
            Statement::Destination(cidr) => self.prefix(Field::Daddr, cidr, Compare::Equal),
            Statement::ProtocolIs(protocol) => {
                self.load(Field::Protocol, 0);
                self.compare(Compare::Equal, vec![protocol.number()]);
            }
            Statement::Marked(bit) => self.any_bit(Expr::Meta { key: META_MARK, slot: 0 }, *bit),
            Statement::MarkIs { mask, value, holds } => {
                let op = if *holds { Compare::Equal } else { Compare::NotEqual };
                self.bits_are(Expr::Meta { key: META_MARK, slot: 0 }, *mask, *value, op);
            }
            Statement::AnyMark => {
                self.load(Field::Mark, 0);
                self.compare(Compare::NotEqual, vec![0; 4]);
            }
            Statement::ConnectionMarkIs { mask, value } => {
                let load = Expr::Ct { key: CT_MARK, direction: None, slot: 0 };
                self.bits_are(load, *mask, *value, Compare::Equal);
            }
            Statement::OriginalDirection => {
                self.exprs.push(Expr::Ct { key: CT_DIRECTION, direction: None, slot: 0 });
                self.compare(Compare::Equal, vec![CT_ORIGINAL]);
            }
            Statement::Underway => {
                self.exprs.push(Expr::Payload {
                    base: TRANSPORT_HEADER,
                    offset: TCP_FLAGS,
                    length: 1,
                    slot: 0,
                });
                self.exprs.push(Expr::Bitwise { slot: 0, mask: vec![TCP_SYN], xor: vec![0] });
                self.compare(Compare::Equal, vec![0]);
            }
            Statement::New => {
                self.any_bit(Expr::Ct { key: CT_STATE, direction: None, slot: 0 }, CT_STATE_NEW)
            }
            Statement::Dnated => {
                self.any_bit(Expr::Ct { key: CT_STATUS, direction: None, slot: 0 }, CT_STATUS_DNAT)
            }
            Statement::Numbered => self.any_bit(Expr::Meta { key: META_PRIORITY, slot: 0 }, OURS),
            Statement::In(key, set) => {
                self.concat(key, 0);
                self.exprs.push(Expr::Lookup { set: set.name().into(), slot: 0 });
            }
            Statement::ChangeMark(bits) => self.change(
                Expr::Meta { key: META_MARK, slot: 0 },
                *bits,
                Expr::MetaSet { key: META_MARK, slot: 0 },
            ),
            Statement::ChangeConnectionMark(bits) => self.change(
                Expr::Ct { key: CT_MARK, direction: None, slot: 0 },
                *bits,
                Expr::CtSet { key: CT_MARK, slot: 0 },
            ),
            Statement::MarkBy(key, set) => {
                self.map(key, *set);
                self.exprs.push(Expr::MetaSet { key: META_MARK, slot: 0 });
            }
            Statement::ClearMark => {
                self.exprs.push(Expr::Constant { slot: 0, data: vec![0; 4] });
                self.exprs.push(Expr::MetaSet { key: META_MARK, slot: 0 });
            }
            Statement::SetAside { seconds } => {
                self.load(Field::ConnectionId, 0);
                self.load(Field::Mark, 4);
                self.exprs.push(Expr::Dynset {
                    operation: DYNSET_ADD,
                    set: Set::OtherMarks.name().into(),
                    key: 0,
                    data: 4,
                    timeout: u64::from(*seconds) * 1000,
                });
            }
            Statement::Number(key, set) => {
                self.map(key, *set);
                self.exprs.push(Expr::MetaSet { key: META_PRIORITY, slot: 0 });
            }
            Statement::ClearNumber => {
                self.exprs.push(Expr::Constant { slot: 0, data: vec![0; 4] });
                self.exprs.push(Expr::MetaSet { key: META_PRIORITY, slot: 0 });
            }
            Statement::Remember { client, seconds } => {
                self.affinity(*client, DYNSET_UPDATE, u64::from(*seconds) * 1000)
            }
            Statement::Forget { client } => self.affinity(*client, DYNSET_DELETE, 0),
            Statement::VerdictMap(key, set) => {
                self.concat(key, 0);
                self.exprs.push(Expr::VerdictMap { set: set.name().into(), slot: 0 });
            }
            Statement::Dnat(key, set) => {
                self.map(key, *set);
                self.dnat(Some(width(Field::Daddr, self.family)));
            }
            Statement::KeepDestination => {
                self.load(Field::Daddr, 0);
                self.dnat(None);
            }
            Statement::Masquerade => {
                self.exprs.push(Expr::Masquerade { flags: NAT_RANGE_PROTO_RANDOM_FULLY })
            }
            Statement::Jump(chain) => self.verdict(Jump::Jump(chain.to_string())),
            Statement::Goto(chain) => self.verdict(Jump::Goto(chain.to_string())),
            Statement::Accept => self.verdict(Jump::Accept),
            Statement::Drop => self.verdict(Jump::Drop),
            Statement::Reject => {
                let code = match self.family {
                    Family::V4 => ICMP_PORT_UNREACH,
                    Family::V6 => ICMPV6_PORT_UNREACH,
                };
                self.exprs.push(Expr::Reject { kind: REJECT_ICMP_UNREACH, code });
            }
            Statement::Reset => self.exprs.push(Expr::Reject { kind: REJECT_TCP_RST, code: 0 }),
        }
    }

    fn verdict(&mut self, jump: Jump) {
        self.exprs.push(Expr::Verdict(jump));
    }

    /// To the address that was loaded.
    fn dnat(&mut self, port: Option<u32>) {
        let family = match self.family {
            Family::V4 => libc::NFPROTO_IPV4,
            Family::V6 => libc::NFPROTO_IPV6,
        };
        self.exprs.push(Expr::Dnat { family: family as u32, address: 0, port });
    }

    fn compare(&mut self, op: Compare, data: Vec<u8>) {
        self.exprs.push(Expr::Cmp { op, slot: 0, data });
    }

    fn any_bit(&mut self, load: Expr, bits: u32) {
        self.exprs.push(load);
        self.exprs.push(Expr::Bitwise { slot: 0, mask: bits.to_ne_bytes().into(), xor: vec![0; 4] });
        self.compare(Compare::NotEqual, vec![0; 4]);
    }

    fn bits_are(&mut self, load: Expr, mask: u32, value: u32, op: Compare) {
        self.exprs.push(load);
        self.exprs.push(Expr::Bitwise { slot: 0, mask: mask.to_ne_bytes().into(), xor: vec![0; 4] });
        self.compare(op, value.to_ne_bytes().into());
    }

    fn change(&mut self, load: Expr, bits: Bits, store: Expr) {
        let (mask, xor) = (bits.keep.to_ne_bytes().into(), bits.set.to_ne_bytes().into());
        self.exprs.extend([load, Expr::Bitwise { slot: 0, mask, xor }, store]);
    }

    fn fib(&mut self, flags: u32, op: Compare) {
        self.exprs.push(Expr::FibType { flags, slot: 0 });
        self.compare(op, RTN_LOCAL.to_ne_bytes().into());
    }

    fn local_pod(&mut self, detect: &Detect, positive: bool) {
        let op = if positive { Compare::Equal } else { Compare::NotEqual };
        match detect {
            Detect::Source(cidr) => self.prefix(Field::Saddr, cidr, op),
            Detect::Interface(name) => {
                let mut data = name.clone().into_bytes();
                data.resize(libc::IFNAMSIZ, 0);
                self.exprs.push(Expr::Meta { key: META_IIFNAME, slot: 0 });
                self.compare(op, data);
            }
            Detect::InterfacePrefix(prefix) => {
                self.exprs.push(Expr::Meta { key: META_IIFNAME, slot: 0 });
                self.compare(op, prefix.clone().into_bytes());
            }
        }
    }

    /// Whole bytes are compared as they are; what remains takes a mask.
    fn prefix(&mut self, field: Field, cidr: &Cidr, op: Compare) {
        let (offset, address) = (self.offset(field), octets(cidr.first()));
        let whole = usize::from(cidr.length()) / 8;
        if cidr.length().is_multiple_of(8) && whole > 0 {
            let length = whole as u32;
            self.exprs.push(Expr::Payload { base: NETWORK_HEADER, offset, length, slot: 0 });
            self.compare(op, address[..whole].to_vec());
            return;
        }
        let mask: Vec<u8> = (0..address.len())
            .map(|i| !(0xffu16 >> usize::from(cidr.length()).saturating_sub(i * 8).min(8)) as u8)
            .collect();
        let length = address.len() as u32;
        self.exprs.push(Expr::Payload { base: NETWORK_HEADER, offset, length, slot: 0 });
        self.exprs.push(Expr::Bitwise { slot: 0, xor: vec![0; mask.len()], mask });
        self.compare(op, address);
    }

    fn offset(&self, field: Field) -> u32 {
        match (self.family, field) {
            (Family::V4, Field::Saddr) => 12,
            (Family::V4, _) => 16,
            (Family::V6, Field::Saddr) => 8,
            (Family::V6, _) => 24,
        }
    }

    fn map(&mut self, key: &[Field], set: Set) {
        self.concat(key, 0);
        self.exprs.push(Expr::Map { set: set.name().into(), slot: 0, to: 0 });
    }

    /// Loads fields into consecutive slots; says which slot comes next.
    fn concat(&mut self, fields: &[Field], from: u32) -> u32 {
        fields.iter().fold(from, |slot, field| {
            self.load(*field, slot);
            slot + width(*field, self.family)
        })
    }

    fn load(&mut self, field: Field, slot: u32) {
        let address = width(Field::Saddr, self.family);
        let expr = match field {
            Field::Saddr | Field::Daddr => {
                Expr::Payload { base: NETWORK_HEADER, offset: self.offset(field), length: address * 4, slot }
            }
            Field::Protocol => Expr::Meta { key: META_L4PROTO, slot },
            Field::Dport => Expr::Payload { base: TRANSPORT_HEADER, offset: 2, length: 2, slot },
            Field::OriginalDaddr => {
                let key = if self.family == Family::V4 { CT_DST_IP } else { CT_DST_IP6 };
                Expr::Ct { key, direction: Some(CT_ORIGINAL), slot }
            }
            Field::OriginalDport => Expr::Ct { key: CT_PROTO_DST, direction: Some(CT_ORIGINAL), slot },
            Field::Priority => Expr::Meta { key: META_PRIORITY, slot },
            Field::Mark => Expr::Meta { key: META_MARK, slot },
            Field::ConnectionId => Expr::Ct { key: CT_ID, direction: None, slot },
            Field::Random(modulus) => Expr::Numgen { kind: NUMGEN_RANDOM, modulus, slot },
            Field::First => Expr::Numgen { kind: NUMGEN_INCREMENTAL, modulus: 1, slot },
            Field::HashSaddr => return self.hash(&[Field::Saddr], slot, u32::MAX, 0),
            Field::HashBackend => return self.hash(&[Field::Daddr, Field::Dport], slot, OURS, OURS),
        };
        self.exprs.push(expr);
    }

    /// The hashed fields stand in the next 16-byte register, as nft places them.
    fn hash(&mut self, fields: &[Field], slot: u32, modulus: u32, offset: u32) {
        let from = (slot / 4 + 1) * 4;
        let end = self.concat(fields, from);
        self.exprs.push(Expr::Hash {
            from,
            length: (end - from) * 4,
            slot,
            modulus,
            seed: HASH_SEED,
            offset,
        });
    }

    fn affinity(&mut self, client: Field, operation: u32, timeout: u64) {
        let end = self.concat(&[client, Field::Priority], 0);
        let data = end.div_ceil(4) * 4;
        self.load(Field::HashBackend, data);
        self.exprs.push(Expr::Dynset { operation, set: Set::Affinity.name().into(), key: 0, data, timeout });
    }
}

/// How many 4-byte slots a field takes.
pub fn width(field: Field, family: Family) -> u32 {
    match (field, family) {
        (Field::Saddr | Field::Daddr | Field::OriginalDaddr, Family::V6) => 4,
        _ => 1,
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().into(),
        IpAddr::V6(ip) => ip.octets().into(),
    }
}

/// What a kernel must have for a rule, for the error when it refuses one: the option that brings it and the
/// first version with it.
pub fn requirement(expr: &Expr) -> &'static str {
    match expr {
        Expr::Numgen { .. } => "number generators (CONFIG_NFT_NUMGEN, Linux 4.9)",
        Expr::Hash { .. } => "hash expressions (CONFIG_NFT_HASH, Linux 4.9)",
        Expr::FibType { .. } => "fib look-ups (CONFIG_NFT_FIB_IPV4 and CONFIG_NFT_FIB_IPV6, Linux 4.10)",
        Expr::Ct { .. } => "connection tracking (CONFIG_NFT_CT, Linux 4.17 for original addresses)",
        Expr::CtSet { .. } => "connection marks (CONFIG_NF_CONNTRACK_MARK, CONFIG_NFT_CT)",
        Expr::Dnat { .. } => "NAT (CONFIG_NFT_NAT, Linux 3.13)",
        Expr::Masquerade { .. } => "masquerading (CONFIG_NFT_MASQ, Linux 3.18)",
        Expr::Reject { .. } => "reject in prerouting (CONFIG_NFT_REJECT, Linux 5.9)",
        Expr::Dynset { operation: DYNSET_DELETE, .. } => "deletion of elements by packets (Linux 5.4)",
        Expr::Dynset { .. } => "sets written by packets (Linux 4.1)",
        Expr::Lookup { .. } | Expr::Map { .. } | Expr::VerdictMap { .. } => "sets and maps (Linux 4.1)",
        _ => "nf_tables (CONFIG_NF_TABLES, Linux 5.10)",
    }
}
