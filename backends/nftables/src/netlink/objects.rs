//! Tables, sets, chains and rules by libnftnl: the FFI edge, with `expressions`.
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
use super::expressions::{Handle, expression, read_expression};
use super::userdata;
use crate::bytecode::Expr;
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
pub(super) fn c_string(text: &str) -> CString {
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

/// A table, with its comment and NFT_TABLE_F_* unless it is to be deleted.
pub fn table(out: &mut Writer, family: Family, header: Header, name: &str, made: Option<(&str, u32)>) {
    let name = c_string(name);
    // SAFETY: constructor and destructor belong together; strings and data are copied by the setters.
    let table = unsafe {
        let table = Object::new(sys::nftnl_table_alloc(), sys::nftnl_table_free);
        sys::nftnl_table_set_str(table.get(), sys::NFTNL_TABLE_NAME as u16, name.as_ptr());
        if let Some((comment, flags)) = made {
            if flags != 0 {
                sys::nftnl_table_set_u32(table.get(), sys::NFTNL_TABLE_FLAGS as u16, flags);
            }
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
