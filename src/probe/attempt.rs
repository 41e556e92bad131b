//! One question to one endpoint. What is a good answer to an HTTP question is as with a kubelet: any status from 200 to
//! 399, redirections not followed.

use std::fmt::Display;
use std::net::SocketAddr;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kube_verdict_table::objects::{Probe, ProbeKind};
use tokio::net::TcpStream;

/// Asks.
///
/// # Errors
/// What was wrong with the answer, for the log.
pub(super) async fn attempt(probe: &Probe, address: SocketAddr) -> Result<(), String> {
    match tokio::time::timeout(probe.timeout, ask(&probe.kind, address)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {:?}", probe.timeout)),
    }
}

async fn ask(kind: &ProbeKind, address: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(text)?;
    let ProbeKind::Http(path) = kind else { return Ok(()) };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    // Ends with the sender.
    let connection = tokio::spawn(connection);
    let request = Request::get(&**path)
        .header("host", address.to_string())
        .header("user-agent", concat!("kube-verdict/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(text)?;
    let response = sender.send_request(request).await;
    connection.abort();
    match response.map_err(text)?.status().as_u16() {
        200..=399 => Ok(()),
        status => Err(format!("HTTP status {status}")),
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
