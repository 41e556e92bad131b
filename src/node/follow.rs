//! Following the interfaces' addresses: NodePorts are served on an address as soon as it is there (kube-proxy
//! notices within the hour, reference §3.3).
//!
//! A thread listens to rtnetlink's address groups. What a notification says is not believed but taken as a
//! reason to read everything again: so lost notifications (ENOBUFS) cost nothing but that.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

use super::interfaces::Interfaces;
use crate::rtnetlink::{Groups, Listener};

/// rtnetlink.h: RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR; and the routes, which decide on the primary address.
const GROUPS: Groups = &[5, 9, 7, 11];

/// How long to wait before reading again what could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// The interfaces as they are, and whenever they change. The thread ends with the process, or with the first
/// notification after the receiver is gone.
pub fn follow() -> io::Result<watch::Receiver<Interfaces>> {
    let mut listener = Listener::open(GROUPS)?;
    // Read after listening: nothing that happens in between is missed.
    let (sender, receiver) = watch::channel(Interfaces::read()?);
    std::thread::Builder::new().name("interfaces".into()).spawn(move || {
        if let Err(error) = relay(&mut listener, &sender) {
            tracing::error!(
                "interface addresses are no longer followed: {error}; restart to follow them again"
            );
        }
    })?;
    Ok(receiver)
}

fn relay(listener: &mut Listener, sender: &watch::Sender<Interfaces>) -> io::Result<()> {
    while !sender.is_closed() {
        listener.wait(|_| true)?;
        let now = read_again();
        sender.send_if_modified(|before| {
            let is_news = *before != now;
            *before = now;
            is_news
        });
    }
    Ok(())
}

/// Reads, however often it takes: a dump may be refused while memory is short.
fn read_again() -> Interfaces {
    loop {
        match Interfaces::read() {
            Ok(interfaces) => return interfaces,
            Err(error) => tracing::warn!("cannot read the interfaces' addresses, trying again: {error}"),
        }
        std::thread::sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Instant;

    use netlink_packet_core::NLM_F_CREATE;
    use netlink_packet_route::address::{AddressAttribute, AddressMessage};
    use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

    use super::*;
    use crate::rtnetlink::Rtnetlink;

    #[test]
    fn begins_with_what_is_there() {
        let receiver = follow().unwrap();
        assert_eq!(receiver.borrow().addresses(), Interfaces::read().unwrap().addresses());
    }

    /// In a network namespace of its own, which only this thread and those that it begins are in.
    #[test]
    fn an_address_that_comes_and_goes_is_noticed() {
        std::thread::spawn(comes_and_goes).join().unwrap();
    }

    fn comes_and_goes() {
        // SAFETY: no memory is involved, and no other thread is concerned.
        #[allow(unsafe_code)]
        let entered = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        if entered != 0 {
            eprintln!("skipped: needs the right to make a network namespace");
            return;
        }
        let ip: IpAddr = "192.0.2.77".parse().unwrap();
        let receiver = follow().unwrap();
        assert!(!receiver.borrow().addresses().contains(&ip));
        change(RouteNetlinkMessage::NewAddress, ip);
        wait_until(|| receiver.borrow().addresses().contains(&ip));
        change(RouteNetlinkMessage::DelAddress, ip);
        wait_until(|| !receiver.borrow().addresses().contains(&ip));
    }

    fn wait_until(is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < deadline, "it was not noticed");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Gives the loopback interface an address, or takes it away.
    fn change(message: impl Fn(AddressMessage) -> RouteNetlinkMessage, ip: IpAddr) {
        let mut address = AddressMessage::default();
        address.header.family = AddressFamily::Inet;
        address.header.prefix_len = 32;
        address.header.index = 1;
        address.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
        Rtnetlink::open().unwrap().order(message(address), NLM_F_CREATE).unwrap();
    }
}
