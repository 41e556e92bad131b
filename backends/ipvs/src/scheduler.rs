//! A scheduler and its flags, as ipvsadm's `-s` and `-b` spell them, in one text: `sh,sh-port,sh-fallback`. Which
//! schedulers there are the kernel knows (reference §12.4): a name that is not known here may be one of its. Facts:
//! linux/ip_vs.h.

use std::fmt;
use std::str::FromStr;

use kube_verdict_ipvs_codec::{Name, flags};

/// A scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scheduler {
    /// its name
    pub name: Name,
    /// [`flags`]: some of the scheduler's own
    pub flags: u32,
}

/// Text that names no scheduler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoScheduler {
    /// a name that cannot be one
    #[error(
        "{0:?} cannot be the name of a scheduler: these have 1 to 15 letters, digits, - and _, such as rr or wlc"
    )]
    Name(String),
    /// a flag that there is not, or not of this scheduler
    #[error("the scheduler {name} has no flag {flag:?}; it has {known}")]
    Flag {
        /// the scheduler
        name: String,
        /// what was asked for
        flag: String,
        /// those it has
        known: String,
    },
}

/// Flags by name, and the schedulers that have them; "" is any.
const FLAGS: [(&str, &str, u32); 7] = [
    ("sh", "sh-fallback", flags::SCHEDULER_1),
    ("sh", "sh-port", flags::SCHEDULER_2),
    ("mh", "mh-fallback", flags::SCHEDULER_1),
    ("mh", "mh-port", flags::SCHEDULER_2),
    ("", "flag-1", flags::SCHEDULER_1),
    ("", "flag-2", flags::SCHEDULER_2),
    ("", "flag-3", flags::SCHEDULER_3),
];

impl Scheduler {
    /// All flags that are schedulers'.
    pub const FLAGS: u32 = flags::SCHEDULER_1 | flags::SCHEDULER_2 | flags::SCHEDULER_3;

    /// The scheduler of `ipvs.scheduler` in a KubeProxyConfiguration, where nothing is `rr`. kube-proxy gives `mh` the
    /// flag mh-port, and so it has it here unless flags are written out (reference §12.4).
    pub fn configured(text: &str) -> Result<Scheduler, NoScheduler> {
        match text {
            "" => "rr".parse(),
            "mh" => "mh,mh-port".parse(),
            text => text.parse(),
        }
    }

    /// The words for its flags, lowest first.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let bits = [flags::SCHEDULER_1, flags::SCHEDULER_2, flags::SCHEDULER_3].into_iter();
        bits.filter(move |bit| self.flags & bit != 0).filter_map(move |bit| {
            // The first is the scheduler's own word for it.
            Scheduler::of(self.name).find(|(_, known)| *known == bit).map(|(word, _)| word)
        })
    }

    fn of(name: Name) -> impl Iterator<Item = (&'static str, u32)> {
        FLAGS
            .into_iter()
            .filter(move |(of, ..)| of.is_empty() || *of == name.as_str())
            .map(|(_, flag, bit)| (flag, bit))
    }
}

impl fmt::Display for Scheduler {
    /// `rr`, `sh,sh-port`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.words().try_for_each(|word| write!(f, ",{word}"))
    }
}

impl FromStr for Scheduler {
    type Err = NoScheduler;

    fn from_str(text: &str) -> Result<Self, NoScheduler> {
        let mut words = text.split(',');
        let name = words.next().unwrap_or_default();
        let is_a_name = |name: &str| {
            // "none" is the kernel's word for no scheduler: every connection would be refused.
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !name.is_empty() && name != "none" && name.bytes().all(is_word)
        };
        let name = Some(name).filter(|name| is_a_name(name)).and_then(|name| Name::new(name).ok());
        let name =
            name.ok_or_else(|| NoScheduler::Name(text.split(',').next().unwrap_or_default().to_owned()))?;
        let mut scheduler = Scheduler { name, flags: 0 };
        for word in words {
            let Some((_, bit)) = Scheduler::of(name).find(|(flag, _)| *flag == word) else {
                let known: Vec<&str> = Scheduler::of(name).map(|(flag, _)| flag).collect();
                return Err(NoScheduler::Flag {
                    name: name.to_string(),
                    flag: word.to_owned(),
                    known: known.join(", "),
                });
            };
            scheduler.flags |= bit;
        }
        Ok(scheduler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u32) {
        let scheduler: Scheduler = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(scheduler.to_string().parse(), Ok(scheduler));
        (scheduler.name.to_string(), scheduler.flags)
    }

    #[test]
    fn names_and_flags_as_ipvsadm_has_them() {
        for name in [
            "rr", "wrr", "lc", "wlc", "sh", "mh", "dh", "sed", "nq", "fo", "ovf", "lblc", "lblcr", "twos",
            "my_own-1",
        ] {
            assert_eq!(parsed(name), (name.to_owned(), 0));
        }
        assert_eq!(parsed("sh,sh-port,sh-fallback"), ("sh".to_owned(), 0x18));
        assert_eq!(parsed("sh,sh-port"), ("sh".to_owned(), 0x10));
        assert_eq!(parsed("mh,mh-fallback"), ("mh".to_owned(), 0x08));
        assert_eq!(parsed("wlc,flag-3,flag-1"), ("wlc".to_owned(), 0x28));
        assert_eq!("mh,flag-2".parse::<Scheduler>().unwrap().to_string(), "mh,mh-port");
    }

    #[test]
    fn the_configuration_has_kube_proxys_defaults() {
        let configured = |text| Scheduler::configured(text).unwrap().to_string();
        assert_eq!(
            [configured(""), configured("mh"), configured("mh,mh-fallback")],
            ["rr", "mh,mh-port", "mh,mh-fallback"]
        );
        assert_eq!("mh".parse::<Scheduler>().unwrap().flags, 0);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["", ",", "none", "r r", "sixteen-letters-", "rr\n", "é"] {
            let error = text.parse::<Scheduler>().unwrap_err();
            assert!(matches!(error, NoScheduler::Name(_)), "{text:?}: {error}");
        }
        let error = "rr,sh-port".parse::<Scheduler>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the scheduler rr has no flag \"sh-port\"; it has flag-1, flag-2, flag-3"
        );
        assert!("sh,".parse::<Scheduler>().is_err() && "sh, sh-port".parse::<Scheduler>().is_err());
    }
}
