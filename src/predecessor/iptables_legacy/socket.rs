//! The socket options by which ip_tables and ip6_tables are read and replaced: the FFI edge of this room.
//! Facts: linux/netfilter_ipv4/ip_tables.h (`IPT_SO_*`, the same numbers in ip6_tables.h).
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use kube_verdict_table::Family;

use super::blob::Info;
use super::edit::Edited;
use super::layout;

/// IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES; IPT_SO_SET_REPLACE, IPT_SO_SET_ADD_COUNTERS
const GET_INFO: c_int = 64;
const GET_ENTRIES: c_int = 65;
const SET_REPLACE: c_int = 64;
const SET_ADD_COUNTERS: c_int = 65;

/// One family's tables, in the network namespace of the thread that opened it.
pub struct Tables {
    socket: OwnedFd,
    level: c_int,
}

impl Tables {
    /// Opens a socket: any of the family will do. (A raw one, as iptables has, would need CAP_NET_RAW.) The
    /// options need CAP_NET_ADMIN.
    pub fn open(family: Family) -> io::Result<Self> {
        let (domain, level) = match family {
            Family::V4 => (libc::AF_INET, libc::SOL_IP),
            Family::V6 => (libc::AF_INET6, libc::SOL_IPV6),
        };
        // SAFETY: plain integers; the descriptor that comes back is nobody else's.
        let socket = unsafe {
            let descriptor = libc::socket(domain, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(descriptor)
        };
        Ok(Tables { socket, level })
    }

    /// Reads a table. EAGAIN: it changed meanwhile.
    pub fn read(&self, table: &str) -> io::Result<(Info, Vec<u8>)> {
        let mut request = named(table, layout::GET_INFO);
        self.get(GET_INFO, &mut request)?;
        let word = |index: usize| {
            let at = layout::NAME + 4 * index;
            request.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
        };
        let hooks = layout::HOOKS;
        let info = Info {
            valid_hooks: word(0),
            hook_entry: std::array::from_fn(|hook| word(1 + hook)),
            underflow: std::array::from_fn(|hook| word(1 + hooks + hook)),
            entries: word(1 + 2 * hooks),
            size: word(2 + 2 * hooks),
        };
        let mut request = named(table, layout::GET_ENTRIES + info.size as usize);
        request[layout::NAME..layout::NAME + 4].copy_from_slice(&info.size.to_ne_bytes());
        self.get(GET_ENTRIES, &mut request)?;
        Ok((info, request.split_off(layout::GET_ENTRIES)))
    }

    /// Replaces a table of so many entries; returns their counters at the moment when it went. EAGAIN: it has
    /// another number of entries.
    pub fn replace(&self, table: &str, edited: &Edited, old_entries: u32) -> io::Result<Vec<u8>> {
        let mut counters = vec![0u8; old_entries as usize * layout::COUNTERS];
        let mut request = named(table, layout::REPLACE_COUNTERS);
        let info = &edited.info;
        let words = [info.valid_hooks, info.entries, info.size]
            .into_iter()
            .chain(info.hook_entry)
            .chain(info.underflow)
            .chain([old_entries]);
        for (index, word) in words.enumerate() {
            let at = layout::NAME + 4 * index;
            request[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        // The kernel writes `old_entries` counters there before the call returns, and at no other time.
        request.extend_from_slice(&(counters.as_mut_ptr() as usize as u64).to_ne_bytes());
        request.extend_from_slice(&edited.bytes);
        self.set(SET_REPLACE, &request)?;
        Ok(counters)
    }

    /// Adds to the counters of all entries of a table.
    pub fn add_counters(&self, table: &str, counters: &[u8]) -> io::Result<()> {
        let mut request = named(table, layout::COUNTERS_INFO);
        let count = (counters.len() / layout::COUNTERS) as u32;
        request[layout::NAME..layout::NAME + 4].copy_from_slice(&count.to_ne_bytes());
        request.extend_from_slice(counters);
        self.set(SET_ADD_COUNTERS, &request)
    }

    fn get(&self, option: c_int, buffer: &mut [u8]) -> io::Result<()> {
        let mut length = buffer.len() as libc::socklen_t;
        // SAFETY: `buffer` has `length` writable bytes, and the kernel writes no more than that.
        let result = unsafe {
            let buffer = buffer.as_mut_ptr().cast::<c_void>();
            libc::getsockopt(self.socket.as_raw_fd(), self.level, option, buffer, &mut length)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn set(&self, option: c_int, buffer: &[u8]) -> io::Result<()> {
        // SAFETY: `buffer` has as many readable bytes as are said. The only pointer within, that of `replace`,
        // leads to room for the number of counters that is said beside it, and nobody else uses that meanwhile.
        let result = unsafe {
            let length = buffer.len() as libc::socklen_t;
            libc::setsockopt(self.socket.as_raw_fd(), self.level, option, buffer.as_ptr().cast(), length)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// A structure that begins with a table's name, all zero otherwise.
fn named(table: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let name = &table.as_bytes()[..table.len().min(layout::NAME - 1)];
    bytes[..name.len()].copy_from_slice(name);
    bytes
}
