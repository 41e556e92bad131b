//! What the kernel has: nft's listings of one namespace, and rulesets loaded into it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::netns::Netns;
use crate::plan::Family;

/// The daemon's table.
pub const TABLE: &str = "kube-verdict";

/// Runs nft with these words; its output, or what it complained of.
///
/// # Errors
/// nft's own message.
pub fn nft(netns: &Netns, words: &[&str], input: &str) -> Result<String, String> {
    let output = netns.run(|| {
        let mut child = Command::new("nft")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("running nft (package nftables)");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("waiting for nft");
        let _ = writer.join();
        output
    });
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Loads a ruleset.
///
/// # Panics
/// When nft or the kernel refuses it.
pub fn load(netns: &Netns, ruleset: &str) {
    if let Err(error) = nft(netns, &["-f", "-"], ruleset) {
        panic!("nft refuses the ruleset: {error}\n{ruleset}");
    }
}

/// The daemon's table of a family as text; None: it is not there.
pub fn list(netns: &Netns, family: Family) -> Option<String> {
    nft(netns, &["list", "table", family.table(), TABLE], "").ok()
}

/// The policy rules of a namespace, and the default routes of every table, as text. Others come and go with links.
pub fn routing(netns: &Netns) -> String {
    let listed = |words: &str| output_of(netns, "ip", words);
    ["-4 rule", "-6 rule", "-4 route show table all default", "-6 route show table all default"]
        .map(listed)
        .concat()
        .replace(" linkdown", "")
}

/// What IPVS has in a namespace, as ipvsadm saves it.
pub fn virtual_servers(netns: &Netns) -> String {
    output_of(netns, "ipvsadm", "-Sn")
}

fn output_of(netns: &Netns, program: &str, words: &str) -> String {
    let output = netns.run(|| Command::new(program).args(words.split_whitespace()).output());
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The daemon's table of a family as JSON objects; empty: it is not there.
pub fn list_json(netns: &Netns, family: Family) -> Vec<Value> {
    let Ok(text) = nft(netns, &["-j", "list", "table", family.table(), TABLE], "") else {
        return Vec::new();
    };
    let value: Value = serde_json::from_str(&text).expect("JSON from nft");
    value["nftables"].as_array().cloned().unwrap_or_default()
}
