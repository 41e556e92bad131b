//! Changes of probes in the midst of others, and when a client notices each.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::measure::notice;

/// A probe whose endpoint was replaced.
#[derive(Clone, Copy, Debug)]
pub struct Marker {
    /// its number
    pub probe: u32,
    /// where clients reach it
    pub to: SocketAddrV4,
    /// who will answer
    pub wanted: Ipv4Addr,
    /// when the change was to be made
    pub due: Instant,
}

/// What became of the markers.
#[derive(Debug, Default)]
pub struct Noticed {
    /// seconds, of each that was noticed
    pub lags: Vec<f64>,
    /// those that were not
    pub lost: usize,
}

/// Watches markers until there will be no more and all were noticed. Those that were are told, since their probes may be
/// used again. What is not noticed within the patience is lost.
pub fn watch(markers: &Receiver<Marker>, free: &Sender<u32>, patience: Duration) -> Noticed {
    let mut noticed = Noticed::default();
    // With when to ask next.
    let mut open: Vec<(Instant, Marker)> = Vec::new();
    loop {
        let next = open.iter().map(|(next, _)| *next).min();
        let wait = next.map_or(patience, |next| next.saturating_duration_since(Instant::now()));
        match markers.recv_timeout(wait) {
            Ok(marker) => {
                open.push((Instant::now(), marker));
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if open.is_empty() => return noticed,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
        }
        let Some(place) = (0..open.len()).min_by_key(|place| open[*place].0) else { continue };
        let marker = open[place].1;
        if notice::answer(marker.to) == Some(marker.wanted) {
            noticed.lags.push(marker.due.elapsed().as_secs_f64());
            let _ = free.send(marker.probe);
            open.swap_remove(place);
        } else if marker.due.elapsed() > patience {
            noticed.lost += 1;
            open.swap_remove(place);
        } else {
            open[place].0 = Instant::now() + notice::pause(marker.due);
        }
    }
}
