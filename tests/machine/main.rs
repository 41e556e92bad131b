//! What needs a kernel with IPVS, ipsets and dummy devices, in a virtual machine that has one: the codec of IPVS
//! next to ipvsadm, the director of virtual servers, the take-over from kube-proxy's IPVS mode, what brings packets
//! to IPVS, what the program says of all that, and the package's unit under a systemd.
//!
//! The program runs twice. Started by cargo it has `scripts/vm/run.sh` boot a machine with itself and the daemon in
//! it; in there it runs the tests, one after the other. `KUBE_VERDICT_VM_KERNEL` chooses the kernel (6.1; 5.10,
//! 6.12 and 7.2 are the others). Arguments choose tests by parts of their names, as usual.
//! `KUBE_VERDICT_VIRTUAL_SERVERS=5000` has the director keep so many in place of 200.

mod codec;
mod director;
mod drift;
mod load;
mod node;
mod run;
mod steering;
mod switching;
mod takeover;
mod talk;
mod unit;
mod words;

use std::path::Path;
use std::process::{Command, ExitCode};

/// Set in the machine.
const INSIDE: &str = "KUBE_VERDICT_IN_MACHINE";
/// The kernel that is tested when nobody says otherwise.
const KERNEL: &str = "6.1";
/// How long everything may take, in seconds: emulation is slow, and the host may have other things to do.
const LIMIT: &str = "900";

const TESTS: &[(&str, fn())] = &[
    // The first: all others load IPVS.
    ("steering::ipvs_is_there_or_missed", steering::ipvs_is_there_or_missed),
    ("steering::marked_packets_come_in_whoever_asks_for_their_source", steering::marked_packets_come_in),
    ("codec::the_family_is_found_and_says_what_it_is", codec::the_family_is_found_and_says_what_it_is),
    ("codec::what_we_make_ipvsadm_lists", codec::what_we_make_ipvsadm_lists),
    ("codec::what_ipvsadm_makes_we_list", codec::what_ipvsadm_makes_we_list),
    ("codec::refusals_are_told_apart", codec::refusals_are_told_apart),
    ("codec::of_many_orders_each_refusal_is_told", codec::of_many_orders_each_refusal_is_told),
    ("director::what_is_wanted_is_there_and_a_restart_writes_nothing", director::what_is_wanted_is_there),
    ("director::schedulers_are_changed_and_replaced", director::schedulers_are_changed_and_replaced),
    ("director::what_is_refused_stops_nothing_else", director::what_is_refused_stops_nothing_else),
    ("director::connections_go_on_until_they_end", director::connections_go_on_until_they_end),
    ("director::many_virtual_servers", director::many_virtual_servers),
    ("words::render_is_what_the_daemon_does", words::render_is_what_the_daemon_does),
    (
        "words::cleanup_knows_virtual_servers_by_the_marks_that_it_is_told",
        words::cleanup_knows_virtual_servers_by_the_marks_that_it_is_told,
    ),
    (
        "words::idle_connections_are_reset_and_a_firewall_has_to_know_the_marks",
        words::idle_connections_are_reset_and_a_firewall_has_to_know_the_marks,
    ),
    ("takeover::connections_go_on_and_what_they_need_goes_after_them", takeover::connections_go_on),
    ("takeover::connections_go_on_when_ours_is_ipvs_mode_too", takeover::connections_go_on_to_ipvs),
    ("takeover::cleanup_does_not_wait", takeover::cleanup_does_not_wait),
    ("takeover::a_kube_proxy_that_runs_is_left_alone", takeover::a_kube_proxy_that_runs_is_left_alone),
    ("drift::what_others_change_is_mended_counted_and_shown", drift::what_others_change_is_mended),
    ("switching::from_nftables_to_ipvs_and_back", switching::there_and_back),
    ("switching::other_marks_and_cleanup", switching::other_marks),
    ("switching::nobody_notices", switching::nobody_notices),
    ("unit::mode_ipvs_lives_in_the_unit", unit::mode_ipvs_lives_in_the_unit),
];

fn main() -> ExitCode {
    let chosen = run::Chosen::of(std::env::args().skip(1), TESTS);
    if chosen.only_listed || chosen.tests.is_empty() || std::env::var_os(INSIDE).is_some() {
        return chosen.run();
    }
    boot()
}

/// Runs this program in a machine, with the same arguments.
fn boot() -> ExitCode {
    let kernel = std::env::var("KUBE_VERDICT_VM_KERNEL").unwrap_or_else(|_| KERNEL.to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/vm/run.sh");
    let me = std::env::current_exe().expect("this program's path");
    let servers = std::env::var(director::SERVERS).unwrap_or_default();
    let tree = tempfile::tempdir().expect("a directory");
    unit::take_along(tree.path());
    let status = Command::new(&script)
        .args(["-e", &format!("{}={servers}", director::SERVERS)])
        .args(["-b", env!("CARGO_BIN_EXE_kube-verdict"), "-t", LIMIT, "-r"])
        .arg(tree.path())
        .args(["-e", &format!("{INSIDE}={kernel}"), "-e", "RUST_BACKTRACE=1", &kernel])
        .arg(me)
        .args(std::env::args().skip(1))
        .status()
        .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
