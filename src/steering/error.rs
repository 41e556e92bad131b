//! Why policy routing cannot be had, and what to do about it.

use std::io;

use kube_verdict_table::Family;

/// The kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("policy routing for IPVS: cannot {what}: {source}{hint}")]
pub struct Error {
    what: String,
    hint: &'static str,
    source: io::Error,
}

impl Error {
    pub(super) fn open(source: io::Error) -> Self {
        Error { what: "open a socket of rtnetlink".into(), hint: "", source }
    }

    pub(super) fn read(what: &str, family: Family, source: io::Error) -> Self {
        Error { what: format!("read the {what} of {family}"), hint: hint(&source, family), source }
    }

    pub(super) fn step(is_addition: bool, what: &str, family: Family, source: io::Error) -> Self {
        let verb = if is_addition { "add" } else { "delete" };
        Error { what: format!("{verb} the {what}"), hint: hint(&source, family), source }
    }

    /// The kernel has nothing of the kind.
    pub(super) fn is_lack(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP))
    }
}

fn hint(why: &io::Error, family: Family) -> &'static str {
    match why.raw_os_error() {
        Some(libc::EPERM) => "; it takes CAP_NET_ADMIN",
        Some(libc::ENETDOWN | libc::ENODEV) => "; the device lo is down: `ip link set lo up`",
        Some(libc::EACCES) if family == Family::V6 => {
            "; IPv6 is turned off on the device lo: set net.ipv6.conf.lo.disable_ipv6 to 0"
        }
        Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP) => {
            "; the kernel lacks this family, or policy routing (CONFIG_IP_MULTIPLE_TABLES, \
             CONFIG_IPV6_MULTIPLE_TABLES): use `mode: nftables`, which needs none"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let refused = |errno, family| {
            Error::step(true, "route", family, io::Error::from_raw_os_error(errno)).to_string()
        };
        for (errno, family, way_out) in [
            (libc::EPERM, Family::V4, "CAP_NET_ADMIN"),
            (libc::ENETDOWN, Family::V4, "ip link set lo up"),
            (libc::EACCES, Family::V6, "net.ipv6.conf.lo.disable_ipv6"),
            (libc::EAFNOSUPPORT, Family::V6, "mode: nftables"),
        ] {
            let text = refused(errno, family);
            assert!(text.contains("cannot add the route: ") && text.contains(way_out), "{text}");
        }
    }
}
