//! nftables mode: a map finds the Service, and each has a chain with one rule, which chooses an endpoint from a map
//! without a name.
//!
//! A change writes that chain anew. The chain of a Service that is gone is emptied at once and deleted later, since older
//! kernels take a while to notice that nothing leads there any more (reference §11.1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::hash::hash;
use super::{MARK, endpoints, protocol};
use crate::stage::{CLUSTER_CIDR, NODE_IP};
use crate::workload::{NAMESPACE, PORT, PORT_NAME, Service, World};

/// Where ClusterIPs are, as the API server's ServiceCIDR says.
const SERVICE_CIDR: &str = "10.96.0.0/12";

/// The base chains: type, hook and priority.
const BASE: [(&str, &str); 8] = [
    ("filter-prerouting-pre-dnat", "type filter hook prerouting priority -110"),
    ("filter-output-pre-dnat", "type filter hook output priority -110"),
    ("filter-input", "type filter hook input priority 0"),
    ("filter-forward", "type filter hook forward priority 0"),
    ("filter-output", "type filter hook output priority 0"),
    ("nat-prerouting", "type nat hook prerouting priority -100"),
    ("nat-output", "type nat hook output priority -100"),
    ("nat-postrouting", "type nat hook postrouting priority 100"),
];

/// What every full sync writes behind the base chains: `chain` empties a chain, or makes it; the rest is verbs and objects of
/// the table.
const CONSTANT: &str = r#"chain nodeport-endpoints-check
rule filter-input ct state new jump nodeport-endpoints-check
chain service-endpoints-check
rule filter-input ct state new jump service-endpoints-check
rule filter-forward ct state new jump service-endpoints-check
rule filter-output ct state new jump service-endpoints-check
chain firewall-check
rule filter-prerouting-pre-dnat ct state new jump firewall-check
rule filter-output-pre-dnat ct state new jump firewall-check
chain services
rule nat-output jump services
rule nat-prerouting jump services
chain masquerading
rule nat-postrouting jump masquerading
chain cluster-ips-check
rule filter-forward ct state new jump cluster-ips-check
rule filter-output ct state new jump cluster-ips-check
set hairpin-connections { type ipv4_addr . ipv4_addr . inet_proto . inet_service ; comment "service hairpin connections" ; }
rule masquerading mark and MARK != 0 mark set mark xor MARK masquerade fully-random
rule masquerading ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
set cluster-ips { type ipv4_addr ; comment "Active ClusterIPs" ; }
rule cluster-ips-check ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
rule cluster-ips-check ip daddr { SERVICE_CIDR } drop comment "Drop traffic to unallocated ClusterIPs"
set nodeport-ips { type ipv4_addr ; comment "IPs that accept NodePort traffic" ; }
flush set nodeport-ips
element nodeport-ips { NODE_IP }
map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; comment "vmap to drop or reject packets to services with no endpoints" ; }
map no-endpoint-nodeports { type inet_proto . inet_service : verdict ; comment "vmap to drop or reject packets to service nodeports with no endpoints" ; }
chain reject-chain { comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }
rule reject-chain reject
rule service-endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoint-services
rule nodeport-endpoints-check ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict ; comment "destinations that are subject to LoadBalancerSourceRanges" ; }
rule firewall-check ip daddr . meta l4proto . th dport vmap @firewall-ips
map service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; comment "ClusterIP, ExternalIP and LoadBalancer IP traffic" ; }
map service-nodeports { type inet_proto . inet_service : verdict ; comment "NodePort traffic" ; }
rule services ip daddr @cluster-ips ip saddr != CLUSTER_CIDR mark set mark or MARK comment "masquerade clusterIP traffic from outside cluster"
rule services ip daddr . meta l4proto . th dport vmap @service-ips
rule services ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
"#;

/// What kube-proxy remembers between syncs.
#[derive(Debug, Default)]
pub struct Nftables {
    /// Services as they were written last, by number
    written: BTreeMap<u32, Service>,
    /// chains that were emptied and still exist
    stale: BTreeSet<String>,
}

impl Nftables {
    /// What is handed to `nft -f`: everything, or what belongs to the Services of these numbers (a partial sync), the world
    /// being as it is then.
    pub fn sync(&mut self, world: &World, changed: Option<&BTreeSet<u32>>) -> String {
        let mut text = if changed.is_none() { constant() } else { String::new() };
        let numbers = match changed {
            None => world.services().map(|service| service.number).collect(),
            Some(changed) => changed.clone(),
        };
        for service in numbers.iter().filter_map(|number| world.service(*number)) {
            write_service(&mut text, &service, !self.written.contains_key(&service.number));
            self.stale.remove(&chain(&service));
            self.written.insert(service.number, service);
        }
        let gone = self.gone(world, changed);
        self.stale.extend(gone.iter().map(chain));
        for chain in &self.stale {
            let _ = writeln!(text, "flush chain ip kube-proxy {chain}");
        }
        for set in ["cluster-ips", "service-ips"] {
            for service in &gone {
                let _ = writeln!(text, "delete element ip kube-proxy {set} {{ {} }}", key(set, service));
            }
        }
        text
    }

    /// What deletes the chains that were emptied by syncs before, in a transaction of its own; none: there are none. To be
    /// loaded a second after those syncs, or later.
    pub fn deletion(&mut self) -> Option<String> {
        let stale = std::mem::take(&mut self.stale);
        let text: String =
            stale.iter().map(|chain| format!("delete chain ip kube-proxy {chain}\n")).collect();
        (!text.is_empty()).then_some(text)
    }

    /// Forgets the Services that are gone.
    fn gone(&mut self, world: &World, changed: Option<&BTreeSet<u32>>) -> Vec<Service> {
        let is_gone = |number: &u32, _: &mut Service| {
            changed.is_none_or(|changed| changed.contains(number)) && world.service(*number).is_none()
        };
        self.written.extract_if(.., is_gone).map(|(_, service)| service).collect()
    }
}

/// Tables, chains and sets, and the rules in them, which do not depend on Services.
fn constant() -> String {
    let mut text = "add table ip kube-proxy { comment \"rules for kube-proxy\" ; }\n".to_owned();
    for (chain, _) in BASE {
        let _ = writeln!(text, "add chain ip kube-proxy {chain}\ndelete chain ip kube-proxy {chain}");
    }
    for (chain, hook) in BASE {
        let _ = writeln!(
            text,
            "add chain ip kube-proxy {chain} {{ {hook} ; }}\nflush chain ip kube-proxy {chain}"
        );
    }
    for line in CONSTANT.lines() {
        let (verb, rest) = match line.strip_prefix("flush ") {
            Some(rest) => ("flush", rest),
            None => ("add", line),
        };
        let (object, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let _ = writeln!(text, "{verb} {object} ip kube-proxy {rest}");
        if object == "chain" {
            let name = rest.split(' ').next().unwrap_or_default();
            let _ = writeln!(text, "flush chain ip kube-proxy {name}");
        }
    }
    let places = [("MARK", MARK), ("SERVICE_CIDR", SERVICE_CIDR), ("CLUSTER_CIDR", CLUSTER_CIDR)];
    let text = places.iter().fold(text, |text, (place, value)| text.replace(place, value));
    text.replace("NODE_IP", &NODE_IP.to_string())
}

/// A Service's chain, and the elements that lead there, if it is new.
fn write_service(text: &mut String, service: &Service, is_new: bool) {
    let chain = chain(service);
    let _ = writeln!(text, "add chain ip kube-proxy {chain}\nflush chain ip kube-proxy {chain}");
    if is_new {
        let _ = writeln!(text, "add element ip kube-proxy cluster-ips {{ {} }}", key("cluster-ips", service));
        let key = key("service-ips", service);
        let _ = writeln!(text, "add element ip kube-proxy service-ips {{ {key} : goto {chain} }}");
    }
    let endpoints = endpoints(service);
    let elements: Vec<String> =
        (0..).zip(&endpoints).map(|(place, to)| format!("{place} : {}", to.replace(':', " . "))).collect();
    let _ = writeln!(
        text,
        "add rule ip kube-proxy {chain} meta l4proto {} dnat ip addr . port to numgen random mod {} map {{ {} }}",
        protocol(service),
        endpoints.len(),
        elements.join(" , ")
    );
}

/// A Service in a set or map.
fn key(set: &str, service: &Service) -> String {
    match set {
        "cluster-ips" => service.cluster_ip.to_string(),
        _ => format!("{} . {} . {PORT}", service.cluster_ip, protocol(service)),
    }
}

fn chain(service: &Service) -> String {
    let name = format!("{NAMESPACE}/{}/{}/{PORT_NAME}", service.name, protocol(service));
    format!("service-{}-{name}", hash(&name, 8))
}
