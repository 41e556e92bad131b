//! A node with pods and a client around it, and the daemon in it. On demand one that kube-proxy's IPVS mode has served,
//! rebuilt from what it leaves there (reference §12), with things of others that look alike.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::talk::{serve, serve_datagrams, within};

pub const NODE: &str = "node";
/// The Service by its cluster IPs, its external address and its NodePort.
pub const WEB: &str = "10.96.0.1:80";
pub const WEB_6: &str = "[fd00:10:96::1]:80";
pub const EXTERNAL: &str = "198.51.100.7:80";
pub const NODE_PORT: &str = "192.0.2.1:30080";
/// Another, which nobody talks to.
pub const IDLE: &str = "10.96.0.2:80";

/// How long the daemon may take to serve.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everybody's links, for `ip -batch`.
const LINKS: &str = "\
link add to-client netns node type veth peer name eth0 netns client
link add to-pod-a netns node type veth peer name eth0 netns pod-a
link add to-pod-b netns node type veth peer name eth0 netns pod-b
";

/// What kube-proxy binds, and a device of somebody else.
const DEVICES: &str = "\
link add kube-ipvs0 type dummy
address add 10.96.0.1/32 dev kube-ipvs0
address add 10.96.0.2/32 dev kube-ipvs0
address add 198.51.100.7/32 dev kube-ipvs0
address add fd00:10:96::1/128 dev kube-ipvs0
link add mine0 type dummy
address add 10.96.0.9/32 dev mine0
";

/// kube-proxy's virtual servers, for `ipvsadm -R`.
const SERVERS: &str = "\
-A -t 10.96.0.1:80 -s rr
-a -t 10.96.0.1:80 -r 10.2.1.2:8080 -m -w 1
-a -t 10.96.0.1:80 -r 10.2.2.2:8080 -m -w 1
-A -t 10.96.0.2:80 -s rr
-a -t 10.96.0.2:80 -r 10.2.1.2:8081 -m -w 1
-A -t 198.51.100.7:80 -s rr
-a -t 198.51.100.7:80 -r 10.2.1.2:8080 -m -w 1
-a -t 198.51.100.7:80 -r 10.2.2.2:8080 -m -w 1
-A -t 192.0.2.1:30080 -s rr
-a -t 192.0.2.1:30080 -r 10.2.1.2:8080 -m -w 1
-a -t 192.0.2.1:30080 -r 10.2.2.2:8080 -m -w 1
-A -t 192.0.2.1:30081 -s rr
-A -t [fd00:10:96::1]:80 -s rr
-a -t [fd00:10:96::1]:80 -r [fd00:2:1::2]:8080 -m -w 1
-a -t [fd00:10:96::1]:80 -r [fd00:2:2::2]:8080 -m -w 1
";

/// Those of others, as `ipvsadm -Sn` sorts and writes them.
pub const FOREIGN: [&str; 5] = [
    "-A -f 77 -s wlc",
    "-A -t 192.0.2.1:9998 -s wlc",
    "-A -t 192.0.2.1:9999 -s wlc",
    "-a -f 77 -r 10.2.1.2:0 -g -w 1",
    "-a -t 192.0.2.1:9999 -r 10.9.9.9:80 -m -w 1",
];

/// For `ipset restore`.
const SETS: &str = "\
create KUBE-LOOP-BACK hash:ip,port,ip
add KUBE-LOOP-BACK 10.2.1.2,tcp:8080,10.2.1.2
create KUBE-CLUSTER-IP hash:ip,port
add KUBE-CLUSTER-IP 10.96.0.1,tcp:80
add KUBE-CLUSTER-IP 10.96.0.2,tcp:80
create KUBE-EXTERNAL-IP hash:ip,port
add KUBE-EXTERNAL-IP 198.51.100.7,tcp:80
create KUBE-LOAD-BALANCER-SOURCE-CIDR hash:ip,port,net
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 30080
add KUBE-NODE-PORT-TCP 30081
create KUBE-IPVS-IPS hash:ip
add KUBE-IPVS-IPS 10.96.0.1
add KUBE-IPVS-IPS 10.96.0.2
create KUBE-6-CLUSTER-IP hash:ip,port family inet6
add KUBE-6-CLUSTER-IP fd00:10:96::1,tcp:80
create KUBE-6-LOAD-BALANCER-SOURCE-CID hash:ip,port,net family inet6
create KUBE-6-IPVS-IPS hash:ip family inet6
add KUBE-6-IPVS-IPS fd00:10:96::1
create KUBE-MINE hash:ip
";

/// Its rules, where SET is the beginning of a family's names of sets.
const RULES: &str = "\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-SERVICES -m set --match-set SET-CLUSTER-IP src,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m set --match-set SET-CLUSTER-IP dst,dst -j ACCEPT
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE
COMMIT
*filter
:KUBE-FORWARD - [0:0]
:KUBE-IPVS-FILTER - [0:0]
-A INPUT -m comment --comment \"kubernetes ipvs access filter\" -j KUBE-IPVS-FILTER
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-IPVS-FILTER -m set --match-set SET-CLUSTER-IP dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set SET-IPVS-IPS dst -j REJECT
COMMIT
";

/// More of IPv4: NodePorts are masqueraded, and pods that speak to themselves.
const RULES_4: &str = "\
*nat
:KUBE-NODE-PORT - [0:0]
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
-A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ
-I KUBE-POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE
COMMIT
*filter
-A INPUT -m set --match-set KUBE-MINE src -j DROP
COMMIT
";

pub const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: NodePort
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, \"fd00:10:96::1\"]
  ipFamilies: [IPv4, IPv6]
  externalIPs: [198.51.100.7]
  ports:
    - {name: http, protocol: TCP, port: 80, nodePort: 30080}
    - {name: echo, protocol: UDP, port: 7, nodePort: 30007}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-4, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, protocol: TCP, port: 8080}, {name: echo, protocol: UDP, port: 7070}]
endpoints: [{addresses: [10.2.1.2]}, {addresses: [10.2.2.2]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-6, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, protocol: TCP, port: 8080}, {name: echo, protocol: UDP, port: 7070}]
endpoints: [{addresses: [\"fd00:2:1::2\"]}, {addresses: [\"fd00:2:2::2\"]}]
";

/// Runs a program of the machine with a text as its input; its output.
pub fn run(words: &str, input: &str) -> String {
    let mut words = words.split_whitespace();
    let program = words.next().expect("a program");
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("writing");
    let output = child.wait_with_output().expect("waiting");
    assert!(output.status.success(), "{program} fails, given:\n{input}");
    String::from_utf8(output.stdout).expect("text")
}

/// The same, in the node.
pub fn run_there(words: &str, input: &str) -> String {
    within(NODE, || run(words, input))
}

/// Makes it anew, with nobody's rules.
pub fn set() {
    const HOSTS: [(&str, &str, &str); 3] = [
        ("client", "192.0.2", "2001:db8:"),
        ("pod-a", "10.2.1", "fd00:2:1:"),
        ("pod-b", "10.2.2", "fd00:2:2:"),
    ];
    run("modprobe -a ip_vs dummy veth", "");
    for netns in [NODE, "client", "pod-a", "pod-b"] {
        let _ = Command::new("ip").args(["netns", "delete", netns]).stderr(Stdio::null()).status();
        run(&format!("ip netns add {netns}"), "");
        within(netns, || run("ip link set lo up", ""));
    }
    run("ip -batch -", LINKS);
    for (netns, v4, v6) in HOSTS {
        let at_node = format!(
            "link set to-{netns} up\naddress add {v4}.1/24 dev to-{netns}\naddress add {v6}:1/64 dev to-{netns} nodad\n"
        );
        run_there("ip -batch -", &at_node);
        let at_host = format!(
            "link set eth0 up\naddress add {v4}.2/24 dev eth0\naddress add {v6}:2/64 dev eth0 nodad\n\
             route add default via {v4}.1\nroute add default via {v6}:1\n"
        );
        within(netns, || run("ip -batch -", &at_host));
    }
    run_there("ip -batch -", "route add default via 192.0.2.2\nroute add default via 2001:db8::2\n");
    within(NODE, || {
        for (name, value) in [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")] {
            set_sysctl(name, value);
        }
    });
    serve("pod-a", 8080);
    serve("pod-b", 8080);
    serve_datagrams("pod-a", 7070);
    serve_datagrams("pod-b", 7070);
}

fn set_sysctl(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// Makes it anew, as kube-proxy's IPVS mode leaves it.
pub fn set_after_kube_proxy() {
    set();
    within(NODE, || {
        for name in ["conntrack", "expire_nodest_conn", "expire_quiescent_template"] {
            set_sysctl(&format!("ipv4/vs/{name}"), "1");
        }
    });
    run_there("ip -batch -", DEVICES);
    run_there("ipvsadm -R", SERVERS);
    run_there("ipvsadm -R", &FOREIGN.map(|line| format!("{line}\n")).concat());
    run_there("ipset restore", SETS);
    let rules = |set: &str| RULES.replace("SET", set);
    // One variant of the program for each family, so that both are seen.
    run_there("iptables-legacy-restore --noflush", &rules("KUBE"));
    run_there("iptables-legacy-restore --noflush", RULES_4);
    run_there("ip6tables-nft-restore --noflush", &rules("KUBE-6"));
}

/// The daemon in the node, serving what kube-proxy served.
pub struct Daemon(Child);

/// How it balances: the modes, by what is in their tables and in no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Nftables,
    Ipvs,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Nftables => "nftables",
            Mode::Ipvs => "ipvs",
        }
    }

    fn map(self) -> &'static str {
        match self {
            Mode::Nftables => "map endpoints {",
            Mode::Ipvs => "map marks {",
        }
    }
}

impl Daemon {
    /// Starts it, and waits until it serves.
    pub fn start(mode: Mode) -> Daemon {
        let daemon = Daemon::launch(mode);
        daemon.wait(mode);
        daemon
    }

    /// Starts it.
    pub fn launch(mode: Mode) -> Daemon {
        Daemon::launch_with(mode, &[])
    }

    /// Starts it with more flags.
    pub fn launch_with(mode: Mode, flags: &[&str]) -> Daemon {
        std::fs::create_dir_all("/tmp/manifests").expect("a directory");
        std::fs::write("/tmp/manifests/web.yaml", MANIFESTS).expect("writing manifests");
        let child = within(NODE, || {
            Command::new("./kube-verdict")
                .args(["--manifests", "/tmp/manifests", "--hostname-override", NODE])
                .args(["--nodeport-addresses", "192.0.2.0/24,2001:db8::/64"])
                .args(["--proxy-mode", mode.name(), "--ipvs-udp-timeout", "30s"])
                .args(flags)
                .spawn()
        });
        Daemon(child.expect("starting the daemon"))
    }

    /// Waits until the table is that of its mode.
    pub fn wait(&self, mode: Mode) {
        let serves = |family: &str| {
            let output = within(NODE, || {
                Command::new("nft")
                    .args(["list", "table", family, "kube-verdict"])
                    .stderr(Stdio::null())
                    .output()
            });
            let listed = String::from_utf8_lossy(&output.expect("nft").stdout).into_owned();
            let vip = if family == "ip" { "10.96.0.1" } else { "fd00:10:96::1" };
            listed.contains(vip) && listed.contains(mode.map())
        };
        let deadline = Instant::now() + PATIENCE;
        while !(serves("ip") && serves("ip6")) {
            assert!(Instant::now() < deadline, "the daemon does not serve");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills it at once. Its rules stay.
    pub fn kill(mut self) {
        self.end();
        std::mem::forget(self);
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        for family in ["ip", "ip6"] {
            run_there(&format!("nft delete table {family} kube-verdict"), "");
        }
    }
}

/// Links the node with a client and a pod, in both families; these have their default route by the node.
pub fn link(node: &str, client: &str, pod: &str) {
    for (netns, v4, v6) in [(client, "192.0.2", "2001:db8:"), (pod, "10.2.1", "fd00:2:1:")] {
        run(&format!("ip link add to-{netns} netns {node} type veth peer name eth0 netns {netns}"), "");
        let at_node = format!(
            "link set to-{netns} up\naddress add {v4}.1/24 dev to-{netns}\naddress add {v6}:1/64 dev to-{netns} nodad\n"
        );
        within(node, || run("ip -batch -", &at_node));
        let there = format!(
            "link set eth0 up\naddress add {v4}.2/24 dev eth0\naddress add {v6}:2/64 dev eth0 nodad\n\
             route add default via {v4}.1\nroute add default via {v6}:1\n"
        );
        within(netns, || run("ip -batch -", &there));
    }
}
