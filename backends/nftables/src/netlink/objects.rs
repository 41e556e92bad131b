//! Tables, sets, chains and rules by libnftnl: the FFI edge.
//!
//! Every libnftnl object lives inside one [`Object`], which frees it; libnftnl writes a message into a scratch
//! buffer of [`SCRATCH`] bytes, far more than any message made here (the largest is a rule of a dozen
//! expressions, under 2 KiB), and the bytes are copied from there.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::NonNull;

use kube_verdict_table::Family;
use nftnl_sys as sys;

use super::attributes::Writer;
use super::userdata;
use crate::bytecode::{Compare, Expr, FIB_RESULT_ADDRTYPE, Jump, register, slot};
use crate::layout::{BaseHook, Declaration};
use crate::wire;

const SCRATCH: usize = 64 << 10;

/// A message's place in its batch.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// NFT_MSG_*
    pub kind: u16,
    /// NLM_F_*
    pub flags: u16,
    /// nlmsg_seq
    pub sequence: u32,
}

/// The nfproto of a family.
pub fn nfproto(family: Family) -> u8 {
    match family {
        Family::V4 => libc::NFPROTO_IPV4 as u8,
        Family::V6 => libc::NFPROTO_IPV6 as u8,
    }
}

/// A libnftnl object and the function that frees it.
struct Object<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*const T),
}

impl<T> Object<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*const T)) -> Self {
        // libnftnl's constructors return null only when malloc does.
        let Some(pointer) = NonNull::new(pointer) else { std::process::abort() };
        Object { pointer, free }
    }

    fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Object<T> {
    fn drop(&mut self) {
        // SAFETY: `free` belongs to the constructor that made `pointer`, and is called once.
        unsafe { (self.free)(self.get()) }
    }
}

/// Our names have no zero bytes; a detector's interface name might, and then ends there.
fn c_string(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn write<T>(
    out: &mut Writer,
    family: Family,
    header: Header,
    object: &Object<T>,
    build: unsafe extern "C" fn(*mut libc::nlmsghdr, *mut T),
) {
    let mut scratch = vec![0u64; SCRATCH / 8];
    let buffer = scratch.as_mut_ptr().cast::<c_char>();
    // SAFETY: the scratch buffer is aligned for nlmsghdr and larger than any message (see the module's
    // comment); nlmsg_len says how much of it libnftnl has filled.
    let bytes = unsafe {
        let message = sys::nftnl_nlmsg_build_hdr(
            buffer,
            header.kind,
            u16::from(nfproto(family)),
            header.flags,
            header.sequence,
        );
        build(message, object.get());
        std::slice::from_raw_parts(buffer.cast::<u8>(), (*message).nlmsg_len as usize)
    };
    out.bytes.extend_from_slice(bytes);
}

/// A table, with its comment unless it is to be deleted.
pub fn table(out: &mut Writer, family: Family, header: Header, name: &str, comment: Option<&str>) {
    let name = c_string(name);
    // SAFETY: constructor and destructor belong together; strings and data are copied by the setters.
    let table = unsafe {
        let table = Object::new(sys::nftnl_table_alloc(), sys::nftnl_table_free);
        sys::nftnl_table_set_str(table.get(), sys::NFTNL_TABLE_NAME as u16, name.as_ptr());
        if let Some(comment) = comment {
            let data = userdata::of_table(comment);
            sys::nftnl_table_set_data(
                table.get(),
                sys::NFTNL_TABLE_USERDATA as u16,
                data.as_ptr().cast::<c_void>(),
                data.len() as u32,
            );
        }
        table
    };
    write(out, family, header, &table, build_table);
}

unsafe extern "C" fn build_table(message: *mut libc::nlmsghdr, table: *mut sys::nftnl_table) {
    // SAFETY: `write` passes a message with room and a live table.
    unsafe { sys::nftnl_table_nlmsg_build_payload(message, table) }
}

/// A chain; with a hook to add a base chain.
pub fn chain(
    out: &mut Writer,
    family: Family,
    header: Header,
    table: &str,
    name: &str,
    base: Option<BaseHook>,
) {
    let (table, name) = (c_string(table), c_string(name));
    // SAFETY: as in `table`.
    let chain = unsafe {
        let chain = Object::new(sys::nftnl_chain_alloc(), sys::nftnl_chain_free);
        sys::nftnl_chain_set_str(chain.get(), sys::NFTNL_CHAIN_TABLE as u16, table.as_ptr());
        sys::nftnl_chain_set_str(chain.get(), sys::NFTNL_CHAIN_NAME as u16, name.as_ptr());
        if let Some(base) = base {
            let kind = c_string(base.kind);
            sys::nftnl_chain_set_str(chain.get(), sys::NFTNL_CHAIN_TYPE as u16, kind.as_ptr());
            sys::nftnl_chain_set_u32(chain.get(), sys::NFTNL_CHAIN_HOOKNUM as u16, base.number);
            sys::nftnl_chain_set_s32(chain.get(), sys::NFTNL_CHAIN_PRIO as u16, base.priority);
            sys::nftnl_chain_set_u32(chain.get(), sys::NFTNL_CHAIN_POLICY as u16, libc::NF_ACCEPT as u32);
        }
        chain
    };
    write(out, family, header, &chain, build_chain);
}

unsafe extern "C" fn build_chain(message: *mut libc::nlmsghdr, chain: *mut sys::nftnl_chain) {
    // SAFETY: `write` passes a message with room and a live chain.
    unsafe { sys::nftnl_chain_nlmsg_build_payload(message, chain) }
}

/// A set or map; without a declaration only its name, to delete it.
pub fn set(
    out: &mut Writer,
    family: Family,
    header: Header,
    table: &str,
    name: &str,
    declaration: Option<&Declaration>,
) {
    let (table, name) = (c_string(table), c_string(name));
    // SAFETY: as in `table`; DESC_CONCAT takes one byte for each field of the key, at most 16.
    let set = unsafe {
        let set = Object::new(sys::nftnl_set_alloc(), sys::nftnl_set_free);
        sys::nftnl_set_set_str(set.get(), sys::NFTNL_SET_TABLE as u16, table.as_ptr());
        sys::nftnl_set_set_str(set.get(), sys::NFTNL_SET_NAME as u16, name.as_ptr());
        if let Some(declaration) = declaration {
            let state = wire::set_state(declaration, family);
            let number = |attribute, value| sys::nftnl_set_set_u32(set.get(), attribute as u16, value);
            number(sys::NFTNL_SET_ID, header.sequence);
            number(sys::NFTNL_SET_FLAGS, state.flags);
            number(sys::NFTNL_SET_KEY_TYPE, wire::concat_type(&declaration.key, family));
            number(sys::NFTNL_SET_KEY_LEN, state.key_length);
            if state.flags & wire::flags::MAP != 0 {
                number(sys::NFTNL_SET_DATA_TYPE, state.data_type);
                number(sys::NFTNL_SET_DATA_LEN, state.data_length);
            }
            if let Some(size) = declaration.dynamic {
                number(sys::NFTNL_SET_DESC_SIZE, size);
            }
            if declaration.interval {
                let lengths: Vec<u8> =
                    declaration.key.iter().map(|field| wire::field_length(*field, family) as u8).collect();
                let attribute = sys::NFTNL_SET_DESC_CONCAT as u16;
                let data = lengths.as_ptr().cast::<c_void>();
                sys::nftnl_set_set_data(set.get(), attribute, data, lengths.len() as u32);
            }
            let data = userdata::of_set(declaration, family);
            let attribute = sys::NFTNL_SET_USERDATA as u16;
            sys::nftnl_set_set_data(set.get(), attribute, data.as_ptr().cast::<c_void>(), data.len() as u32);
            if declaration.counter {
                // The set takes the expression over.
                sys::nftnl_set_add_expr(set.get(), sys::nftnl_expr_alloc(c"counter".as_ptr()));
            }
        }
        set
    };
    write(out, family, header, &set, build_set);
}

unsafe extern "C" fn build_set(message: *mut libc::nlmsghdr, set: *mut sys::nftnl_set) {
    // SAFETY: `write` passes a message with room and a live set.
    unsafe { sys::nftnl_set_nlmsg_build_payload(message, set) }
}

/// A rule of a chain; with no expressions it names all of the chain's rules, to delete them.
pub fn rule(out: &mut Writer, family: Family, header: Header, table: &str, chain: &str, exprs: &[Expr]) {
    let (table, chain) = (c_string(table), c_string(chain));
    // SAFETY: as in `table`; the rule takes its expressions over.
    let rule = unsafe {
        let rule = Object::new(sys::nftnl_rule_alloc(), sys::nftnl_rule_free);
        sys::nftnl_rule_set_str(rule.get(), sys::NFTNL_RULE_TABLE as u16, table.as_ptr());
        sys::nftnl_rule_set_str(rule.get(), sys::NFTNL_RULE_CHAIN as u16, chain.as_ptr());
        for expr in exprs {
            sys::nftnl_rule_add_expr(rule.get(), expression(expr));
        }
        rule
    };
    write(out, family, header, &rule, build_rule);
}

unsafe extern "C" fn build_rule(message: *mut libc::nlmsghdr, rule: *mut sys::nftnl_rule) {
    // SAFETY: `write` passes a message with room and a live rule.
    unsafe { sys::nftnl_rule_nlmsg_build_payload(message, rule) }
}

/// A libnftnl expression under construction or inspection.
struct Handle(*mut sys::nftnl_expr);

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

/// nftnl's numbers for `enum nft_registers`, from slots.
fn expression(expr: &Expr) -> *mut sys::nftnl_expr {
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
        Expr::Hash { from, length, slot, modulus, seed } => Handle::alloc(c"hash")
            .u32(sys::NFTNL_EXPR_HASH_SREG, register(*from))
            .u32(sys::NFTNL_EXPR_HASH_DREG, register(*slot))
            .u32(sys::NFTNL_EXPR_HASH_LEN, *length)
            .u32(sys::NFTNL_EXPR_HASH_MODULUS, *modulus)
            .u32(sys::NFTNL_EXPR_HASH_SEED, *seed)
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
        Expr::Dnat { family, address, port } => Handle::alloc(c"nat")
            .u32(sys::NFTNL_EXPR_NAT_TYPE, NAT_DNAT)
            .u32(sys::NFTNL_EXPR_NAT_FAMILY, *family)
            .u32(sys::NFTNL_EXPR_NAT_REG_ADDR_MIN, register(*address))
            .u32(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN, register(*port)),
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
/// NF_DROP
const DROP: u32 = 0;

fn verdict(jump: &Jump) -> Handle {
    let handle = Handle::alloc(c"immediate").u32(sys::NFTNL_EXPR_IMM_DREG, 0);
    match jump {
        Jump::Drop => handle.u32(sys::NFTNL_EXPR_IMM_VERDICT, DROP),
        Jump::Jump(chain) => {
            handle.u32(sys::NFTNL_EXPR_IMM_VERDICT, JUMP).str(sys::NFTNL_EXPR_IMM_CHAIN, chain)
        }
        Jump::Goto(chain) => {
            handle.u32(sys::NFTNL_EXPR_IMM_VERDICT, GOTO).str(sys::NFTNL_EXPR_IMM_CHAIN, chain)
        }
    }
}

/// The chain and bytecode in an NFT_MSG_NEWRULE message. None if libnftnl cannot read it.
pub fn read_rule(message: &[u8]) -> Option<(String, Vec<Expr>)> {
    // libnftnl reads through a pointer to the header, which must be aligned.
    let mut aligned = vec![0u64; message.len().div_ceil(8)];
    // SAFETY: the copy is aligned and has the message's bytes, whose nlmsg_len the caller's iterator has
    // checked; the iterator and the strings it gives are used while the rule lives.
    unsafe {
        let buffer = aligned.as_mut_ptr().cast::<u8>();
        std::ptr::copy_nonoverlapping(message.as_ptr(), buffer, message.len());
        let rule = Object::new(sys::nftnl_rule_alloc(), sys::nftnl_rule_free);
        if sys::nftnl_rule_nlmsg_parse(buffer.cast(), rule.get()) < 0 {
            return None;
        }
        let chain = sys::nftnl_rule_get_str(rule.get(), sys::NFTNL_RULE_CHAIN as u16);
        if chain.is_null() {
            return None;
        }
        let chain = CStr::from_ptr(chain).to_string_lossy().into_owned();
        let iterator = sys::nftnl_expr_iter_create(rule.get());
        if iterator.is_null() {
            std::process::abort();
        }
        let mut exprs = Vec::new();
        loop {
            let expr = sys::nftnl_expr_iter_next(iterator);
            if expr.is_null() {
                break;
            }
            exprs.push(read_expression(&Handle(expr)));
        }
        sys::nftnl_expr_iter_destroy(iterator);
        Some((chain, exprs))
    }
}

fn read_expression(handle: &Handle) -> Expr {
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
        "hash" if handle.get_u32(sys::NFTNL_EXPR_HASH_OFFSET) == 0 => Expr::Hash {
            from: at(sys::NFTNL_EXPR_HASH_SREG),
            length: handle.get_u32(sys::NFTNL_EXPR_HASH_LEN),
            slot: at(sys::NFTNL_EXPR_HASH_DREG),
            modulus: handle.get_u32(sys::NFTNL_EXPR_HASH_MODULUS),
            seed: handle.get_u32(sys::NFTNL_EXPR_HASH_SEED),
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
        "nat" if handle.get_u32(sys::NFTNL_EXPR_NAT_TYPE) == NAT_DNAT => Expr::Dnat {
            family: handle.get_u32(sys::NFTNL_EXPR_NAT_FAMILY),
            address: at(sys::NFTNL_EXPR_NAT_REG_ADDR_MIN),
            port: at(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN),
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
                JUMP => Expr::Verdict(Jump::Jump(chain())),
                GOTO => Expr::Verdict(Jump::Goto(chain())),
                _ => Expr::Foreign(name),
            }
        }
        to => Expr::Constant { slot: slot(to), data: handle.get_data(sys::NFTNL_EXPR_IMM_DATA) },
    }
}
