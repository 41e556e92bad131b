//! The same with inotify, threads and real time. Waits are bounded generously and end with what they wait for.

use std::path::Path;

use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::super::{Follower, follow};
use super::*;

struct Live {
    root: tempfile::TempDir,
    follower: Follower,
    batches: Receiver<Batch>,
}

impl Live {
    fn with(files: &[(&str, &str)]) -> (Self, Batch) {
        let root = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            std::fs::write(root.path().join(name), contents).unwrap();
        }
        let (follower, batches) = follow(Directory::open(root.path()).unwrap()).unwrap();
        let mut live = Live { root, follower, batches };
        let first = live.next();
        (live, first)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn next(&mut self) -> Batch {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.batches.try_recv() {
                Ok(batch) => return batch,
                Err(TryRecvError::Disconnected) => panic!("the follower ended"),
                Err(TryRecvError::Empty) => assert!(Instant::now() < deadline, "nothing came"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The next events, however they are cut into batches: up to the one that is waited for.
    fn until(&mut self, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|event| event != last) {
            seen.extend(events(&self.next()));
        }
        seen
    }
}

fn replace(path: &Path, contents: &str) {
    let aside = path.with_extension("tmp");
    std::fs::write(&aside, contents).unwrap();
    std::fs::rename(aside, path).unwrap();
}

#[test]
fn the_first_batch_is_complete_and_comes_even_if_it_is_empty() {
    let (_live, first) =
        Live::with(&[("a.yaml", &service("a", "10.0.0.1")), ("b.yaml", &service("b", "10.0.0.2"))]);
    assert_eq!(events(&first), ["+Service default/a", "+Service default/b"]);
    let (_live, first) = Live::with(&[]);
    assert!(first.is_empty());
}

#[test]
fn a_loaded_directory_is_caught_up_with() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("a.yaml"), service("a", "10.0.0.1")).unwrap();
    let mut directory = Directory::open(root.path()).unwrap();
    assert_eq!(directory.load().events.len(), 1);
    std::fs::write(root.path().join("b.yaml"), service("b", "10.0.0.1")).unwrap();
    let (follower, batches) = follow(directory).unwrap();
    let mut live = Live { root, follower, batches };
    assert_eq!(live.until("+Service default/b"), ["+Service default/b"]);
}

#[test]
fn written_replaced_and_removed() {
    let (mut live, _) = Live::with(&[]);
    std::fs::write(live.path("a.yaml"), service("a", "10.0.0.1")).unwrap();
    assert_eq!(events(&live.next()), ["+Service default/a"]);
    replace(&live.path("a.yaml"), &service("a", "10.0.0.2"));
    let batch = live.next();
    assert_eq!(
        (events(&batch), cluster_ip(&batch, 0)),
        (vec!["+Service default/a".into()], "10.0.0.2".into())
    );
    std::fs::remove_file(live.path("a.yaml")).unwrap();
    assert_eq!(events(&live.next()), ["-Service default/a"]);
}

#[test]
fn a_relative_path_is_followed_as_well() {
    let root = tempfile::tempdir().unwrap();
    let up: PathBuf = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    let relative = up.join(root.path().strip_prefix("/").unwrap());
    let (follower, batches) = follow(Directory::open(&relative).unwrap()).unwrap();
    let mut live = Live { root, follower, batches };
    assert!(live.next().is_empty());
    replace(&live.path("a.yaml"), &service("a", "10.0.0.1"));
    assert_eq!(events(&live.next()), ["+Service default/a"]);
    replace(&live.path("a.yaml"), &service("a", "10.0.0.2"));
    assert_eq!(cluster_ip(&live.next(), 0), "10.0.0.2");
}

#[test]
fn a_file_that_is_being_written_is_not_read_before_it_is_closed() {
    use std::io::Write;
    let both = service("a", "10.0.0.1") + &service("b", "10.0.0.2");
    let (mut live, _) = Live::with(&[("a.yaml", &both)]);
    let mut file = std::fs::File::create(live.path("a.yaml")).unwrap();
    file.write_all(service("a", "10.0.0.3").as_bytes()).unwrap();
    file.sync_all().unwrap();
    // Another file makes the source look around meanwhile.
    std::fs::write(live.path("c.yaml"), service("c", "10.0.0.4")).unwrap();
    assert_eq!(live.until("+Service default/c"), ["+Service default/c"]);
    file.write_all(service("b", "10.0.0.5").as_bytes()).unwrap();
    drop(file);
    assert_eq!(live.until("+Service default/b"), ["+Service default/a", "+Service default/b"]);
}

#[test]
fn links_appear_and_a_volume_is_swapped() {
    let (mut live, _) = Live::with(&[]);
    for (version, ip) in [("..1", "10.0.0.1"), ("..2", "10.0.0.2")] {
        std::fs::create_dir(live.path(version)).unwrap();
        std::fs::write(live.path(version).join("a.yaml"), service("a", ip)).unwrap();
    }
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, live.path(name)).unwrap();
    link("..1", "..data");
    link("..data/a.yaml", "a.yaml");
    link("..2", "..data_tmp");
    assert_eq!(cluster_ip(&live.next(), 0), "10.0.0.1");
    std::fs::rename(live.path("..data_tmp"), live.path("..data")).unwrap();
    assert_eq!(cluster_ip(&live.next(), 0), "10.0.0.2");
}

#[test]
fn a_directory_that_goes_and_returns() {
    let (mut live, _) = Live::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    let aside = live.root.path().with_extension("aside");
    std::fs::rename(live.root.path(), &aside).unwrap();
    let lost = live.next();
    assert_eq!((lost.events.len(), lost.has_errors()), (0, true));
    std::fs::write(aside.join("b.yaml"), service("b", "10.0.0.2")).unwrap();
    std::fs::rename(&aside, live.root.path()).unwrap();
    assert_eq!(live.until("+Service default/b"), ["+Service default/b"]);
    replace(&live.path("a.yaml"), &service("a", "10.0.0.3"));
    assert_eq!(live.until("+Service default/a"), ["+Service default/a"]);
}

#[test]
fn many_files_at_once_are_all_found() {
    let (mut live, _) = Live::with(&[]);
    for index in 0..500 {
        std::fs::write(live.path(&format!("{index}.yaml")), service(&format!("s{index}"), "10.0.0.1"))
            .unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 500 {
        seen.extend(events(&live.next()));
    }
}

#[test]
fn ends_when_nobody_listens() {
    let root = tempfile::tempdir().unwrap();
    let (follower, mut batches) = follow(Directory::open(root.path()).unwrap()).unwrap();
    drop(follower);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !matches!(batches.try_recv(), Err(TryRecvError::Disconnected)) {
        assert!(Instant::now() < deadline, "the thread lives on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn slices_are_told_again_to_whoever_asks_and_go_when_they_go() {
    let slice =
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a-1}\naddressType: IPv4\n";
    let (mut live, _) = Live::with(&[("a.yaml", &service("a", "10.0.0.1")), ("b.yaml", slice)]);
    live.follower.recall();
    assert_eq!(events(&live.next()), ["+EndpointSlice default/a-1"]);
    live.follower.recall();
    assert_eq!(events(&live.next()), ["+EndpointSlice default/a-1"]);
    std::fs::remove_file(live.path("b.yaml")).unwrap();
    assert_eq!(live.until("-EndpointSlice default/a-1"), ["-EndpointSlice default/a-1"]);
}

#[tokio::test]
async fn whoever_has_everything_read_again_finds_it_handed_on() {
    let (mut live, _) = Live::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    live.follower.read_again().await;
    assert!(live.batches.try_recv().is_err(), "nothing is different");
    // Opened and not closed: nobody else would read it yet.
    let mut file = std::fs::File::create(live.path("b.yaml")).unwrap();
    std::io::Write::write_all(&mut file, service("b", "10.0.0.2").as_bytes()).unwrap();
    live.follower.read_again().await;
    let batch = live.batches.try_recv().unwrap();
    assert_eq!(events(&batch), ["+Service default/b"]);
    std::fs::remove_file(live.path("a.yaml")).unwrap();
    live.follower.read_again().await;
    assert_eq!(live.until("-Service default/a"), ["-Service default/a"]);
    drop(file);
}
