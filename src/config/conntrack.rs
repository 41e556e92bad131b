//! `conntrack`: what is set in the kernel once, at the start (reference §16).

use std::time::Duration;

use super::duration::GoDuration;
use super::file::File;

/// Zero or false leaves the kernel's value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conntrack {
    /// entries a core; zero leaves the maximum alone, whatever `min` says
    pub max_per_core: u32,
    /// the least maximum
    pub min: u32,
    /// how long an established TCP connection may be idle
    pub tcp_established_timeout: Duration,
    /// how long a TCP connection may be half closed
    pub tcp_close_wait_timeout: Duration,
    /// packets outside of the window are let pass
    pub tcp_be_liberal: bool,
    /// how long a UDP flow is kept that went one way only
    pub udp_timeout: Duration,
    /// how long a UDP flow is kept that went both ways
    pub udp_stream_timeout: Duration,
}

impl Conntrack {
    /// What a validated file says.
    pub(super) fn of(file: &File) -> Self {
        let section = file.conntrack.clone().unwrap_or_default();
        let number =
            |value: Option<i32>, default| value.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
        let duration = |value: Option<GoDuration>, default| {
            value.map_or(Duration::from_secs(default), GoDuration::to_std)
        };
        Conntrack {
            max_per_core: number(section.max_per_core, 32_768),
            min: number(section.min, 131_072),
            tcp_established_timeout: duration(section.tcp_established_timeout, 86_400),
            tcp_close_wait_timeout: duration(section.tcp_close_wait_timeout, 3_600),
            tcp_be_liberal: section.tcp_be_liberal.unwrap_or(false),
            udp_timeout: duration(section.udp_timeout, 0),
            udp_stream_timeout: duration(section.udp_stream_timeout, 0),
        }
    }
}
