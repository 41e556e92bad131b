//! Watching the daemon and its kernel until they are as they should be: metrics, virtual servers of IPVS and its
//! connections, as `ipvsadm` tells them. Nothing is asserted about how long it takes, but that it does not take for ever.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::http;
use crate::kernel;
use crate::pace;
use crate::scenario::Scenario;

/// Generous. What drains is looked at every 30 s at the latest.
const PATIENCE: Duration = Duration::from_secs(60);

impl Scenario {
    /// A metric, by its name and labels as they are exposed.
    ///
    /// # Panics
    /// When there is none.
    pub fn metric(&self, name: &str) -> u64 {
        let address = SocketAddr::from(([127, 0, 0, 1], 10249));
        let page = http::get(self.node(), address, "/metrics").expect("metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{page}"))
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it does not become so.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + pace::limit(PATIENCE);
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "{what}: not so. Virtual servers:\n{}The daemon's log:\n{}",
                kernel::virtual_servers(self.node()),
                self.files().log()
            );
            std::thread::sleep(pace::limit(Duration::from_millis(20)));
        }
    }

    /// The lines of `ipvsadm -Sn` that add virtual servers, of whatever owner.
    pub fn virtual_servers(&self) -> Vec<String> {
        self.saved().into_iter().filter(|line| line.starts_with("-A ")).collect()
    }

    /// The weight of a backend in every virtual server that it is in.
    pub fn weights(&self, backend: SocketAddr) -> Vec<u32> {
        let address = format!(" -r {backend} ");
        let of_backend = |line: &String| line.starts_with("-a ") && line.contains(&address);
        let weight = |line: String| line.trim().rsplit_once(" -w ")?.1.parse().ok();
        self.saved().into_iter().filter(of_backend).filter_map(weight).collect()
    }

    /// The connections that IPVS knows of one client, as `ipvsadm -Lnc` shows them.
    pub fn connections_of(&self, client: std::net::IpAddr) -> Vec<String> {
        let source = match client {
            std::net::IpAddr::V4(client) => format!(" {client}:"),
            std::net::IpAddr::V6(client) => format!(" [{client}]:"),
        };
        let lines = kernel::ipvs_connections(self.node());
        lines.lines().filter(|line| line.contains(&source)).map(str::to_owned).collect()
    }

    fn saved(&self) -> Vec<String> {
        kernel::virtual_servers(self.node()).lines().map(str::to_owned).collect()
    }
}
