//! A file is taken whole or not at all.

use std::os::unix::fs::{PermissionsExt, symlink};

use kube_verdict_table::objects::Kind;
use serde_json::json;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn origin() -> Origin {
    Origin { node: "n1".into(), source: "manifests /etc/x".into() }
}

fn objects() -> Vec<Object> {
    (1..4)
        .map(|n| {
            let name = format!("s{n}");
            let value = json!({"metadata": {"name": name}, "spec": {"clusterIP": format!("10.96.0.{n}")}});
            Object::deserialize_as(Kind::Service, value).unwrap()
        })
        .collect()
}

fn bytes(written: SystemTime) -> Vec<u8> {
    let objects: Vec<Box<[u8]>> = objects().iter().map(|object| keep::object(object, "n1")).collect();
    encode(&origin(), written, objects.iter().map(|bytes| &**bytes)).unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn decoded(bytes: &[u8]) -> Result<Kept, Refused> {
    decode(bytes, &origin(), now(), DAY)
}

#[test]
fn what_was_written_is_read() {
    let kept = decoded(&bytes(now() - DAY)).unwrap();
    assert_eq!(kept, Kept { written: now() - DAY, objects: objects() });
}

#[test]
fn every_cut_is_refused() {
    let whole = bytes(now());
    for length in 0..whole.len() {
        let refused = decoded(&whole[..length]).unwrap_err();
        let is_right = match length {
            0..8 => matches!(refused, Refused::Foreign),
            _ => matches!(refused, Refused::Truncated),
        };
        assert!(is_right, "{length} bytes: {refused}");
    }
    let longer = [&whole[..], b"\0"].concat();
    assert!(matches!(decoded(&longer).unwrap_err(), Refused::Damaged(_)));
}

#[test]
fn every_bit_counts() {
    let whole = bytes(now());
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decoded(&flipped).is_err(), "bit {bit} may be either");
    }
}

#[test]
fn what_it_says_of_itself_counts() {
    let whole = bytes(now());
    let of = |node: &str, source: &str| {
        let origin = Origin { node: node.into(), source: source.into() };
        decode(&whole, &origin, now(), DAY).unwrap_err().to_string()
    };
    assert_eq!(of("n2", "manifests /etc/x"), "it is of \"n1\", and this is \"n2\"");
    assert!(of("n1", "cluster https://10.0.0.1").contains("it is of \"manifests /etc/x\""));

    let at = |now| decode(&whole, &origin(), now, DAY);
    assert!(at(now() + DAY).is_ok());
    let old = at(now() + DAY + Duration::from_secs(60)).unwrap_err().to_string();
    assert_eq!(old, "it is 24 h 1 min old, and 24 h 0 min is the most (--state-max-age)");
    assert!(at(now() - SKEW).is_ok());
    let future = at(now() - DAY).unwrap_err();
    assert!(matches!(future, Refused::FromTheFuture(_)), "{future}");

    let mut newer = whole.clone();
    newer[8] = 2;
    assert!(matches!(decoded(&newer).unwrap_err(), Refused::Version(2)));
    newer[0] = b'K';
    assert!(matches!(decoded(&newer).unwrap_err(), Refused::Foreign));
}

#[test]
fn an_object_that_is_none_is_refused_though_the_sum_is_right() {
    let whole = encode(&origin(), now(), [&[9u8, 9][..]].into_iter()).unwrap();
    assert!(matches!(decoded(&whole).unwrap_err(), Refused::Damaged("an object is none")));
}

#[test]
fn there_is_a_limit_on_what_is_written() {
    let large = vec![0; (LIMIT / 2) as usize];
    let refused = encode(&origin(), now(), [&large[..], &large[..]].into_iter()).unwrap_err();
    assert!(matches!(refused, WriteError::TooLarge));
}

#[test]
fn a_file_is_replaced_whole_and_is_ours_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/table");
    let read = || read(&path, &origin(), DAY);
    assert!(read().unwrap().is_none());
    let now = SystemTime::now();
    write(&path, &bytes(now)).unwrap();
    assert_eq!(read().unwrap().unwrap().objects, objects());
    // What a crash left is no obstacle.
    fs::write(path.with_extension("new"), "half").unwrap();
    write(&path, &bytes(now)).unwrap();
    let names: Vec<_> = path.parent().unwrap().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["table"]);
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn a_file_that_may_be_somebody_elses_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table");
    let refused = |path: &Path| read(path, &origin(), DAY).unwrap_err();
    write(&path, &bytes(SystemTime::now())).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o660)).unwrap();
    assert!(matches!(refused(&path), Refused::Untrusted("others may write it")));
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(refused(&link), Refused::Unreadable(_)));
    assert!(matches!(refused(directory.path()), Refused::Untrusted("it is no regular file")));
    let large = directory.path().join("large");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&large).unwrap();
    file.set_len(LIMIT + 1).unwrap();
    assert!(matches!(refused(&large), Refused::TooLarge));
}
