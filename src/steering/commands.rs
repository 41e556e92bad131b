//! The rules and the route as commands for a shell: what a person runs to have the same, or compares with what there
//! is. Facts: ip-rule(8), ip-route(8).

use kube_verdict_table::Family;

use super::rule::{Role, Rule};
use super::{PROTOCOL, Steering, TABLE};

impl Steering {
    /// The commands, each on a line, in an order in which no packet is led astray meanwhile.
    pub fn commands(&self) -> String {
        self.families.iter().flat_map(|family| commands(*family, Rule::all(*family, self.mark))).collect()
    }
}

fn commands(family: Family, rules: [Rule; 3]) -> Vec<String> {
    let ip = match family {
        Family::V4 => "ip -4",
        Family::V6 => "ip -6",
    };
    let route = format!("{ip} route replace local default dev lo table {TABLE} protocol {PROTOCOL}\n");
    let rule = |rule: Rule| {
        let (priority, mark) = (rule.role.priority(), rule.mark);
        let does = match rule.role {
            Role::Bypass => format!("iif lo goto {}", Role::Rejoin.priority()),
            Role::Deliver => format!("lookup {TABLE}"),
            Role::Rejoin => "nop".to_owned(),
        };
        format!("{ip} rule add pref {priority} fwmark {mark} {does} protocol {PROTOCOL}\n")
    };
    std::iter::once(route).chain(rules.map(rule)).collect()
}
