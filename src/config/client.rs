//! `clientConnection`: how the API server is reached.

use std::path::PathBuf;

use super::file::File;

/// Where the API server is, and how fast it may be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// a kubeconfig file; without one (and without `master`) the pod's ServiceAccount is used
    pub kubeconfig: Option<PathBuf>,
    /// the API server's URL, which goes before the kubeconfig's
    pub master: Option<String>,
    /// requests a second, over time; watches do not count once they are open
    pub qps: f64,
    /// requests at once
    pub burst: u32,
}

impl Client {
    pub(super) fn of(file: &File) -> Self {
        let section = file.client_connection.clone().unwrap_or_default();
        let kubeconfig = section.kubeconfig.filter(|path| !path.is_empty());
        Client {
            kubeconfig: kubeconfig.map(PathBuf::from),
            master: None,
            // Zero is how a file says "the default", and a negative rate is none.
            qps: section.qps.filter(|qps| *qps != 0.0).unwrap_or(5.0),
            burst: section.burst.and_then(|burst| u32::try_from(burst).ok()).filter(|b| *b > 0).unwrap_or(10),
        }
    }
}

impl Eq for Client {}
