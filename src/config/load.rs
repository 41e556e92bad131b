//! From a file to settings: kind and version, types, impossible values, and a word on everything that an
//! operator would want to know (reference §15.1, §15.3).

use std::path::{Path, PathBuf};

use super::defaults::{Origin, complete};
use super::effective::Effective;
use super::error::{ConfigError, FieldError};
use super::file::{API_VERSION, File, KIND};
use super::flags::Flags;
use super::logging::Logging;
use super::mode::Mode;
use super::validate::validate;
use super::write::Configuration;
use super::{detect, later};
use crate::document::{self, Document, Documents, Duplicate, Node, Position, SyntaxError, Unknown, limits};

/// Settings, and what to tell the operator about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// the settings
    pub effective: Effective,
    /// for the log, in order
    pub messages: Vec<Message>,
    /// what is logged, and how
    pub logging: Logging,
    /// the same settings as kube-proxy writes them, for `/configz`
    pub configuration: Configuration,
    /// every flag and its value, for `/flagz`
    pub flagz: Vec<(String, String)>,
    /// the file that was read, to be [watched](super::changed)
    pub source: Option<Source>,
}

/// A configuration file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// where it is
    pub path: PathBuf,
    /// what it said
    pub contents: Vec<u8>,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// worth knowing
    Info(String),
    /// probably not what was meant
    Warning(String),
}

/// Writes to the log what a configuration has to say.
pub fn log(messages: &[Message]) {
    for message in messages {
        match message {
            Message::Info(text) => tracing::info!("{text}"),
            Message::Warning(text) => tracing::warn!("{text}"),
        }
    }
}

/// Reads the configuration file, if there is one, and applies the flags.
pub fn load(flags: &Flags) -> Result<Loaded, ConfigError> {
    match &flags.config {
        None => from_flags(flags),
        Some(path) => {
            let source = Source { contents: read(path)?, path: path.clone() };
            let loaded = from_file(path, &source.contents, flags)?;
            Ok(Loaded { source: Some(source), ..loaded })
        }
    }
}

/// The settings without a configuration file and without flags.
pub fn defaults() -> Loaded {
    put_into_effect(&complete(&File::default(), Origin::default()), &Flags::default(), Vec::new())
}

/// The settings of a command line.
fn from_flags(flags: &Flags) -> Result<Loaded, ConfigError> {
    let origin = Origin { is_file: false, is_standalone: flags.standalone };
    let file = complete(&flags.over(flags.file()), origin);
    check(Path::new("the command line"), &file, flags, None)?;
    let messages = flags.deprecated().into_iter().map(Message::Warning).collect();
    Ok(put_into_effect(&file, flags, messages))
}

fn check(path: &Path, file: &File, flags: &Flags, root: Option<&Node<'_>>) -> Result<(), ConfigError> {
    let mut errors = validate(file, root, flags.ipvs_marks.unwrap_or_default());
    if flags.hostname_override.as_ref().is_some_and(|name| name.trim().is_empty()) {
        let message = "--hostname-override is blank: give a name, or leave it out".into();
        errors.push(FieldError { field: "hostnameOverride".into(), at: None, message });
    }
    if errors.is_empty() { Ok(()) } else { Err(ConfigError::Invalid { path: path.to_owned(), errors }) }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > limits::FILE_BYTES {
        return Err(unreadable(std::io::Error::other("too large for a configuration file")));
    }
    std::fs::read(path).map_err(unreadable)
}

/// The settings of a file's contents, without flags. `path` is only for messages.
pub fn from_text(path: &Path, contents: &[u8]) -> Result<Loaded, ConfigError> {
    from_file(path, contents, &Flags::default())
}

fn from_file(path: &Path, contents: &[u8], flags: &Flags) -> Result<Loaded, ConfigError> {
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
    messages.extend(unknown.map(|Unknown { field, at, .. }| {
        Message::Warning(format!("{}: unknown field {field:?} is ignored", place(at)))
    }));
    messages.extend(duplicates.into_iter().map(|Duplicate { key, at }| {
        Message::Warning(format!("{}: field {key:?} stands twice; the last one counts", place(at)))
    }));
    if documents.next().is_some() {
        let message = format!("{}: only the first document of the file is read", path.display());
        messages.push(Message::Warning(message));
    }
    let origin = Origin { is_file: true, is_standalone: flags.standalone };
    let file = complete(&flags.over(decoded.value), origin);
    check(path, &file, flags, Some(&root))?;
    let void = flags.void_with_file();
    if !void.is_empty() {
        let message =
            format!("ignored, because --config is given: {}; set them in the file", void.join(", "));
        messages.push(Message::Warning(message));
    }
    Ok(put_into_effect(&file, flags, messages))
}

/// The settings of a validated and complete file.
fn put_into_effect(file: &File, flags: &Flags, mut messages: Vec<Message>) -> Loaded {
    remarks(file, &mut messages);
    Loaded {
        effective: Effective::of(file, flags),
        messages,
        logging: Logging::of(file),
        configuration: Configuration::of(file),
        flagz: flags.flagz(),
        source: None,
    }
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
fn remarks(file: &File, messages: &mut Vec<Message>) {
    let mode = Mode::parse(file.mode.as_deref().unwrap_or_default()).unwrap_or(Mode::Iptables);
    if mode == Mode::Iptables {
        messages.push(Message::Info(
            "mode is \"iptables\", chosen or by default: nftables runs in its place, with the settings of the \
             iptables section"
                .into(),
        ));
    }
    if mode == Mode::Ipvs {
        messages.extend(later::needless_with_ipvs(file).into_iter().map(|text| Message::Info(text.into())));
    }
    let later = later::not_in_effect(file, mode);
    if !later.is_empty() {
        messages.push(Message::Info(format!("accepted, and without effect: {}", later.join(", "))));
    }
    let is_cluster_cidr = file.detect_local_mode.as_deref() == Some("ClusterCIDR");
    let cluster_cidr = file.cluster_cidr.as_deref().unwrap_or_default();
    if is_cluster_cidr && detect::prefixes(cluster_cidr).is_ok_and(|prefixes| prefixes.is_empty()) {
        messages.push(Message::Info(
            "clusterCIDR is not set: pods cannot be told from other sources, so nothing is masqueraded on account \
             of coming from outside"
                .into(),
        ));
    }
}
