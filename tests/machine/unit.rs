//! The package's unit for systemd with all that it forbids, in mode ipvs: under this machine's own systemd, which goes
//! along into the machine and runs in the node. Mode nftables has its tests where a whole package can be installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Company, Load};
use crate::node::{self, MANIFESTS, NODE, run, run_there};
use crate::takeover::in_ipvs;
use crate::talk::within;

/// How long systemd and the daemon may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const SYSTEMD: &str = "/job/under-systemd";
/// As the package has it, but for what makes it mode ipvs.
const CONFIGURATION: &str = include_str!("../../packaging/config.yaml");

/// Puts systemd and the package into a folder that goes along.
pub fn take_along(tree: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("scripts/vm/systemd.sh");
    let status = Command::new(&script).arg(tree).status();
    assert!(status.is_ok_and(|status| status.success()), "{} fails", script.display());
    let unit = "kube-verdict.service";
    fs::copy(root.join("packaging").join(unit), tree.join("lib/systemd/system").join(unit)).expect("a copy");
    fs::create_dir_all(tree.join("usr/sbin")).expect("a directory");
    symlink("/job/kube-verdict", tree.join("usr/sbin/kube-verdict")).expect("a link");
}

/// Runs a program where systemd is; what it prints, or what went wrong.
fn attempt(words: &str) -> Result<String, String> {
    let output = Command::new(SYSTEMD).args(words.split_whitespace()).output().expect("a program");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn there(words: &str) -> String {
    attempt(words).unwrap_or_else(|error| panic!("{words}: {error}{}", log()))
}

fn log() -> String {
    attempt("journalctl -u kube-verdict -o cat --no-pager").unwrap_or_else(|error| error)
}

fn in_time(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}\n{}", log());
        // Looking costs the machine more than most of what it looks for.
        thread::sleep(Duration::from_millis(500));
    }
}

fn pid() -> String {
    there("systemctl show -P MainPID kube-verdict").trim().to_owned()
}

/// Waits until a process other than this one serves.
fn serves_anew(before: &str) {
    in_time("another process serves", || {
        let state = there("systemctl show -p ActiveState -p MainPID -p StatusText kube-verdict");
        let is_so = |line: &str| state.lines().any(|shown| shown == line);
        is_so("ActiveState=active")
            && is_so("StatusText=the kernel is as the manifests say")
            && !is_so(&format!("MainPID={before}"))
    });
}

fn write(path: &str, text: &str) {
    fs::create_dir_all(Path::new(path).parent().expect("a folder")).expect("a directory");
    fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}

pub fn mode_ipvs_lives_in_the_unit() {
    node::set();
    let configuration = CONFIGURATION
        .replace("mode: nftables", "mode: ipvs")
        .replace("#nodePortAddresses: [primary]", "nodePortAddresses: [192.0.2.0/24, \"2001:db8::/64\"]");
    write("/etc/kube-verdict/config.yaml", &configuration);
    write("/etc/kube-verdict/manifests/web.yaml", MANIFESTS);
    within(NODE, || run(SYSTEMD, ""));
    in_time("systemd is there", || attempt("systemctl is-active basic.target").is_ok());
    // Nobody has loaded them, where the kernel does that by itself: the daemon may not.
    if std::env::var(crate::INSIDE).expect("the kernel's series") != "5.10" {
        in_time("no IPVS is loaded", || {
            let modules = fs::read_to_string("/proc/modules").expect("a look");
            let names = modules.lines().filter_map(|line| line.split(' ').next());
            let ours: Vec<&str> = names.filter(|name| name.starts_with("ip_vs")).collect();
            for name in &ours {
                // Schedulers before what they belong to, and again if need be.
                let _ = Command::new("rmmod").arg(name).stderr(Stdio::null()).status();
            }
            ours.is_empty()
        });
    }
    there("systemctl start kube-verdict");
    serves_anew("0");
    let status = fs::read_to_string(format!("/proc/{}/status", outer_pid())).expect("a process");
    for line in ["CapEff:\t0000000000001000", "CapBnd:\t0000000000001000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in\n{status}");
    }
    let mut company = Company::gather();
    assert!(in_ipvs() > 0, "IPVS has no connections");

    let load = Load::begin();
    load.go_on(50);
    for round in 0..3 {
        let before = pid();
        match round {
            0 => drop(there("systemctl restart kube-verdict")),
            1 => drop(there(&format!("kill -9 {before}"))),
            // What an upgrade does.
            _ => {
                run("cp /job/kube-verdict /job/.newer", "");
                run("mv /job/.newer /job/kube-verdict", "");
                there("systemctl daemon-reload");
                there("systemctl restart kube-verdict");
            }
        }
        load.go_on(10);
        serves_anew(&before);
        load.go_on(10);
        company.go_on();
    }
    let (count, slow) = load.end();
    println!("{count} connections under load in 3 restarts, of which {slow} took a second or more");
    company.end();
    let log = log();
    assert!(!log.contains("ERROR"), "{log}");

    there("systemctl stop kube-verdict");
    run_there("./kube-verdict cleanup --only kube-verdict", "");
}

/// The daemon's process as the machine counts.
fn outer_pid() -> String {
    run("pidof kube-verdict", "").trim().to_owned()
}
