//! From kube-proxy to the daemon and back, under load: no new connection fails, no established one breaks.

use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::daemon::{Daemon, Files};
use kube_verdict_scenario_tests::peer::Mode;
use kube_verdict_scenario_tests::prelude::*;

use crate::leftovers::cleanup;
use crate::load::Load;
use crate::stage::Stage;

/// How long the daemon may take to serve and to remove what was there.
const PATIENCE: Duration = Duration::from_secs(60);

fn there_and_back(mode: Mode) {
    let stage = Stage::set();
    let node = stage.scenario.node();
    let kube_proxy = stage.kube_proxy(mode);

    let load = Load::start(&stage.scenario);
    load.goes_on();
    drop(kube_proxy);
    load.goes_on();
    let files = Files::for_cluster(&Config::default().build(), &stage.link);
    let daemon = Daemon::start(&files, node);
    let deadline = Instant::now() + PATIENCE;
    while Family::BOTH.into_iter().any(|family| is_there(&mode.listing(node, family))) {
        assert!(Instant::now() < deadline, "kube-proxy's rules are still there. Our log:\n{}", files.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    load.goes_on();
    let (figures, failures) = load.end(&stage.scenario);
    eprintln!("{mode:?} -> kube-verdict: {figures}");
    assert!(failures.is_empty(), "{failures:#?}\n{}", files.log());
    assert!(files.log().contains("removed kube-proxy's "), "{}", files.log());

    let load = Load::start(&stage.scenario);
    load.goes_on();
    let kube_proxy = stage.kube_proxy(mode);
    load.goes_on();
    daemon.kill();
    load.goes_on();
    let said = cleanup(node, &["--only", "kube-verdict"]);
    assert!(said.contains("removed table ip kube-verdict"), "{said}");
    load.goes_on();
    let (figures, failures) = load.end(&stage.scenario);
    eprintln!("kube-verdict -> {mode:?}: {figures}");
    assert!(failures.is_empty(), "{failures:#?}\n{}", kube_proxy.log());
    // It was kube-proxy alone that served in the end, and it still does.
    assert!(Family::BOTH.into_iter().all(|family| is_there(&mode.listing(node, family))));
}

/// Whether a listing has rules of a Service.
fn is_there(listing: &str) -> bool {
    listing.contains("KUBE-SVC-") || listing.contains("service-")
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
