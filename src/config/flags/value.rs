//! How the value of a flag is written, as Go's pflag and kube-proxy's own types read it.

use std::collections::BTreeMap;

use kube_verdict_table::net::parse_ip;

use super::Flags;
use crate::config::duration::GoDuration;
use crate::config::file::{ModuleVerbosity, Quantity};

/// How a value is read, and where it goes.
#[derive(Clone, Copy)]
pub(super) enum Set {
    /// `--flag` or `--flag=false`
    Switch(fn(&mut Flags, bool)),
    Number(fn(&mut Flags, i32)),
    /// not below zero
    Level(fn(&mut Flags, u32)),
    Rate(fn(&mut Flags, f64)),
    Duration(fn(&mut Flags, GoDuration)),
    /// above zero
    Period(fn(&mut Flags, GoDuration)),
    /// an IP, or nothing
    Ip(fn(&mut Flags, String)),
    /// an IP with or without a port, or nothing
    Listen(fn(&mut Flags, String)),
    Size(fn(&mut Flags, Quantity)),
    Text(fn(&mut Flags, String)),
    /// separated by commas, and given any number of times
    List(fn(&mut Flags, Vec<String>)),
    /// `name=true,name=false`, and given any number of times
    Gates(fn(&mut Flags, BTreeMap<String, bool>)),
    /// `pattern=level,…`, and given any number of times
    Modules(fn(&mut Flags, Vec<ModuleVerbosity>)),
    /// `--version`: a switch, `raw`, or a version
    Version(fn(&mut Flags, String)),
}

impl Set {
    /// What `--help` calls the value.
    pub(super) fn placeholder(&self) -> &'static str {
        match self {
            Set::Switch(_) => "BOOL",
            Set::Number(_) | Set::Level(_) | Set::Rate(_) => "N",
            Set::Duration(_) | Set::Period(_) => "DURATION",
            Set::Ip(_) => "IP",
            Set::Listen(_) => "IP[:PORT]",
            Set::Size(_) => "SIZE",
            Set::Text(_) => "TEXT",
            Set::List(_) => "LIST",
            Set::Gates(_) => "GATE=BOOL,...",
            Set::Modules(_) => "PATTERN=N,...",
            Set::Version(_) => "BOOL|raw",
        }
    }

    /// Whether the flag may stand alone, without a value.
    pub(super) fn is_switch(&self) -> bool {
        matches!(self, Set::Switch(_) | Set::Version(_))
    }

    /// Whether every occurrence of the flag counts, and not just the last.
    pub(super) fn accumulates(&self) -> bool {
        matches!(self, Set::List(_) | Set::Gates(_) | Set::Modules(_))
    }

    /// Reads a value and puts it where it belongs.
    pub(super) fn apply(&self, flags: &mut Flags, text: &str) -> Result<(), String> {
        match self {
            Set::Switch(set) => set(flags, boolean(text)?),
            Set::Number(set) => set(flags, text.parse().map_err(|_| whole(text))?),
            Set::Level(set) => {
                let number: i32 = text.parse().map_err(|_| whole(text))?;
                set(flags, u32::try_from(number).map_err(|_| format!("{text} is below zero"))?);
            }
            Set::Rate(set) => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                set(flags, number.ok_or_else(|| format!("{text:?} is not a number"))?);
            }
            Set::Duration(set) => set(flags, text.parse()?),
            Set::Period(set) => {
                let period: GoDuration = text.parse()?;
                if period <= GoDuration::ZERO {
                    return Err(format!("{period} is not above zero"));
                }
                set(flags, period);
            }
            Set::Ip(set) => {
                if !text.is_empty() && parse_ip(text).is_none() {
                    return Err(format!("{text:?} is not an IP address"));
                }
                set(flags, text.to_owned());
            }
            Set::Listen(set) => {
                let is_ip = text.is_empty() || parse_ip(text).is_some();
                if !is_ip && crate::config::serving::listen_address(text).is_none() {
                    return Err(format!(
                        "{text:?} is neither an IP address nor one with a port, such as [::]:80"
                    ));
                }
                set(flags, text.to_owned());
            }
            Set::Size(set) => {
                let size = Quantity::Text(text.to_owned());
                if !size.is_valid() {
                    return Err(format!("{text:?} is not a size such as 0 or 64Ki"));
                }
                set(flags, size);
            }
            Set::Text(set) => set(flags, text.to_owned()),
            Set::List(set) => {
                set(flags, text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect());
            }
            Set::Gates(set) => set(flags, gates(text)?),
            Set::Modules(set) => set(flags, modules(text)?),
            Set::Version(set) => {
                if text != "raw" && !text.starts_with('v') {
                    boolean(text)?;
                }
                set(flags, text.to_owned());
            }
        }
        Ok(())
    }
}

fn whole(text: &str) -> String {
    format!("{text:?} is not a whole number of at most 32 bits")
}

/// As Go's `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

fn gates(text: &str) -> Result<BTreeMap<String, bool>, String> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not GATE=BOOL"))?;
            let on = boolean(value.trim()).map_err(|error| format!("{}: {error}", name.trim()))?;
            Ok((name.trim().to_owned(), on))
        })
        .collect()
}

fn modules(text: &str) -> Result<Vec<ModuleVerbosity>, String> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (pattern, level) = pair.split_once('=').unwrap_or_default();
            let verbosity = level.parse::<i32>().ok().and_then(|level| u32::try_from(level).ok());
            match verbosity.filter(|_| !pattern.is_empty()) {
                Some(verbosity) => {
                    Ok(ModuleVerbosity { file_pattern: Some(pattern.to_owned()), verbosity: Some(verbosity) })
                }
                None => Err(format!("{pair:?} is not PATTERN=N")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_those_of_go() {
        for (text, expected) in
            [("T", Some(true)), ("1", Some(true)), ("False", Some(false)), ("0", Some(false))]
        {
            assert_eq!(boolean(text).ok(), expected, "{text}");
        }
        for text in ["", "yes", "on", "tRUE", "2"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn gates_are_pairs() {
        assert_eq!(gates("A=true, B = f ,").unwrap(), [("A".into(), true), ("B".into(), false)].into());
        assert!(gates("A").unwrap_err().contains("GATE=BOOL"));
        assert!(gates("A=maybe").unwrap_err().starts_with("A: \"maybe\""));
    }

    #[test]
    fn modules_are_patterns_with_a_level() {
        assert_eq!(modules("a*=2,b=0").unwrap().len(), 2);
        for text in ["a", "=2", "a=-1", "a=x"] {
            assert!(modules(text).is_err(), "{text}");
        }
    }
}
