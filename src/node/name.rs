//! The node's name, which EndpointSlices use to say what is local (reference §10.1 step 6).

use std::io;

/// Why the node has no name.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The kernel does not tell.
    #[error("cannot tell the host's name: {0}; give one with --hostname-override")]
    Unreadable(io::Error),
    /// It is empty.
    #[error("the host has no name; give one with --hostname-override")]
    Empty,
}

/// The name: what the operator insists on, or the host's; trimmed, in lower case.
pub fn name(hostname_override: Option<&str>) -> Result<String, NameError> {
    match hostname_override.map(normal).filter(|name| !name.is_empty()) {
        Some(name) => Ok(name),
        None => host_name(),
    }
}

/// What `uname -n` says.
fn host_name() -> Result<String, NameError> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(NameError::Unreadable)?;
    Some(normal(&name)).filter(|name| !name.is_empty()).ok_or(NameError::Empty)
}

fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_trimmed_and_lower_cased() {
        assert_eq!(name(Some(" Node-1.Example \n")).unwrap(), "node-1.example");
    }

    #[test]
    fn otherwise_the_host_has_one() {
        let host = name(None).unwrap();
        assert_eq!(name(Some("  ")).unwrap(), host);
        assert_eq!(host, host.trim().to_lowercase());
    }
}
