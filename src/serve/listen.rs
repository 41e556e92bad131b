//! Sockets to listen on, with the options that matter.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// As long as kernels allow by default.
const BACKLOG: i32 = 4096;

/// Listens on an address that an operator configured. As in kube-proxy, a wildcard of either family means every
/// address of both, where the kernel has both.
pub(super) fn configured(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_unspecified() {
        return open(address, address.is_ipv6(), false);
    }
    let everywhere = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port());
    match open(everywhere, false, false) {
        // No IPv6 in this kernel or namespace.
        Err(error) if has_no_such_family(&error) && address.is_ipv4() => open(address, false, false),
        other => other,
    }
}

/// Listens on an address of one family only: another socket may have the same port in the other one. An address
/// that is not there yet can be had; it works as soon as it comes.
pub(super) fn one_family(address: SocketAddr) -> io::Result<TcpListener> {
    open(address, address.is_ipv6(), !address.ip().is_unspecified())
}

fn has_no_such_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn open(address: SocketAddr, only_v6: bool, may_come_later: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a predecessor that linger in TIME_WAIT do not matter; one that listens does.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    if may_come_later {
        match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn families_can_have_the_same_port_each() {
        let Ok(v4) = one_family("0.0.0.0:0".parse().unwrap()) else { panic!("no IPv4") };
        let port = v4.local_addr().unwrap().port();
        let v6 = one_family(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
        assert!(v6.is_ok(), "{v6:?}");
        let taken = one_family(SocketAddr::new("127.0.0.1".parse().unwrap(), port));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_configured_wildcard_is_of_both_families() {
        let listener = configured("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in ["127.0.0.1", "::1"] {
            let address = SocketAddr::new(address.parse().unwrap(), port);
            assert!(tokio::net::TcpStream::connect(address).await.is_ok(), "{address}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_not_there_yet_can_be_had() {
        assert!(one_family("192.0.2.1:0".parse().unwrap()).is_ok());
        assert!(one_family("[2001:db8::1]:0".parse().unwrap()).is_ok());
    }
}
