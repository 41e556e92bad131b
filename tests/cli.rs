//! The program as a process: what it prints where, its exit codes, and that what it says about itself is true.
//! Whatever touches the kernel does so in a network namespace of its own, so these tests need root.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kube-verdict");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples");
const NOBODY: u32 = 65534;

/// The program with words that stand apart by blanks.
fn program(words: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(words.split_whitespace()).env_remove("RUST_LOG");
    command
}

/// The same, about the examples on the machine that they are written for.
fn examples(words: &str) -> Command {
    let mut command = program(words);
    command.args(["--manifests", EXAMPLES, "--hostname-override", "this-machine"]);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs it, holds it to an exit code, and gives what it printed.
fn ends(command: &mut Command, code: i32) -> (String, String) {
    let output = run(command);
    let (out, error) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(code), "{command:?}:\n{out}{error}");
    (out, error)
}

/// Does something in a new network namespace, which lives as long as the thread and its children.
fn in_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: these tests need root");
            work()
        };
        scope.spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A namespace with the addresses of the examples' Node.
fn on_this_machine<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    in_namespace(|| {
        for line in [
            "link add eth0 type veth peer name eth1",
            "addr add 192.0.2.1/24 dev eth0",
            "addr add 2001:db8::1/64 dev eth0 nodad",
            "link set eth0 up",
        ] {
            ends(Command::new("ip").args(line.split(' ')), 0);
        }
        work()
    })
}

fn nft(words: &str) -> String {
    ends(Command::new("nft").args(words.split(' ')), 0).0
}

/// Feeds a ruleset to nft.
fn load(words: &str, ruleset: &str) {
    let mut command = Command::new("nft");
    command.args(words.split(' ')).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(ruleset.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "nft {words}: {}", stderr(&output));
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// The program and the examples where everybody may read them.
fn public() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let copy = directory.path().join("kube-verdict");
    fs::copy(PROGRAM, &copy).unwrap();
    fs::create_dir(directory.path().join("manifests")).unwrap();
    for file in fs::read_dir(EXAMPLES).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), directory.path().join("manifests").join(file.file_name())).unwrap();
    }
    (directory, copy)
}

/// A running daemon; killed, should the test fail.
struct Daemon {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Daemon {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Daemon { child, log }
    }

    /// The next line of the log that says something.
    fn says(&mut self, what: &str) -> String {
        let mut said = String::new();
        while self.log.read_line(&mut said).unwrap() > 0 {
            let line = said.lines().last().unwrap();
            if line.contains(what) {
                return line.to_owned();
            }
        }
        panic!("{what:?} was not said:\n{said}");
    }

    /// Sends a signal and waits; the exit code.
    fn ends_by(mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_tells_what_there_is() {
    let (help, error) = ends(&mut program("--help"), 0);
    for word in [
        "apply",
        "check",
        "render",
        "explain",
        "cleanup",
        "--manifests",
        "--config",
        "CAP_NET_ADMIN",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert_eq!(error, "");
    let (help, _) = ends(&mut program("explain --help"), 0);
    let position = |word| help.find(word).unwrap_or_else(|| panic!("{word} in {help}"));
    assert!(position("--to <") < position("--from <") && position("--from <") < position("--manifests <"));
    assert!(ends(&mut program("--version"), 0).0.starts_with("kube-verdict "));
}

#[test]
fn what_is_not_understood_ends_with_2() {
    for (words, said) in [
        ("explain --manifests .", "--to <IP:PORT[/PROTO]>"),
        ("explain --manifests . --to 10.96.0.10", "write 10.96.0.1:80 or [fd00::1]:80"),
        ("explain --manifests . --to 10.96.0.10:80/icmp", "icmp"),
        ("explain --manifests . --to 10.96.0.10:80 --from here", "here"),
        ("--manifests . --no-such-flag", "--no-such-flag"),
        ("rendre --manifests .", "'render'"),
        ("render --manifests . -v much", "much"),
    ] {
        let (out, error) = ends(&mut program(words), 2);
        assert!(error.contains(said) && out.is_empty(), "kube-verdict {words}: {said:?} in {error}");
    }
}

#[test]
fn without_any_source_both_are_named() {
    for words in ["", "render", "explain --to 10.96.0.10:80"] {
        let (out, error) = in_namespace(|| ends(program(words).env_remove("KUBERNETES_SERVICE_HOST"), 1));
        assert!(
            error.contains("kubeconfig") && error.contains("--manifests DIR") && out.is_empty(),
            "{error}"
        );
    }
}

/// As in an image from scratch.
#[test]
fn authorities_of_the_system_are_not_needed_where_nothing_is_checked_with_them() {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true
        }}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    });
    let directory = directory(&[("kubeconfig", &config.to_string())]);
    let kubeconfig = directory.path().join("kubeconfig");
    let flags = [format!("--kubeconfig={}", kubeconfig.display()), "--master=http://127.0.0.1:1".into()];
    for flag in flags {
        let mut command = program("render");
        command.arg(&flag).env("SSL_CERT_FILE", "/nowhere").env("SSL_CERT_DIR", "/nowhere");
        let (_, error) = ends(&mut command, 1);
        assert!(error.contains("refused") && !error.contains("CA certificates"), "{flag}: {error}");
    }
}

#[test]
fn a_directory_that_cannot_be_read_is_named_with_what_to_do() {
    let file = format!("{EXAMPLES}/web.yaml");
    for command in ["", "render", "explain --to 10.96.0.10:80"] {
        for (path, advice) in
            [("/no/such/directory", "create it"), (&file, "the directory that the file is in")]
        {
            let (out, error) = in_namespace(|| ends(program(command).args(["--manifests", path]), 1));
            assert!(error.contains(path) && error.contains(advice) && out.is_empty(), "{command}: {error}");
        }
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_with_its_line() {
    let header = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    for (text, said) in [
        (format!("{header}mode: [\n"), "config.yaml:3:"),
        (format!("{header}nftables:\n  masqueradeBit: many\n"), "config.yaml:4:18: nftables.masqueradeBit"),
        (format!("{header}iptables:\n  masqueradeBit: 40\n"), "iptables.masqueradeBit (line 4): 40 is not"),
        ("apiVersion: v1\nkind: ConfigMap\n".to_owned(), "config.yaml:2:7: kind is \"ConfigMap\""),
        (String::new(), "the file is empty"),
    ] {
        let directory = directory(&[("config.yaml", &text)]);
        let config = directory.path().join("config.yaml");
        for command in ["", "render", "explain --to 10.96.0.10:80"] {
            let (out, error) = in_namespace(|| ends(examples(command).arg("--config").arg(&config), 1));
            assert!(error.contains(said) && out.is_empty(), "{command}: {said:?} in {error}");
        }
    }
    let (_, error) = ends(examples("render").args(["--config", "/no/such/file"]), 1);
    assert!(error.contains("/no/such/file"), "{error}");
}

#[test]
fn an_unknown_field_is_a_warning_with_its_line() {
    let directory = directory(&[(
        "config.yaml",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCidr: 10.0.0.0/8\n",
    )]);
    let config = directory.path().join("config.yaml");
    let (_, error) = ends(examples("render").arg("--config").arg(&config), 0);
    assert_eq!(
        error.trim(),
        format!("WARN {}:3:1: unknown field \"clusterCidr\" is ignored", config.display())
    );
}

#[test]
fn a_broken_manifest_costs_itself_only() {
    let good = fs::read_to_string(format!("{EXAMPLES}/web.yaml")).unwrap();
    let directory = directory(&[("broken.yaml", "kind: Service\nspec: [\n"), ("web.yaml", &good)]);
    let (out, error) = ends(program("render --manifests").arg(directory.path()), 0);
    assert!(out.contains("10.96.0.10 . tcp . 80"), "{out}");
    assert!(error.contains("ERROR") && error.contains("broken.yaml:2:"), "{error}");
}

#[test]
fn commands_only_answer_unless_asked_for_more() {
    let answer = ends(&mut examples("explain --to 10.96.0.10:80"), 0);
    assert_eq!(answer.1, "");
    assert!(answer.0.contains("service   default/web:http\n"), "{}", answer.0);
    let verbose = ends(&mut examples("explain --to 10.96.0.10:80 -v 4"), 0);
    assert_eq!(verbose.0, answer.0);
    assert!(verbose.1.contains("INFO clusterCIDR is not set"), "{}", verbose.1);
}

#[test]
fn what_render_prints_is_loaded_by_nft_and_has_every_service() {
    on_this_machine(|| {
        let (ruleset, error) = ends(&mut examples("render"), 0);
        assert_eq!(error, "");
        for frontend in [
            "10.96.0.10 . tcp . 80",
            "10.96.0.20 . tcp . 443",
            "10.96.0.53 . udp . 53",
            "fd00:96::53 . tcp . 53",
            "tcp . 30080",
            "tcp . 30443",
        ] {
            assert!(ruleset.contains(frontend), "{frontend} in {ruleset}");
        }
        load("--check -f -", &ruleset);
        assert_eq!(nft("list ruleset"), "");
        load("-f -", &ruleset);
        assert_eq!(nft("list tables"), "table ip kube-verdict\ntable ip6 kube-verdict\n");
    });
}

#[test]
fn what_render_prints_of_ipvs_mode_is_loaded_by_nft_and_its_parts_by_whom_they_are_for() {
    const RENDER: &str = "--proxy-mode ipvs --nodeport-addresses 192.0.2.1/32 -v 0 render";
    on_this_machine(|| {
        let render = |words: &str| ends(&mut examples(&format!("{RENDER} {words}")), 0).0;
        let (all, ruleset) = (render(""), render("--only nftables"));
        let (servers, routing) = (render("--only ipvs"), render("--only routing"));
        assert!(all.starts_with(&ruleset) && !ruleset.contains("ipvsadm"), "{all}");
        let comments: Vec<&str> =
            all[ruleset.len()..].lines().filter_map(|line| line.strip_prefix("# ")).collect();
        for line in servers.lines().chain(routing.lines()) {
            assert!(comments.contains(&line), "{line} in {all}");
        }
        load("-f -", &all);
        assert_eq!(nft("list tables"), "table ip kube-verdict\ntable ip6 kube-verdict\n");

        // Each mark that a packet may get is a virtual server's, and the other way round.
        for (family, suffix) in [("ip", ""), ("ip6", " -6")] {
            let listed = nft(&format!("list table {family} kube-verdict"));
            let marks = |text: &str, begin: &str, read: fn(&str) -> u32| -> BTreeSet<u32> {
                text.split(begin)
                    .skip(1)
                    .map(|rest| read(rest.split([' ', ',', '\n']).next().unwrap()))
                    .collect()
            };
            let elements: String =
                listed.split("map ").filter(|map| map.contains("marks {")).collect::<Vec<_>>().concat();
            let elements =
                marks(&elements, " : 0x4b", |digits| 0x4b00_0000 | u32::from_str_radix(digits, 16).unwrap());
            let lines = servers.lines().filter(|line| line.contains(" -6 ") != suffix.is_empty());
            let lines = lines.collect::<Vec<_>>().join("\n");
            let made = marks(&lines, "-A -f ", |digits| digits.parse().unwrap());
            assert!(!made.is_empty() && made == elements, "{family}: {made:?}, {elements:?}\n{listed}");
        }
        assert!(servers.contains("-r 192.0.2.11:8080 -m -w 1\n"), "{servers}");

        let script = format!("ip link set lo up\n{routing}");
        assert_eq!(ends(Command::new("sh").args(["-ec", &script]), 0).1, "");
        let (rules, _) = ends(Command::new("ip").args(["rule", "show"]), 0);
        assert!(rules.contains("6:\tfrom all fwmark 0x4b000000/0xff000000 lookup 19286 proto 75"), "{rules}");
        let (out, _) = ends(&mut program("cleanup --only kube-verdict"), 0);
        assert_eq!(out.matches("removed the IPv").count(), 8, "{out}");
    });
    for part in ["ipvs", "routing"] {
        let (out, error) = ends(&mut examples(&format!("render --only {part}")), 1);
        assert!(out.is_empty() && error.contains("--proxy-mode ipvs"), "{error}");
    }
}

/// Where the kernel has no IPVS; others have it loaded, and there is nothing to see.
#[test]
fn without_ipvs_in_the_kernel_mode_ipvs_ends_with_the_ways_out() {
    on_this_machine(|| {
        let command = |words: &str| examples(&format!("--proxy-mode ipvs {words}"));
        let mut once = command("--init-only");
        if run(&mut once).status.success() {
            eprintln!("skipped: this kernel has IPVS");
            return;
        }
        for mut command in [once, command("")] {
            let (out, error) = ends(&mut command, 1);
            for part in [
                "needs the kernel module ip_vs",
                "modprobe ip_vs",
                "/etc/modules-load.d",
                "set mode to nftables",
            ] {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert_eq!(out, "");
        }
        assert_eq!(nft("list ruleset"), "", "nothing is programmed that cannot work");
        let (rules, _) = ends(Command::new("ip").args(["rule", "show"]), 0);
        assert!(!rules.contains("fwmark"), "{rules}");
        // There is nothing to clean up, and nothing to say.
        let (out, error) = ends(&mut program("cleanup --only kube-verdict"), 0);
        assert_eq!(
            (out.as_str(), error.as_str()),
            ("there is no table ip kube-verdict\nthere is no table ip6 kube-verdict\n", "")
        );
    });
}

#[test]
fn explain_answers_as_the_contract_says() {
    let web = json!(["192.0.2.11:8080", "192.0.2.12:8080"]);
    let cases = [
        (
            "10.96.0.10:80",
            "dnat",
            web.clone(),
            false,
            json!("default/web:http"),
            json!("clusterIP 10.96.0.10:80/TCP"),
        ),
        (
            "[fd00:96::53]:53/UDP",
            "dnat",
            json!(["[2001:db8::21]:53", "[2001:db8::22]:53"]),
            false,
            json!("default/dns:dns"),
            json!("clusterIP [fd00:96::53]:53/UDP"),
        ),
        ("192.0.2.1:30080", "dnat", web, true, json!("default/web:http"), json!("nodePort 30080/TCP")),
        (
            "192.0.2.1:30443",
            "dnat",
            json!(["192.0.2.31:8443"]),
            false,
            json!("default/sessions"),
            json!("nodePort 30443/TCP"),
        ),
        ("192.0.2.9:30080", "pass", json!([]), false, Value::Null, Value::Null),
        ("10.96.0.10:81", "reject", json!([]), false, Value::Null, Value::Null),
        ("10.96.7.7:80", "drop", json!([]), false, Value::Null, Value::Null),
    ];
    on_this_machine(|| {
        for (to, verdict, backends, masquerade, service, frontend) in cases {
            let (out, _) = ends(&mut examples(&format!("explain -o json --to {to}")), 0);
            let mut answer: Value = serde_json::from_str(&out).unwrap();
            let because = answer["because"].take();
            let is_sentence = |text: &Value| text.as_str().is_some_and(|text| text.ends_with('.'));
            assert!(
                because.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_sentence)),
                "{out}"
            );
            let expected = json!({
                "verdict": verdict, "backends": backends, "masquerade": masquerade, "service": service,
                "frontend": frontend, "because": null, "scheduler": null,
            });
            assert_eq!(answer, expected, "{to}");
        }
    });
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("```console\n$ kube-verdict ").expect("an example");
    let (words, rest) = rest.split_once('\n').unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let (printed, error) = ends(program(words).current_dir(env!("CARGO_MANIFEST_DIR")), 0);
    assert_eq!((printed.as_str(), error.as_str()), (shown, ""));
}

#[test]
fn explain_says_where_node_ports_are_served() {
    let (out, _) = on_this_machine(|| ends(&mut examples("explain --to 192.0.2.9:30080"), 0));
    assert!(out.contains("only on 192.0.2.1 (nodePortAddresses)"), "{out}");
    let (out, _) = in_namespace(|| ends(&mut examples("explain --to 192.0.2.1:30080"), 0));
    assert!(out.contains("nodePortAddresses matches none of this node's"), "{out}");
}

#[test]
fn cleanup_removes_our_tables_and_no_others_as_often_as_one_likes() {
    on_this_machine(|| {
        load("-f -", &ends(&mut examples("render"), 0).0);
        load("-f -", "table ip mine {}");
        let (out, error) = ends(&mut program("cleanup"), 0);
        assert_eq!(
            (out.as_str(), error.as_str()),
            (
                "removed table ip kube-verdict\nremoved table ip6 kube-verdict\nthere is nothing of kube-proxy's\n",
                ""
            )
        );
        assert_eq!(nft("list tables"), "table ip mine\n");
        let (out, _) = ends(&mut program("cleanup"), 0);
        assert!(
            out.starts_with("there is no table ip kube-verdict\nthere is no table ip6 kube-verdict\n"),
            "{out}"
        );
    });
}

/// kube-proxy's is a dummy device; this machine may not have the kind, and what else has the name is somebody
/// else's.
#[test]
fn cleanup_leaves_a_device_of_another_kind() {
    in_namespace(|| {
        let link = |words: &str| ends(Command::new("ip").arg("link").args(words.split(' ')), 0);
        link("add kube-ipvs0 type veth peer name other");
        let (out, _) = ends(&mut program("cleanup --only kube-proxy"), 0);
        assert_eq!(out, "there is nothing of kube-proxy's\n");
        link("show kube-ipvs0");
    });
}

#[test]
fn cleanup_removes_what_kube_proxy_left_or_only_that_or_not_that() {
    on_this_machine(|| {
        let (ours, theirs) =
            ("table ip kube-verdict {}\n", "table ip kube-proxy {}\ntable ip6 kube-proxy {}\n");
        for (options, said, left) in [
            ("", "removed table ip kube-verdict\nthere is no table ip6 kube-verdict\nTHEIRS", ""),
            (" --only kube-proxy", "THEIRS", "table ip kube-verdict\n"),
            (
                " --only kube-verdict",
                "removed table ip kube-verdict\nthere is no table ip6 kube-verdict\n",
                "table ip kube-proxy\ntable ip6 kube-proxy\n",
            ),
        ] {
            nft("flush ruleset");
            load("-f -", &[ours, theirs].concat());
            let (out, error) = ends(&mut program(&format!("cleanup{options}")), 0);
            let theirs =
                "removed kube-proxy's table ip kube-proxy\nremoved kube-proxy's table ip6 kube-proxy\n";
            assert_eq!((out, error.as_str()), (said.replace("THEIRS", theirs), ""));
            assert_eq!(nft("list tables"), left);
        }
    });
}

#[test]
fn the_daemon_stops_well_and_leaves_the_rules_which_the_next_one_finds_as_they_should_be() {
    const READY: &str = "the kernel is as the manifests say";
    on_this_machine(|| {
        let mut daemon = Daemon::start(&mut examples(""));
        daemon.says(READY);
        assert_eq!(daemon.ends_by(Signal::SIGTERM), Some(0));
        let listing = nft("list ruleset");
        assert!(listing.contains("10.96.0.10 . tcp . 80"), "{listing}");

        let mut daemon = Daemon::start(&mut examples("--logging-format json"));
        let line: Value = serde_json::from_str(&daemon.says(READY)).unwrap();
        assert_eq!(line["operations"], 0, "{line}");
        assert_eq!(daemon.ends_by(Signal::SIGINT), Some(0));
        assert_eq!(nft("list ruleset"), listing);
    });
}

#[test]
fn without_privileges_the_kernel_is_out_of_reach_and_the_rest_works() {
    let (directory, copy) = public();
    let unprivileged = |words: &str, manifests: Option<&Path>| {
        let mut command = Command::new(&copy);
        command.args(words.split_whitespace()).uid(NOBODY).gid(NOBODY).env_remove("RUST_LOG");
        if let Some(manifests) = manifests {
            command.arg("--manifests").arg(manifests);
        }
        command
    };
    let manifests = directory.path().join("manifests");
    for mut command in [unprivileged("", Some(&manifests)), unprivileged("cleanup", None)] {
        let (_, error) = in_namespace(|| ends(&mut command, 1));
        assert!(error.contains("needs CAP_NET_ADMIN") && error.contains("run as root"), "{error}");
    }
    let (ruleset, _) = ends(&mut unprivileged("render", Some(&manifests)), 0);
    assert!(ruleset.contains("10.96.0.10 . tcp . 80"));
    let (answer, _) = ends(&mut unprivileged("explain --to 10.96.0.10:80", Some(&manifests)), 0);
    assert!(answer.starts_with("verdict   dnat"), "{answer}");
}

#[test]
fn check_says_what_is_wrong_and_exits_as_scripts_want() {
    let (out, error) = ends(&mut program(&format!("check {EXAMPLES}")), 0);
    assert!(out.ends_with("0 errors, 0 warnings, 9 objects in effect\n") && error.is_empty(), "{out}{error}");
    ends(&mut program("check"), 2);
    ends(&mut program("check /nowhere"), 1);
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n";
    let files = directory(&[("a.yaml", service)]);
    let path = files.path().display();
    let (out, _) = ends(&mut program(&format!("check {path}")), 0);
    assert!(out.starts_with(&format!("{path}/a.yaml:3:12: warning: Service default/web: ")), "{out}");
    ends(&mut program(&format!("check --strict {path}")), 1);
    fs::write(files.path().join("b.yaml"), service.replace("80", "80000").replace("web", "b")).unwrap();
    let (out, _) = ends(&mut program(&format!("check --manifests {path} -o json")), 1);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["errors"], &json["warnings"]), (&json!(1), &json!(1)), "{out}");
}

#[test]
fn apply_shows_what_changes_and_changes_it_once() {
    on_this_machine(|| {
        let (out, _) = ends(&mut examples("apply --dry-run"), 3);
        assert!(out.contains("+ 10.96.0.10:80/TCP of default/web:http\n+   192.0.2.11:8080\n"), "{out}");
        assert!(out.ends_with("nothing was written\n") && !out.contains('\x1b'), "{out}");
        assert!(!nft("list tables").contains("kube-verdict"));
        let (_, error) = ends(examples("apply").stdin(Stdio::null()), 1);
        assert!(error.contains("write --yes"), "{error}");
        let (out, _) = ends(&mut examples("apply --yes"), 0);
        assert!(out.contains("\ndone: "), "{out}");
        let (out, _) = ends(&mut examples("apply --dry-run"), 0);
        assert!(out.starts_with("frontends: 0 added, 0 removed, 0 changed\n"), "{out}");
        let (out, _) = ends(&mut examples("apply --yes"), 0);
        assert!(out.ends_with("done: 0 operations written\n"), "{out}");

        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
                       spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}\n";
        let files = directory(&[("a.yaml", service)]);
        let path = files.path().display();
        let (out, _) = ends(&mut program(&format!("apply --yes -o json --manifests {path}")), 0);
        let json: Value = serde_json::from_str(&out).unwrap();
        let changes = json["frontends"].as_array().unwrap();
        let of = |frontend: &str| changes.iter().find(|change| change["frontend"] == frontend).unwrap();
        assert_eq!((&json["applied"], &json["daemon"]), (&json!(true), &json!(null)));
        assert_eq!(of("10.96.0.10:80/TCP")["backendsRemoved"], json!(["192.0.2.11:8080", "192.0.2.12:8080"]));
        assert!(changes.iter().any(|change| change["change"] == "removed"), "{out}");
        // What cannot be read may be what the kernel has.
        fs::write(files.path().join("b.yaml"), "a: [").unwrap();
        fs::remove_file(files.path().join("a.yaml")).unwrap();
        let (out, error) = ends(&mut program(&format!("apply --yes --manifests {path}")), 0);
        assert!(
            out.starts_with("frontends: 0 added, 0 removed") && error.contains("stays as it is"),
            "{out}{error}"
        );
        assert!(nft("list table ip kube-verdict").contains("10.96.0.10"));

        let mut daemon = Daemon::start(&mut examples(""));
        daemon.says("the kernel is as the manifests say");
        let (out, error) = ends(&mut examples("apply --dry-run -o json"), 0);
        let named = format!("kube-verdict (pid {})", daemon.child.id());
        assert!(error.contains(&format!("{named} serves this network namespace")), "{error}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["daemon"], json!(named));
        assert_eq!(daemon.ends_by(Signal::SIGTERM), Some(0));
        let (_, error) = ends(&mut examples("apply --dry-run"), 0);
        assert!(!error.contains("serves this network namespace"), "{error}");
    });
}
