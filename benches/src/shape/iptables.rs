//! iptables mode: a chain a Service, a chain an endpoint, and one rule a Service in the chain that every packet of a new
//! connection walks through.
//!
//! A change writes that chain anew, with all its rules, and the chains of the Services that changed (a *partial sync*).
//! Beyond 1,000 endpoints kube-proxy leaves comments out and lets stale chains lie for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::hash::hash;
use super::{MARK, endpoints, port_name, protocol};
use crate::stage::CLUSTER_CIDR;
use crate::workload::{PORT, Service, World};

/// Endpoints above which kube-proxy writes fewer comments, and looks for stale chains less often.
const LARGE: usize = 1000;

/// Whether a world is a large one to kube-proxy.
pub fn is_large(world: &World) -> bool {
    world.services().map(|service| service.endpoints.len()).sum::<usize>() > LARGE
}

/// The chains that the built-in ones jump to, and the jumps. kube-proxy makes them one by one, with `iptables`, and so that
/// the last comes first.
pub fn jumps() -> String {
    let portals = r#"-m comment --comment "kubernetes service portals" -j KUBE-SERVICES"#;
    let external = r#"-m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES"#;
    let firewall = r#"-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL"#;
    format!(
        r#"*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
-I INPUT {external}
-I FORWARD {external}
-I INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-I FORWARD -m conntrack --ctstate NEW {portals}
-I OUTPUT -m conntrack --ctstate NEW {portals}
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-I INPUT {firewall}
-I OUTPUT {firewall}
-I FORWARD {firewall}
-I INPUT -j KUBE-FIREWALL
-I OUTPUT -j KUBE-FIREWALL
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
-I OUTPUT {portals}
-I PREROUTING {portals}
-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
COMMIT
"#
    )
}

/// What kube-proxy remembers between syncs, or finds out by `iptables-save`.
#[derive(Debug, Default)]
pub struct Iptables {
    /// Services as they were written last, by number
    written: BTreeMap<u32, Service>,
    /// chains that nothing leads to any more
    stale: BTreeSet<String>,
}

impl Iptables {
    /// What is handed to `iptables-restore --noflush`: everything, or what belongs to the Services of these numbers (a
    /// partial sync), the world being as it is then. With `cleans`, chains that nothing leads to any more are deleted.
    pub fn sync(&mut self, world: &World, changed: Option<&BTreeSet<u32>>, cleans: bool) -> String {
        let mut text = filter();
        let mut rules = String::new();
        text.push_str("*nat\n");
        for chain in ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"] {
            declare(&mut text, chain);
        }
        let is_changed = |number: &u32| changed.is_none_or(|changed| changed.contains(number));
        let before = self.written.extract_if(.., |number, _| is_changed(number));
        self.stale.extend(before.flat_map(|(_, service)| chains(&service)));
        let is_large = is_large(world);
        for service in world.services() {
            dispatch(&mut rules, &service);
            if is_changed(&service.number) {
                for chain in chains(&service) {
                    declare(&mut text, &chain);
                    self.stale.remove(&chain);
                }
                balance(&mut rules, &service, is_large);
                self.written.insert(service.number, service);
            }
        }
        if cleans {
            for chain in std::mem::take(&mut self.stale) {
                declare(&mut text, &chain);
                let _ = writeln!(rules, "-X {chain}");
            }
        }
        let _ = write!(
            text,
            r#"-A KUBE-POSTROUTING -m mark ! --mark {MARK}/{MARK} -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark {MARK}
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark {MARK}
{rules}-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
"#
        );
        text
    }
}

/// The numbers of the Services in the order of KUBE-SERVICES, from what `iptables-save -t nat` prints, whoever wrote it.
pub fn order(listing: &str) -> Vec<u32> {
    let rules =
        listing.lines().filter(|line| line.contains("-A KUBE-SERVICES ") && line.contains("cluster IP"));
    let name =
        |rule: &str| Some(rule.split_once("--comment \"")?.1.split_once(':')?.0.rsplit_once('-')?.1.parse());
    rules.filter_map(|rule| name(rule)?.ok()).collect()
}

/// The table filter, which is the same whatever the Services, as long as they have endpoints.
fn filter() -> String {
    format!(
        r#"*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark {MARK}/{MARK} -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"#
    )
}

/// The rule that finds the Service.
fn dispatch(rules: &mut String, service: &Service) {
    let chain = service_chain(service);
    let _ = writeln!(rules, "-A KUBE-SERVICES {} -j {chain}", destination(service));
}

/// The rules that choose an endpoint, and those of the endpoints.
fn balance(rules: &mut String, service: &Service, is_large: bool) {
    let (name, chain, protocol) = (port_name(service), service_chain(service), protocol(service));
    let comment = |text: &str| match is_large {
        true => String::new(),
        false => format!("-m comment --comment {text} "),
    };
    let _ = writeln!(rules, "-A {chain} {} ! -s {CLUSTER_CIDR} -j KUBE-MARK-MASQ", destination(service));
    let endpoints = endpoints(service);
    for (endpoint, left) in endpoints.iter().zip((1..=endpoints.len()).rev()) {
        let chance = match left {
            1 => String::new(),
            left => format!("-m statistic --mode random --probability {:.10} ", 1.0 / left as f64),
        };
        let comment = comment(&format!("\"{name} -> {endpoint}\""));
        let _ = writeln!(rules, "-A {chain} {comment}{chance}-j {}", endpoint_chain(service, endpoint));
    }
    for endpoint in &endpoints {
        let (chain, comment) = (endpoint_chain(service, endpoint), comment(&name));
        let ip = endpoint.split(':').next().unwrap_or_default();
        let _ = writeln!(rules, "-A {chain} {comment}-s {ip} -j KUBE-MARK-MASQ");
        let target = format!("-m {protocol} -p {protocol} -j DNAT --to-destination {endpoint}");
        let _ = writeln!(rules, "-A {chain} {comment}{target}");
    }
}

fn destination(service: &Service) -> String {
    let (name, protocol, ip) = (port_name(service), protocol(service), service.cluster_ip);
    format!("-m comment --comment \"{name} cluster IP\" -m {protocol} -p {protocol} -d {ip} --dport {PORT}")
}

fn declare(text: &mut String, chain: &str) {
    let _ = writeln!(text, ":{chain} - [0:0]");
}

/// The chains that are a Service's own: one for itself, and one for each endpoint.
fn chains(service: &Service) -> Vec<String> {
    let endpoints = endpoints(service).into_iter().map(|endpoint| endpoint_chain(service, &endpoint));
    std::iter::once(service_chain(service)).chain(endpoints).collect()
}

fn service_chain(service: &Service) -> String {
    format!("KUBE-SVC-{}", hash(&(port_name(service) + &protocol(service)), 16))
}

fn endpoint_chain(service: &Service, endpoint: &str) -> String {
    format!("KUBE-SEP-{}", hash(&(port_name(service) + &protocol(service) + endpoint), 16))
}
