//! A node between clients and pods, with the package in it, and everything that starts its daemon anew while clients
//! open thousands of connections: `systemctl restart`, `kill -9`, once or twice in a row, an upgrade, and changes that
//! nobody is there to see. `KUBE_VERDICT_LOAD_SECONDS` says how long; that makes the counts of docs/standalone.md.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::container::{Container, in_time};
use crate::load::{Load, Protocol, Way};
use crate::{CONFIGURATION, MANIFESTS, package, pid, serves, serves_anew};

/// How long the load lasts at least, in seconds.
const SECONDS: &str = "KUBE_VERDICT_LOAD_SECONDS";
/// When nobody says: every way of starting anew has its turn.
const SHORT: u64 = 5;
/// New connections a second.
const PACE: u32 = 2_000;

/// Everybody's links, for `ip -batch`: the container is the node.
const LINKS: &str = "\
link set lo up
netns add client
netns add pods
link add to-client type veth peer name eth0 netns client
link add to-pods type veth peer name eth0 netns pods
address add 203.0.113.1/24 dev to-client
address add fd00:c::1/64 dev to-client nodad
address add 192.0.2.1/24 dev to-pods
address add fd00:b::1/64 dev to-pods nodad
link set to-client up
link set to-pods up
route add default via 203.0.113.2
";
const CLIENT: &str = "\
link set lo up
address add 203.0.113.2/24 dev eth0
address add fd00:c::2/64 dev eth0 nodad
link set eth0 up
route add default via 203.0.113.1
route add default via fd00:c::1
";
const PODS: &str = "\
link set lo up
address add 192.0.2.11/24 dev eth0
address add 192.0.2.12/24 dev eth0
address add 192.0.2.13/24 dev eth0
address add fd00:b::11/64 dev eth0 nodad
address add fd00:b::12/64 dev eth0 nodad
address add fd00:b::13/64 dev eth0 nodad
link set eth0 up
route add default via 192.0.2.1
route add default via fd00:b::1
";

/// Port 80 greets, port 7 echoes, port 53 of UDP answers.
const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: busy}
spec:
  type: NodePort
  clusterIP: 10.96.0.20
  clusterIPs: [10.96.0.20, \"fd00:10:96::20\"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  ports:
  - {name: greeting, port: 80, nodePort: 30080}
  - {name: echo, port: 7, nodePort: 30007}
  - {name: dns, protocol: UDP, port: 53, nodePort: 30053}
";

/// The EndpointSlices of so many pods.
fn slices(pods: usize) -> String {
    let slice = |name: &str, family: &str, prefix: &str| {
        let endpoints: Vec<String> =
            (1..=pods).map(|pod| format!("{{addresses: [\"{prefix}1{pod}\"]}}")).collect();
        format!(
            "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: busy}}}}
addressType: {family}
ports: [{{name: greeting, port: 8080}}, {{name: echo, port: 8007}}, {{name: dns, protocol: UDP, port: 8053}}]
endpoints: [{}]
",
            endpoints.join(", ")
        )
    };
    slice("busy-4", "IPv4", "192.0.2.") + &slice("busy-6", "IPv6", "fd00:b::")
}

fn write(container: &Container, pods: usize) {
    let text = SERVICE.to_owned() + &slices(pods);
    container.run(&format!("cd {MANIFESTS} && printf %s '{text}' > .busy && mv .busy busy.yaml"));
}

fn set(container: &Container) {
    let batch =
        |options: &str, lines: &str| container.run(&format!("printf '{lines}' | ip {options} -batch -"));
    batch("", LINKS);
    batch("-n client", CLIENT);
    batch("-n pods", PODS);
    container.run("echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding");
    let pods = container.named_network("pods");
    for prefix in ["192.0.2.", "fd00:b::"] {
        for pod in 11..=13 {
            let at = |port| SocketAddr::new(format!("{prefix}{pod}").parse().unwrap(), port);
            pods.greet_at(at(8080));
            pods.echo_at(at(8007));
            pods.answer_at(at(8053));
        }
    }
}

fn ways(container: &Container) -> Vec<Way> {
    let (node, client) = (container.network(), container.named_network("client"));
    let way = |network: &_, protocol, new: &str, lasting: &str| Way {
        network: Clone::clone(network),
        protocol,
        new: new.parse().unwrap(),
        lasting: lasting.parse().unwrap(),
    };
    vec![
        way(&client, Protocol::Tcp, "10.96.0.20:80", "10.96.0.20:7"),
        way(&client, Protocol::Tcp, "203.0.113.1:30080", "203.0.113.1:30007"),
        way(&client, Protocol::Tcp, "[fd00:10:96::20]:80", "[fd00:10:96::20]:7"),
        way(&client, Protocol::Udp, "10.96.0.20:53", "10.96.0.20:53"),
        way(&node, Protocol::Tcp, "10.96.0.20:80", "10.96.0.20:7"),
        way(&node, Protocol::Udp, "10.96.0.20:53", "10.96.0.20:53"),
    ]
}

/// First packets that TCP sent again, everywhere in the container.
fn repeated(container: &Container) -> u64 {
    let lines =
        container.run("nstat -asz TcpExtTCPSynRetrans; ip netns exec client nstat -asz TcpExtTCPSynRetrans");
    let counts = lines.lines().filter(|line| line.starts_with("TcpExtTCPSynRetrans"));
    counts.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

/// Shell that waits for another process, lets it live for a moment, and kills it.
fn killed_while_it_starts(before: &str, round: usize) -> String {
    let moment = [0, 10, 25, 50, 100][round / 4 % 5];
    format!(
        "for i in $(seq 1000); do
            pid=$(systemctl show -P MainPID kube-verdict)
            if [ $pid != 0 ] && [ $pid != {before} ]; then
                sleep 0.{moment:03}
                exec kill -9 $pid
            fi
            sleep 0.01
        done
        exit 1"
    )
}

#[test]
fn nothing_fails_while_the_daemon_is_started_anew_under_load() {
    let job = tempfile::tempdir().unwrap();
    let packages = [package("1.0", job.path()), package("1.1", job.path())];
    let container = Container::boot(job.path());
    set(&container);
    container.run(&format!("dpkg -i {}", packages[0]));
    container.run(&format!("sed -i 's/^#nodePortAddresses:.*/nodePortAddresses: [all]/' {CONFIGURATION}"));
    write(&container, 2);
    let _ = container.connected("10.96.0.20:7");
    serves(&container);

    let seconds = std::env::var(SECONDS).map_or(SHORT, |text| text.parse().expect("a number of seconds"));
    let before = repeated(&container);
    let load = Load::start(&ways(&container), PACE);
    let (started, mut rounds, mut upgrades) = (Instant::now(), 0, 0);
    while rounds < 4 || started.elapsed() < Duration::from_secs(seconds) {
        let pid = pid(&container);
        // Two pods, three, two: that changes as well, and when the daemon is away.
        let change = || write(&container, 2 + (rounds + 1) % 2);
        match rounds % 4 {
            0 => {
                change();
                container.run("systemctl restart kube-verdict");
            }
            1 => {
                container.run(&format!("kill -9 {pid}"));
                change();
            }
            2 => {
                change();
                upgrades += 1;
                // There and back again: what dpkg does is the same.
                container.run(&format!("dpkg -i {}", packages[upgrades % 2]));
            }
            _ => {
                // Killed again while it starts, at one moment or another.
                container.run(&format!("kill -9 {pid}"));
                change();
                container.run(&killed_while_it_starts(&pid, rounds));
            }
        }
        serves_anew(&container, &pid);
        rounds += 1;
    }
    // What was changed last is live.
    write(&container, 3);
    serves(&container);
    in_time("new connections come to a third pod", || {
        let servers = load.servers();
        if servers.contains("192.0.2.13") { Ok(()) } else { Err(format!("{servers:?}")) }
    });
    let figures = load.end();
    let repeated = repeated(&container) - before;
    let kinds = ["restarted", "killed", "upgraded", "killed twice"];
    let counts = (0..4).map(|kind| format!("{} times {}", (rounds + 3 - kind) / 4, kinds[kind]));
    println!("{}, in {figures}; {repeated} SYNs repeated", counts.collect::<Vec<_>>().join(", "));
    assert_eq!((figures.failed, figures.broken), (0, 0), "{figures}: {:#?}", figures.complaints);

    // Such a load notices when rules are missing for a moment.
    let load = Load::start(&ways(&container), PACE);
    container.run("systemctl stop kube-verdict && nft flush ruleset");
    in_time(
        "connections fail without rules",
        || if load.failures() > 0 { Ok(()) } else { Err("none".into()) },
    );
    container.run("systemctl start kube-verdict");
    assert!(load.end().failed > 0);
}
