//! Plans without I/O, and what the kernel makes of them, in network namespaces of their own.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netlink_packet_route::rule::{RuleAttribute, RuleFlags, RuleMessage};

use super::plan::plan;
use super::rule::{Role, Rule};
use super::*;

const MARK: Mark = Mark { value: 0x4b00_0000, mask: 0xff00_0000 };
const OTHER: Mark = Mark { value: 0x0010_0000, mask: 0x00f0_0000 };

/// What is there after all steps were taken.
fn found(family: Family, marks: &[Mark]) -> Found {
    let rules = marks.iter().flat_map(|mark| Rule::all(family, *mark)).map(Rule::message).collect();
    Found { rules, routes: vec![route::wanted(family)] }
}

fn words(steps: &[Step]) -> Vec<String> {
    let word = |step: &Step| format!("{} {step}", if step.is_addition() { "add" } else { "delete" });
    steps.iter().map(word).collect()
}

#[test]
fn nothing_there_is_all_to_do_with_the_way_past_before_the_way_in() {
    let expected = [
        "add IPv4 route \"local default dev lo table 19286\"",
        "add IPv4 rule \"7: from all fwmark 0x4b000000/0xff000000 nop\"",
        "add IPv4 rule \"5: from all fwmark 0x4b000000/0xff000000 iif lo goto 7\"",
        "add IPv4 rule \"6: from all fwmark 0x4b000000/0xff000000 lookup 19286\"",
    ];
    assert_eq!(words(&plan(&Found::default(), Family::V4, Some(MARK))), expected);
    assert_eq!(plan(&Found::default(), Family::V4, None), []);
}

#[test]
fn all_there_is_nothing_to_do() {
    for family in Family::BOTH {
        assert_eq!(plan(&found(family, &[MARK]), family, Some(MARK)), []);
    }
}

#[test]
fn another_mark_comes_before_the_old_one_goes() {
    let steps = plan(&found(Family::V6, &[OTHER]), Family::V6, Some(MARK));
    let expected = [
        "add IPv6 rule \"7: from all fwmark 0x4b000000/0xff000000 nop\"",
        "add IPv6 rule \"5: from all fwmark 0x4b000000/0xff000000 iif lo goto 7\"",
        "add IPv6 rule \"6: from all fwmark 0x4b000000/0xff000000 lookup 19286\"",
        "delete IPv6 rule \"6: from all fwmark 0x100000/0xf00000 lookup 19286\"",
        "delete IPv6 rule \"5: from all fwmark 0x100000/0xf00000 iif lo goto 7\"",
        "delete IPv6 rule \"7: from all fwmark 0x100000/0xf00000 nop\"",
    ];
    assert_eq!(words(&steps), expected);
}

#[test]
fn without_a_mark_all_of_ours_goes_and_nothing_else() {
    let mut found = found(Family::V4, &[MARK, OTHER]);
    let mut foreign = Rule { family: Family::V4, role: Role::Deliver, mark: OTHER }.message();
    foreign.attributes.retain(|attribute| !matches!(attribute, RuleAttribute::Protocol(_)));
    found.rules.extend([foreign, RuleMessage::default()]);
    let mut others_route = route::wanted(Family::V4);
    others_route.header.protocol = 4.into();
    found.routes.push(others_route);
    let steps = plan(&found, Family::V4, None);
    assert_eq!(steps.len(), 7);
    assert!(steps.iter().all(|step| !step.is_addition()));
    assert_eq!(words(&steps)[6], "delete IPv4 route in table 19286");
}

#[test]
fn a_rule_that_says_anything_more_is_another() {
    let family = Family::V4;
    let rule = Rule { family, role: Role::Deliver, mark: MARK };
    assert_eq!(Rule::of(&rule.message(), family), Some(rule));
    let changes: [fn(&mut RuleMessage); 6] = [
        |message| message.header.flags = RuleFlags::Invert,
        |message| message.header.src_len = 24,
        |message| message.header.tos = 16,
        |message| message.attributes.push(RuleAttribute::Iifname("eth0".into())),
        |message| message.attributes.push(RuleAttribute::SuppressPrefixLen(0)),
        |message| message.attributes.push(RuleAttribute::Priority(8)),
    ];
    for change in changes {
        let mut message = rule.message();
        change(&mut message);
        assert_eq!(Rule::of(&message, family), None, "{message:?}");
    }
}

/// Runs it in a network namespace that has nothing but `lo`, which only this thread and those it begins are in.
fn alone(work: fn()) {
    let entered = move || match nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        Ok(()) => {
            ip("link set lo up");
            work();
        }
        Err(_) => eprintln!("skipped: needs the right to make a network namespace"),
    };
    std::thread::spawn(entered).join().unwrap();
}

fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().expect("the program ip");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The rules that are not the kernel's.
fn rules(family: &str) -> Vec<String> {
    let theirs = ["local", "main", "default"].map(|table| format!("lookup {table}"));
    ip(&format!("{family} rule"))
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !theirs.iter().any(|end| line.ends_with(end.as_str())))
        .collect()
}

fn three(mark: &str) -> Vec<String> {
    [
        format!("5: from all fwmark {mark} iif lo goto 7 proto 75"),
        format!("6: from all fwmark {mark} lookup 19286 proto 75"),
        format!("7: from all fwmark {mark} nop proto 75"),
    ]
    .to_vec()
}

fn both() -> Steering {
    Steering::new(Marks::default(), Family::BOTH)
}

fn is_complete() -> bool {
    // A table that never had a route is not there.
    let route = |family: &str| {
        let output = Command::new("ip").args([family, "route", "show", "table", "19286"]).output();
        String::from_utf8(output.expect("the program ip").stdout).unwrap()
    };
    ["-4", "-6"].iter().all(|family| {
        rules(family) == three("0x4b000000/0xff000000")
            && route(family).starts_with("local default dev lo proto 75")
    })
}

#[test]
fn it_is_made_once_and_found_again() {
    alone(|| {
        assert_eq!(both().ensure().unwrap().added.len(), 8);
        assert!(is_complete());
        assert_eq!(both().ensure().unwrap(), Outcome::default());
        assert!(!both().verify().unwrap());
        let outcome = remove().unwrap();
        assert_eq!((outcome.added.len(), outcome.removed.len()), (0, 8));
        assert_eq!((rules("-4"), rules("-6")), (vec![], vec![]));
        assert_eq!(remove().unwrap(), Outcome::default());
    });
}

#[test]
fn however_many_routes_there_are_only_those_of_the_table_are_listed() {
    alone(|| {
        both().ensure().unwrap();
        ip("-4 route add 192.0.2.0/24 dev lo");
        ip("-6 route add 2001:db8::/64 dev lo");
        for family in Family::BOTH {
            let found = Found::read(&mut Rtnetlink::open().unwrap(), family).unwrap();
            assert_eq!(found.routes.len(), 1, "{found:?}");
            assert!(route::is_wanted(&found.routes[0]) && route::is_ours(&found.routes[0]));
        }
    });
}

#[test]
fn the_commands_do_the_same() {
    alone(|| {
        for command in both().commands().lines() {
            ip(command.strip_prefix("ip ").unwrap_or_else(|| panic!("{command}")));
        }
        assert!(is_complete());
        assert_eq!(both().ensure().unwrap(), Outcome::default());
    });
}

#[test]
fn another_mark_or_one_family_less_leaves_nothing_behind() {
    alone(|| {
        both().ensure().unwrap();
        ip("rule add pref 6 fwmark 0x4b000000/0xff000000 lookup 77");
        ip("rule add pref 9 fwmark 0x200/0xf00 lookup 2004 proto 75");
        let outcome = Steering::new("0x100000/0xf00000".parse().unwrap(), [Family::V4]).ensure().unwrap();
        assert_eq!((outcome.added.len(), outcome.removed.len()), (3, 7), "{outcome:?}");
        let mut expected = three("0x100000/0xf00000");
        expected.insert(1, "6: from all fwmark 0x4b000000/0xff000000 lookup 77".into());
        expected.push("9: from all fwmark 0x200/0xf00 lookup 2004 proto 75".into());
        assert_eq!(rules("-4"), expected, "those of others stay");
        assert_eq!(rules("-6"), [""; 0]);
    });
}

#[test]
fn what_others_break_is_mended() {
    alone(|| {
        both().ensure().unwrap();
        for (command, repairs) in [
            ("-4 rule del pref 7", 1),
            ("-6 rule del pref 6", 1),
            ("-4 route flush table 19286", 1),
            ("-6 route flush table 19286", 1),
            ("-4 rule flush", 3),
            ("-4 route replace unreachable default table 19286", 1),
            ("link set lo down", 0),
        ] {
            ip(command);
            if repairs == 0 {
                let error = both().verify().unwrap_err().to_string();
                assert!(error.contains("ip link set lo up"), "{error}");
                ip("link set lo up");
                assert!(both().verify().unwrap());
            } else {
                assert_eq!(both().ensure().unwrap().added.len(), repairs, "{command}");
            }
            assert!(is_complete(), "{command}");
        }
    });
}

#[test]
fn who_keeps_it_hears_of_it() {
    alone(|| {
        // Nothing but news makes it look: the period is longer than the test.
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        both().keep(Duration::from_secs(3600), move |finding| tell.lock().unwrap().push(finding)).unwrap();
        let until = |why: &str, is_so: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while !is_so() {
                assert!(Instant::now() < deadline, "{why}: {:?} {:?}", rules("-4"), told.lock().unwrap());
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let wait = |why: &str| until(why, &is_complete);
        wait("at first");
        let repaired = || told.lock().unwrap().iter().filter(|told| **told != Finding::Broken).count();
        for (command, repairs) in [
            ("-4 rule del pref 5", 2),
            ("-6 rule del pref 7", 3),
            ("-4 route flush table 19286", 4),
            ("-6 route flush table 19286", 5),
        ] {
            ip(command);
            wait(command);
            until(command, &|| repaired() >= repairs);
        }
        ip("link set lo down");
        until("it is told that it cannot be mended", &|| {
            told.lock().unwrap().last() == Some(&Finding::Broken)
        });
        ip("link set lo up");
        wait("lo down and up");
        until("it is told that it is whole", &|| told.lock().unwrap().contains(&Finding::Whole));
    });
}

#[test]
fn the_rules_tell_which_marks_an_earlier_run_had() {
    alone(|| {
        assert_eq!(marks().unwrap(), []);
        ip("rule add pref 6 fwmark 0x100000/0xf00000 lookup 19286");
        both().ensure().unwrap();
        assert_eq!(marks().unwrap(), [Marks::DEFAULT]);
    });
}
