//! A sender of first packets.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

use crate::Error;
use crate::measure::percentile::sorted;
use crate::stage::{CLIENT, Stage};

/// This many are sent before any counts: one in so many.
const WARM_UP: u16 = 10;

/// On a busy machine the last packets may still be on their way when all have been sent.
const SETTLING: Duration = Duration::from_millis(100);

/// What was sent.
#[derive(Debug)]
pub struct Sent {
    /// all of it
    pub count: u16,
    /// seconds that each took that counts, in order of size
    pub times: Vec<f64>,
}

/// Sends empty datagrams from so many ports, or from fewer if the time is up. The clock is read once for each, a
/// fortieth of a microsecond where packets take several.
///
/// # Errors
/// The kernel refuses a raw socket, or a packet.
pub fn send(to: SocketAddrV4, ports: u16, time: Duration) -> io::Result<Sent> {
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?;
    let address = SockaddrIn::from(SocketAddrV4::new(*to.ip(), 0));
    let mut packet = packet(to);
    let mut times = Vec::with_capacity(ports.into());
    let start = Instant::now();
    let (mut last, mut count) = (start, 0);
    for port in 1..=ports {
        packet[20..22].copy_from_slice(&port.to_be_bytes());
        sendto(socket.as_raw_fd(), &packet, &address, MsgFlags::empty())?;
        let now = Instant::now();
        count = port;
        if port > ports / WARM_UP {
            times.push((now - last).as_secs_f64());
        }
        last = now;
        if now - start > time && !times.is_empty() {
            break;
        }
    }
    Ok(Sent { count, times: sorted(times) })
}

/// Whether what was sent came to endpoints, at their port: what does not arrive takes a different way, and so another time.
/// One in a hundred may be lost.
///
/// # Errors
/// Fewer have arrived.
pub fn arrived(stage: &Stage, before: u64, sent: u16) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        let arrived = stage.unanswered()? - before;
        if arrived * 100 >= u64::from(sent) * 99 {
            return Ok(());
        }
        if start.elapsed() > SETTLING {
            return Err(format!("of {sent} packets {arrived} arrived at endpoints").into());
        }
        sleep(SETTLING / 20);
    }
}

/// An IPv4 packet with an empty UDP datagram; the kernel fills in the header's checksum.
fn packet(to: SocketAddrV4) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(CLIENT.octets());
    packet.extend(to.ip().octets());
    packet.extend([0, 0]);
    packet.extend(to.port().to_be_bytes());
    packet.extend([0, 8, 0, 0]);
    packet
}
