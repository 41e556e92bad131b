//! `conntrack`: what is set in the kernel once, at the start (reference §16).

use std::time::Duration;

use super::duration::GoDuration;
use super::file::File;

/// Zero or false leaves the kernel's value alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What a validated and complete file says.
    pub(super) fn of(file: &File) -> Self {
        let section = file.conntrack.clone().unwrap_or_default();
        let number = |value: Option<i32>| value.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let duration = |value: Option<GoDuration>| value.unwrap_or_default().to_std();
        Conntrack {
            max_per_core: number(section.max_per_core),
            min: number(section.min),
            tcp_established_timeout: duration(section.tcp_established_timeout),
            tcp_close_wait_timeout: duration(section.tcp_close_wait_timeout),
            tcp_be_liberal: section.tcp_be_liberal == Some(true),
            udp_timeout: duration(section.udp_timeout),
            udp_stream_timeout: duration(section.udp_stream_timeout),
        }
    }
}
