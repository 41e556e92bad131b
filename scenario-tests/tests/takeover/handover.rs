//! From kube-proxy to the daemon and back, under load: no new connection fails, no established one breaks.

use kube_verdict_scenario_tests::peer::Mode;
use kube_verdict_scenario_tests::plan::Family;

use crate::leftovers::cleanup;
use crate::load::Load;
use crate::stage::Stage;

fn there_and_back(mode: Mode) {
    let mut stage = Stage::set();
    let kube_proxy = stage.kube_proxy(mode);

    let load = Load::start(&stage.scenario);
    load.goes_on();
    stage.scenario.start_daemon();
    stage.scenario.settle();
    load.goes_on();
    drop(kube_proxy);
    load.goes_on();
    let said = cleanup(stage.scenario.node(), &["--only", "kube-proxy"]);
    assert!(said.contains("removed kube-proxy's "), "{said}");
    load.goes_on();
    for family in Family::BOTH {
        let left = mode.listing(stage.scenario.node(), family);
        assert!(!left.contains("KUBE-S") && !left.contains("service-"), "{left}");
    }
    let (figures, failures) = load.end(&stage.scenario);
    eprintln!("{mode:?} -> kube-verdict: {figures}");
    assert!(failures.is_empty(), "{failures:#?}\n{said}");

    let load = Load::start(&stage.scenario);
    load.goes_on();
    let kube_proxy = stage.kube_proxy(mode);
    load.goes_on();
    stage.scenario.take_daemon().kill();
    load.goes_on();
    let said = cleanup(stage.scenario.node(), &["--only", "kube-verdict"]);
    assert!(said.contains("removed table ip kube-verdict"), "{said}");
    load.goes_on();
    let (figures, failures) = load.end(&stage.scenario);
    eprintln!("kube-verdict -> {mode:?}: {figures}");
    assert!(failures.is_empty(), "{failures:#?}\n{}", kube_proxy.log());
}

#[test]
fn nftables() {
    there_and_back(Mode::Nftables);
}

#[test]
fn iptables_legacy() {
    there_and_back(Mode::IptablesLegacy);
}

#[test]
fn iptables_nft() {
    there_and_back(Mode::IptablesNft);
}
