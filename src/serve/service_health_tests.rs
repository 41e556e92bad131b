//! The servers of health checks on loopback addresses.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::config;
use crate::serve::monitor;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));

struct Bench {
    servers: ServiceHealth,
    complaints: mpsc::Receiver<Complaint>,
}

impl Bench {
    fn new(addresses: &[IpAddr]) -> Self {
        let (_, readings) = monitor(&config::defaults().effective, "n1", false).unwrap();
        let (sender, complaints) = mpsc::channel(8);
        let complain = Arc::new(move |complaint| sender.try_send(complaint).unwrap());
        let mut servers = ServiceHealth::new(readings, "n1".into(), complain);
        servers.addresses.v4 = NodePortAddresses::Only(addresses.iter().copied().collect());
        Bench { servers, complaints }
    }

    async fn say(&mut self, checks: &[(&str, Option<(u16, usize)>)]) {
        let checks = checks.iter().map(|(name, check)| {
            let check = check.map(|(port, endpoints)| HealthCheck {
                namespace: "default".into(),
                name: (*name).into(),
                port,
                local_endpoints: PerFamily { v4: Some(endpoints), v6: None },
            });
            (("default".into(), (*name).into()), check)
        });
        let touched = self.servers.take_in(News { checks: checks.collect(), addresses: None });
        self.servers.listen(touched).await;
    }
}

/// The status, or what went wrong.
async fn ask(ip: IpAddr, port: u16) -> Result<u16, std::io::ErrorKind> {
    let mut stream = TcpStream::connect((ip, port)).await.map_err(|error| error.kind())?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    Ok(text.split(' ').nth(1).unwrap().parse().unwrap())
}

const REFUSED: Result<u16, std::io::ErrorKind> = Err(std::io::ErrorKind::ConnectionRefused);

/// Ports that were free a moment ago.
async fn free_ports() -> [u16; 2] {
    let one = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let two = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    [one.local_addr().unwrap().port(), two.local_addr().unwrap().port()]
}

#[tokio::test]
async fn counts_ports_and_services_are_followed() {
    let [one, two] = free_ports().await;
    let mut bench = Bench::new(&[LOOPBACK]);
    bench.say(&[("a", Some((one, 1)))]).await;
    assert_eq!(ask(LOOPBACK, one).await, Ok(200));
    bench.say(&[("a", Some((one, 0)))]).await;
    assert_eq!(ask(LOOPBACK, one).await, Ok(503));
    // The port goes from one Service to the other in a single step.
    bench.say(&[("a", Some((two, 1))), ("b", Some((one, 5)))]).await;
    assert_eq!((ask(LOOPBACK, one).await, ask(LOOPBACK, two).await), (Ok(200), Ok(200)));
    bench.say(&[("a", Some((one, 1))), ("b", None)]).await;
    assert_eq!((ask(LOOPBACK, one).await, ask(LOOPBACK, two).await), (Ok(200), REFUSED));
    bench.say(&[("a", None)]).await;
    assert_eq!(ask(LOOPBACK, one).await, REFUSED);
    assert!(bench.servers.services.is_empty() && bench.complaints.try_recv().is_err());
}

#[tokio::test]
async fn addresses_are_followed() {
    let [port, _] = free_ports().await;
    let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let mut bench = Bench::new(&[LOOPBACK]);
    bench.say(&[("a", Some((port, 1)))]).await;
    let to = |ips: &[IpAddr]| {
        let v4 = NodePortAddresses::Only(ips.iter().copied().collect());
        News { addresses: Some(PerFamily { v4, v6: NodePortAddresses::AnyLocal }), ..News::default() }
    };
    let touched = bench.servers.take_in(to(&[other]));
    bench.servers.listen(touched).await;
    assert_eq!((ask(LOOPBACK, port).await, ask(other, port).await), (REFUSED, Ok(200)));
    let touched = bench.servers.take_in(to(&[]));
    bench.servers.listen(touched).await;
    assert_eq!(ask(other, port).await, REFUSED);
}

#[tokio::test]
async fn a_port_that_is_taken_is_complained_of_once_and_had_when_it_is_free() {
    let taken = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let [other, _] = free_ports().await;
    let mut bench = Bench::new(&[LOOPBACK]);
    bench.say(&[("a", Some((port, 1))), ("b", Some((other, 1)))]).await;
    assert_eq!(ask(LOOPBACK, other).await, Ok(200));
    let complaint = bench.complaints.try_recv().unwrap();
    assert_eq!(complaint.reason, "FailedToStartServiceHealthcheck");
    assert_eq!(complaint.object.to_string(), "Service default/a");
    assert!(
        complaint.message.starts_with(&format!(
            "node n1 failed to start healthcheck \"default/a\" on port {port}: 127.0.0.1:{port}: "
        )),
        "{}",
        complaint.message
    );
    bench.say(&[("a", Some((port, 2)))]).await;
    assert!(bench.complaints.try_recv().is_err(), "it was said");
    drop(taken);
    assert_eq!(bench.servers.lacking.len(), 1);
    let lacking = std::mem::take(&mut bench.servers.lacking);
    bench.servers.listen(lacking).await;
    assert_eq!(ask(LOOPBACK, port).await, Ok(200));
    assert!(bench.servers.lacking.is_empty());
}
