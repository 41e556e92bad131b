//! `make demo`: the daemon at work, told step by step to whoever watches.
//!
//! It makes network namespaces (a node that routes, pods, clients outside), writes a directory of manifests,
//! starts the real daemon on the node and sends real connections through it. Every step says what it is about
//! to show, shows it, and checks it: a demo that does not show what it says ends there, with the daemon's log
//! and a nonzero exit code. The namespaces and the daemon go with this process, however it ends.
//!
//! [`steps`] is the story, [`stage`] what it plays on, [`traffic`] who connects to what, [`voice`] how it is
//! told.

mod stage;
mod steps;
mod traffic;
mod voice;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use stage::Stage;
use voice::Voice;

/// What a step ends with: why it did not show what it said.
type Shown<T = ()> = Result<T, String>;

/// Holds a step to its word.
fn claim(holds: bool, otherwise: impl Into<String>) -> Shown {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn main() -> ExitCode {
    let start = Instant::now();
    let voice = Voice::new();
    let mut stage = match catch_unwind(Stage::new) {
        Ok(stage) => stage,
        Err(_) => return ExitCode::FAILURE, // the panic said why
    };
    let ended = catch_unwind(AssertUnwindSafe(|| steps::all(&voice, &mut stage)));
    let failure = match ended {
        Ok(Ok(())) => {
            voice.end(&format!("Everything held, in {:.1} seconds.", start.elapsed().as_secs_f64()));
            return ExitCode::SUCCESS;
        }
        Ok(Err(failure)) => failure,
        Err(_) => "something that the demo relies on broke; see above".to_owned(),
    };
    voice.fail(&failure, &stage.log());
    ExitCode::FAILURE
}
