//! A row of the table: several times of the same thing; and what a process takes.

use std::process::Child;
use std::time::Duration;

use crate::Error;

/// Prints a row with median, minimum and maximum.
pub fn row(name: &str, times: &[Duration]) {
    let mut times = times.to_vec();
    times.sort_unstable();
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return };
    println!("| {name} | {} | {} | {} |", human(times[times.len() / 2]), human(*least), human(*most));
}

/// Prints a row with the median, the 99th percentile and the maximum.
pub fn tail(name: &str, times: &[Duration]) {
    let mut times = times.to_vec();
    times.sort_unstable();
    if times.is_empty() {
        return;
    }
    let at = |part: f64| human(times[((times.len() - 1) as f64 * part) as usize]);
    println!("| {name} | p50 {} | p99 {} | {} |", at(0.5), at(0.99), at(1.0));
}

/// Three figures.
pub fn human(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        1.0.. => format!("{seconds:.2} s"),
        0.001.. => format!("{:.3} ms", seconds * 1e3),
        _ => format!("{:.1} µs", seconds * 1e6),
    }
}

/// A line of /proc/PID/status.
pub fn memory(process: &Child, key: &str) -> Result<String, Error> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(format!("{:.1} MiB", kilobytes / 1024.0))
}
