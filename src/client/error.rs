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

/// How much of a text of somebody else's is worth repeating.
const CHARACTERS: usize = 400;

/// A text of somebody else's for our log: one line, and not too long, whatever it was.
pub fn printable(text: &str) -> String {
    let mut words = String::new();
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.extend(word.chars().take(CHARACTERS + 1));
        if words.len() > CHARACTERS {
            let end = words.floor_char_boundary(CHARACTERS);
            words.truncate(end);
            words.push('…');
            break;
        }
    }
    words
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
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_one_short_line() {
        assert_eq!(printable("  <html>\r\n\x1b[31m <b>no</b>\0\u{85}\n"), "<html> [31m <b>no</b>");
        assert_eq!(printable(""), "");
        for text in ["x".repeat(1 << 20), "ä ".repeat(1 << 20), "\n".repeat(1 << 20) + &"语".repeat(1000)] {
            let said = printable(&text);
            assert!(said.len() <= CHARACTERS + 3 && said.ends_with('…'), "{said}");
        }
    }
}
