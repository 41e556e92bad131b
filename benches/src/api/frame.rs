//! Objects and events as answers have them: JSON lines, or protobuf in Kubernetes' envelope, each frame of a watch behind
//! its length (k8s.io/apimachinery `runtime/serializer/protobuf`, `framer`).

use kube_verdict_table::objects::Kind;

use super::objects::{Object, Resource};
use super::protobuf::Message;
use super::request::Encoding;

/// What begins every protobuf object.
const MAGIC: &[u8] = b"k8s\0";
/// What marks the end of the objects that there were when a watch began.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

impl Encoding {
    /// The type of objects and lists.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// The type of a watch.
    pub fn watch_content_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        }
    }

    /// An object by itself.
    pub fn object(self, object: &Object) -> Vec<u8> {
        match self {
            Encoding::Json => object.json.clone(),
            Encoding::Protobuf => envelope(object.kind.version(), object.kind.name(), &object.protobuf),
        }
    }

    /// Objects of a kind as a list.
    pub fn list<'a>(self, kind: Kind, objects: impl Iterator<Item = &'a Object>, revision: u64) -> Vec<u8> {
        let (version, name) = (kind.version(), format!("{}List", kind.name()));
        match self {
            Encoding::Json => {
                let head = format!(
                    r#"{{"kind":"{name}","apiVersion":"{version}","metadata":{{"resourceVersion":"{revision}"}},"items":["#
                );
                let items: Vec<&[u8]> = objects.map(|object| &*object.json).collect();
                [head.as_bytes(), &items.join(&b','), b"]}\n"].concat()
            }
            Encoding::Protobuf => {
                let metadata = Message::default().bytes(2, revision.to_string().as_bytes()).finish();
                let list = Message::default().bytes(1, &metadata);
                let list = objects.fold(list, |list, object| list.bytes(2, &object.protobuf));
                envelope(version, &name, &list.finish())
            }
        }
    }

    /// Appends an event of a watch.
    pub fn event(self, verb: &str, object: &Object, into: &mut Vec<u8>) {
        match self {
            Encoding::Json => {
                into.extend_from_slice(b"{\"type\":\"");
                into.extend_from_slice(verb.as_bytes());
                into.extend_from_slice(b"\",\"object\":");
                into.extend_from_slice(&object.json);
                into.extend_from_slice(b"}\n");
            }
            Encoding::Protobuf => {
                let object = Message::default().bytes(1, &self.object(object));
                let event = Message::default().bytes(1, verb.as_bytes()).bytes(2, &object.finish()).finish();
                into.extend_from_slice(&(event.len() as u32).to_be_bytes());
                into.extend_from_slice(&event);
            }
        }
    }

    /// Appends a bookmark of a watch: this revision is known.
    pub fn bookmark(self, kind: Kind, revision: u64, ends_initial_events: bool, into: &mut Vec<u8>) {
        let (version, name) = (kind.version(), kind.name());
        let annotations = match ends_initial_events {
            true => format!(r#","annotations":{{"{INITIAL_EVENTS_END}":"true"}}"#),
            false => String::new(),
        };
        let json = format!(
            r#"{{"kind":"{name}","apiVersion":"{version}","metadata":{{"resourceVersion":"{revision}"{annotations}}}}}"#
        );
        let mut metadata = Message::default().bytes(6, revision.to_string().as_bytes());
        if ends_initial_events {
            let entry = Message::default().bytes(1, INITIAL_EVENTS_END.as_bytes()).bytes(2, b"true");
            metadata = metadata.bytes(12, &entry.finish());
        }
        let protobuf = Message::default().bytes(1, &metadata.finish()).finish();
        let object = Object { kind, name: String::new(), json: json.into_bytes(), protobuf };
        self.event("BOOKMARK", &object, into);
    }
}

/// `runtime.Unknown` around a message.
fn envelope(version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let typed = Message::default().bytes(1, version.as_bytes()).bytes(2, kind.as_bytes()).finish();
    let unknown = Message::default().bytes(1, &typed).bytes(2, message).bytes(3, b"").bytes(4, b"").finish();
    [MAGIC, &unknown].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn object() -> Object {
        let json = br#"{"kind":"Node"}"#.to_vec();
        Object { kind: Kind::Node, name: "n".into(), json, protobuf: vec![0x0a, 0] }
    }

    #[test]
    fn an_event_in_protobuf() {
        let mut frame = Vec::new();
        Encoding::Protobuf.event("ADDED", &object(), &mut frame);
        let expected = [
            vec![0, 0, 0, 35], // the length of what follows
            vec![0x0a, 5, b'A', b'D', b'D', b'E', b'D'],
            vec![0x12, 26, 0x0a, 24], // the object, raw
            vec![b'k', b'8', b's', 0],
            vec![0x0a, 10, 0x0a, 2, b'v', b'1', 0x12, 4, b'N', b'o', b'd', b'e'],
            vec![0x12, 2, 0x0a, 0], // the message itself
            vec![0x1a, 0, 0x22, 0], // neither another encoding nor type
        ];
        assert_eq!(frame, expected.concat());
    }

    #[test]
    fn lists_and_bookmarks_in_json() {
        let objects = [object(), object()];
        let list: Value =
            serde_json::from_slice(&Encoding::Json.list(Kind::Node, objects.iter(), 7)).expect("JSON");
        assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
        assert_eq!((&list["kind"], &list["metadata"]["resourceVersion"]), (&"NodeList".into(), &"7".into()));
        let mut line = Vec::new();
        Encoding::Json.bookmark(Kind::EndpointSlice, 9, true, &mut line);
        let bookmark: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(bookmark["type"], "BOOKMARK");
        assert_eq!(bookmark["object"]["metadata"]["annotations"][INITIAL_EVENTS_END], "true");
    }
}
