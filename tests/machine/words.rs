//! What the program says of IPVS mode, held against what it does: what `render` prints is loaded by the programs that it
//! is printed for, and leaves a daemon nothing to write; `cleanup` leaves nothing of it, and says what that ends.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::codec::ipvsadm;
use crate::node::{link, run};
use crate::talk::{Talk, serve, within};

const NODE: &str = "speaker";
const CLIENT: &str = "listener";
const POD: &str = "answerer";
const VIPS: [&str; 2] = ["10.96.0.1:80", "[fd00:10:96::1]:80"];
const FOREIGN: &str = "-A -f 77 -s wlc";
const OTHER_MARKS: &str = "0x100/0x0f00";

const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default, annotations: {kube-verdict.io/ipvs-scheduler: \"sh,sh-port\"}}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, \"fd00:10:96::1\"]
  ipFamilies: [IPv4, IPv6]
  ports: [{name: http, protocol: TCP, port: 80, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: default}
spec:
  clusterIP: 10.96.0.53
  ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-4, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, protocol: TCP, port: 8080}]
endpoints: [{addresses: [10.2.1.2], nodeName: speaker}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-6, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, protocol: TCP, port: 8080}]
endpoints: [{addresses: [\"fd00:2:1::2\"], nodeName: speaker}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns-4, namespace: default, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}]
endpoints: [{addresses: [10.2.1.2]}, {addresses: [10.2.2.2]}]
";

/// A client, a node and a pod.
fn set() {
    run("modprobe -a ip_vs veth", "");
    for netns in [NODE, CLIENT, POD] {
        let _ = Command::new("ip").args(["netns", "delete", netns]).stderr(Stdio::null()).status();
        run(&format!("ip netns add {netns}"), "");
        within(netns, || run("ip link set lo up", ""));
    }
    link(NODE, CLIENT, POD);
    within(NODE, || {
        run("ip -batch -", "route add default via 192.0.2.2\nroute add default via 2001:db8::2\n");
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("forwarding of IPv6");
    });
    serve(POD, 8080);
    std::fs::create_dir_all("/tmp/words").expect("a directory");
    std::fs::write("/tmp/words/services.yaml", MANIFESTS).expect("writing manifests");
}

/// What begins every command line.
const DAEMON: &str = "./kube-verdict --manifests /tmp/words --hostname-override speaker --proxy-mode ipvs \
                      --nodeport-addresses 192.0.2.0/24,2001:db8::/64";

fn rendered(words: &str) -> String {
    within(NODE, || run(&format!("{DAEMON} render {words}"), ""))
}

/// On Linux 7.2 nft 1.0.6 has no rule taken that looks for a protocol in a set with intervals, whosever set it is: the
/// rule that checks source ranges is left for the daemon to write.
fn as_nft_can(ruleset: String) -> String {
    match std::env::var(crate::INSIDE).as_deref() {
        Ok("7.2") => ruleset
            .lines()
            .filter(|line| !line.contains("@source-ranges"))
            .map(|line| format!("{line}\n"))
            .collect(),
        _ => ruleset,
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn page(path: &str) -> String {
    within(NODE, || {
        let mut stream = TcpStream::connect("127.0.0.1:10249").expect("the metrics port");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("asking");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    })
}

/// Runs the daemon until it is in sync.
fn start(words: &str) -> Child {
    let mut child = within(NODE, || {
        let mut words = DAEMON.split_whitespace().chain(words.split_whitespace());
        let program = words.next().expect("a program");
        Command::new(program).args(words).stderr(Stdio::piped()).spawn().expect("starting the daemon")
    });
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).expect("the log") > 0, "the daemon has ended");
        eprint!("{line}");
        if line.contains("the kernel is as the manifests say") {
            break;
        }
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    child
}

pub fn render_is_what_the_daemon_does() {
    set();
    let servers = rendered("--only ipvs");
    // web of both families, each with its local endpoints, and dns twice.
    assert_eq!(servers.matches("-A ").count(), 6, "{servers}");
    within(NODE, || {
        ipvsadm(FOREIGN);
        run("ipvsadm -R", &servers);
        assert_eq!(ipvsadm("-Sn"), sorted(&format!("{FOREIGN}\n{servers}")), "as ipvsadm saves them");
    });
    // The shell that sh is in the machine has a little ip of its own.
    within(NODE, || run("bash -e", &rendered("--only routing")));
    within(NODE, || run("nft -f -", &as_nft_can(rendered(""))));
    within(NODE, || run(&format!("{DAEMON} --init-only"), ""));
    VIPS.iter().for_each(|vip| assert_eq!(Talk::open(CLIENT, vip).go_on().0, POD, "without a daemon"));

    let mut daemon = start("");
    let metrics = page("/metrics");
    for line in [
        "kubeverdict_ipvs_orders_total 0",
        "kubeverdict_ipvs_virtual_servers{ip_family=\"IPv4\"} 4",
        "kubeverdict_ipvs_virtual_servers{ip_family=\"IPv6\"} 2",
        "kubeverdict_ipvs_real_servers{ip_family=\"IPv4\"} 6",
        "kubeverdict_ipvs_draining_real_servers{ip_family=\"IPv4\"} 0",
    ] {
        assert!(metrics.lines().any(|there| there == line), "{line}\n{metrics}");
    }
    assert!(page("/proxyMode").ends_with("\r\n\r\nipvs"), "{}", page("/proxyMode"));
    let mut talks = VIPS.map(|vip| Talk::open(CLIENT, vip));
    talks.iter_mut().for_each(|talk| assert_eq!(talk.go_on().0, POD));

    kill(Pid::from_raw(daemon.id() as i32), Signal::SIGTERM).expect("a signal");
    assert!(daemon.wait().expect("waiting").success());
    talks.iter_mut().for_each(|talk| drop(talk.go_on()));
    let said = within(NODE, || run("./kube-verdict cleanup --only kube-verdict", ""));
    for part in [
        "removed table ip kube-verdict\n",
        "removed the IPv6 rule ",
        "removed 6 virtual servers from IPVS, which ended ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    within(NODE, || {
        assert_eq!(ipvsadm("-Sn"), [FOREIGN]);
        assert!(!(run("ip rule", "") + &run("ip -6 rule", "")).contains("fwmark"));
        assert_eq!(run("nft list tables", ""), "");
    });
    let said = within(NODE, || run("./kube-verdict cleanup --only kube-verdict", ""));
    assert_eq!(said, "there is no table ip kube-verdict\nthere is no table ip6 kube-verdict\n");
}

pub fn cleanup_knows_virtual_servers_by_the_marks_that_it_is_told() {
    set();
    let servers = rendered(&format!("--only ipvs --ipvs-mark {OTHER_MARKS}"));
    let cleanup = |words: &str| {
        within(NODE, || run(&format!("./kube-verdict cleanup --only kube-verdict {words}"), ""))
    };
    within(NODE, || run("ipvsadm -R", &servers));
    assert!(!cleanup("").contains("virtual servers"));
    within(NODE, || assert_eq!(ipvsadm("-Sn"), sorted(&servers)));
    let said = cleanup(&format!("--ipvs-mark {OTHER_MARKS}"));
    assert!(said.ends_with("removed 6 virtual servers without connections from IPVS\n"), "{said}");
    within(NODE, || assert_eq!(ipvsadm("-Sn"), [""; 0]));
}

/// What the documents promise who has been idle for too long, and what they ask of a firewall.
pub fn idle_connections_are_reset_and_a_firewall_has_to_know_the_marks() {
    set();
    let mut daemon = start("--ipvs-tcp-timeout 1s");
    let mut talks = [CLIENT, NODE].map(|from| Talk::open(from, VIPS[0]));
    talks.iter_mut().for_each(|talk| assert_eq!(talk.go_on().0, POD));
    let deadline = Instant::now() + Duration::from_secs(120);
    // A heading is all that is left.
    while within(NODE, || std::fs::read_to_string("/proc/thread-self/net/ip_vs_conn"))
        .expect("connections")
        .lines()
        .count()
        > 1
    {
        assert!(Instant::now() < deadline, "IPVS does not forget");
        std::thread::sleep(Duration::from_millis(200));
    }
    for (from, talk) in [CLIENT, NODE].into_iter().zip(&mut talks) {
        let said = talk.say().map_err(|error| error.kind());
        assert!(matches!(said, Err(ErrorKind::ConnectionReset)), "{from}: {said:?}");
    }

    let firewall = |rule: &str| {
        let table = format!(
            "table inet firewall {{\nchain input {{\ntype filter hook input priority 0; policy drop;\niif lo accept\n{rule}\n}}\n}}\n"
        );
        within(NODE, || {
            run("nft -f -", &format!("table inet firewall\ndelete table inet firewall\n{table}"))
        });
    };
    firewall(
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; meta mark & 0xff000000 == 0x4b000000 accept",
    );
    VIPS.iter().for_each(|vip| assert_eq!(Talk::open(CLIENT, vip).go_on().0, POD));
    firewall("");
    let lost = within(CLIENT, || {
        TcpStream::connect_timeout(&VIPS[0].parse().expect("an address"), Duration::from_secs(2))
    });
    assert!(lost.is_err(), "the rule is not needed");
    daemon.kill().expect("a signal");
    daemon.wait().expect("waiting");
    within(NODE, || run("nft flush ruleset", ""));
    within(NODE, || run("ipvsadm -C", ""));
}
