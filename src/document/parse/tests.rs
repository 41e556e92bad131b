use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Vec<Document<'_>>, SyntaxError> {
    Documents::new(text).collect()
}

fn only(text: &str) -> Document<'_> {
    let mut documents = parse(text).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

#[test]
fn several_documents_and_empty_ones() {
    let documents = parse("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n---\n").unwrap();
    let keys: Vec<bool> = documents.iter().map(|d| d.root.get("a").is_some()).collect();
    assert_eq!(keys, [true, false]);
}

#[test]
fn json_with_tabs_and_surrogates() {
    let document = only("{\n\t\"a\": \"\\ud83d\\ude00\\/\",\n\t\"b\": [1, {\"c\": null}]\n}\n");
    assert_eq!(document.root.get("a").and_then(Node::as_text), Some("😀/"));
    assert_eq!(document.root.locate("b[1].c"), Position { line: 3, column: 12 });
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let document = only("a: 1\nb: 2\na: 3\n");
    assert_eq!(document.root.get("a").and_then(Node::as_text), Some("3"));
    assert_eq!(document.duplicates, [Duplicate { key: "a".into(), at: Position { line: 3, column: 1 } }]);
}

#[test]
fn aliases_and_merge_keys() {
    let document = only("base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\nagain: *base\n");
    let used = document.root.get("use").unwrap();
    assert_eq!(used.get("a").and_then(Node::as_text), Some("1"));
    assert_eq!(used.get("b").and_then(Node::as_text), Some("3"));
    assert_eq!(document.root.get("again").unwrap().get("b").and_then(Node::as_text), Some("2"));
}

#[test]
fn errors_have_a_place() {
    let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
    assert!(error.at.line >= 2, "{error}");
    let error = parse("a: 1\n---\nb: {{ name }}: 2\n").unwrap_err();
    assert_eq!(error.at.line, 3, "{error}");
}

#[test]
fn an_alias_bomb_ends_early() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        text += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{below}"); 9].join(", "));
    }
    let error = parse(&text).unwrap_err();
    assert!(error.message.contains("copy more than"), "{error}");
}

#[test]
fn one_long_text_copied_often_is_a_bomb_too() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(10_000));
    assert!(parse(&text).unwrap_err().message.contains("copy more than"));
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(50_000)] {
        parse(&text).unwrap_err();
    }
    let chain: String = (0..40)
        .map(|n| if n == 0 { "- &a0 [[x]]\n".into() } else { format!("- &a{n} [[[[*a{}]]]]\n", n - 1) })
        .collect();
    assert!(parse(&chain).unwrap_err().message.contains("deep"));
}

#[test]
fn too_many_values_are_refused() {
    let mut builder = Builder { values: limits::VALUES - 2, ..Builder::default() };
    let mut events = Parser::new_from_str("[a, b, c]").map(Result::unwrap);
    let error = events.find_map(|(event, span)| builder.take(event, span).err()).unwrap();
    assert!(error.message.contains("split it"), "{error}");
}

#[test]
fn an_alias_to_its_own_parent_is_refused() {
    parse("a: &a [*a]").unwrap_err();
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "[ -~\n\t\u{85}é]{0,400}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_tangle_of_indicators_is_survived(parts in proptest::collection::vec(
        prop::sample::select(vec!["- ", "? ", ": ", "[", "]", "{", "}", "&a ", "*a", "!!str ", "!<x> ", "|\n",
            ">-\n", "'", "\"", "\\", "#", "\n", "  ", "\t", "---\n", "...\n", "%YAML 1.2\n", "<<: ", "x", ", ", "\r"]),
        0..60)) {
        let _ = parse(&parts.concat());
    }
}
