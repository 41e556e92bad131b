//! JSON as protobuf, by a [`schema`](super::schema). Nothing is decoded here.

use serde_json::Value;

use super::schema::{Field, Type};

/// What a time of day is counted from, in texts and in numbers: all times of the benchmark's objects are this one.
pub const TIME: (&str, u64) = ("2026-01-01T00:00:00Z", 1_767_225_600);

/// A message in the making.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// A field of bytes: text, or a message within.
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.put_bytes(field, value);
        self
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn put_bytes(&mut self, field: u32, value: &[u8]) {
        self.put_varint(u64::from(field << 3 | 2));
        self.put_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn put_number(&mut self, field: u32, value: u64) {
        self.put_varint(u64::from(field << 3));
        self.put_varint(value);
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn put(&mut self, field: u32, kind: Type, value: &Value) {
        match (kind, value) {
            (Type::Json, value) => {
                self.put_bytes(field, &Message::default().bytes(1, value.to_string().as_bytes()).finish());
            }
            (_, Value::Array(items)) => items.iter().for_each(|item| self.put(field, kind, item)),
            (Type::Message(fields), value) => self.put_bytes(field, &encode(fields, value)),
            (Type::Map, Value::Object(entries)) => {
                for (name, text) in entries {
                    let text = text.as_str().unwrap_or_default();
                    let entry = Message::default().bytes(1, name.as_bytes()).bytes(2, text.as_bytes());
                    self.put_bytes(field, &entry.finish());
                }
            }
            (Type::Time, _) => {
                let mut time = Message::default();
                time.put_number(1, TIME.1);
                self.put_bytes(field, &time.finish());
            }
            (Type::IntOrString, value) => {
                let mut number = Message::default();
                number.put_number(1, 0);
                number.put_number(2, value.as_u64().unwrap_or_default());
                self.put_bytes(field, &number.finish());
            }
            (_, Value::String(text)) => self.put_bytes(field, text.as_bytes()),
            (_, Value::Bool(truth)) => self.put_number(field, u64::from(*truth)),
            (_, Value::Number(number)) => self.put_number(field, number.as_u64().unwrap_or_default()),
            (_, Value::Null | Value::Object(_)) => {}
        }
    }
}

/// A message of these fields, of those that the value has.
pub fn encode(fields: &[Field], value: &Value) -> Vec<u8> {
    let mut message = Message::default();
    for (name, number, kind) in fields {
        if let Some(value) = value.get(name) {
            message.put(*number, *kind, value);
        }
    }
    message.finish()
}

/// The name of something in the value that the fields do not have, at any depth: it would be missing in protobuf.
#[cfg(test)]
pub fn forgotten(fields: &[Field], value: &Value) -> Option<String> {
    let Value::Object(entries) = value else { return None };
    entries.iter().find_map(|(name, value)| {
        let Some((_, _, kind)) = fields.iter().find(|field| field.0 == name) else {
            return Some(name.clone());
        };
        let Type::Message(fields) = kind else { return None };
        match value {
            Value::Array(items) => items.iter().find_map(|item| forgotten(fields, item)),
            value => forgotten(fields, value),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::schema::{ENDPOINT_SLICE, SERVICE};

    #[test]
    fn a_service_as_kubernetes_encodes_it() {
        let service = json!({
            "metadata": { "name": "a", "labels": { "k": "v" } },
            "spec": { "ports": [{ "port": 443, "targetPort": 8443 }], "clusterIPs": ["::1"] },
        });
        let expected = [
            vec![0x0a, 11], // metadata
            vec![0x0a, 1, b'a'],
            vec![0x5a, 6, 0x0a, 1, b'k', 0x12, 1, b'v'], // an entry of labels
            vec![0x12, 18],                              // spec
            vec![0x0a, 10, 0x18, 0xbb, 0x03],            // ports, port 443
            vec![0x22, 5, 0x08, 0, 0x10, 0xfb, 0x41],    // targetPort: a number, 8443
            vec![0x92, 0x01, 3, b':', b':', b'1'],       // clusterIPs, field 18
        ];
        assert_eq!(encode(SERVICE, &service), expected.concat());
    }

    #[test]
    fn an_endpoint_that_is_ready_and_serves() {
        let slice = json!({ "endpoints": [
            { "addresses": ["x"], "conditions": { "ready": true, "serving": true, "terminating": false } },
            { "addresses": ["y"] },
        ]});
        let expected =
            [vec![0x12, 11, 0x0a, 1, b'x', 0x12, 6, 0x08, 1, 0x10, 1, 0x18, 0], vec![0x12, 3, 0x0a, 1, b'y']];
        assert_eq!(encode(ENDPOINT_SLICE, &slice), expected.concat());
    }

    #[test]
    fn what_is_forgotten_is_noticed() {
        assert_eq!(forgotten(SERVICE, &json!({ "spec": { "type": "x" } })), None);
        let unknown = json!({ "spec": { "ports": [{ "nodePort": 1 }] } });
        assert_eq!(forgotten(SERVICE, &unknown).as_deref(), Some("nodePort"));
    }
}
