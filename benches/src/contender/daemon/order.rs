//! In which order a packet meets kube-proxy's iptables rules: `KUBE-SERVICES` is a list, and who is at its end is found
//! last (reference §14).

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use crate::Error;
use crate::workload::World;

/// Reads the rules of the caller's namespace.
pub fn read(program: &Path, world: &World) -> Result<Vec<u32>, Error> {
    let output = Command::new(program)
        .args(["-t", "nat"])
        .output()
        .map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} fails: {}", program.display(), complaint.trim()).into());
    }
    let order = parse(&String::from_utf8_lossy(&output.stdout), world);
    if order.is_empty() { Err("there is no Service in the chain KUBE-SERVICES".into()) } else { Ok(order) }
}

/// The Services whose ClusterIPs the chain's rules name, by number, each once.
fn parse(rules: &str, world: &World) -> Vec<u32> {
    let mut numbers: HashMap<Ipv4Addr, u32> =
        world.services().map(|service| (service.cluster_ip, service.number)).collect();
    let rules = rules.lines().filter_map(|line| line.strip_prefix("-A KUBE-SERVICES "));
    rules.filter_map(|rule| numbers.remove(&destination(rule)?)).collect()
}

fn destination(rule: &str) -> Option<Ipv4Addr> {
    let mut words = rule.split(' ');
    words.find(|word| *word == "-d")?;
    words.next()?.strip_suffix("/32")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Size;

    #[test]
    fn services_in_the_order_of_their_rules() {
        let rules = "*nat
:KUBE-SERVICES - [0:0]
-A KUBE-SVC-X ! -s 10.0.0.0/8 -d 10.96.1.0/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d 10.96.1.2/32 -p tcp -m comment --comment \"bench/zz-probe-000002:main cluster IP\" -m tcp --dport 80 -j KUBE-SVC-Z
-A KUBE-SERVICES -d 10.96.1.0/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-X
-A KUBE-SERVICES -d 10.111.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-Q
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
";
        assert_eq!(parse(rules, &World::new(Size { services: 2, endpoints: 1 })), [2, 0]);
    }
}
