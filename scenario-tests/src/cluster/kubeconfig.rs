//! How a program reaches the API server: a kubeconfig file, as one user or another.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::json;

/// The token of the user who may do everything.
pub const ADMIN: &str = "admin-of-a-test";

/// What a kubeconfig file says.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// where the API server is, seen from the program
    pub server: IpAddr,
    /// its port
    pub port: u16,
    /// the bearer token
    pub token: String,
}

impl Kubeconfig {
    /// `https://ADDRESS:PORT`
    pub fn url(&self) -> String {
        format!("https://{}", std::net::SocketAddr::new(self.server, self.port))
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) {
        let file = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "c", "cluster": { "server": self.url(), "insecure-skip-tls-verify": true } }],
            "users": [{ "name": "u", "user": { "token": self.token } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "current-context": "c",
        });
        fs::write(path, file.to_string()).expect("writing a kubeconfig");
    }
}
