//! Files that a disk, an editor or an enemy might leave: none may stop the source or cost an object that is
//! served, unless it plainly says so.

use proptest::prelude::*;

use super::*;

/// A file of three objects, whose truncation is to be survived.
fn three() -> String {
    service("a", "10.0.0.1") + &service("b", "10.0.0.2") + &service("c", "10.0.0.3")
}

fn as_json() -> String {
    let item = |name: &str, ip: &str| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"{name}\"}},\n \"spec\": \
             {{\"clusterIP\": \"{ip}\", \"ports\": [{{\"port\": 80}}]}}}}"
        )
    };
    let items = [item("a", "10.0.0.1"), item("b", "10.0.0.2"), item("c", "10.0.0.3")].join(",\n");
    format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{items}\n]}}\n")
}

/// Every truncation of a JSON file is broken, so none of them removes anything.
#[test]
fn every_prefix_of_a_json_file_keeps_everything() {
    let text = as_json();
    let (mut bench, _) = Bench::with(&[("a.json", &text)]);
    for end in 0..text.trim_end().len() {
        let batch = bench.write("a.json", &text[..end]);
        assert_eq!(batch.events, [], "{end}");
        assert_eq!(problems(&batch, Severity::Error).len(), 1, "{end}");
    }
    assert!(bench.write("a.json", &text).is_empty(), "whole again, nothing changed");
}

/// A YAML file cut between two documents is a shorter, perfect file: what was cut off is plainly no longer
/// there. Everything else stays: an object that was cut in two, and those before it.
#[test]
fn every_prefix_of_a_yaml_file_keeps_what_it_names() {
    let text = three();
    for end in 0..text.len() {
        let (mut bench, _) = Bench::with(&[("a.yaml", &text)]);
        let cut = &text[..end];
        bench.write("a.yaml", cut);
        for name in ["a", "b", "c"] {
            let is_named = cut.contains(&format!("name: {name}\n"));
            let is_there = bench.there().contains(&format!("Service default/{name}").as_str());
            assert!(is_there || !is_named, "{name} was lost, although it is there:\n{cut}");
        }
        assert!(end > 0 || bench.there().len() == 3, "an empty file keeps everything");
        let batch = bench.write("a.yaml", &text);
        assert!(problems(&batch, Severity::Error).is_empty());
        assert_eq!(bench.there().len(), 3);
    }
}

#[test]
fn every_single_byte_may_be_damaged() {
    let text = three();
    let (mut bench, _) = Bench::with(&[("a.yaml", &text), ("z.yaml", &service("z", "10.0.0.26"))]);
    for index in 0..text.len() {
        for byte in [0, 0xff, b'\t', b'{', b'*', b'"', b'|', b'\n'] {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = byte;
            bench.write("a.yaml", bytes);
            assert!(bench.there().contains(&"Service default/z"));
        }
    }
    bench.write("a.yaml", &text);
    bench.wait();
    assert_eq!(bench.there().len(), 4);
}

#[test]
fn no_text_at_all() {
    for (bytes, hint) in [
        (&b"\x7fELF\x02\x01\x01\x00"[..], "NUL byte"),
        (b"a: \xff\xfe\n", "not UTF-8"),
        (b"\xff\xfea\x00:\x00", "save it as UTF-8"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x00\x00\x00\x00\x00\x00", "NUL byte"),
        (b"a: \x07\n", ""),
    ] {
        let (mut bench, _) = Bench::with(&[("a.yaml", &three())]);
        let batch = bench.write("a.yaml", bytes);
        assert_eq!(bench.there().len(), 3);
        let said = problems(&batch, Severity::Error);
        assert!(said[0].contains(hint), "{said:?}");
    }
}

#[test]
fn bombs_end_early() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "));
    }
    let deep = "[".repeat(100_000);
    let deeper = "a: ".repeat(100_000);
    let lists = "{kind: List, items: [".repeat(200_000);
    for text in [bomb, deep, deeper, lists] {
        let (mut bench, _) = Bench::with(&[("a.yaml", &three())]);
        let batch = bench.write("a.yaml", text);
        assert_eq!(bench.there().len(), 3);
        assert_eq!(problems(&batch, Severity::Error).len(), 1);
    }
}

#[test]
fn a_huge_file_is_not_read() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &three())]);
    std::fs::File::create(bench.path("a.yaml")).unwrap().set_len(1 << 40).unwrap();
    let batch = bench.event(&["a.yaml"]);
    assert_eq!(bench.there().len(), 3);
    let said = problems(&batch, Severity::Error);
    assert!(said[0].contains("more than the 64 MiB that we read: split it"), "{said:?}");
    assert!(bench.look(Trust::Nothing).is_empty(), "said once");
}

#[test]
fn pipes_devices_directories_and_loops_are_not_opened() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &three())]);
    let path = bench.path("pipe.yaml");
    let pipe = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: a C string that lives for the call.
    #[allow(unsafe_code)]
    let made = unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) };
    assert_eq!(made, 0);
    std::fs::create_dir(bench.path("directory.yaml")).unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, bench.path(name)).unwrap();
    link("/dev/zero", "zero.yaml");
    link("loop.yaml", "loop.yaml");
    link("nothing", "nothing.yaml");
    let names = ["pipe.yaml", "directory.yaml", "zero.yaml", "loop.yaml", "nothing.yaml"];
    let batch = bench.event(&names);
    assert_eq!(batch.events, []);
    let said = problems(&batch, Severity::Error);
    assert_eq!(said.len(), names.len(), "{said:#?}");
    assert!(bench.look(Trust::Nothing).is_empty(), "said once");
    assert!(bench.look(Trust::Nothing).is_empty(), "said once");
}

#[test]
fn a_file_that_may_not_be_read_keeps_its_objects() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &three())]);
    // Whoever runs this may read everything; a link into nowhere is as unreadable.
    std::fs::remove_file(bench.path("a.yaml")).unwrap();
    std::os::unix::fs::symlink("/nowhere/a.yaml", bench.path("a.yaml")).unwrap();
    let batch = bench.event(&["a.yaml"]);
    assert!(problems(&batch, Severity::Error)[0].contains("is a link to nothing"));
    bench.wait();
    assert_eq!(bench.there().len(), 3);
}

#[test]
fn odd_names_are_files_too() {
    use std::os::unix::ffi::OsStringExt;
    let (mut bench, _) = Bench::with(&[]);
    for name in [b"\xff.yaml".to_vec(), b" .yaml".to_vec(), b"a\nb.yaml".to_vec()] {
        let name = std::ffi::OsString::from_vec(name);
        std::fs::write(bench.root.path().join(&name), service("a", "10.0.0.1")).unwrap();
    }
    assert_eq!(events(&bench.look(Trust::Everything)), ["+Service default/a"]);
}

/// What one step does to one of three files.
#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<(usize, u8)>, usize),
    Truncate(usize, usize),
    Remove(usize),
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let objects = proptest::collection::vec((0usize..4, 1u8..4), 0..4);
    let step = prop_oneof![
        (0usize..3, objects, 0usize..10)
            .prop_map(|(file, objects, broken)| Step::Write(file, objects, broken)),
        (0usize..3, 0usize..300).prop_map(|(file, length)| Step::Truncate(file, length)),
        (0usize..3).prop_map(Step::Remove),
        Just(Step::Wait),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was done in between: once all files are good, what was said adds up to what a fresh reader says.
    #[test]
    fn the_sum_of_all_changes_is_what_a_fresh_reader_finds(steps in steps()) {
        let (mut bench, _) = Bench::with(&[]);
        let names = ["a.yaml", "b.yaml", "c.json"];
        let mut versions = std::collections::BTreeMap::new();
        let text = |objects: &[(usize, u8)]| -> String {
            "# written\n".to_owned()
                + &objects.iter().map(|(name, ip)| service(&format!("s{name}"), &format!("10.0.0.{ip}"))).collect::<String>()
        };
        let mut all = Vec::new();
        let track = |versions: &mut std::collections::BTreeMap<String, Object>, batch: &Batch| {
            for event in &batch.events {
                match event {
                    ObjectEvent::Applied(object) => drop(versions.insert(object.key().to_string(), object.clone())),
                    ObjectEvent::Deleted(key) => drop(versions.remove(&key.to_string())),
                }
            }
        };
        for step in steps {
            let batch = match step {
                Step::Write(file, objects, broken) => {
                    let end = if broken == 0 { "broken: [" } else { "" };
                    all.push(file);
                    bench.write(names[file], text(&objects) + end)
                }
                Step::Truncate(file, length) => {
                    let contents = std::fs::read(bench.path(names[file])).unwrap_or_default();
                    bench.write(names[file], &contents[..length.min(contents.len())])
                }
                Step::Remove(file) if bench.path(names[file]).exists() => bench.remove(names[file]),
                Step::Remove(_) | Step::Wait => bench.wait(),
            };
            track(&mut versions, &batch);
        }
        for (index, name) in names.iter().enumerate() {
            let batch = bench.write(name, text(&[(index, 1), (index + 1, 2)]));
            track(&mut versions, &batch);
        }
        let batch = bench.wait();
        track(&mut versions, &batch);
        let fresh = Directory::open(bench.root.path()).unwrap().load();
        let mut expected = std::collections::BTreeMap::new();
        track(&mut expected, &fresh);
        prop_assert_eq!(versions, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut bench, _) = Bench::with(&[("a.yaml", &three())]);
        bench.write("a.yaml", bytes);
        bench.write("b.json", "{");
    }

    /// Fragments of real files, put together at random: deeper into the decoder than bytes would get.
    #[test]
    fn no_mixture_makes_it_panic(parts in proptest::collection::vec(prop::sample::select(vec![
        "apiVersion: v1\n", "kind: Service\n", "kind: List\n", "kind: ServiceList\n", "items:\n", "- ", "  ", "spec:\n",
        "metadata: {name: a}\n", "metadata: []\n", "spec: {ports: [{port: 80}], clusterIP: 10.0.0.1}\n", "---\n", "...\n",
        "kind: EndpointSlice\n", "apiVersion: discovery.k8s.io/v1\n", "endpoints: [{addresses: [10.0.0.1]}]\n",
        "endpoints: {a: b}\n", "addressType: IPv4\n", "ports: [{name: null, port: 99999}]\n", "kind: Node\n",
        "status: {addresses: [1, {type: InternalIP}]}\n", "<<: *a\n", "x: &a {b: c}\n", "kind: 7\n", "null\n", "\u{feff}"]),
        0..25)) {
        let (mut bench, _) = Bench::with(&[]);
        bench.write("a.yaml", parts.concat());
    }
}
