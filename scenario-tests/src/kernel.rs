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

/// The daemon's table of a family as JSON objects; empty: it is not there.
pub fn list_json(netns: &Netns, family: Family) -> Vec<Value> {
    let Ok(text) = nft(netns, &["-j", "list", "table", family.table(), TABLE], "") else {
        return Vec::new();
    };
    let value: Value = serde_json::from_str(&text).expect("JSON from nft");
    value["nftables"].as_array().cloned().unwrap_or_default()
}
