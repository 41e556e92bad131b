//! From a file to settings: kind and version, types, impossible values, and a word on everything that an
//! operator would want to know (reference §15.1, §15.3).

use std::path::{Path, PathBuf};

use super::effective::Effective;
use super::error::ConfigError;
use super::file::{API_VERSION, File, KIND};
use super::mode::Mode;
use super::validate::validate;
use super::{detect, later};
use crate::document::{self, Document, Documents, Duplicate, Node, Position, SyntaxError, limits};

/// What the command line says, beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--hostname-override`, which goes before the file's
    pub hostname_override: Option<String>,
}

/// Settings, and what to tell the operator about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// the settings
    pub effective: Effective,
    /// for the log, in order
    pub messages: Vec<Message>,
    /// `logging.format` and `logging.verbosity` of the file, which flags go before
    pub logging: (Option<String>, Option<u32>),
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// worth knowing
    Info(String),
    /// probably not what was meant
    Warning(String),
}

/// Reads the configuration file, if there is one, and applies the flags.
pub fn load(flags: &Flags) -> Result<Loaded, ConfigError> {
    let mut loaded = match &flags.config {
        None => defaults(),
        Some(path) => from_text(path, &read(path)?)?,
    };
    if flags.hostname_override.as_ref().is_some_and(|name| !name.trim().is_empty()) {
        loaded.effective.hostname_override.clone_from(&flags.hostname_override);
    }
    Ok(loaded)
}

/// The settings without a configuration file.
pub fn defaults() -> Loaded {
    put_into_effect(&File::default(), Vec::new())
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > limits::FILE_BYTES {
        return Err(unreadable(std::io::Error::other("too large for a configuration file")));
    }
    std::fs::read(path).map_err(unreadable)
}

/// The settings of a file's contents. `path` is only for messages.
pub fn from_text(path: &Path, contents: &[u8]) -> Result<Loaded, ConfigError> {
    let malformed = |at, message| ConfigError::Malformed { path: path.to_owned(), at, message };
    let syntax = |error: SyntaxError| malformed(error.at, error.message);
    let mut documents = Documents::new(document::check_text(contents).map_err(syntax)?);
    let start = Position { line: 1, column: 1 };
    let first = documents.next().unwrap_or_else(|| {
        Err(SyntaxError { at: start, message: format!("the file is empty; it needs {}", header()) })
    });
    let Document { root, duplicates } = first.map_err(syntax)?;
    check_kind(&root).map_err(|(at, message)| malformed(at, message))?;

    let decoded = document::decode_strictly::<File>(&root).map_err(|error| {
        malformed(error.at.unwrap_or(root.at), format!("{}: {}", error.field, error.message))
    })?;
    let mut messages = Vec::new();
    let place = |at: Position| format!("{}:{at}", path.display());
    let unknown = decoded.unknown.into_iter();
    messages.extend(
        unknown.map(|(field, at)| {
            Message::Warning(format!("{}: unknown field {field:?} is ignored", place(at)))
        }),
    );
    messages.extend(duplicates.into_iter().map(|Duplicate { key, at }| {
        Message::Warning(format!("{}: field {key:?} stands twice; the last one counts", place(at)))
    }));
    if documents.next().is_some() {
        let message = format!("{}: only the first document of the file is read", path.display());
        messages.push(Message::Warning(message));
    }
    let errors = validate(&decoded.value, Some(&root));
    if !errors.is_empty() {
        return Err(ConfigError::Invalid { path: path.to_owned(), errors });
    }
    Ok(put_into_effect(&decoded.value, messages))
}

/// The settings of a validated file.
fn put_into_effect(file: &File, mut messages: Vec<Message>) -> Loaded {
    let mode = file.mode.as_deref().and_then(Mode::parse).unwrap_or(Mode::Default);
    remarks(file, mode, &mut messages);
    let logging = file.logging.clone().unwrap_or_default();
    let logging = (logging.format.filter(|format| !format.is_empty()), logging.verbosity);
    Loaded { effective: Effective::of(file, mode), messages, logging }
}

fn header() -> String {
    format!("\"apiVersion: {API_VERSION}\" and \"kind: {KIND}\"")
}

/// A file of another kind or version is no configuration, whatever it says.
fn check_kind(root: &Node<'_>) -> Result<(), (Position, String)> {
    for (field, wanted) in [("kind", KIND), ("apiVersion", API_VERSION)] {
        match root.get(field).map(|node| (node.at, node.as_text().unwrap_or_default())) {
            Some((_, found)) if found == wanted => {}
            Some((at, found)) => {
                return Err((
                    at,
                    format!("{field} is {found:?}, not {wanted:?}: not a configuration that we read"),
                ));
            }
            None => return Err((root.at, format!("{field} is missing; the file needs {}", header()))),
        }
    }
    Ok(())
}

/// What is possible and worth a word.
fn remarks(file: &File, mode: Mode, messages: &mut Vec<Message>) {
    if mode == Mode::Iptables {
        messages.push(Message::Info(
            "mode is \"iptables\": nftables runs in its place, with the settings of the iptables section"
                .into(),
        ));
    }
    let later = later::not_in_effect(file, mode);
    if !later.is_empty() {
        messages.push(Message::Info(format!("accepted, and not in effect yet: {}", later.join(", "))));
    }
    let is_cluster_cidr = matches!(file.detect_local_mode.as_deref().unwrap_or_default(), "" | "ClusterCIDR");
    let cluster_cidr = file.cluster_cidr.as_deref().unwrap_or_default();
    if is_cluster_cidr && detect::prefixes(cluster_cidr).is_ok_and(|prefixes| prefixes.is_empty()) {
        messages.push(Message::Info(
            "clusterCIDR is not set: pods cannot be told from other sources, so nothing is masqueraded on account \
             of coming from outside"
                .into(),
        ));
    }
    one_family_only(file, messages);
}

/// A list of NodePort prefixes of one family leaves the other family wide open (reference §15.3).
fn one_family_only(file: &File, messages: &mut Vec<Message>) {
    let list = file.node_port_addresses.as_deref().unwrap_or_default();
    let prefixes: Vec<kube_verdict_table::Cidr> = list.iter().filter_map(|text| text.parse().ok()).collect();
    if prefixes.is_empty() || prefixes.len() < list.len() {
        return;
    }
    for family in kube_verdict_table::Family::BOTH {
        if prefixes.iter().all(|prefix| prefix.family() != family) {
            messages.push(Message::Warning(format!(
                "nodePortAddresses has no {family} entry: {family} NodePorts are served on every address"
            )));
        }
    }
}
