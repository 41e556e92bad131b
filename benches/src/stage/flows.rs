//! Connection tracking's memory of flows that were measured and are over. Without forgetting them, whoever is measured
//! later would look for flows in longer chains: the kernel has one table for all namespaces.
//!
//! net/netfilter/nf_conntrack_netlink.c: a deletion that names no flow deletes all, of the caller's namespace.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::Stage;
use crate::Error;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE`
const DELETE: u16 = 1 << 8 | 2;
/// `NLM_F_REQUEST | NLM_F_ACK`
const FLAGS: u16 = 1 | 4;
/// `struct nlmsghdr` and `struct nfgenmsg`
const LENGTH: u32 = 16 + 4;

/// Forgets every flow through the node. A kernel without conntrack's netlink keeps them until they time out.
///
/// # Errors
/// The kernel refuses.
pub fn forget_flows(stage: &Stage) -> Result<(), Error> {
    stage.node.run(forget).map_err(|error| format!("forgetting the flows through the node: {error}").into())
}

fn forget() -> io::Result<()> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    let mut message = Vec::with_capacity(LENGTH as usize);
    message.extend(LENGTH.to_ne_bytes());
    message.extend(DELETE.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    // Sequence number and port, then AF_UNSPEC, NFNETLINK_V0 and no resource.
    message.extend([0; 12]);
    sendto(netlink.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 128];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let code = answer.get(16..20).filter(|_| length >= 20).and_then(|bytes| bytes.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) if -code == nix::libc::EINVAL || -code == nix::libc::EOPNOTSUPP => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without a code")),
    }
}
