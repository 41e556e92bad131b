//! What kube-proxy leaves in the kernel goes, and nothing else does: the rules of others, with their counters
//! and places, are what they were.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use kube_verdict_scenario_tests::daemon::program;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::peer::Mode;
use kube_verdict_scenario_tests::prelude::*;

use crate::stage::Stage;

/// Rules such as the kubelet, Docker, network plugins and administrators have, for `iptables-restore -c`.
const OTHERS: &str = "\
*nat
:PREROUTING ACCEPT [3:180]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-DROP - [0:0]
[5:300] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[7:420] -A POSTROUTING -s SOURCE ! -o docker0 -m comment --comment \"jumps to KUBE-SERVICES or not\" -j MASQUERADE
[1:60] -A DOCKER -i docker0 -j RETURN
[2:120] -A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [4:240]
:OUTPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-NWPLCY-DEFAULT - [0:0]
:mine - [0:0]
[11:660] -A INPUT -p tcp -m multiport --dports 1,2,3:5 -m limit --limit 5/min -j LOG --log-prefix \"odd \"
[13:780] -A INPUT -g mine
[17:1020] -A OUTPUT -j KUBE-FIREWALL
[19:1140] -A KUBE-FIREWALL -m comment --comment \"block incoming localnet connections\" -m mark --mark 0x8000/0x8000 -j DROP
[23:1380] -A mine -m conntrack --ctstate RELATED,ESTABLISHED
[29:1740] -A mine -p udp -m hashlimit --hashlimit-upto 9/sec --hashlimit-name few -j KUBE-NWPLCY-DEFAULT
[31:1860] -A mine -m recent --rcheck --seconds 5 --name them --rsource -j DROP
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
[37:2220] -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
";

/// A plugin that marks by kube-proxy's chain, as CNI's portmap may.
const PORTMAP: &str = "\
*nat
:KUBE-MARK-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
[41:2460] -A CNI-HOSTPORT-SETMARK -m comment --comment \"marks\" -j KUBE-MARK-MASQ
COMMIT
";

const OTHER_NFT: &str = "table inet mine {
\tcounter seen {
\t\tpackets 12 bytes 345
\t}

\tchain KUBE-SERVICES {
\t}

\tchain input {
\t\ttype filter hook input priority filter + 5; policy accept;
\t\tjump KUBE-SERVICES
\t}
}
";

/// kube-proxy's, as an administrator tells them.
fn is_kube_proxys(chain: &str) -> bool {
    let kubelets = ["KUBE-KUBELET-CANARY", "KUBE-MARK-DROP", "KUBE-FIREWALL", "KUBE-IPTABLES-HINT"];
    chain.starts_with("KUBE-") && chain != "KUBE-NWPLCY-DEFAULT" && !kubelets.contains(&chain)
}

/// A save without kube-proxy's chains and the jumps to them; `but` is no chain of its.
fn without_kube_proxy(save: &str, but: &str) -> String {
    let goes = |chain: &str| is_kube_proxys(chain) && chain != but;
    let concerns = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let names = words.windows(2).filter(|pair| ["-A", "-j", "-g"].contains(&pair[0])).map(|pair| pair[1]);
        // A comment may look like a jump; none here does at its end.
        names.chain(line.strip_prefix(':').and_then(|rest| rest.split(' ').next())).any(goes)
    };
    lines(save).filter(|line| !concerns(line)).map(|line| format!("{line}\n")).collect()
}

/// A save without the times at which it was made.
fn lines(save: &str) -> impl Iterator<Item = &str> {
    save.lines().filter(|line| !line.starts_with('#'))
}

fn restore(node: &Netns, mode: Mode, family: Family, rules: &str) {
    let source = if family == Family::V4 { "192.0.2.0/24" } else { "2001:db8::/64" };
    let programme = match (mode, family) {
        (Mode::IptablesLegacy, Family::V4) => "iptables-legacy-restore",
        (Mode::IptablesLegacy, Family::V6) => "ip6tables-legacy-restore",
        (_, Family::V4) => "iptables-nft-restore",
        (_, Family::V6) => "ip6tables-nft-restore",
    };
    node.run(|| {
        let mut child = Command::new(programme)
            .args(["-c", "--noflush"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{programme} (package iptables): {error}"));
        let rules = rules.replace("SOURCE", source);
        child.stdin.take().expect("piped").write_all(rules.as_bytes()).expect("writing rules");
        assert!(child.wait().expect("waiting").success(), "{programme} refuses the rules");
    });
}

/// Runs `cleanup` with these options; what it printed.
pub fn cleanup(node: &Netns, options: &[&str]) -> String {
    let output = node.run(|| Command::new(program()).arg("cleanup").args(options).output()).expect("running");
    assert!(output.status.success(), "cleanup: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn what_is_left_is_what_others_made(mode: Mode) {
    let stage = Stage::set();
    let node = stage.scenario.node();
    kernel::load(node, OTHER_NFT);
    for family in Family::BOTH {
        restore(node, mode, family, OTHERS);
    }
    restore(node, mode, Family::V4, PORTMAP);
    let kube_proxy = stage.kube_proxy(mode);
    drop(kube_proxy);
    stage.silence();
    for family in Family::BOTH {
        // Some rules before those of kube-proxy, too.
        restore(node, mode, family, "*nat\n[43:2580] -I PREROUTING -j DOCKER\nCOMMIT\n");
    }
    let tables = || {
        Family::BOTH.map(|family| {
            [Mode::IptablesLegacy, Mode::IptablesNft].map(|variant| variant.listing(node, family))
        })
    };
    let before = tables();
    let portmaps = ["KUBE-MARK-MASQ", "none"];
    let wanted =
        [0, 1].map(|family| before[family].each_ref().map(|save| without_kube_proxy(save, portmaps[family])));
    let all: String = before.iter().flatten().map(String::as_str).collect();
    assert!(all.matches(":KUBE-SEP-").count() >= 20, "where are kube-proxy's chains?\n{all}");

    let said = cleanup(node, &["--only", "kube-proxy"]);

    let after =
        tables().map(|family| family.map(|save| lines(&save).map(|l| format!("{l}\n")).collect::<String>()));
    assert_eq!(after, wanted);
    let others = kernel::nft(node, &["list", "table", "inet", "mine"], "").expect("the table of others");
    assert_eq!(others, OTHER_NFT);
    for table in ["nat", "filter", "mangle"] {
        assert!(said.contains(&format!(" table {table}\n")), "{said}");
    }
    assert_eq!(cleanup(node, &["--only", "kube-proxy"]), "there is nothing of kube-proxy's\n");
}

#[test]
fn of_iptables_legacy() {
    what_is_left_is_what_others_made(Mode::IptablesLegacy);
}

#[test]
fn of_iptables_nft() {
    what_is_left_is_what_others_made(Mode::IptablesNft);
}

/// Asking for a legacy table would make it, hooks and all.
#[test]
fn what_is_not_in_use_is_not_touched() {
    let node = Netns::new();
    kernel::load(&node, OTHER_NFT);
    assert!(cleanup(&node, &["--only", "kube-proxy"]).contains("nothing"));
    for family in ["ip", "ip6"] {
        let path = format!("/proc/thread-self/net/{family}_tables_names");
        assert_eq!(node.run(|| fs::read_to_string(&path)).unwrap_or_default(), "");
    }
    assert_eq!(kernel::nft(&node, &["list", "ruleset"], "").expect("the ruleset"), OTHER_NFT);
}
