//! The user data that nft keeps with sets and tables, so that `nft list ruleset` prints types and comments:
//! type-length-value triples in host order, as nft 1.0.6 writes them (libnftnl/udata.h, nft's
//! `expr_typeof_udata` parsers).

use kube_verdict_table::Family;

use crate::bytecode::{CT_ID, META_L4PROTO, META_MARK, META_PRIORITY, NUMGEN_RANDOM};
use crate::layout::{Data, Declaration, Field};

/// NFTNL_UDATA_SET_*
mod set {
    pub(super) const KEY_BYTE_ORDER: u8 = 0;
    pub(super) const DATA_BYTE_ORDER: u8 = 1;
    pub(super) const KEY_TYPEOF: u8 = 3;
    pub(super) const DATA_TYPEOF: u8 = 4;
}

/// nft's `enum expr_types`
mod etype {
    pub(super) const VERDICT: u32 = 1;
    pub(super) const PAYLOAD: u32 = 7;
    pub(super) const META: u32 = 9;
    pub(super) const CT: u32 = 12;
    pub(super) const CONCAT: u32 = 13;
    pub(super) const NUMGEN: u32 = 23;
}

/// nft's `enum byteorder`
mod byte_order {
    pub(super) const INVALID: u32 = 0;
    pub(super) const HOST: u32 = 1;
    pub(super) const BIG: u32 = 2;
}

/// nft's `enum proto_desc_id`
const TRANSPORT: u32 = 11;
const IP: u32 = 12;
const IP6: u32 = 13;

/// What nft says of the direction of a conntrack field that has none: -1.
const NO_DIRECTION: u32 = u32::MAX;

/// Only "no data byte order" and the two types; nft writes a trailing zero attribute for maps as well, which
/// says that the data is no interval.
const DATA_INTERVAL: u8 = 6;

fn put(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    out.push(kind);
    out.push(data.len() as u8);
    out.extend_from_slice(data);
}

fn put_u32(out: &mut Vec<u8>, kind: u8, number: u32) {
    put(out, kind, &number.to_ne_bytes());
}

/// What nft keeps with a set.
pub fn of_set(declaration: &Declaration, family: Family) -> Vec<u8> {
    let mut out = Vec::new();
    put_u32(&mut out, set::KEY_BYTE_ORDER, order(&declaration.key));
    let data = crate::wire::data_fields(declaration.data);
    if declaration.data != Data::None {
        let order = if declaration.data == Data::Verdict { byte_order::HOST } else { order(data) };
        put_u32(&mut out, set::DATA_BYTE_ORDER, order);
    }
    put(&mut out, set::KEY_TYPEOF, &typeof_concat(&declaration.key, family));
    match declaration.data {
        Data::None => {}
        Data::Verdict => put(&mut out, set::DATA_TYPEOF, &typeof_expr(etype::VERDICT, &[])),
        _ => put(&mut out, set::DATA_TYPEOF, &typeof_concat(data, family)),
    }
    if declaration.data != Data::None {
        put_u32(&mut out, DATA_INTERVAL, 0);
    }
    out
}

/// What nft keeps with a table that has a comment (NFTNL_UDATA_TABLE_COMMENT).
pub fn of_table(comment: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut text = comment.as_bytes().to_vec();
    text.push(0);
    put(&mut out, 0, &text);
    out
}

/// The comment in a table's user data.
pub fn comment_of(data: &[u8]) -> Option<String> {
    let mut rest = data;
    while let [kind, length, tail @ ..] = rest {
        let (value, tail) = tail.split_at_checked(usize::from(*length))?;
        if *kind == 0 {
            return String::from_utf8(value.strip_suffix(&[0]).unwrap_or(value).to_vec()).ok();
        }
        rest = tail;
    }
    None
}

fn order(fields: &[Field]) -> u32 {
    match fields {
        [Field::Saddr | Field::Daddr] => byte_order::BIG,
        [Field::Priority | Field::Mark] => byte_order::HOST,
        [Field::ConnectionId] => byte_order::BIG,
        _ => byte_order::INVALID,
    }
}

fn typeof_expr(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u32(&mut out, 0, kind);
    put(&mut out, 1, data);
    out
}

fn typeof_concat(fields: &[Field], family: Family) -> Vec<u8> {
    if let [field] = fields {
        return typeof_field(*field, family);
    }
    let mut parts = Vec::new();
    for (i, field) in fields.iter().enumerate() {
        put(&mut parts, i as u8, &typeof_field(*field, family));
    }
    typeof_expr(etype::CONCAT, &parts)
}

fn typeof_field(field: Field, family: Family) -> Vec<u8> {
    let numbers = |numbers: &[u32]| {
        let mut out = Vec::new();
        for (i, number) in numbers.iter().enumerate() {
            put_u32(&mut out, i as u8, *number);
        }
        out
    };
    // nft's header fields: IPHDR_SADDR, IPHDR_DADDR; IP6HDR_SADDR, IP6HDR_DADDR; THDR_DPORT
    let (header, saddr, daddr) = match family {
        Family::V4 => (IP, 11, 12),
        Family::V6 => (IP6, 8, 9),
    };
    match field {
        Field::Saddr => typeof_expr(etype::PAYLOAD, &numbers(&[header, saddr])),
        Field::Daddr | Field::OriginalDaddr => typeof_expr(etype::PAYLOAD, &numbers(&[header, daddr])),
        Field::Protocol => typeof_expr(etype::META, &numbers(&[META_L4PROTO])),
        Field::Dport | Field::OriginalDport => typeof_expr(etype::PAYLOAD, &numbers(&[TRANSPORT, 2])),
        Field::Priority => typeof_expr(etype::META, &numbers(&[META_PRIORITY])),
        Field::Mark => typeof_expr(etype::META, &numbers(&[META_MARK])),
        Field::ConnectionId => typeof_expr(etype::CT, &numbers(&[CT_ID, NO_DIRECTION])),
        Field::Random(slots) => typeof_expr(etype::NUMGEN, &numbers(&[NUMGEN_RANDOM, slots, 0])),
        Field::First | Field::HashSaddr | Field::HashBackend => typeof_field(field.declared(), family),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Scope, Set, Space};

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len()).step_by(2).filter_map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect()
    }

    /// Bytes that nft 1.0.6 sends for `typeof ip daddr . meta l4proto . th dport : verdict`.
    #[test]
    fn services_as_nft_writes_it() {
        let bytes = of_set(&Set::Frontends(Space::Address).declaration(Family::V4), Family::V4);
        let expected = hex("0004 00000000 0104 01000000
             0344 0004 0d000000 013c
                  0014 0004 07000000 010c 0004 0c000000 0104 0c000000
                  010e 0004 09000000 0106 0004 10000000
                  0214 0004 07000000 010c 0004 0b000000 0104 02000000
             0408 0004 01000000 0100
             0604 00000000");
        assert_eq!(bytes, expected);
    }

    /// … and for `typeof ip daddr . meta l4proto . th dport . numgen random mod 65536 : ip daddr . th dport`.
    #[test]
    fn endpoints_as_nft_writes_it() {
        let bytes =
            of_set(&Set::Endpoints(Space::Address, Scope::Cluster).declaration(Family::V4), Family::V4);
        let expected = hex("0004 00000000 0104 00000000
             0360 0004 0d000000 0158
                  0014 0004 07000000 010c 0004 0c000000 0104 0c000000
                  010e 0004 09000000 0106 0004 10000000
                  0214 0004 07000000 010c 0004 0b000000 0104 02000000
                  031a 0004 17000000 0112 0004 01000000 0104 00000100 0204 00000000
             0434 0004 0d000000 012c
                  0014 0004 07000000 010c 0004 0c000000 0104 0c000000
                  0114 0004 07000000 010c 0004 0b000000 0104 02000000
             0604 00000000");
        assert_eq!(bytes, expected);
    }

    /// … and for the set `typeof ip6 daddr`.
    #[test]
    fn an_ipv6_address_as_nft_writes_it() {
        let bytes = of_set(&Set::ClusterIps.declaration(Family::V6), Family::V6);
        assert_eq!(bytes, hex("0004 02000000 0314 0004 07000000 010c 0004 0d000000 0104 09000000"));
    }

    #[test]
    fn comments_read_back() {
        assert_eq!(comment_of(&of_table("kube")), Some("kube".into()));
        assert_eq!(comment_of(&[0, 200, 1]), None);
    }
}
