//! The ipsets of kube-proxy's IPVS mode: destroyed by name, over nfnetlink. They can only be when no rule refers
//! to them, so the iptables chains go first; one that a rule of somebody else uses stays, and is named. Before that
//! they tell which NodePorts kube-proxy had. Facts: reference §12.7; linux/netfilter/ipset/ip_set.h and
//! net/netfilter/ipset/ip_set_core.c of the kernel.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlaBuffer,
    NlasIterator,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::report::{Removed, Report};

/// Their names; those of IPv6 begin with `KUBE-6-`.
const NAMES: [&str; 17] = [
    "LOOP-BACK",
    "CLUSTER-IP",
    "EXTERNAL-IP",
    "EXTERNAL-IP-LOCAL",
    "LOAD-BALANCER",
    "LOAD-BALANCER-LOCAL",
    "LOAD-BALANCER-FW",
    "LOAD-BALANCER-SOURCE-CIDR",
    "LOAD-BALANCER-SOURCE-IP",
    "NODE-PORT-TCP",
    "NODE-PORT-UDP",
    "NODE-PORT-LOCAL-TCP",
    "NODE-PORT-LOCAL-UDP",
    "NODE-PORT-SCTP-HASH",
    "NODE-PORT-LOCAL-SCTP-HASH",
    "HEALTH-CHECK-NODE-PORT",
    "IPVS-IPS",
];
/// Those of NodePorts, with their protocols.
const NODE_PORTS: [(&str, u8); 3] =
    [("NODE-PORT-TCP", 6), ("NODE-PORT-UDP", 17), ("NODE-PORT-SCTP-HASH", 132)];
const PREFIXES: [&str; 2] = ["KUBE-", "KUBE-6-"];
/// IPSET_MAXNAMELEN without the zero at the end: kube-proxy cuts its names there.
const LONGEST: usize = 31;

/// NFNL_SUBSYS_IPSET, in the upper half of a message's type.
const SUBSYSTEM: u16 = 6 << 8;
const CMD_DESTROY: u16 = 3;
const CMD_LIST: u16 = 7;
const ATTR_PROTOCOL: u16 = 1;
const ATTR_SETNAME: u16 = 2;
/// Elements, each of which is an `ATTR_DATA`.
const ATTR_ADT: u16 = 8;
const ATTR_DATA: u16 = 7;
/// In an element.
const ATTR_PORT: u16 = 4;
/// IPSET_PROTOCOL_MIN: what every kernel speaks.
const PROTOCOL: u8 = 6;
/// IPSET_ERR_BUSY: a rule uses the set.
const BUSY: i32 = 4100;

/// nf_tables lets go of what rules referred to a moment after they went.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Destroys them.
pub fn retire(report: &mut Report) {
    if !is_loaded() {
        return;
    }
    match Sets::open().and_then(|mut sets| sets.destroy_all()) {
        Ok((destroyed, used)) => {
            if destroyed > 0 {
                report.removed.push(Removed::Sets(destroyed));
            }
            if !used.is_empty() {
                report.left.push(format!(
                    "kube-proxy's ipsets {} stay: some rule uses them; when it is gone, `kube-verdict cleanup --only \
                     kube-proxy` removes them",
                    used.join(", ")
                ));
            }
        }
        Err(why) => report.failed("kube-proxy's ipsets", why),
    }
}

/// Protocols and ports of the NodePorts that kube-proxy had; none if its sets are not there.
pub fn node_ports() -> BTreeSet<(u8, u16)> {
    let mut all = BTreeSet::new();
    if !is_loaded() {
        return all;
    }
    for prefix in PREFIXES {
        for (name, protocol) in NODE_PORTS {
            let listed = Sets::open().and_then(|mut sets| sets.ports(&format!("{prefix}{name}")));
            all.extend(listed.unwrap_or_default().into_iter().map(|port| (protocol, port)));
        }
    }
    all
}

/// Whether ipset is in the kernel. Asking for it by netlink would load it.
fn is_loaded() -> bool {
    Path::new("/sys/module/ip_set").exists() || !Path::new("/sys/module").exists()
}

fn names() -> impl Iterator<Item = String> {
    PREFIXES.into_iter().flat_map(|prefix| NAMES.map(|name| format!("{prefix}{name}"))).map(|mut name| {
        name.truncate(LONGEST);
        name
    })
}

/// A socket.
struct Sets {
    socket: Socket,
}

impl Sets {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Sets { socket })
    }

    /// How many are gone, and which are in use.
    fn destroy_all(&mut self) -> io::Result<(usize, Vec<String>)> {
        let mut left: Vec<String> = names().collect();
        let mut destroyed = 0;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            let mut used = Vec::new();
            for name in left {
                match self.destroy(&name)? {
                    0 => destroyed += 1,
                    libc::ENOENT => {}
                    BUSY => used.push(name),
                    errno => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
            left = used;
            if left.is_empty() {
                break;
            }
        }
        Ok((destroyed, left))
    }

    /// The ports of a set's elements.
    fn ports(&mut self, name: &str) -> io::Result<Vec<u16>> {
        self.socket.send(&request(CMD_LIST, NLM_F_DUMP, name), 0)?;
        let mut ports = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = datagram.as_slice();
            while let Ok(message) = NetlinkBuffer::new_checked(rest) {
                if [NLMSG_ERROR, NLMSG_DONE].contains(&message.message_type()) {
                    return Ok(ports);
                }
                ports.extend(ports_in(message.payload()));
                rest = rest.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }

    /// The kernel's error number; 0: it is gone.
    fn destroy(&mut self, name: &str) -> io::Result<i32> {
        // Without EXCL newer kernels do not say that there is no such set.
        self.socket.send(&request(CMD_DESTROY, NLM_F_ACK | NLM_F_EXCL, name), 0)?;
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let Ok(message) = NetlinkBuffer::new_checked(datagram.as_slice()) else { continue };
            if message.message_type() == NLMSG_ERROR {
                let code = message.payload().get(..4).and_then(|bytes| bytes.try_into().ok());
                return Ok(code.map_or(0, |bytes| i32::from_ne_bytes(bytes).saturating_neg()));
            }
        }
    }
}

/// The ports in a piece of a listing.
fn ports_in(payload: &[u8]) -> Vec<u16> {
    // struct nfgenmsg goes before.
    let sets = within(payload.get(4..).unwrap_or_default(), ATTR_ADT);
    let elements = sets.flat_map(|elements| within(elements, ATTR_DATA));
    let ports = elements.flat_map(|element| within(element, ATTR_PORT));
    ports.filter_map(|port| port.try_into().ok().map(u16::from_be_bytes)).collect()
}

/// The values of attributes of one kind.
fn within(bytes: &[u8], kind: u16) -> impl Iterator<Item = &[u8]> {
    let all = NlasIterator::new(bytes).map_while(Result::ok);
    all.filter(move |nla: &NlaBuffer<&[u8]>| nla.kind() == kind)
        .map(|nla| nla.into_inner())
        .filter_map(|whole| whole.get(4..usize::from(NlaBuffer::new(whole).length())))
}

/// A request about a set.
fn request(command: u16, flags: u16, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend([0; 4]);
    bytes.extend((SUBSYSTEM | command).to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    // Sequence and port, then struct nfgenmsg: family, version, resource.
    bytes.extend([0; 8]);
    bytes.extend([libc::AF_INET as u8, 0, 0, 0]);
    for (kind, value) in [(ATTR_PROTOCOL, vec![PROTOCOL]), (ATTR_SETNAME, format!("{name}\0").into_bytes())] {
        bytes.extend((4 + value.len() as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_are_told_apart() {
        let all: std::collections::BTreeSet<String> = names().collect();
        assert_eq!(all.len(), 2 * NAMES.len());
        assert!(all.iter().all(|name| name.len() <= LONGEST));
        for name in ["KUBE-LOOP-BACK", "KUBE-6-IPVS-IPS", "KUBE-6-LOAD-BALANCER-SOURCE-CID"] {
            assert!(all.contains(name), "{name}");
        }
    }

    /// As `ipset destroy KUBE-IPVS-IPS` sends it, but for the protocol's version.
    #[test]
    fn a_request_is_what_ipset_sends() {
        let bytes = request(CMD_DESTROY, NLM_F_ACK | NLM_F_EXCL, "KUBE-IPVS-IPS");
        #[rustfmt::skip]
        let expected = [
            48, 0, 0, 0, 3, 6, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0,    // length, IPSET_CMD_DESTROY, REQUEST | ACK | EXCL
            2, 0, 0, 0,                                         // AF_INET
            5, 0, 1, 0, 6, 0, 0, 0,                             // IPSET_ATTR_PROTOCOL
            18, 0, 2, 0,                                        // IPSET_ATTR_SETNAME
        ];
        assert_eq!(&bytes[..32], &expected);
        assert_eq!(&bytes[32..], b"KUBE-IPVS-IPS\0\0\0");
    }

    /// Two elements as the kernel lists them, from struct nfgenmsg on: a bitmap's, and one with a protocol.
    #[test]
    fn ports_are_found_and_odd_bytes_survived() {
        #[rustfmt::skip]
        let listing = [
            2, 0, 0, 0,
            5, 0, 1, 0, 6, 0, 0, 0,                             // IPSET_ATTR_PROTOCOL
            36, 0, 8, 0x80,                                     // IPSET_ATTR_ADT, nested
            12, 0, 7, 0x80, 6, 0, 4, 0x40, 0x75, 0x80, 0, 0,    // IPSET_ATTR_DATA: IPSET_ATTR_PORT 30080
            20, 0, 7, 0x80,
            6, 0, 4, 0x40, 0x75, 0x81, 0, 0,                    // 30081
            5, 0, 7, 0, 132, 0, 0, 0,                           // IPSET_ATTR_PROTO
        ];
        assert_eq!(ports_in(&listing), [30080, 30081]);
        for end in 0..listing.len() {
            ports_in(&listing[..end]);
        }
        for at in 0..listing.len() {
            for value in [0, 1, 3, 4, 0x7f, 0xff] {
                let mut damaged = listing;
                damaged[at] = value;
                ports_in(&damaged);
            }
        }
    }
}
