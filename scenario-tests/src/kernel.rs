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

/// Loads our tables, as `render` or nft's listing has them, into a namespace of their own. None: this nft cannot say to
/// this kernel what is in them, and that is said. It takes both: nft before 1.1 turns bytes around in front of a look-up
/// of ranges within a concatenation, in a way that kernels from 7.0 on refuse (EOPNOTSUPP). The daemon does not do that.
///
/// # Panics
/// When nft or the kernel refuses them for another reason.
pub fn copy(ruleset: &str) -> Option<Netns> {
    let release = release();
    let nft = Command::new("nft").arg("--version").output().expect("running nft (package nftables)");
    let nft = String::from_utf8_lossy(&nft.stdout).into_owned();
    if version(&release) >= Some((7, 0)) && version(&nft) < Some((1, 1)) {
        eprintln!("{} cannot load our tables into Linux {}: not compared", nft.trim(), release.trim());
        return None;
    }
    let netns = Netns::new();
    load(&netns, ruleset);
    Some(netns)
}

fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default()
}

/// Whether the kernel is of this release, or of a later one.
pub fn is_at_least(release_of: (u32, u32)) -> bool {
    version(&release()) >= Some(release_of)
}

/// The first two numbers of a text with a version in it.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
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

/// The connections that IPVS has in a namespace, as ipvsadm lists them.
pub fn ipvs_connections(netns: &Netns) -> String {
    output_of(netns, "ipvsadm", "-Lnc")
}

/// Has ipvsadm do something in a namespace.
pub fn ipvsadm(netns: &Netns, words: &str) {
    output_of(netns, "ipvsadm", words);
}

/// Has `ip` do something in a namespace.
pub fn ip(netns: &Netns, words: &str) {
    output_of(netns, "ip", words);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("7.2-amd64\n"), Some((7, 2)));
        assert_eq!(version("nftables v1.0.6 (Lester Gooch #5)\n"), Some((1, 0)));
        assert_eq!(version("unknown"), None);
    }
}
