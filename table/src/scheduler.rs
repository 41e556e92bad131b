//! How a scheduler of IPVS is written: its name, and its flags after commas, such as `rr` or `sh,sh-port`.
//!
//! Pure spelling. Which schedulers and flags there are is for the kernel, and the backend that asks it, to say.
//! Facts: IP_VS_SCHEDNAME_MAXLEN of linux/ip_vs.h, 16 bytes with the zero at the end; the flags are three, as
//! IP_VS_SVC_F_SCHED1 to 3.

use std::sync::Arc;

/// Names the scheduler of a Service, for IPVS mode.
pub const SCHEDULER_ANNOTATION: &str = "kube-verdict.io/ipvs-scheduler";

/// The longest name.
const LONGEST: usize = 15;
/// The longest flag: a longer one is a mistake.
const LONGEST_FLAG: usize = 31;
/// A scheduler has so many flags at most.
const MOST_FLAGS: usize = 3;

/// The scheduler that a text names, without white space around the words; None: the text is blank.
///
/// # Errors
/// What is wrong with the text, and what to write.
pub fn parse_scheduler(text: &str) -> Result<Option<Arc<str>>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_word = |word: &str, longest: usize| {
        (1..=longest).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let (name, flags) = words.split_first().unwrap_or((&"", &[]));
    let good = is_word(name, LONGEST)
        && flags.len() <= MOST_FLAGS
        && flags.iter().all(|flag| is_word(flag, LONGEST_FLAG));
    if !good {
        return Err(format!(
            "{text:?} is no scheduler: write its name, of at most {LONGEST} letters, digits, - and _, and its \
             flags after commas, such as lc or sh,sh-port"
        ));
    }
    Ok(Some(words.join(",").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_flags() {
        for (text, expected) in [
            ("rr", "rr"),
            (" lc\n", "lc"),
            ("sh,sh-port", "sh,sh-port"),
            (" mh , mh-port,\tmh-fallback ", "mh,mh-port,mh-fallback"),
            ("my_own-1", "my_own-1"),
            ("fifteen-letters", "fifteen-letters"),
        ] {
            assert_eq!(parse_scheduler(text), Ok(Some(expected.into())), "{text:?}");
        }
        for text in ["", " ", "\t\n"] {
            assert_eq!(parse_scheduler(text), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_one() {
        for text in [
            ",",
            "rr,",
            ",rr",
            "sh,,sh-port",
            "rr wrr",
            "r\0r",
            "rr;lc",
            "lc\u{e9}",
            "sixteen--letters",
            "sh,a,b,c,d",
            "sh,a-flag-that-is-longer-than-anybody-would-call-one",
        ] {
            let message = parse_scheduler(text).unwrap_err();
            assert!(message.contains("is no scheduler: write its name"), "{text:?}: {message}");
        }
    }
}
