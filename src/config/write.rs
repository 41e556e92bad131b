//! The settings as kube-proxy shows its own: a `KubeProxyConfiguration` with every field, as YAML for
//! `--write-config-to` and as JSON for `/configz`. Both programs can read what is written.

use serde_json::{Value, json};

use super::file::File;

/// The name that components file their configuration under in `/configz`.
const GROUP: &str = "kubeproxy.config.k8s.io";

/// A file with every field filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration(Value);

impl Configuration {
    /// A complete file's.
    pub(super) fn of(file: &File) -> Self {
        Configuration(serde_json::to_value(file).unwrap_or_default())
    }

    /// The answer of `/configz`.
    pub fn configz(&self) -> Value {
        json!({ GROUP: self.0 })
    }

    /// A file for `--config`.
    pub fn yaml(&self) -> String {
        let mut text = String::new();
        write(&mut text, &self.0, 0);
        text
    }
}

/// A value that begins on a line of its own, in block style.
fn write(out: &mut String, value: &Value, indent: usize) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                *out += &format!("{margin}{}:", scalar(name));
                write_after_key(out, value, indent);
            }
        }
        Value::Array(items) => {
            for item in items {
                // What belongs to a list is given inline: JSON is YAML.
                *out += &format!("{margin}- {item}\n");
            }
        }
        other => *out += &format!("{margin}{other}\n"),
    }
}

fn write_after_key(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            *out += "\n";
            write(out, value, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            *out += "\n";
            write(out, value, indent);
        }
        Value::String(text) => *out += &format!(" {}\n", scalar(text)),
        other => *out += &format!(" {other}\n"),
    }
}

/// Plain where nobody could take it for anything but text, else quoted as in JSON.
fn scalar(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    if is_word && !words.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_is_quoted() {
        for (text, expected) in [
            ("nftables", "nftables"),
            ("", "\"\""),
            ("No", "\"No\""),
            ("1e3", "\"1e3\""),
            ("a: b", "\"a: b\""),
            ("- x", "\"- x\""),
            ("ä\n", "\"ä\\n\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }

    #[test]
    fn nesting_is_indented() {
        let value = json!({ "a": { "b": null, "c": {} }, "d": ["x", { "e": 1 }], "f": [] });
        assert_eq!(Configuration(value).yaml(), "a:\n  b: null\n  c: {}\nd:\n- \"x\"\n- {\"e\":1}\nf: []\n");
    }
}
