//! Where things are in the structures of ip_tables and ip6_tables, as 64-bit kernels lay them out. Facts:
//! linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h.

use kube_verdict_table::Family;

/// NF_INET_NUMHOOKS
pub const HOOKS: usize = 5;
/// XT_TABLE_MAXNAMELEN
pub const NAME: usize = 32;
/// sizeof(struct xt_counters)
pub const COUNTERS: usize = 16;

/// sizeof(struct ipt_getinfo), which is the same for IPv6
pub const GET_INFO: usize = NAME + 4 + 2 * 4 * HOOKS + 8;
/// offsetof(struct ipt_get_entries, entrytable)
pub const GET_ENTRIES: usize = 40;
/// offsetof(struct ipt_replace, counters), a pointer; the entries follow it
pub const REPLACE_COUNTERS: usize = 88;
/// offsetof(struct xt_counters_info, counters)
pub const COUNTERS_INFO: usize = 40;

/// In struct xt_entry_target: its size (u16), its name, and what is behind both and the revision.
pub const TARGET_NAME: usize = 2;
/// XT_EXTENSION_MAXNAMELEN
pub const TARGET_NAME_LENGTH: usize = 29;
/// sizeof(struct xt_entry_target): the verdict of a standard target follows, the name of an error target
pub const TARGET: usize = 32;
/// XT_FUNCTION_MAXNAMELEN
pub const ERROR_NAME_LENGTH: usize = 30;
/// XT_STANDARD_TARGET, XT_ERROR_TARGET
pub const STANDARD: &[u8] = b"";
/// The target of the entry that begins a chain, and of the one that ends the table.
pub const ERROR: &[u8] = b"ERROR";

/// struct ipt_entry or ip6t_entry
#[derive(Clone, Copy, Debug)]
pub struct EntryLayout {
    /// offsetof(…, target_offset), a u16; next_offset follows it
    pub target_offset: usize,
    /// sizeof(…): matches follow
    pub size: usize,
}

/// An entry's layout in a family.
pub const fn entry(family: Family) -> EntryLayout {
    match family {
        Family::V4 => EntryLayout { target_offset: 88, size: 112 },
        Family::V6 => EntryLayout { target_offset: 140, size: 168 },
    }
}
