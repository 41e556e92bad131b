//! The story. Each step says what it is about to show, shows it and checks it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use kube_verdict_scenario_tests::echo::Answer;
use kube_verdict_scenario_tests::netlink::Netfilter;
use kube_verdict_scenario_tests::plan::{self, Family};
use kube_verdict_scenario_tests::topology::Host;

use crate::stage::{PODS, SERVER_PORT, Stage};
use crate::traffic::{self, Conversation, in_words, tally};
use crate::voice::Voice;
use crate::{Shown, claim};

const MANIFESTS: [(&str, &str); 3] = [
    ("node.yaml", include_str!("manifests/node.yaml")),
    ("web.yaml", include_str!("manifests/web.yaml")),
    ("sessions.yaml", include_str!("manifests/sessions.yaml")),
];
/// What every command of the story has in common; the daemon is started with the same.
const SOURCES: &str = "--manifests manifests --config config.yaml --hostname-override node-1";
const WEB: &str = "10.96.0.10:80";
const WEB_NODE_PORT: &str = "172.18.0.2:30080";
const SESSIONS_NODE_PORT: &str = "172.18.0.2:30443";
/// Enough that none of three backends is missed by chance: one in 10^10 runs would.
const MANY: usize = 60;
/// How many clients of the service with affinity; all on one of its two backends by chance: 2 in 10^6.
const CLIENTS: u8 = 20;

/// All of it.
pub fn all(voice: &Voice, stage: &mut Stage) -> Shown {
    namespaces(voice, stage)?;
    manifests(voice, stage)?;
    start(voice, stage)?;
    spread(voice, stage)?;
    maps(voice, stage)?;
    node_port(voice, stage)?;
    explain(voice, stage)?;
    let sessions = affinity(voice, stage)?;
    removal(voice, stage)?;
    broken_file(voice, stage)?;
    restart(voice, stage, &sessions)?;
    cleanup(voice, stage)
}

/// Runs a line of shell on the node, in front of everybody.
fn shell(voice: &Voice, stage: &Stage, line: &str) -> Shown<String> {
    voice.command("node", line);
    let output = stage.shell(line)?;
    voice.output(if output.is_empty() { "(nothing)" } else { &output });
    Ok(output)
}

/// Holds a text to containing something.
fn contains(text: &str, wanted: &str) -> Shown {
    claim(text.contains(wanted), format!("{wanted:?} is missing in: {text}"))
}

fn web(family: Family) -> SocketAddr {
    plan::socket(family, WEB)
}

fn all_servers(family: Family) -> BTreeSet<SocketAddr> {
    PODS.iter().map(|(_, address)| SocketAddr::new(plan::ip(family, address), SERVER_PORT)).collect()
}

fn servers(answers: &[Answer]) -> BTreeSet<SocketAddr> {
    answers.iter().map(|answer| answer.server).collect()
}

fn namespaces(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("A network, made of namespaces: a node that routes, its pods, others, and clients outside");
    voice.output(
        "
  pod-a 10.244.1.10 ──┐
                      ├── node 172.18.0.2 ─────── clients 203.0.113.10, 198.18.0.0/16
  pod-b 10.244.1.11 ──┘        │
                     pod-c 10.244.2.10, elsewhere

Every address has an IPv6 twin: fd00:10:244:1::10, fd00:172:18::2 … A web server runs in each pod.",
    );
    shell(voice, stage, "ip -brief address show scope global; nft list ruleset").map(drop)
}

fn manifests(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("A directory of manifests, as a cluster would serve them");
    for (name, text) in MANIFESTS {
        stage.replace(name, text)?;
    }
    shell(voice, stage, "ls manifests; cat manifests/web.yaml").map(drop)
}

fn start(voice: &Voice, stage: &mut Stage) -> Shown {
    voice.step("The daemon starts and programmes the kernel");
    voice.command("node", &format!("kube-verdict {SOURCES} &"));
    voice.output(&stage.start()?);
    let tables = shell(voice, stage, "nft list tables")?;
    contains(&tables, "table ip kube-verdict")?;
    contains(&tables, "table ip6 kube-verdict")
}

fn spread(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("Connections to one address are spread over the backends, in IPv4 and IPv6");
    for (name, host) in [("pod-a", Host::PodA), ("node", Host::Node), ("client", Host::Outside)] {
        for family in Family::BOTH {
            voice.command(name, &format!("connect to {}, {MANY} times", web(family)));
            let answers = traffic::connections(stage.of(host), None, web(family), MANY)?;
            voice.output(&in_words(&tally(&answers)));
            claim(servers(&answers) == all_servers(family), "not every backend was reached")?;
        }
    }
    voice.found("every connection was answered, and each backend had its share (pod-a reaches itself, too)");
    Ok(())
}

fn maps(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("How: a service is one element of a map, and its endpoints are elements of another");
    let services = shell(voice, stage, "nft list map ip kube-verdict services")?;
    contains(&services, "10.96.0.10 . tcp . 80 counter packets 180 ")?;
    contains(&services, ": goto internal-3")?;
    voice.found("the counter has the 180 connections of the step before");
    let endpoints = shell(voice, stage, "nft list map ip kube-verdict endpoints | grep -F '10.96.0.10 .'")?;
    for server in all_servers(Family::V4) {
        contains(&endpoints, &format!(": {} . {}", server.ip(), server.port()))?;
    }
    voice.say(
        "The chain for all services with three endpoints: mark for masquerading who is no pod, then pick.",
    );
    let chains =
        "for chain in internal-3 pick-3; do nft list chain ip kube-verdict $chain; done | grep -v '^table'";
    contains(&shell(voice, stage, chains)?, "numgen random mod 3 map @endpoints")
}

fn node_port(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("A NodePort, from outside");
    for family in Family::BOTH {
        let to = plan::socket(family, WEB_NODE_PORT);
        voice.command("client", &format!("connect to {to}, {MANY} times"));
        let answers = traffic::connections(stage.of(Host::Outside), None, to, MANY)?;
        voice.output(&in_words(&tally(&answers)));
        claim(servers(&answers) == all_servers(family), "not every backend was reached")?;
        let client = plan::ip(family, plan::CLIENT);
        let masqueraded = answers.iter().all(|answer| answer.peer.ip() != client);
        claim(masqueraded, "a backend saw the client's own address")?;
    }
    voice.found("every backend was reached, and saw an address of the node: its answers come back this way");
    Ok(())
}

fn explain(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("Why: what happens to such a packet, from the table alone");
    let line = format!("kube-verdict explain {SOURCES} --from {} --to {WEB_NODE_PORT}", plan::CLIENT);
    let text = shell(voice, stage, &line)?;
    contains(&text, "dnat")?;
    for server in all_servers(Family::V4) {
        contains(&text, &server.to_string())?;
    }
    Ok(())
}

/// Which backend each client has.
type Sessions = BTreeMap<IpAddr, SocketAddr>;

fn affinity(voice: &Voice, stage: &Stage) -> Shown<Sessions> {
    voice.step("Session affinity: each client stays with its backend (and, by policy, keeps its address)");
    let before = sessions(stage)?;
    for (client, server) in before.iter().take(4) {
        voice.command("client", &format!("connect from {client} to {SESSIONS_NODE_PORT}, 10 times"));
        voice.output(&format!("10 × {server}"));
    }
    let counts = before.values().fold(BTreeMap::new(), |mut counts, server| {
        *counts.entry(*server).or_default() += 1;
        counts
    });
    voice.say(&format!("… {CLIENTS} clients in all, and whom they were given: {}", in_words(&counts)));
    claim(counts.len() == 2, "all clients were given one backend")?;
    let affinity = "nft list map ip kube-verdict affinity | head -8";
    contains(&shell(voice, stage, affinity)?, "198.18.0.")?;
    voice.found("every client met one backend only, which saw the client's own address");
    Ok(before)
}

/// Ten connections of each client.
fn sessions(stage: &Stage) -> Shown<Sessions> {
    let to = plan::socket(Family::V4, SESSIONS_NODE_PORT);
    let mut sessions = Sessions::new();
    for n in 1..=CLIENTS {
        let client = plan::crowd(Family::V4, n);
        let answers = traffic::connections(stage.of(Host::Outside), Some(client), to, 10)?;
        let met = servers(&answers);
        claim(met.len() == 1, format!("{client} met more than one backend: {met:?}"))?;
        claim(answers.iter().all(|a| a.peer.ip() == client), format!("{client} was masqueraded"))?;
        sessions.extend(met.into_iter().map(|server| (client, server)));
    }
    Ok(sessions)
}

fn removal(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("An endpoint is removed from the file: new connections follow at once, open ones live on");
    let gone = SocketAddr::new(plan::ip(Family::V4, plan::POD_C), SERVER_PORT);
    let client = stage.of(Host::Outside);
    let edited = without(&stage.read("web.yaml")?, &gone.ip().to_string());
    let mut open = Conversation::with(client, web(Family::V4), gone)?;
    voice.command("client", &format!("connect to {}, again and again", web(Family::V4)));
    voice.command(
        "node",
        &format!("grep -v {} manifests/web.yaml > .new; mv .new manifests/web.yaml", gone.ip()),
    );
    let (connections, moments) = traffic::during(client, web(Family::V4), || {
        std::thread::sleep(Duration::from_millis(300));
        let moments = stage.replace_and_watch("web.yaml", &edited)?;
        std::thread::sleep(Duration::from_millis(700));
        Ok::<_, String>(moments)
    })?;
    let (replaced, committed) = moments?;
    let before = connections.iter().filter(|c| c.started < replaced).map(|c| c.answer).collect::<Vec<_>>();
    let after = connections.iter().filter(|c| c.started > committed).map(|c| c.answer).collect::<Vec<_>>();
    voice.output(&format!("before: {}", in_words(&tally(&before))));
    voice.output(&format!("after:  {}", in_words(&tally(&after))));
    claim(servers(&before).contains(&gone), "the endpoint had no connections before")?;
    claim(!servers(&after).contains(&gone), "connections still went to the removed endpoint")?;
    claim(servers(&after).len() == 2, "the other endpoints were not reached")?;
    let delay = committed.duration_since(replaced);
    claim(delay < Duration::from_millis(500), format!("the change took {delay:?}"))?;
    let (milliseconds, all) = (delay.as_secs_f64() * 1000.0, connections.len());
    voice.found(&format!("the kernel had the change {milliseconds:.1} ms after the file was replaced"));
    voice.found(&format!("of {all} connections none failed, and none that began after that went to {gone}"));
    open.still_lives()?;
    voice.found(&format!("a connection that was open to {gone} is still answered"));
    shell(voice, stage, "nft list map ip kube-verdict endpoints | grep -F '10.96.0.10 .'").map(drop)
}

/// A text without the lines that mention something.
fn without(text: &str, word: &str) -> String {
    text.lines().filter(|line| !line.contains(word)).flat_map(|line| [line, "\n"]).collect()
}

fn broken_file(voice: &Voice, stage: &Stage) -> Shown {
    voice.step("A mistake in a file takes nothing down");
    let good = stage.read("web.yaml")?;
    let before = stage.log().len();
    voice.command("node", "sed 's/^spec:/spec: [/' manifests/web.yaml > .new; mv .new manifests/web.yaml");
    stage.replace("web.yaml", &good.replacen("spec:", "spec: [", 1))?;
    voice.output(&stage.await_log(before, "web.yaml:")?);
    voice.command("client", &format!("connect to {}, {MANY} times", web(Family::V4)));
    let answers = traffic::connections(stage.of(Host::Outside), None, web(Family::V4), MANY)?;
    voice.output(&in_words(&tally(&answers)));
    claim(servers(&answers).len() == 2, "the backends changed")?;
    voice.found("the log has file, line and reason; what was served goes on being served");
    stage.replace("web.yaml", &good).map(drop)
}

fn restart(voice: &Voice, stage: &mut Stage, sessions_before: &Sessions) -> Shown {
    voice.step("The daemon is stopped: the rules stay, and traffic goes on");
    voice.say("(First it gets the time to remove the chain that nothing uses since the endpoint went.)");
    stage.await_absence("internal-3")?;
    voice.command("node", "kill -TERM $(pidof kube-verdict)");
    voice.output(&stage.terminate()?);
    for family in Family::BOTH {
        voice.command("client", &format!("connect to {}, {MANY} times", web(family)));
        let answers = traffic::connections(stage.of(Host::Outside), None, web(family), MANY)?;
        voice.output(&in_words(&tally(&answers)));
    }
    voice.step("Started again: it reads back what the kernel has, and writes nothing");
    let mut kernel = Netfilter::open(stage.node());
    let before = kernel.generation();
    voice.command("node", &format!("kube-verdict {SOURCES} &"));
    let said = stage.start()?;
    voice.output(&said);
    let after = kernel.generation();
    voice.say(&format!("The kernel numbers every change of its ruleset: {before} before, {after} after."));
    claim(before == after, "the daemon wrote something")?;
    contains(&said, "operations=0")?;
    claim(sessions(stage)? == *sessions_before, "a client lost its backend")?;
    voice.found(&format!("nothing was written, and all {CLIENTS} clients are still with their backends"));
    Ok(())
}

fn cleanup(voice: &Voice, stage: &mut Stage) -> Shown {
    voice.step("Stopped and cleaned up: no trace is left");
    voice.command("node", "kill -TERM $(pidof kube-verdict)");
    voice.output(&stage.terminate()?);
    shell(voice, stage, "kube-verdict cleanup")?;
    let left = shell(voice, stage, "nft list ruleset")?;
    claim(left.is_empty(), "something is left")?;
    voice.command("client", &format!("connect to {}", web(Family::V4)));
    let patience = Duration::from_millis(300);
    match stage.of(Host::Outside).run(|| traffic::connect(None, web(Family::V4), patience)) {
        Ok(answer) => return Err(format!("{} still answers", answer.server)),
        Err(error) => voice.output(&error.to_string()),
    }
    voice.found("nobody has that address any more");
    Ok(())
}
