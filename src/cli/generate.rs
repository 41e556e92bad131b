//! `kube-verdict generate DIRECTORY`: manual pages and shell completions, made from the definition of the command line,
//! so that they say what `--help` says. It is for whoever builds a package, and hidden from everybody else.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

use super::{Arguments, Failure};

/// The shells that Debian has completions of, each in a folder of its own.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];
/// Of manual pages: programs for whoever administers a system.
const SECTION: &str = "8";

/// Writes them all.
pub(super) fn run(directory: &Path) -> Result<(), Failure> {
    let mut command = Arguments::command();
    for shell in SHELLS {
        let name = command.get_name().to_owned();
        generate_to(shell, &mut command, name, directory).map_err(|error| unwritable(directory, &error))?;
    }
    for (name, page) in pages()? {
        let path = directory.join(name);
        fs::write(&path, page).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    format!("cannot write to {}: {error}; name a directory that exists and is yours", path.display()).into()
}

/// A page for the program and one for each command, with their names.
fn pages() -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut command = Arguments::command();
    // Flags that every command takes are then known to each of them.
    command.build();
    let commands: Vec<Command> =
        command.get_subcommands().filter(|one| one.get_name() != "help").cloned().collect();
    let visible = commands.into_iter().filter(|one| !one.is_hide_set());
    std::iter::once(command).chain(visible).map(page).collect()
}

fn page(command: Command) -> Result<(String, Vec<u8>), Failure> {
    let source = concat!("kube-verdict ", env!("CARGO_PKG_VERSION"));
    let manual = Man::new(command).section(SECTION).source(source).manual("kube-verdict");
    let mut text = Vec::new();
    manual.render(&mut text)?;
    Ok((manual.get_filename(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_tell_of_every_command_that_is_not_hidden() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for command in ["apply", "check", "render", "explain", "cleanup"] {
            assert!(
                names.contains(&&*format!("kube-verdict-{command}.8")),
                "{command} is not among {names:?}"
            );
        }
        let text = |of: &str| {
            let page = pages.iter().find(|(name, _)| name == of).unwrap();
            String::from_utf8(page.1.clone()).unwrap()
        };
        let (all, render) = (text("kube-verdict.8"), text("kube-verdict-render.8"));
        assert!(all.contains("CAP_NET_ADMIN") && !all.contains("generate"), "{all}");
        assert!(render.contains(r"\-\-manifests") && render.contains(r"\-\-only"), "{render}");
        assert!(!render.contains("conntrack"), "{render}");
    }
}
