//! Tables built here by other means than they are taken apart.

use proptest::prelude::*;

use super::blob::{Blob, Info, Malformed};
use super::edit::{Edited, without_kube_proxy};
use super::layout::HOOKS;
use kube_verdict_table::Family;

/// Where a rule of a made-up table leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Accept,
    Nowhere,
    Chain(usize),
    Module,
}

/// A rule: how much room its matches take, what tells it from others, where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    matches: usize,
    tag: u8,
    to: To,
}

/// A table as chains of rules. Those at hooks come first, in the order of `hooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    hooks: Vec<usize>,
    chains: Vec<(String, Vec<Rule>)>,
}

impl Table {
    /// As the kernel would have it. `numbers` says for each chain that a rule may lead to which one it is here.
    fn encode(&self, family: Family, numbers: &dyn Fn(usize) -> usize) -> (Info, Vec<u8>) {
        let mut info = Info::default();
        let mut bytes = Vec::new();
        let mut firsts = Vec::new();
        let mut jumps = Vec::new();
        for (number, (name, rules)) in self.chains.iter().enumerate() {
            let hook = self.hooks.get(number);
            match hook {
                Some(hook) => {
                    info.valid_hooks |= 1 << hook;
                    info.hook_entry[*hook] = bytes.len() as u32;
                }
                None => info.entries += append(family, &mut bytes, 0, 0, b"ERROR", name.as_bytes(), 32),
            }
            firsts.push(bytes.len() as i32);
            for rule in rules {
                let at = bytes.len();
                match rule.to {
                    To::Module => {
                        info.entries +=
                            append(family, &mut bytes, rule.matches, rule.tag, b"LOG", b"odd", 16);
                    }
                    _ => {
                        info.entries += append(family, &mut bytes, rule.matches, rule.tag, b"", &[], 8);
                        jumps.push((at, rule.to));
                    }
                }
            }
            if let Some(hook) = hook {
                info.underflow[*hook] = bytes.len() as u32;
            }
            let policy = if hook.is_some() { -2i32 } else { -5 };
            info.entries += append(family, &mut bytes, 0, 0, b"", &policy.to_ne_bytes(), 8);
        }
        info.entries += append(family, &mut bytes, 0, 0, b"ERROR", b"ERROR", 32);
        for (at, to) in jumps {
            let next = u16::from_ne_bytes(bytes[at + field(family) + 2..][..2].try_into().unwrap());
            let target = u16::from_ne_bytes(bytes[at + field(family)..][..2].try_into().unwrap());
            let verdict = match to {
                To::Accept => -2,
                To::Nowhere => at as i32 + i32::from(next),
                To::Chain(chain) => firsts[numbers(chain)],
                To::Module => continue,
            };
            bytes[at + usize::from(target) + 32..][..4].copy_from_slice(&verdict.to_ne_bytes());
        }
        info.size = bytes.len() as u32;
        (info, bytes)
    }

    /// The same without kube-proxy's chains, and how many chains and jumps that is less.
    fn without_kube_proxy(&self) -> (Table, usize, usize) {
        let goes = |chain: usize| GONE.contains(&self.chains[chain].0.as_str());
        let mut jumps = 0;
        let mut chains = Vec::new();
        for (number, (name, rules)) in self.chains.iter().enumerate() {
            if !goes(number) {
                let stay = |rule: &&Rule| !matches!(rule.to, To::Chain(to) if goes(to));
                let kept: Vec<Rule> = rules.iter().filter(stay).copied().collect();
                jumps += rules.len() - kept.len();
                chains.push((name.clone(), kept));
            }
        }
        let gone = self.chains.len() - chains.len();
        (Table { hooks: self.hooks.clone(), chains }, gone, jumps)
    }

    /// The number that a chain of this table has after that.
    fn number_without_kube_proxy(&self, chain: usize) -> usize {
        self.chains[..chain].iter().filter(|(name, _)| !GONE.contains(&name.as_str())).count()
    }
}

/// Names for chains; the first so many are kube-proxy's.
const NAMES: [&str; 9] = [
    "KUBE-SERVICES",
    "KUBE-SVC-ERIFXISQEP7F7OF4",
    "KUBE-SEP-WRKZCR53T6UYRZJ2",
    "KUBE-POSTROUTING",
    "KUBE-FIREWALL",
    "DOCKER",
    "KUBE-KUBELET-CANARY",
    "mine",
    "",
];
const GONE: &[&str] = NAMES.split_at(4).0;

/// offsetof(struct ipt_entry, target_offset), and of ip6t_entry
fn field(family: Family) -> usize {
    if family == Family::V4 { 88 } else { 140 }
}

/// Appends an entry; the tag goes where addresses are.
fn append(
    family: Family,
    out: &mut Vec<u8>,
    matches: usize,
    tag: u8,
    name: &[u8],
    data: &[u8],
    room: usize,
) -> u32 {
    let header = if family == Family::V4 { 112 } else { 168 };
    let start = out.len();
    let target = header + matches * 8;
    let end = target + 32 + room;
    out.resize(start + end, 0);
    let entry = &mut out[start..];
    entry[..8].fill(tag);
    entry[header..target].fill(tag);
    entry[field(family)..][..2].copy_from_slice(&(target as u16).to_ne_bytes());
    entry[field(family) + 2..][..2].copy_from_slice(&(end as u16).to_ne_bytes());
    entry[target..][..2].copy_from_slice(&((32 + room) as u16).to_ne_bytes());
    entry[target + 2..][..name.len()].copy_from_slice(name);
    entry[target + 32..][..data.len()].copy_from_slice(data);
    1
}

fn a_table() -> impl Strategy<Value = Table> {
    let hooks = proptest::sample::subsequence((0..HOOKS).collect::<Vec<_>>(), 1..=HOOKS);
    let names = proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len()).prop_shuffle();
    (hooks, names).prop_flat_map(|(hooks, names)| {
        let (first, count) = (hooks.len(), hooks.len() + names.len());
        let to =
            (any::<u8>(), any::<proptest::sample::Index>()).prop_map(move |(kind, chain)| match kind % 6 {
                0 => To::Accept,
                1 => To::Nowhere,
                2 => To::Module,
                _ if first == count => To::Accept,
                _ => To::Chain(first + chain.index(count - first)),
            });
        let rule = (0usize..6, any::<u8>(), to).prop_map(|(matches, tag, to)| Rule { matches, tag, to });
        let rules = proptest::collection::vec(proptest::collection::vec(rule, 0..5), count);
        rules.prop_map(move |rules| {
            let names =
                hooks.iter().map(|hook| format!("hook {hook}")).chain(names.iter().map(|n| n.to_string()));
            Table { hooks: hooks.clone(), chains: names.zip(rules).collect() }
        })
    })
}

fn a_family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::V4), Just(Family::V6)]
}

proptest! {
    #[test]
    fn what_stays_is_what_others_would_have_made(family in a_family(), table in a_table()) {
        let (info, bytes) = table.encode(family, &|chain| chain);
        let (without, chains, jumps) = table.without_kube_proxy();
        let edited = without_kube_proxy(family, &info, &bytes).unwrap();
        if chains == 0 {
            prop_assert_eq!(edited, None);
        } else {
            let Edited { info, bytes, kept, chains: gone, jumps: less } = edited.unwrap();
            let expected = without.encode(family, &|chain| table.number_without_kube_proxy(chain));
            prop_assert_eq!((info, bytes), expected);
            prop_assert_eq!((gone, less), (chains, jumps));
            prop_assert!(kept.is_sorted());
        }
    }

    #[test]
    fn what_stays_has_nothing_more_to_lose(family in a_family(), table in a_table()) {
        let (info, bytes) = table.encode(family, &|chain| chain);
        if let Some(edited) = without_kube_proxy(family, &info, &bytes).unwrap() {
            prop_assert_eq!(without_kube_proxy(family, &edited.info, &edited.bytes), Ok(None));
        }
    }

    #[test]
    fn odd_bytes_are_survived(
        family in a_family(),
        table in a_table(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..40),
        words in proptest::collection::vec((0usize..HOOKS, any::<u32>()), 0..3),
        length in any::<proptest::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let (mut info, mut bytes) = table.encode(family, &|chain| chain);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (hook, value) in words {
            info.hook_entry[hook] = value % (bytes.len() as u32 + 9);
            info.valid_hooks ^= value >> 24;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        if let Ok(Some(edited)) = without_kube_proxy(family, &info, &bytes) {
            prop_assert!(edited.bytes.len() < bytes.len());
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let rule = Rule { matches: 1, tag: 7, to: To::Chain(1) };
    let table = Table { hooks: vec![0], chains: vec![("".into(), vec![rule]), ("mine".into(), vec![])] };
    let (info, bytes) = table.encode(Family::V4, &|chain| chain);
    let parse =
        |info: &Info, bytes: &[u8]| Blob::parse(Family::V4, info, bytes).map(|blob| blob.chains.len());
    assert_eq!(parse(&info, &bytes), Ok(3));
    assert_eq!(parse(&info, &bytes[..bytes.len() - 8]), Err(Malformed::Entry(bytes.len() - 176)));
    assert_eq!(parse(&Info { entries: 4, ..info.clone() }, &bytes), Err(Malformed::Count(5, 4)));
    assert_eq!(parse(&Info { hook_entry: [8; HOOKS], ..info.clone() }, &bytes), Err(Malformed::Hook(0)));
    let mut odd = bytes.clone();
    odd[112 + 8 + 32] ^= 8;
    assert_eq!(parse(&info, &odd), Err(Malformed::Jump(0)));
}

/// What Linux 6.18 has for the `nat` table of `testdata/before.rules` (IPv6: `-d fd00:10:96::10/128`), and for
/// the same file without the lines that speak of KUBE-: `struct ipt_getinfo` without the name, then the entries.
fn golden(file: &[u8]) -> (Info, Vec<u8>) {
    let words: Vec<u32> =
        file[..52].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    let info = Info {
        valid_hooks: words[0],
        hook_entry: words[1..6].try_into().unwrap(),
        underflow: words[6..11].try_into().unwrap(),
        entries: words[11],
        size: words[12],
    };
    (info, file[52..].to_vec())
}

#[test]
fn it_is_what_the_kernel_would_have_without_kube_proxy() {
    for (family, before, after) in [
        (Family::V4, &include_bytes!("testdata/ipv4-before")[..], &include_bytes!("testdata/ipv4-after")[..]),
        (Family::V6, &include_bytes!("testdata/ipv6-before")[..], &include_bytes!("testdata/ipv6-after")[..]),
    ] {
        let ((info, before), (expected_info, mut expected)) = (golden(before), golden(after));
        let mut edited = without_kube_proxy(family, &info, &before).unwrap().unwrap();
        // The kernel's own memory of the hooks from which an entry is reached, which it makes anew.
        for bytes in [&mut edited.bytes, &mut expected] {
            for entry in Blob::parse(family, &expected_info, &bytes.clone()).unwrap().entries {
                bytes[entry.start + field(family) + 4..][..4].fill(0);
            }
        }
        assert_eq!((edited.chains, edited.jumps), (2, 2), "{family}");
        assert_eq!(edited.info, expected_info, "{family}");
        assert!(edited.bytes == expected, "{family}: other bytes");
        assert_eq!(without_kube_proxy(family, &edited.info, &edited.bytes), Ok(None));
    }
}
