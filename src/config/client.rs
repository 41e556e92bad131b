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
    /// What a validated and complete file says, and `--master`.
    pub(super) fn of(file: &File, master: Option<&str>) -> Self {
        let section = file.client_connection.clone().unwrap_or_default();
        Client {
            kubeconfig: section.kubeconfig.filter(|path| !path.is_empty()).map(PathBuf::from),
            master: master.filter(|url| !url.is_empty()).map(str::to_owned),
            qps: section.qps.unwrap_or_default(),
            burst: section.burst.and_then(|burst| u32::try_from(burst).ok()).unwrap_or_default(),
        }
    }
}

// A rate is never NaN: no YAML number and no flag that is accepted is one.
impl Eq for Client {}
