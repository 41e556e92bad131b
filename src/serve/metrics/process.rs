//! `process_*`: what the system says of this process, read from /proc when asked for (proc(5)). Names and meaning
//! are those of Prometheus' client libraries.

use std::collections::HashMap;
use std::fs;
use std::time::SystemTime;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};

use crate::serve::moment::unix_seconds;

/// USER_HZ, the unit of times in /proc; the same on every architecture that we run on.
const TICKS: f64 = 100.0;

const NAMES: [(&str, &str, MetricType); 9] = [
    ("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", MetricType::COUNTER),
    ("process_open_fds", "Number of open file descriptors.", MetricType::GAUGE),
    ("process_max_fds", "Maximum number of open file descriptors.", MetricType::GAUGE),
    ("process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricType::GAUGE),
    (
        "process_virtual_memory_max_bytes",
        "Maximum amount of virtual memory available in bytes.",
        MetricType::GAUGE,
    ),
    ("process_resident_memory_bytes", "Resident memory size in bytes.", MetricType::GAUGE),
    (
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        MetricType::GAUGE,
    ),
    (
        "process_network_receive_bytes_total",
        "Number of bytes received by the process over the network.",
        MetricType::COUNTER,
    ),
    (
        "process_network_transmit_bytes_total",
        "Number of bytes sent by the process over the network.",
        MetricType::COUNTER,
    ),
];

pub(super) fn register(registry: &Registry, started: SystemTime) -> prometheus::Result<()> {
    let describe = |(name, help, _): (&str, &str, MetricType)| {
        Desc::new(name.into(), help.into(), Vec::new(), HashMap::new())
    };
    let descriptions = NAMES.into_iter().map(describe).collect::<Result<_, _>>()?;
    registry.register(Box::new(Process { descriptions, started: unix_seconds(started) }))
}

struct Process {
    descriptions: Vec<Desc>,
    started: f64,
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    /// What cannot be read is left out.
    fn collect(&self) -> Vec<MetricFamily> {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let (status, limits, netstat) = (read("status"), read("limits"), read("net/netstat"));
        let values = [
            cpu_seconds(&read("stat")),
            // One of them is the directory that is being read.
            fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64),
            limit(&limits, "Max open files"),
            kilobytes(&status, "VmSize:"),
            limit(&limits, "Max address space"),
            kilobytes(&status, "VmRSS:"),
            Some(self.started),
            octets(&netstat, "InOctets"),
            octets(&netstat, "OutOctets"),
        ];
        let present = NAMES.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)));
        present.map(|((name, help, kind), value)| family(name, help, kind, value)).collect()
    }
}

fn family(name: &str, help: &str, kind: MetricType, value: f64) -> MetricFamily {
    let mut metric = Metric::default();
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

/// utime and stime, fields 14 and 15; the name, field 2, may hold anything, so counting starts after it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// The soft limit; none is the largest number that there is, as Go's client says.
fn limit(limits: &str, name: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        number => number.parse().ok(),
    }
}

/// A column of the `IpExt` table: a line of names, then one of numbers.
fn octets(netstat: &str, name: &str) -> Option<f64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let column = lines.next()?.split_whitespace().position(|column| column == name)?;
    lines.next()?.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_understood() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 12345 1000 10";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12288.0));
        let limits = "Max open files            1024                 4096                 files\n\
                      Max address space         unlimited            unlimited            bytes\n";
        assert_eq!(limit(limits, "Max open files"), Some(1024.0));
        assert_eq!(limit(limits, "Max address space"), Some(u64::MAX as f64));
        let netstat =
            "TcpExt: A InOctets\nTcpExt: 7 8\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 11 22\n";
        assert_eq!((octets(netstat, "InOctets"), octets(netstat, "OutOctets")), (Some(11.0), Some(22.0)));
        assert_eq!((cpu_seconds(""), kilobytes("", "VmRSS:"), octets("", "x")), (None, None, None));
    }

    #[test]
    fn this_process_has_all_of_it() {
        let registry = Registry::new();
        register(&registry, SystemTime::now()).unwrap();
        assert_eq!(registry.gather().len(), NAMES.len());
    }
}
