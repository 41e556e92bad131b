//! `kube-verdict render`: what would be programmed, as text. Needs no root, asks nothing of the kernel.

use kube_verdict_ipvs::{Saved, Scheduler};
use kube_verdict_nftables::Options;
use kube_verdict_table::{Family, ServiceTable};

use super::arguments::{Part, Sources};
use super::{Failure, table};
use crate::config::Ipvs;
use crate::steering::Steering;

/// Prints all of it so that `nft -f` loads it, or one part for the program whose it is.
pub(super) fn run(sources: &Sources, only: Option<Part>) -> Result<(), Failure> {
    let effective = table::configuration(sources)?;
    let ipvs = effective.ipvs.clone();
    if ipvs.is_none() && only.is_some_and(|part| part != Part::Nftables) {
        return Err(
            "the mode is not ipvs, so there are neither virtual servers nor policy routing for them: set \
                    mode to ipvs in the configuration file, or run `kube-verdict --proxy-mode ipvs render`"
                .into(),
        );
    }
    let options = effective.nftables();
    let table = table::build(sources, effective)?;
    super::print(&text(&table, options, ipvs.as_ref(), only)?)
}

fn text(
    table: &ServiceTable,
    options: Options,
    ipvs: Option<&Ipvs>,
    only: Option<Part>,
) -> Result<String, Failure> {
    let ruleset = || kube_verdict_nftables::render(table, options);
    let Some(ipvs) = ipvs else { return Ok(ruleset()) };
    let scheduler: Scheduler = ipvs.scheduler.parse()?;
    let wanted = || kube_verdict_nftables::virtual_servers(table, options);
    let servers = || kube_verdict_ipvs::save(&wanted(), scheduler);
    let routing = || Steering::new(ipvs.marks, Family::BOTH).commands();
    Ok(match only {
        Some(Part::Nftables) => ruleset(),
        Some(Part::Ipvs) => servers().into_iter().map(|saved| saved.lines).collect(),
        Some(Part::Routing) => routing(),
        None => [
            ruleset(),
            "\n# Virtual servers, for `ipvsadm -R`: --only ipvs prints these lines alone.\n".to_owned(),
            servers().iter().map(told).collect(),
            "\n# Policy routing, for a shell: --only routing prints these lines alone.\n".to_owned(),
            commented(&routing()),
        ]
        .concat(),
    })
}

/// A virtual server for a person, who wants to know whose it is.
fn told(saved: &Saved) -> String {
    let Saved { family, service, protocol, lines } = saved;
    format!("# {service}, {protocol}, {family}:\n{}", commented(lines))
}

fn commented(lines: &str) -> String {
    lines.lines().map(|line| format!("# {line}\n")).collect()
}
