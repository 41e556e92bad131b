//! kube-proxy's flags for clap: [`crate::config::flags`] says which there are and reads their values; here is how
//! they are found among the words of a command line, in every way in which Go's pflag lets them be written.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::Flags;
use crate::config::flags::{self, Flag};

/// The flags as they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct ProxyFlags(pub(super) Flags);

/// The flags that every command of ours takes, before its name or after it.
const EVERYWHERE: [&str; 7] =
    ["config", "hostname-override", "v", "vmodule", "logging-format", "kubeconfig", "master"];

impl Args for ProxyFlags {
    fn augment_args(command: Command) -> Command {
        command.args(flags::all().iter().enumerate().map(|(index, flag)| argument(flag, index + 101)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ProxyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = ProxyFlags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for flag in flags::all() {
            for text in matches.get_many::<String>(flag.name).into_iter().flatten() {
                let refused = |error: String| {
                    clap::Error::raw(
                        clap::error::ErrorKind::ValueValidation,
                        format!("--{}: {error}\n", flag.name),
                    )
                };
                self.0.set(flag, text).map_err(refused)?;
            }
        }
        Ok(())
    }
}

fn argument(flag: &'static Flag, order: usize) -> Arg {
    let shows_default = !flag.default.is_empty() && !["false", "true"].contains(&flag.default);
    let default = if shows_default { format!(" [default: {}]", flag.default) } else { String::new() };
    let argument = Arg::new(flag.name)
        .long(flag.name)
        .help(format!("{}{default}", flag.help))
        .help_heading(flag.group.heading())
        .display_order(order)
        .value_name(flag.placeholder())
        .value_parser(move |text: &str| flag.check(text).map(|()| text.to_owned()))
        .global(EVERYWHERE.contains(&flag.name));
    let argument = if flag.name == "v" { argument.short('v') } else { argument };
    let argument = if flag.accumulates() {
        argument.action(ArgAction::Append)
    } else {
        // The last one counts.
        argument.action(ArgAction::Set).overrides_with(flag.name)
    };
    if flag.is_switch() {
        argument.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        // `--oom-score-adj -999`: whatever comes next is the value.
        argument.allow_hyphen_values(true)
    }
}

/// Words as clap takes them: Kubernetes' programs read `--log_dir` as `--log-dir`.
pub(super) fn normal(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    words
        .into_iter()
        .map(|word| {
            let Some(text) = word.to_str().filter(|text| text.starts_with("--") && text.contains('_')) else {
                return word;
            };
            let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
            let name = name.replace('_', "-");
            let is_flag = flags::all().iter().any(|flag| *flag.name == name[2..]);
            if is_flag { format!("{name}{value}").into() } else { word }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{self, ConfigError, Loaded};

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        flags: ProxyFlags,
    }

    fn flags(words: &[&str]) -> Result<Flags, clap::Error> {
        let words = ["kube-proxy"].iter().chain(words).map(OsString::from);
        Ok(Only::try_parse_from(normal(words))?.flags.0)
    }

    fn loaded(words: &[&str]) -> Result<Loaded, ConfigError> {
        config::load(&flags(words).unwrap_or_else(|error| panic!("{words:?}: {error}")))
    }

    #[test]
    fn every_way_to_write_one() {
        for words in [&["-v", "4"][..], &["-v=4"], &["-v4"], &["--v", "4"], &["--v=4"], &["--v=2", "-v", "4"]]
        {
            assert_eq!(loaded(words).unwrap().logging.verbosity, 4, "{words:?}");
        }
        for (words, expected) in [
            (&["--masquerade-all"][..], true),
            (&["--masquerade_all"], true),
            (&["--masquerade-all=T"], true),
            (&["--masquerade-all=1"], true),
            (&["--masquerade-all=false"], false),
            (&["--masquerade-all", "--masquerade-all=0"], false),
        ] {
            assert_eq!(loaded(words).unwrap().effective.masquerade_all, expected, "{words:?}");
        }
        assert_eq!(loaded(&["--oom-score-adj", "-5"]).unwrap().effective.oom_score_adj, Some(-5));
        assert_eq!(loaded(&["--oom_score_adj=-5"]).unwrap().effective.oom_score_adj, Some(-5));
    }

    #[test]
    fn what_pflag_refuses_is_refused() {
        for words in [
            &["--masquerade-all", "false"][..],
            &["--masquerade-all=yes"],
            &["--no-such-flag"],
            &["-config=x"],
            &["--config"],
            &["--conntrack-min=many"],
            &["--iptables-sync-period=30"],
            &["--feature-gates=A"],
            &["--bind-address=nowhere"],
            &["--healthz-bind-address=localhost:80"],
            &["something"],
        ] {
            assert!(flags(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn lists_add_up_and_values_are_left_alone() {
        let loaded =
            loaded(&["--nodeport-addresses=10.0.0.0/8,fd00::/8", "--nodeport-addresses", "localhost"]);
        assert_eq!(loaded.unwrap().effective.node_port_addresses.len(), 3);
        let flags = flags(&["--pod-bridge-interface=my_bridge", "--kubeconfig", "/a_b"]).unwrap();
        for (name, value) in [("pod-bridge-interface", "my_bridge"), ("kubeconfig", "/a_b")] {
            assert!(flags.flagz().contains(&(name.into(), value.into())), "{:?}", flags.flagz());
        }
    }
}
