//! Where the API server is and who we are to it: a kubeconfig, an address alone, or the pod's ServiceAccount
//! (reference §10.1 step 5).

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::Kubeconfig;
use kube::{Client, Config};

use super::error::{ClientError, explain};
use super::stamp::Stamp;
use crate::config;

/// A connection on which nothing comes for so long is dead. Servers send a bookmark to a quiet watch about once a
/// minute.
const SILENCE: Duration = Duration::from_secs(150);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// One of the three.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// a file, and perhaps another address than the one in it
    Kubeconfig { path: PathBuf, master: Option<String> },
    /// an address, and nothing else: for a server or proxy that asks for no credentials
    Master(String),
    /// the environment and the files that Kubernetes gives a pod
    Pod,
}

/// A client, and the files that it depends on.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) stamp: Stamp,
}

impl Origin {
    /// What the settings ask for.
    pub(super) fn of(settings: &config::Client) -> Self {
        match (settings.kubeconfig.clone(), settings.master.clone()) {
            (Some(path), master) => Origin::Kubeconfig { path, master },
            (None, Some(master)) => Origin::Master(master),
            (None, None) => Origin::Pod,
        }
    }

    /// Reads what is to be read and makes a client. Nothing is sent.
    pub(super) fn connect(&self) -> Result<Connection, ClientError> {
        // Files are looked at before they are read: a change in between is seen later.
        let (mut config, stamp) = match self {
            Origin::Kubeconfig { path, master } => from_kubeconfig(path, master.as_deref())?,
            Origin::Master(url) => (Config::new(parse(url).map_err(ClientError::Master)?), Stamp::default()),
            Origin::Pod => from_pod()?,
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        // Whoever asks tries again himself, and says so.
        config.default_retry = false;
        // The client would want the system's authorities, which an image from scratch does not have, even where
        // nothing is checked with them.
        if config.accept_invalid_certs || config.cluster_url.scheme_str() == Some("http") {
            config.root_cert.get_or_insert_default();
        }
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| self.unusable(&error))?;
        Ok(Connection { client, url: url.trim_end_matches('/').to_owned(), stamp })
    }

    fn unusable(&self, error: &kube::Error) -> ClientError {
        match (self, error) {
            (Origin::Kubeconfig { path, .. }, kube::Error::InferKubeconfig(error)) => {
                ClientError::kubeconfig(path, error)
            }
            (Origin::Kubeconfig { path, .. }, error) => {
                ClientError::Kubeconfig { path: path.clone(), message: explain(error) }
            }
            (Origin::Master(_), error) => ClientError::Master(explain(error)),
            (Origin::Pod, error) => ClientError::Pod(explain(error)),
        }
    }
}

fn from_kubeconfig(path: &Path, master: Option<&str>) -> Result<(Config, Stamp), ClientError> {
    let stamp = Stamp::of([path]);
    let wrong = |error| ClientError::kubeconfig(path, &error);
    let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
    let stamp = stamp.and(Stamp::of(files(&kubeconfig)));
    let mut config = Config::try_from(kubeconfig).map_err(wrong)?;
    let unusable = |message| ClientError::Kubeconfig { path: path.to_owned(), message };
    match master {
        Some(url) => config.cluster_url = parse(url).map_err(ClientError::Master)?,
        None => config.cluster_url = parse(&config.cluster_url.to_string()).map_err(unusable)?,
    }
    Ok((config, stamp))
}

fn from_pod() -> Result<(Config, Stamp), ClientError> {
    const DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let stamp = Stamp::of(["token", "ca.crt"].map(|name| Path::new(DIRECTORY).join(name)));
    Config::incluster().map(|config| (config, stamp)).map_err(|error| ClientError::pod(&error))
}

/// Every file that a kubeconfig names.
fn files(kubeconfig: &Kubeconfig) -> Vec<PathBuf> {
    let authorities =
        kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref()?.certificate_authority.clone());
    let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    let credentials = users.flat_map(|user| {
        [&user.client_certificate, &user.client_key, &user.token_file].map(Clone::clone).into_iter().flatten()
    });
    authorities.chain(credentials).map(PathBuf::from).collect()
}

/// A server's address. One without a scheme would be taken for a path or a host only later, when it fails.
fn parse(url: &str) -> Result<hyper::Uri, String> {
    let said = |why: &str| format!("{url:?} is no address of an API server ({why}): write https://HOST:PORT");
    let uri: hyper::Uri = url.parse().map_err(|error| said(&format!("{error}")))?;
    match uri.scheme_str() {
        Some("https" | "http") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("https" | "http") => Err(said("it has no host")),
        _ => Err(said("it begins with neither https:// nor http://")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kubeconfig() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": "https://192.0.2.1:6443" } }],
            "users": [{ "name": "u", "user": {} }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        })
    }

    /// What is said about a file.
    fn said(contents: &str, more: &[(&str, &str)]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, contents).unwrap();
        for (name, contents) in more {
            std::fs::write(directory.path().join(name), contents).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _guard = runtime.enter();
        match (Origin::Kubeconfig { path: path.clone(), master: None }).connect() {
            Ok(_) => "works".into(),
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with(&format!("kubeconfig {}: ", path.display())), "{text}");
                text.replace(&format!("{}/", directory.path().display()), "")
            }
        }
    }

    fn edited(edit: impl FnOnce(&mut Value)) -> String {
        let mut value = kubeconfig();
        edit(&mut value);
        said(&value.to_string(), &[("text", "no certificate"), ("empty", "")])
    }

    #[test]
    fn a_sound_file_works() {
        assert_eq!(edited(|_| ()), "works");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (said("", &[]), "no current-context"),
            (said("{", &[]), "is not understood"),
            (said("a: [b", &[]), "is not understood"),
            (edited(|c| drop(c.as_object_mut().unwrap().remove("current-context"))), "no current-context"),
            (edited(|c| c["current-context"] = "other".into()), "current-context is \"other\""),
            (edited(|c| c["contexts"][0]["context"]["cluster"] = "x".into()), "names the cluster \"x\""),
            (edited(|c| c["clusters"][0]["cluster"] = json!({})), "no server: write https://"),
            (edited(|c| c["clusters"][0]["cluster"]["server"] = "https://a b".into()), "is no URL"),
            (edited(|c| c["clusters"][0]["cluster"]["server"] = "192.0.2.1:6443".into()), "neither https://"),
            (edited(|c| c["clusters"][0]["cluster"]["server"] = "/var/run".into()), "neither https://"),
            (
                edited(|c| c["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt".into()),
                "certificate-authority: failed to read file '\"ca.crt\"': No such file",
            ),
            (
                edited(|c| c["clusters"][0]["cluster"]["certificate-authority-data"] = "%".into()),
                "certificate-authority: failed to decode base64",
            ),
            (
                edited(|c| {
                    c["users"][0]["user"] = json!({"client-certificate": "gone", "client-key": "text"})
                }),
                "client-certificate: failed to read file '\"gone\"'",
            ),
            (
                edited(|c| {
                    c["users"][0]["user"] = json!({"client-certificate": "text", "client-key": "gone"})
                }),
                "client-key: failed to read file '\"gone\"'",
            ),
            (
                edited(|c| {
                    c["users"][0]["user"] = json!({"client-certificate": "text", "client-key": "text"})
                }),
                "identity",
            ),
            (edited(|c| c["users"][0]["user"] = json!({"client-certificate": "text"})), "client-key"),
            (edited(|c| c["users"][0]["user"] = json!({"tokenFile": "gone"})), "gone"),
        ];
        let wrong: Vec<_> = cases.iter().filter(|(said, part)| !said.contains(part)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let origin = Origin::Kubeconfig { path: "/nowhere/kubeconfig".into(), master: None };
        let text = origin.connect().err().unwrap().to_string();
        assert_eq!(
            text,
            "kubeconfig /nowhere/kubeconfig: cannot be read: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn without_anything_both_ways_are_named() {
        let text = ClientError::Nowhere.to_string();
        assert!(text.contains("kubeconfig") && text.contains("--manifests DIR"), "{text}");
    }

    #[test]
    fn master_goes_before_the_files_address() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig().to_string()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _guard = runtime.enter();
        let url = |master: Option<&str>| {
            let origin = Origin::Kubeconfig { path: path.clone(), master: master.map(str::to_owned) };
            origin.connect().map(|connection| connection.url)
        };
        assert_eq!(url(None).unwrap(), "https://192.0.2.1:6443");
        assert_eq!(url(Some("http://127.0.0.1:8001")).unwrap(), "http://127.0.0.1:8001");
        assert!(url(Some("127.0.0.1")).unwrap_err().to_string().starts_with("master: \"127.0.0.1\" is no"));
    }
}
