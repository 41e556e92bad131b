//! Why there is no way to an API server. All of these are the operator's to mend: they end the programme at its
//! start, and later, when files were replaced by worse ones, the old client stays in use.

use std::error::Error;
use std::path::{Path, PathBuf};

use kube::config::{InClusterError, KubeconfigError};

/// What is wrong with the configuration of the client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {}: {message}", path.display())]
    Kubeconfig {
        /// which
        path: PathBuf,
        /// what is wrong in it
        message: String,
    },
    /// The address of `--master` cannot be used.
    #[error("master: {0}")]
    Master(String),
    /// Nothing says where the API server is.
    #[error(
        "nothing says where objects come from: name a kubeconfig (clientConnection.kubeconfig in the \
         configuration file) or a directory (--manifests DIR); a pod with a ServiceAccount needs neither, but \
         here KUBERNETES_SERVICE_HOST is not set"
    )]
    Nowhere,
    /// This is a pod, but its ServiceAccount cannot be used.
    #[error("the pod's ServiceAccount cannot be used: {0}: is automountServiceAccountToken false?")]
    Pod(String),
}

impl ClientError {
    /// A kubeconfig, in an operator's words.
    pub(super) fn kubeconfig(path: &Path, error: &KubeconfigError) -> Self {
        let message = match error {
            KubeconfigError::ReadConfig(error, _) => format!("cannot be read: {error}"),
            KubeconfigError::CurrentContextNotSet => {
                "has no current-context: name one of its contexts".into()
            }
            KubeconfigError::LoadContext(name) => {
                format!("current-context is {name:?}, and there is no context of that name")
            }
            KubeconfigError::LoadClusterOfContext(name) => {
                format!("its context names the cluster {name:?}, and there is no cluster of that name")
            }
            KubeconfigError::MissingClusterUrl => "its cluster has no server: write https://HOST:PORT".into(),
            KubeconfigError::ParseClusterUrl(error) => {
                format!("its cluster's server is no URL ({error}): write https://HOST:PORT")
            }
            KubeconfigError::Parse(error) => format!("is not understood: {error}"),
            KubeconfigError::LoadCertificateAuthority(error) => format!("certificate-authority: {error}"),
            KubeconfigError::ParseCertificates(error) => format!("certificate-authority: {error}"),
            KubeconfigError::LoadClientCertificate(error) => format!("client-certificate: {error}"),
            KubeconfigError::LoadClientKey(error) => format!("client-key: {error}"),
            other => explain(other),
        };
        ClientError::Kubeconfig { path: path.to_owned(), message }
    }

    /// A pod's ServiceAccount.
    pub(super) fn pod(error: &InClusterError) -> Self {
        match error {
            InClusterError::ReadEnvironmentVariable(_) => ClientError::Nowhere,
            other => ClientError::Pod(explain(other)),
        }
    }
}

/// An error and what led to it, each thing once.
pub fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
