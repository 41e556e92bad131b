//! A clean-up of a conntrack in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::conntrack::Tuple;

/// Flows, and how the next dumps go.
#[derive(Default)]
struct Memory {
    flows: Vec<Entry>,
    /// for each dump how many flows it shows; all after the last
    interrupted: VecDeque<usize>,
    dumps: Vec<Filter>,
    fault: Option<i32>,
}

impl Kernel for Memory {
    fn dump(&mut self, filter: &Filter, each: &mut dyn FnMut(&Entry)) -> io::Result<bool> {
        self.dumps.push(*filter);
        if let Some(errno) = self.fault {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let shown = self.interrupted.pop_front();
        self.flows.iter().take(shown.unwrap_or(usize::MAX)).for_each(each);
        Ok(shown.is_none())
    }

    fn delete(&mut self, entries: &[Entry]) -> io::Result<usize> {
        let gone: std::collections::HashSet<&Entry> = entries.iter().collect();
        let before = self.flows.len();
        self.flows.retain(|flow| !gone.contains(flow));
        Ok(before - self.flows.len())
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// `count` flows of different clients to `to` that are at `at`.
fn flows(count: u32, to: &str, at: &str) -> Vec<Entry> {
    let client = |n: u32| SocketAddr::new(std::net::Ipv4Addr::from(0x0b00_0000 + n).into(), 9);
    let flow = |n| Entry {
        original: Tuple { source: client(n), destination: address(to), zone: None },
        reply: Tuple { source: address(at), destination: client(n), zone: None },
        zone: None,
        id: n,
    };
    (0..count).map(flow).collect()
}

/// 10.96.0.10:53 and 10.96.0.11:54, served by 10.0.0.1:53.
fn targets() -> Targets {
    let serving = Arc::from([kube_verdict_table::Backend { ip: [10, 0, 0, 1].into(), port: 53 }]);
    Targets::from_iter([
        (address("10.96.0.10:53"), Arc::clone(&serving)),
        (address("10.96.0.11:54"), serving),
    ])
}

#[test]
fn stale_flows_go_and_others_stay() {
    let good = [flows(3, "10.96.0.10:53", "10.0.0.1:53"), flows(3, "10.96.0.12:53", "10.0.0.9:53")].concat();
    let stale = flows(5, "10.96.0.11:54", "10.0.0.9:53");
    let mut kernel = Memory { flows: [stale, good.clone()].concat(), ..Memory::default() };
    assert_eq!(clean(&mut kernel, Family::V4, &targets(), |_| false).unwrap(), 5);
    assert_eq!(kernel.flows, good);
    assert_eq!(kernel.dumps.len(), 2, "one for each port");
    assert_eq!(clean(&mut kernel, Family::V6, &targets(), |_| false).unwrap(), 0);
    assert_eq!(kernel.dumps.len(), 2, "none for a family without targets");
}

#[test]
fn what_was_overtaken_meanwhile_stays() {
    let mut kernel = Memory { flows: flows(2, "10.96.0.10:53", "10.0.0.9:53"), ..Memory::default() };
    let outdated = |to: &SocketAddr| *to == address("10.96.0.10:53");
    assert_eq!(clean(&mut kernel, Family::V4, &targets(), outdated).unwrap(), 0);
    assert_eq!(kernel.flows.len(), 2);
}

#[test]
fn an_interrupted_dump_counts_and_is_repeated_a_few_times() {
    let stale = || flows(10, "10.96.0.10:53", "10.0.0.9:53");
    let mut kernel = Memory { flows: stale(), interrupted: [4, 3].into(), ..Memory::default() };
    assert_eq!(clean(&mut kernel, Family::V4, &targets(), |_| false).unwrap(), 10);
    let mut kernel = Memory { flows: stale(), interrupted: [1; 20].into(), ..Memory::default() };
    assert_eq!(clean(&mut kernel, Family::V4, &targets(), |_| false).unwrap(), 2 * PASSES);
}

#[test]
fn more_than_is_gathered_goes_in_several_passes() {
    let many = GATHERED as u32 * 2 + 17;
    let mut kernel = Memory { flows: flows(many, "10.96.0.10:53", "10.0.0.9:53"), ..Memory::default() };
    assert_eq!(clean(&mut kernel, Family::V4, &targets(), |_| false).unwrap(), many as usize);
    assert_eq!(kernel.flows, []);
}

#[test]
fn an_error_is_told() {
    let mut kernel = Memory { fault: Some(libc::ENOMEM), ..Memory::default() };
    let error = clean(&mut kernel, Family::V4, &targets(), |_| false).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
}
