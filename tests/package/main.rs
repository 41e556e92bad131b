//! The Debian package under a real systemd: installed, started, reloaded, killed, upgraded, removed and purged in a
//! container of its own, with a connection that has to live through most of it. Needs root, dpkg-dev and systemd.
#![allow(clippy::unwrap_used)] // a test may panic

mod container;
mod load;
mod network;
mod restarts;

use std::fs;
use std::path::Path;
use std::process::Command;

use container::{Container, in_time};

/// Of the example that the package brings.
const SERVICE: &str = "10.96.0.10:80";
const BACKEND: &str = "192.0.2.11:8080";
/// Who answers for the package.
const MAINTAINER: &str = "J. R. & sons <packages@example.org>";
const CONFIGURATION: &str = "/etc/kube-verdict/config.yaml";
const MANIFESTS: &str = "/etc/kube-verdict/manifests";

/// Builds a package of the daemon that was built for these tests.
fn package(version: &str, into: &Path) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/deb.sh");
    let mut command = Command::new(script);
    // As it stands: packing it well takes half a minute.
    command
        .env("COMPRESSION", "none")
        .env("DEB_MAINTAINER", MAINTAINER)
        .args([env!("CARGO_BIN_EXE_kube-verdict"), version])
        .arg(into);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).unwrap();
    format!("/job/{}", Path::new(path.trim()).file_name().unwrap().to_str().unwrap())
}

/// Waits until the service is as the manifests say.
fn serves(container: &Container) {
    in_time("the service is active", || {
        let state = container.show(&["ActiveState", "StatusText"]);
        if state == ["active", "the kernel is as the manifests say"] { Ok(()) } else { Err(state.join(", ")) }
    });
}

/// Waits until another process serves.
fn serves_anew(container: &Container, before: &str) {
    in_time("another process serves", || {
        let pid = container.show(&["MainPID"]).remove(0);
        if pid != before && pid != "0" { Ok(()) } else { Err(pid) }
    });
    serves(container);
}

fn pid(container: &Container) -> String {
    container.show(&["MainPID"]).remove(0)
}

#[test]
fn the_life_of_the_package() {
    let job = tempfile::tempdir().unwrap();
    let (first, second) = (package("1.0", job.path()), package("1.1", job.path()));
    let container = Container::boot(job.path());
    for line in ["link set lo up", "addr add 192.0.2.11/32 dev lo", "route add 10.96.0.0/16 dev lo"] {
        container.run(&format!("ip {line}"));
    }
    container.network().echo_at(BACKEND.parse().unwrap());

    // Installing starts it, with nothing to serve.
    container.run(&format!("dpkg -i {first}"));
    serves(&container);
    assert_eq!(container.run("systemctl is-enabled kube-verdict"), "enabled\n");
    assert!(container.get("127.0.0.1:10256", "/healthz").starts_with("HTTP/1.1 200"));
    container.refused(SERVICE);
    let user = container.run(
        "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$(systemctl show -P MainPID kube-verdict)/status",
    );
    assert_eq!(user, "CapEff:\t0000000000001000\nNoNewPrivs:\t1\nSeccomp:\t2\n");

    // Whose work it is.
    assert_eq!(container.run("dpkg-query -W -f '${Maintainer}' kube-verdict"), MAINTAINER);
    let documents = "/usr/share/doc/kube-verdict";
    assert!(container.run(&format!("zcat {documents}/changelog.gz")).contains(MAINTAINER));
    assert!(container.run(&format!("cat {documents}/copyright")).contains("THIRD-PARTY.gz"));
    let notices = container.run(&format!("zcat {documents}/THIRD-PARTY.gz"));
    for word in
        ["\ntokio 1.", "\nkube-client ", "Permission is hereby granted", "Apache License", "standard library"]
    {
        assert!(notices.contains(word), "{word:?} is not in THIRD-PARTY.gz");
    }

    // The first service.
    container
        .run(&format!("cd {MANIFESTS} && sed /192.0.2.12/d example.yaml.off > .new && mv .new example.yaml"));
    let mut held = container.connected(SERVICE);

    // Started anew, and asked to read again.
    let before = pid(&container);
    container.run("systemctl restart kube-verdict");
    serves_anew(&container, &before);
    held.echoes();
    let before = pid(&container);
    container.run("systemctl reload kube-verdict");
    in_time("it reads again", || {
        let log = container.run("journalctl -u kube-verdict -o cat");
        if log.contains("reading every manifest again") { Ok(()) } else { Err(log) }
    });
    serves(&container);
    assert_eq!(pid(&container), before);

    // What `systemctl stop nftables` does.
    container.run("nft flush ruleset");
    drop(container.connected(SERVICE));

    // Killed.
    container.run(&format!("kill -9 {before}"));
    serves_anew(&container, &before);
    held.echoes();

    // A loop that goes round says so, and one that hangs is started anew.
    let quick = "/run/systemd/system/kube-verdict.service.d";
    container.run(&format!(
        "mkdir -p {quick} && printf '[Service]\\nWatchdogSec=10\\n' > {quick}/quick.conf && systemctl daemon-reload \
         && systemctl restart kube-verdict"
    ));
    serves(&container);
    let before = pid(&container);
    let heard = || container.show(&["WatchdogTimestampMonotonic"]);
    let started = heard();
    in_time("the watchdog hears of the loop", || {
        if heard() == started { Err("nothing".into()) } else { Ok(()) }
    });
    assert_eq!(pid(&container), before, "{}", container.run("journalctl -u kube-verdict -o cat -n 20"));
    container.run(&format!("kill -STOP {before}"));
    serves_anew(&container, &before);
    let log = container.run("journalctl -u kube-verdict -o cat");
    assert!(log.contains("kube-verdict.service: Watchdog timeout"), "{log}");
    container.run(&format!("rm -r {quick} && systemctl daemon-reload"));

    // A new configuration, which sets something in the kernel; a bad one; and a good one again.
    let before = pid(&container);
    container.run(&format!("printf 'conntrack:\\n  udpTimeout: 33s\\n' >> {CONFIGURATION}"));
    serves_anew(&container, &before);
    assert_eq!(container.run("cat /proc/sys/net/netfilter/nf_conntrack_udp_timeout"), "33\n");
    container.run(&format!("sed -i 's/^mode: nftables/mode: nonsense/' {CONFIGURATION}"));
    in_time("it has been tried several times", || {
        let tries = container.show(&["NRestarts", "ActiveState"]);
        let log = container.run("journalctl -u kube-verdict -o cat -n 30");
        let refusals = log.matches("nonsense").count();
        if refusals >= 3 { Ok(()) } else { Err(format!("{tries:?}: {log}")) }
    });
    held.echoes();
    drop(container.connected(SERVICE));
    container.run(&format!("sed -i 's/^mode: nonsense/mode: nftables/' {CONFIGURATION}"));
    serves(&container);

    // The table is kept, for a boot without the manifests.
    let kept = "stat -c '%a %U' /var/lib/kube-verdict /var/lib/kube-verdict/table";
    assert_eq!(container.run(kept), "700 root\n600 root\n");

    // Upgraded: the administrator's configuration stays, and so does every connection.
    let before = pid(&container);
    container.run(&format!("dpkg -i {second}"));
    serves_anew(&container, &before);
    held.echoes();
    assert!(container.run(&format!("cat {CONFIGURATION}")).contains("udpTimeout: 33s"));
    assert_eq!(container.run(kept), "700 root\n600 root\n");

    // Removed: nobody runs, and the rules stay.
    let said = container.run("dpkg -r kube-verdict");
    assert!(said.contains("The rules of the services stay"), "{said}");
    container.fails("systemctl is-active kube-verdict");
    held.echoes();
    drop(container.connected(SERVICE));

    // Back, and purged: nothing is left but what the administrator wrote.
    container.run(&format!("dpkg -i {second}"));
    serves(&container);
    held.echoes();
    container.run("dpkg -P kube-verdict");
    assert!(!container.run("nft list tables").contains("kube-verdict"));
    assert_eq!(container.run("find /etc/kube-verdict -type f"), format!("{MANIFESTS}/example.yaml\n"));
    container.fails("test -e /var/lib/kube-verdict");
    container.fails("ls /etc/systemd/system/*/kube-verdict.service");
    container.fails("systemctl cat kube-verdict");
}

/// Whatever the package says of itself can be read by the program that it brings.
#[test]
fn the_packages_configuration_and_example_are_understood_without_a_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let manifests = tempfile::tempdir().unwrap();
    fs::copy(root.join("example.yaml.off"), manifests.path().join("example.yaml")).unwrap();
    let explain = |configuration: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-verdict"));
        command.args(["explain", "--to", SERVICE, "--config"]).arg(configuration);
        let output = command.arg("--manifests").arg(manifests.path()).output().unwrap();
        let (said, log) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && !log.contains("WARN") && !log.contains("unknown"), "{log}");
        assert!(said.contains("192.0.2.11:8080"), "{said}");
    };
    explain(&root.join("config.yaml"));

    // With every field that is commented out: they are spelt as they should be.
    let text = fs::read_to_string(root.join("config.yaml")).unwrap();
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| if line.starts_with("# ") { "" } else { line.trim_start_matches('#') })
        .collect();
    let path = manifests.path().join("everything.conf");
    fs::write(&path, uncommented.join("\n")).unwrap();
    explain(&path);
}
