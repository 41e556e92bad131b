//! From a file's bytes to the objects that it defines. Pure. The file as a whole has to be YAML; beyond that,
//! one bad object does not cost the others.

use std::collections::BTreeMap;
use std::path::Path;

use kube_verdict_table::objects::{Kind, Object, ObjectKey};

use super::fields;
use crate::document::{self, Document, Documents, Node, Position, SyntaxError, Unknown, Value};
use crate::source::{Problem, Severity};

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// objects of kinds that we know, in the order of the text
    pub(super) found: Vec<Found>,
    /// what is wrong with some of them
    pub(super) problems: Vec<Problem>,
    /// how many objects of other kinds there are
    pub(super) other_kinds: BTreeMap<String, usize>,
    /// nothing in it but white space: what an interrupted write leaves
    pub(super) is_blank: bool,
}

/// One object.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: ObjectKey,
    /// where it begins
    pub(super) at: Position,
    /// None: it is impossible, which a problem says
    pub(super) object: Option<Object>,
}

/// Problems of one severity in one file that are told one by one. A person mends those and sees the next.
const TOLD: usize = 50;

/// Decodes a file. `path` is for messages.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Contents, SyntaxError> {
    let text = document::check_text(bytes)?;
    let mut decoder = Decoder { path, contents: Contents::default(), told: [0; 2] };
    decoder.contents.is_blank = text.trim().is_empty();
    for document in Documents::new(text) {
        let Document { root, duplicates } = document?;
        for duplicate in duplicates {
            let message = format!("{:?} stands twice in one mapping; the last one counts", duplicate.key);
            decoder.report(Severity::Warning, Some(duplicate.at), None, "", message);
        }
        decoder.take(&root, None);
    }
    decoder.sum_up();
    Ok(decoder.contents)
}

struct Decoder<'p> {
    path: &'p Path,
    contents: Contents,
    /// how many errors and warnings there were
    told: [usize; 2],
}

impl Decoder<'_> {
    fn report(
        &mut self,
        severity: Severity,
        at: Option<Position>,
        object: Option<&ObjectKey>,
        field: &str,
        message: impl Into<String>,
    ) {
        let told = &mut self.told[usize::from(severity != Severity::Error)];
        *told += 1;
        if *told > TOLD {
            return;
        }
        let (path, object) = (self.path.to_owned(), object.cloned());
        let problem = Problem { severity, path, at, object, field: field.into(), message: message.into() };
        self.contents.problems.push(problem);
    }

    /// Says how much was not said.
    fn sum_up(&mut self) {
        for (told, severity, what) in
            [(self.told[0], Severity::Error, "errors"), (self.told[1], Severity::Warning, "warnings")]
        {
            if told > TOLD {
                let message = format!("and {} more {what} of this file", told - TOLD);
                self.contents.problems.push(Problem::of_file(severity, self.path, message));
            }
        }
    }

    /// Takes in a document, or an item of a list whose own type implies that of its items.
    fn take(&mut self, node: &Node<'_>, implied: Option<(&str, &str)>) {
        let text = |field: &str| node.get(field).and_then(Node::as_text);
        let api_version = text("apiVersion").or(implied.map(|(version, _)| version));
        let Some(kind) = text("kind").or(implied.map(|(_, kind)| kind)) else {
            let message = "no kind: is this a Kubernetes object? it needs apiVersion, kind and metadata.name";
            return self.report(Severity::Error, Some(node.at), None, "kind", message);
        };
        if let (Some(item_kind), Some(items)) = (kind.strip_suffix("List"), node.get("items")) {
            return self.take_list(items, api_version.unwrap_or_default(), item_kind);
        }
        match Kind::of_document(api_version.unwrap_or_default(), kind) {
            Some(kind) if api_version.is_some() => self.take_object(kind, node),
            _ => self.pass_over(node, api_version.unwrap_or_default(), kind),
        }
    }

    /// The items of `List`, `ServiceList`, …: the latter's need not repeat their type.
    fn take_list(&mut self, items: &Node<'_>, api_version: &str, item_kind: &str) {
        let implied = (!item_kind.is_empty()).then_some((api_version, item_kind));
        match &items.value {
            Value::List(items) => items.iter().for_each(|item| self.take(item, implied)),
            _ if items.is_null() => {}
            _ => self.report(
                Severity::Error,
                Some(items.at),
                None,
                "items",
                "is no list; its objects are not read",
            ),
        }
    }

    /// Another kind; or one of ours under a wrong name, which is a mistake if no other API has such a name.
    fn pass_over(&mut self, node: &Node<'_>, api_version: &str, kind: &str) {
        let ours = Kind::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(kind));
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let is_foreign = group.contains('.') && !group.ends_with("k8s.io");
        let Some(ours) = ours.filter(|_| !is_foreign) else {
            let name = if is_foreign { format!("{api_version} {kind}") } else { kind.to_owned() };
            *self.contents.other_kinds.entry(name).or_default() += 1;
            return;
        };
        let group =
            if ours.api_group().is_empty() { String::new() } else { ours.api_group().to_owned() + "/" };
        let message = format!("{api_version:?} has no {kind}; write apiVersion: {group}v1 and kind: {ours}");
        let at = node.get("apiVersion").map_or(node.at, |node| node.at);
        let key = key_of(ours, node);
        self.report(Severity::Error, Some(at), key.as_ref(), "apiVersion", message);
        self.contents.found.extend(key.map(|key| Found { key, at: node.at, object: None }));
    }

    fn take_object(&mut self, kind: Kind, node: &Node<'_>) {
        let known = |path: &document::Path<'_>| fields::is_known(kind, path);
        let decoded = match document::decode(node, &known, |d| Object::deserialize_as(kind, d)) {
            Ok(decoded) => decoded,
            Err(error) => return self.refuse(kind, node, error.at, &error.field, error.message),
        };
        let mut object = decoded.value;
        object.apply_api_defaults();
        let key = object.key();
        for Unknown { field, at, known } in decoded.unknown {
            let message = match fields::nearest(kind, &field, known) {
                Some(meant) => format!("no such field; it is ignored: did you mean {meant}?"),
                None => "no such field; it is ignored: check its spelling and indentation".into(),
            };
            self.report(Severity::Warning, Some(at), Some(&key), &field, message);
        }
        let errors = object.validate();
        if errors.is_empty() {
            for advice in object.advice() {
                let at = node.locate(&advice.field);
                self.report(Severity::Warning, Some(at), Some(&key), &advice.field, advice.message);
            }
        }
        let is_possible = errors.is_empty();
        for error in errors {
            let at = node.locate(&error.field);
            self.report(Severity::Error, Some(at), Some(&key), &error.field, error.message);
        }
        if !key.name.is_empty() {
            self.contents.found.push(Found { key, at: node.at, object: is_possible.then_some(object) });
        }
    }

    /// An object of a structure that cannot be decoded; its name may still be told.
    fn refuse(&mut self, kind: Kind, node: &Node<'_>, at: Option<Position>, field: &str, message: String) {
        let key = key_of(kind, node);
        self.report(Severity::Error, at.or(Some(node.at)), key.as_ref(), field, message);
        self.contents.found.extend(key.map(|key| Found { key, at: node.at, object: None }));
    }
}

/// The identity of an object that was not decoded.
fn key_of(kind: Kind, node: &Node<'_>) -> Option<ObjectKey> {
    let metadata = node.get("metadata")?;
    let text = |field: &str| metadata.get(field).and_then(Node::as_text);
    let namespace = text("namespace").filter(|text| !text.is_empty()).unwrap_or("default");
    let namespace = if kind.is_namespaced() { namespace } else { "" };
    Some(ObjectKey { kind, namespace: namespace.into(), name: text("name")?.into() })
}
