//! Services to measure with: a file for each, with the Service and its slice.

use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Writes the manifests of `services` Services with `endpoints` endpoints each.
pub fn write_all(directory: &Path, services: u32, endpoints: u32) -> io::Result<()> {
    (0..services)
        .try_for_each(|service| std::fs::write(path(directory, service), manifest(service, endpoints, 0)))
}

/// The file of a Service.
pub fn path(directory: &Path, service: u32) -> PathBuf {
    directory.join(format!("service-{service}.yaml"))
}

/// The ClusterIP of a Service.
pub fn cluster_ip(service: u32) -> Ipv4Addr {
    address(0x0a60_0001, service)
}

/// The endpoint that versions differ in.
pub fn first_endpoint(service: u32, endpoints: u32, version: u32) -> Ipv4Addr {
    address(0x0a80_0000, service * (endpoints + 1) + version % 2 * endpoints)
}

/// A Service and its slice; another `version` gives its first endpoint another address.
pub fn manifest(service: u32, endpoints: u32, version: u32) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: service-{service}
  namespace: bench
spec:
  clusterIP: {}
  selector:
    app: service-{service}
  ports:
  - name: http
    port: 80
    targetPort: 8080
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-{service}-abcde
  namespace: bench
  labels:
    kubernetes.io/service-name: service-{service}
addressType: IPv4
ports:
- name: http
  port: 8080
  protocol: TCP
endpoints:
",
        cluster_ip(service)
    );
    for endpoint in 0..endpoints {
        let ip = match endpoint {
            0 => first_endpoint(service, endpoints, version),
            _ => address(0x0a80_0000, service * (endpoints + 1) + endpoint),
        };
        let _ = write!(
            text,
            "- addresses: [{ip}]
  conditions:
    ready: true
  nodeName: node-{}
  targetRef:
    kind: Pod
    name: service-{service}-{endpoint}
    namespace: bench
",
            endpoint % 100
        );
    }
    text
}

fn address(base: u32, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(base + number)
}
