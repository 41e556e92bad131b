//! Expressions by libnftnl, both ways: the other half of the FFI edge.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};

use nftnl_sys as sys;

use super::objects::c_string;
use crate::bytecode::{Compare, Expr, FIB_RESULT_ADDRTYPE, Jump, register, slot};

/// A libnftnl expression under construction or inspection.
pub(super) struct Handle(pub(super) *mut sys::nftnl_expr);

impl Handle {
    fn alloc(name: &CStr) -> Self {
        // SAFETY: the name is a C string; the names below are known to libnftnl.
        let pointer = unsafe { sys::nftnl_expr_alloc(name.as_ptr()) };
        if pointer.is_null() {
            std::process::abort();
        }
        Handle(pointer)
    }

    fn u32(self, attribute: u32, value: u32) -> Self {
        // SAFETY: the pointer is live; the attribute takes 32 bits.
        unsafe { sys::nftnl_expr_set_u32(self.0, attribute as u16, value) };
        self
    }

    fn u8(self, attribute: u32, value: u8) -> Self {
        // SAFETY: the pointer is live; the attribute takes 8 bits.
        unsafe { sys::nftnl_expr_set_u8(self.0, attribute as u16, value) };
        self
    }

    fn u64(self, attribute: u32, value: u64) -> Self {
        // SAFETY: the pointer is live; the attribute takes 64 bits.
        unsafe { sys::nftnl_expr_set_u64(self.0, attribute as u16, value) };
        self
    }

    fn str(self, attribute: u32, value: &str) -> Self {
        let value = c_string(value);
        // SAFETY: the pointer is live; the string is copied.
        unsafe { sys::nftnl_expr_set_str(self.0, attribute as u16, value.as_ptr()) };
        self
    }

    fn data(self, attribute: u32, value: &[u8]) -> Self {
        // SAFETY: the pointer is live; the data, at most 64 bytes, is copied.
        unsafe {
            sys::nftnl_expr_set(self.0, attribute as u16, value.as_ptr().cast::<c_void>(), value.len() as u32)
        };
        self
    }

    fn has(&self, attribute: u32) -> bool {
        // SAFETY: the pointer is live.
        unsafe { sys::nftnl_expr_is_set(self.0, attribute as u16) }
    }

    fn get_u32(&self, attribute: u32) -> u32 {
        // SAFETY: the pointer is live; the attribute has 32 bits or is absent, which gives 0.
        unsafe { sys::nftnl_expr_get_u32(self.0, attribute as u16) }
    }

    fn get_u8(&self, attribute: u32) -> u8 {
        // SAFETY: the pointer is live; the attribute has 8 bits or is absent, which gives 0.
        unsafe { sys::nftnl_expr_get_u8(self.0, attribute as u16) }
    }

    fn get_u64(&self, attribute: u32) -> u64 {
        // SAFETY: the pointer is live; the attribute has 64 bits or is absent, which gives 0.
        unsafe { sys::nftnl_expr_get_u64(self.0, attribute as u16) }
    }

    fn get_str(&self, attribute: u32) -> String {
        // SAFETY: the pointer is live; a string attribute is a C string or null.
        unsafe {
            let text = sys::nftnl_expr_get_str(self.0, attribute as u16);
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        }
    }

    fn get_data(&self, attribute: u32) -> Vec<u8> {
        let mut length = 0u32;
        // SAFETY: the pointer is live; the data has `length` bytes or is null.
        unsafe {
            let data = sys::nftnl_expr_get(self.0, attribute as u16, &raw mut length);
            if data.is_null() {
                return Vec::new();
            }
            std::slice::from_raw_parts(data.cast::<u8>(), length as usize).to_vec()
        }
    }
}

/// An expression, which the caller hands over to a rule.
pub(super) fn expression(expr: &Expr) -> *mut sys::nftnl_expr {
    let handle = match expr {
        Expr::Payload { base, offset, length, slot } => Handle::alloc(c"payload")
            .u32(sys::NFTNL_EXPR_PAYLOAD_BASE, *base)
            .u32(sys::NFTNL_EXPR_PAYLOAD_OFFSET, *offset)
            .u32(sys::NFTNL_EXPR_PAYLOAD_LEN, *length)
            .u32(sys::NFTNL_EXPR_PAYLOAD_DREG, register(*slot)),
        Expr::Meta { key, slot } => Handle::alloc(c"meta")
            .u32(sys::NFTNL_EXPR_META_KEY, *key)
            .u32(sys::NFTNL_EXPR_META_DREG, register(*slot)),
        Expr::MetaSet { key, slot } => Handle::alloc(c"meta")
            .u32(sys::NFTNL_EXPR_META_KEY, *key)
            .u32(sys::NFTNL_EXPR_META_SREG, register(*slot)),
        Expr::CtSet { key, slot } => Handle::alloc(c"ct")
            .u32(sys::NFTNL_EXPR_CT_KEY, *key)
            .u32(sys::NFTNL_EXPR_CT_SREG, register(*slot)),
        Expr::Bitwise { slot, mask, xor } => Handle::alloc(c"bitwise")
            .u32(sys::NFTNL_EXPR_BITWISE_SREG, register(*slot))
            .u32(sys::NFTNL_EXPR_BITWISE_DREG, register(*slot))
            .u32(sys::NFTNL_EXPR_BITWISE_OP, 0)
            .u32(sys::NFTNL_EXPR_BITWISE_LEN, mask.len() as u32)
            .data(sys::NFTNL_EXPR_BITWISE_MASK, mask)
            .data(sys::NFTNL_EXPR_BITWISE_XOR, xor),
        Expr::Cmp { op, slot, data } => Handle::alloc(c"cmp")
            .u32(sys::NFTNL_EXPR_CMP_SREG, register(*slot))
            .u32(sys::NFTNL_EXPR_CMP_OP, u32::from(*op == Compare::NotEqual))
            .data(sys::NFTNL_EXPR_CMP_DATA, data),
        Expr::Lookup { set, slot } => Handle::alloc(c"lookup")
            .u32(sys::NFTNL_EXPR_LOOKUP_SREG, register(*slot))
            .str(sys::NFTNL_EXPR_LOOKUP_SET, set),
        Expr::Map { set, slot, to } => Handle::alloc(c"lookup")
            .u32(sys::NFTNL_EXPR_LOOKUP_SREG, register(*slot))
            .u32(sys::NFTNL_EXPR_LOOKUP_DREG, register(*to))
            .str(sys::NFTNL_EXPR_LOOKUP_SET, set),
        Expr::VerdictMap { set, slot } => Handle::alloc(c"lookup")
            .u32(sys::NFTNL_EXPR_LOOKUP_SREG, register(*slot))
            .u32(sys::NFTNL_EXPR_LOOKUP_DREG, 0)
            .str(sys::NFTNL_EXPR_LOOKUP_SET, set),
        Expr::Constant { slot, data } => Handle::alloc(c"immediate")
            .u32(sys::NFTNL_EXPR_IMM_DREG, register(*slot))
            .data(sys::NFTNL_EXPR_IMM_DATA, data),
        Expr::Verdict(jump) => verdict(jump),
        Expr::Numgen { kind, modulus, slot } => Handle::alloc(c"numgen")
            .u32(sys::NFTNL_EXPR_NG_DREG, register(*slot))
            .u32(sys::NFTNL_EXPR_NG_MODULUS, *modulus)
            .u32(sys::NFTNL_EXPR_NG_TYPE, *kind),
        Expr::Hash { from, length, slot, modulus, seed, offset } => Handle::alloc(c"hash")
            .u32(sys::NFTNL_EXPR_HASH_SREG, register(*from))
            .u32(sys::NFTNL_EXPR_HASH_DREG, register(*slot))
            .u32(sys::NFTNL_EXPR_HASH_LEN, *length)
            .u32(sys::NFTNL_EXPR_HASH_MODULUS, *modulus)
            .u32(sys::NFTNL_EXPR_HASH_SEED, *seed)
            .u32(sys::NFTNL_EXPR_HASH_OFFSET, *offset)
            .u32(sys::NFTNL_EXPR_HASH_TYPE, 0),
        Expr::FibType { flags, slot } => Handle::alloc(c"fib")
            .u32(sys::NFTNL_EXPR_FIB_DREG, register(*slot))
            .u32(sys::NFTNL_EXPR_FIB_RESULT, FIB_RESULT_ADDRTYPE)
            .u32(sys::NFTNL_EXPR_FIB_FLAGS, *flags),
        Expr::Ct { key, direction, slot } => {
            let handle = Handle::alloc(c"ct")
                .u32(sys::NFTNL_EXPR_CT_KEY, *key)
                .u32(sys::NFTNL_EXPR_CT_DREG, register(*slot));
            match direction {
                Some(direction) => handle.u8(sys::NFTNL_EXPR_CT_DIR, *direction),
                None => handle,
            }
        }
        Expr::Dnat { family, address, port } => {
            let handle = Handle::alloc(c"nat")
                .u32(sys::NFTNL_EXPR_NAT_TYPE, NAT_DNAT)
                .u32(sys::NFTNL_EXPR_NAT_FAMILY, *family)
                .u32(sys::NFTNL_EXPR_NAT_REG_ADDR_MIN, register(*address));
            match port {
                Some(port) => handle.u32(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN, register(*port)),
                None => handle,
            }
        }
        Expr::Masquerade { flags } => Handle::alloc(c"masq").u32(sys::NFTNL_EXPR_MASQ_FLAGS, *flags),
        Expr::Reject { kind, code } => Handle::alloc(c"reject")
            .u32(sys::NFTNL_EXPR_REJECT_TYPE, *kind)
            .u8(sys::NFTNL_EXPR_REJECT_CODE, *code),
        Expr::Dynset { operation, set, key, data, timeout } => {
            let handle = Handle::alloc(c"dynset")
                .u32(sys::NFTNL_EXPR_DYNSET_SREG_KEY, register(*key))
                .u32(sys::NFTNL_EXPR_DYNSET_SREG_DATA, register(*data))
                .u32(sys::NFTNL_EXPR_DYNSET_OP, *operation)
                .str(sys::NFTNL_EXPR_DYNSET_SET_NAME, set);
            if *timeout > 0 { handle.u64(sys::NFTNL_EXPR_DYNSET_TIMEOUT, *timeout) } else { handle }
        }
        // Never compiled from a statement; a counter does nothing.
        Expr::Foreign(_) => Handle::alloc(c"counter"),
    };
    handle.0
}

const NAT_DNAT: u32 = 1;
/// NFT_JUMP, NFT_GOTO
const JUMP: u32 = -3i32 as u32;
const GOTO: u32 = -4i32 as u32;
/// NF_DROP, NF_ACCEPT
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

fn verdict(jump: &Jump) -> Handle {
    let handle = Handle::alloc(c"immediate").u32(sys::NFTNL_EXPR_IMM_DREG, 0);
    match jump {
        Jump::Drop => handle.u32(sys::NFTNL_EXPR_IMM_VERDICT, DROP),
        Jump::Accept => handle.u32(sys::NFTNL_EXPR_IMM_VERDICT, ACCEPT),
        Jump::Jump(chain) => {
            handle.u32(sys::NFTNL_EXPR_IMM_VERDICT, JUMP).str(sys::NFTNL_EXPR_IMM_CHAIN, chain)
        }
        Jump::Goto(chain) => {
            handle.u32(sys::NFTNL_EXPR_IMM_VERDICT, GOTO).str(sys::NFTNL_EXPR_IMM_CHAIN, chain)
        }
    }
}

/// What an expression of a rule that was read says.
pub(super) fn read_expression(handle: &Handle) -> Expr {
    let name = handle.get_str(sys::NFTNL_EXPR_NAME);
    let at = |attribute| slot(handle.get_u32(attribute));
    match name.as_str() {
        "payload" if handle.has(sys::NFTNL_EXPR_PAYLOAD_DREG) => Expr::Payload {
            base: handle.get_u32(sys::NFTNL_EXPR_PAYLOAD_BASE),
            offset: handle.get_u32(sys::NFTNL_EXPR_PAYLOAD_OFFSET),
            length: handle.get_u32(sys::NFTNL_EXPR_PAYLOAD_LEN),
            slot: at(sys::NFTNL_EXPR_PAYLOAD_DREG),
        },
        "meta" if handle.has(sys::NFTNL_EXPR_META_DREG) => {
            Expr::Meta { key: handle.get_u32(sys::NFTNL_EXPR_META_KEY), slot: at(sys::NFTNL_EXPR_META_DREG) }
        }
        "meta" => Expr::MetaSet {
            key: handle.get_u32(sys::NFTNL_EXPR_META_KEY),
            slot: at(sys::NFTNL_EXPR_META_SREG),
        },
        "bitwise"
            if handle.get_u32(sys::NFTNL_EXPR_BITWISE_OP) == 0
                && handle.get_u32(sys::NFTNL_EXPR_BITWISE_SREG)
                    == handle.get_u32(sys::NFTNL_EXPR_BITWISE_DREG) =>
        {
            Expr::Bitwise {
                slot: at(sys::NFTNL_EXPR_BITWISE_SREG),
                mask: handle.get_data(sys::NFTNL_EXPR_BITWISE_MASK),
                xor: handle.get_data(sys::NFTNL_EXPR_BITWISE_XOR),
            }
        }
        "cmp" => match handle.get_u32(sys::NFTNL_EXPR_CMP_OP) {
            op @ (0 | 1) => Expr::Cmp {
                op: if op == 0 { Compare::Equal } else { Compare::NotEqual },
                slot: at(sys::NFTNL_EXPR_CMP_SREG),
                data: handle.get_data(sys::NFTNL_EXPR_CMP_DATA),
            },
            _ => Expr::Foreign(name),
        },
        "lookup" if handle.get_u32(sys::NFTNL_EXPR_LOOKUP_FLAGS) == 0 => read_lookup(handle),
        "immediate" => read_immediate(handle, name),
        "numgen" if handle.get_u32(sys::NFTNL_EXPR_NG_OFFSET) == 0 => Expr::Numgen {
            kind: handle.get_u32(sys::NFTNL_EXPR_NG_TYPE),
            modulus: handle.get_u32(sys::NFTNL_EXPR_NG_MODULUS),
            slot: at(sys::NFTNL_EXPR_NG_DREG),
        },
        "hash" => Expr::Hash {
            from: at(sys::NFTNL_EXPR_HASH_SREG),
            length: handle.get_u32(sys::NFTNL_EXPR_HASH_LEN),
            slot: at(sys::NFTNL_EXPR_HASH_DREG),
            modulus: handle.get_u32(sys::NFTNL_EXPR_HASH_MODULUS),
            seed: handle.get_u32(sys::NFTNL_EXPR_HASH_SEED),
            offset: handle.get_u32(sys::NFTNL_EXPR_HASH_OFFSET),
        },
        "fib" if handle.get_u32(sys::NFTNL_EXPR_FIB_RESULT) == FIB_RESULT_ADDRTYPE => Expr::FibType {
            flags: handle.get_u32(sys::NFTNL_EXPR_FIB_FLAGS),
            slot: at(sys::NFTNL_EXPR_FIB_DREG),
        },
        "ct" if handle.has(sys::NFTNL_EXPR_CT_DREG) => Expr::Ct {
            key: handle.get_u32(sys::NFTNL_EXPR_CT_KEY),
            direction: handle.has(sys::NFTNL_EXPR_CT_DIR).then(|| handle.get_u8(sys::NFTNL_EXPR_CT_DIR)),
            slot: at(sys::NFTNL_EXPR_CT_DREG),
        },
        "ct" => {
            Expr::CtSet { key: handle.get_u32(sys::NFTNL_EXPR_CT_KEY), slot: at(sys::NFTNL_EXPR_CT_SREG) }
        }
        "nat" if handle.get_u32(sys::NFTNL_EXPR_NAT_TYPE) == NAT_DNAT => Expr::Dnat {
            family: handle.get_u32(sys::NFTNL_EXPR_NAT_FAMILY),
            address: at(sys::NFTNL_EXPR_NAT_REG_ADDR_MIN),
            port: handle
                .has(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN)
                .then(|| at(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN)),
        },
        "masq" => Expr::Masquerade { flags: handle.get_u32(sys::NFTNL_EXPR_MASQ_FLAGS) },
        "reject" => Expr::Reject {
            kind: handle.get_u32(sys::NFTNL_EXPR_REJECT_TYPE),
            code: handle.get_u8(sys::NFTNL_EXPR_REJECT_CODE),
        },
        "dynset" => Expr::Dynset {
            operation: handle.get_u32(sys::NFTNL_EXPR_DYNSET_OP),
            set: handle.get_str(sys::NFTNL_EXPR_DYNSET_SET_NAME),
            key: at(sys::NFTNL_EXPR_DYNSET_SREG_KEY),
            data: at(sys::NFTNL_EXPR_DYNSET_SREG_DATA),
            timeout: handle.get_u64(sys::NFTNL_EXPR_DYNSET_TIMEOUT),
        },
        _ => Expr::Foreign(name),
    }
}

fn read_lookup(handle: &Handle) -> Expr {
    let set = handle.get_str(sys::NFTNL_EXPR_LOOKUP_SET);
    let from = slot(handle.get_u32(sys::NFTNL_EXPR_LOOKUP_SREG));
    if !handle.has(sys::NFTNL_EXPR_LOOKUP_DREG) {
        return Expr::Lookup { set, slot: from };
    }
    match handle.get_u32(sys::NFTNL_EXPR_LOOKUP_DREG) {
        0 => Expr::VerdictMap { set, slot: from },
        to => Expr::Map { set, slot: from, to: slot(to) },
    }
}

fn read_immediate(handle: &Handle, name: String) -> Expr {
    match handle.get_u32(sys::NFTNL_EXPR_IMM_DREG) {
        0 => {
            let chain = || handle.get_str(sys::NFTNL_EXPR_IMM_CHAIN);
            match handle.get_u32(sys::NFTNL_EXPR_IMM_VERDICT) {
                DROP => Expr::Verdict(Jump::Drop),
                ACCEPT => Expr::Verdict(Jump::Accept),
                JUMP => Expr::Verdict(Jump::Jump(chain())),
                GOTO => Expr::Verdict(Jump::Goto(chain())),
                _ => Expr::Foreign(name),
            }
        }
        to => Expr::Constant { slot: slot(to), data: handle.get_data(sys::NFTNL_EXPR_IMM_DATA) },
    }
}
