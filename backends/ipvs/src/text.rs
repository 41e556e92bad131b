//! Virtual servers as `ipvsadm -Sn` saves them and `ipvsadm -R` loads them: what a table asks for, without a kernel.
//! Facts: ipvsadm(8). Lines of a family are in the order of marks; ipvsadm lists in the order of a hash, so who compares
//! the two sorts both.

use std::sync::Arc;

use kube_verdict_table::{Family, PerFamily, Protocol, ServicePortName};

use crate::director::chosen;
use crate::{Scheduler, Server, Want, Wanted};

/// A virtual server with its real ones, in lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// the family that it serves
    pub family: Family,
    /// whose it is
    pub service: Arc<ServicePortName>,
    /// what it serves
    pub protocol: Protocol,
    /// the lines. `ipvsadm -R` knows no comments, so they say no more than it wants to know
    pub lines: String,
}

/// All of them. `configured` is the scheduler of Services that ask for none. Which schedulers a kernel has nobody knows
/// here: each server has the one that it asks for, if there can be such a one.
pub fn save(wanted: &PerFamily<Wanted>, configured: Scheduler) -> Vec<Saved> {
    let of_family = |family: Family| {
        wanted[family].servers.iter().filter_map(move |(mark, want)| {
            let Want::Server(server) = want else { return None };
            let (service, protocol) = (Arc::clone(&server.service), server.protocol);
            Some(Saved {
                family,
                service,
                protocol,
                lines: lines(family, *mark, server, chosen(server, configured)),
            })
        })
    };
    Family::BOTH.into_iter().flat_map(of_family).collect()
}

fn lines(family: Family, mark: u32, server: &Server, scheduler: Scheduler) -> String {
    let key = match family {
        Family::V4 => format!("-f {mark}"),
        Family::V6 => format!("-f {mark} -6"),
    };
    let flags: Vec<&str> = scheduler.words().collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" -b {}", flags.join(",")) };
    let mut lines = format!("-A {key} -s {}{flags}\n", scheduler.name);
    lines.extend(server.backends.iter().map(|backend| format!("-a {key} -r {backend} -m -w 1\n")));
    lines
}

#[cfg(test)]
mod tests {
    use kube_verdict_table::Backend;

    use super::*;

    fn server(scheduler: Option<&str>, backends: &[&str]) -> Want {
        let service =
            ServicePortName { namespace: "default".into(), name: "web".into(), port: "http".into() };
        let backend = |text: &&str| {
            let address: std::net::SocketAddr = text.parse().expect("an address");
            Backend { ip: address.ip(), port: address.port() }
        };
        Want::Server(Server {
            service: Arc::new(service),
            protocol: Protocol::Tcp,
            scheduler: scheduler.map(Arc::from),
            backends: backends.iter().map(backend).collect(),
        })
    }

    #[test]
    fn as_ipvsadm_saves_them() {
        let wanted =
            |servers: Vec<(u32, Want)>| Wanted { servers: servers.into_iter().collect(), is_all: true };
        let v4 = wanted(vec![
            (0x4b00_0002, server(None, &["10.2.0.2:8080", "10.2.0.3:8080"])),
            (0x4b00_0004, server(Some("sh,sh-port,sh-fallback"), &["10.2.0.4:53"])),
            (0x4b00_0006, server(Some("no such name"), &[])),
            (0x4b00_0008, Want::AsItIs),
        ]);
        let v6 = wanted(vec![(0x4b00_0002, server(Some("wlc,flag-3"), &["[fd00::2]:8080"]))]);
        let wanted = PerFamily::from_fn(|family| if family == Family::V4 { v4.clone() } else { v6.clone() });
        let expected = "\
-A -f 1258291202 -s mh -b mh-fallback,mh-port
-a -f 1258291202 -r 10.2.0.2:8080 -m -w 1
-a -f 1258291202 -r 10.2.0.3:8080 -m -w 1
-A -f 1258291204 -s sh -b sh-fallback,sh-port
-a -f 1258291204 -r 10.2.0.4:53 -m -w 1
-A -f 1258291206 -s mh -b mh-fallback,mh-port
-A -f 1258291202 -6 -s wlc -b flag-3
-a -f 1258291202 -6 -r [fd00::2]:8080 -m -w 1
";
        let saved = save(&wanted, Scheduler::configured("mh").expect("a scheduler"));
        assert_eq!(saved.iter().map(|saved| &*saved.lines).collect::<String>(), expected);
        let families: Vec<Family> = saved.iter().map(|saved| saved.family).collect();
        assert_eq!(families, [Family::V4, Family::V4, Family::V4, Family::V6]);
    }
}
