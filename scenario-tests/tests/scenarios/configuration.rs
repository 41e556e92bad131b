//! What the configuration does to the daemon as a process.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::config::Config;
use kube_verdict_scenario_tests::daemon::{Daemon, Files, program};
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::requirements;

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(60));
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_changed_file_ends_the_daemon_and_the_rules_stay() {
    requirements::check();
    let files = Files::new(&Config::default().build());
    let netns = Netns::new();
    let mut daemon = Daemon::start(&files, &netns);
    wait_for("programmed", || files.log().contains("the kernel is as the manifests say"));
    fs::write(files.config(), Config::default().masquerade_all().build().to_string()).unwrap();
    wait_for("the daemon goes on", || !daemon.is_running());
    assert!(files.log().contains("has changed: start again to apply it; the rules stay"), "{}", files.log());
    let tables = netns.run(|| Command::new("nft").args(["list", "tables"]).output().unwrap().stdout);
    assert!(String::from_utf8_lossy(&tables).contains("table ip kube-verdict"));
}

/// In a namespace of its own the timeouts are its own, and the maximum is the host's and cannot be written.
#[test]
fn init_only_sets_what_is_asked_for_and_says_what_it_cannot() {
    requirements::check();
    let netns = Netns::new();
    let run = |more: &[&str]| {
        let mut command = Command::new(program());
        command.args(["--init-only", "--oom-score-adj=0", "--conntrack-tcp-timeout-established=0"]);
        command.args(["--conntrack-tcp-timeout-close-wait=77s"]).args(more);
        netns.run(|| command.output().unwrap())
    };
    let timeout = || {
        let read = || fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait");
        netns.run(|| read().unwrap().trim().to_owned())
    };
    let refused = run(&["--conntrack-max-per-core=1", "--conntrack-min=2147483647"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("set conntrack.maxPerCore to 0 to leave it as it is"), "{text}");
    assert_ne!(timeout(), "77");
    let done = run(&["--conntrack-max-per-core=0"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(timeout(), "77");
}
