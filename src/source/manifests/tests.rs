//! The rules of the manifest source, one test each: what is read, what is reported, and above all what stays.

mod follow;
mod hostile;
mod rules;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube_verdict_table::objects::{Object, ObjectEvent};

use super::directory::{Directory, Trust};
use crate::source::{Batch, Severity};

/// A directory whose changes are told to the source by hand, with a clock of its own.
struct Bench {
    root: tempfile::TempDir,
    directory: Directory,
    now: Instant,
    /// what a table would hold by now, by name
    there: BTreeSet<String>,
}

impl Bench {
    /// With files in it before it is loaded.
    fn with(files: &[(&str, &str)]) -> (Self, Batch) {
        let root = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            std::fs::write(root.path().join(name), contents).unwrap();
        }
        let directory = Directory::open(root.path()).unwrap();
        let mut bench = Bench { root, directory, now: Instant::now(), there: BTreeSet::new() };
        let batch = bench.directory.load();
        (bench.applied(batch.clone()), batch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn applied(mut self, batch: Batch) -> Self {
        self.apply(&batch);
        self
    }

    fn apply(&mut self, batch: &Batch) {
        for event in &batch.events {
            match event {
                ObjectEvent::Applied(object) => drop(self.there.insert(object.key().to_string())),
                ObjectEvent::Deleted(key) => {
                    assert!(self.there.remove(&key.to_string()), "{key} was not there")
                }
            }
        }
    }

    /// Writes a file as if an event had come for it.
    fn write(&mut self, name: &str, contents: impl AsRef<[u8]>) -> Batch {
        std::fs::write(self.path(name), contents).unwrap();
        self.event(&[name])
    }

    fn remove(&mut self, name: &str) -> Batch {
        std::fs::remove_file(self.path(name)).unwrap();
        self.event(&[name])
    }

    fn event(&mut self, names: &[&str]) -> Batch {
        let names = names.iter().map(Into::into).collect();
        let batch = self.directory.reread(names, self.now);
        self.apply(&batch);
        batch
    }

    fn look(&mut self, trust: Trust) -> Batch {
        let batch = self.directory.look(trust, self.now);
        self.apply(&batch);
        batch
    }

    /// Lets a second pass.
    fn wait(&mut self) -> Batch {
        self.now += Duration::from_secs(1);
        let batch = self.directory.expire(self.now);
        self.apply(&batch);
        batch
    }

    fn there(&self) -> Vec<&str> {
        self.there.iter().map(String::as_str).collect()
    }
}

fn service(name: &str, ip: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  clusterIP: {ip}\n  ports:\n  - port: 80\n---\n"
    )
}

fn events(batch: &Batch) -> Vec<String> {
    let text = |event: &ObjectEvent| match event {
        ObjectEvent::Applied(object) => format!("+{}", object.key()),
        ObjectEvent::Deleted(key) => format!("-{key}"),
    };
    batch.events.iter().map(text).collect()
}

/// Problems as the log shows them, without the directory.
fn problems(batch: &Batch, at_least: Severity) -> Vec<String> {
    let relevant = batch.problems.iter().filter(|problem| problem.severity >= at_least);
    relevant
        .map(|problem| {
            let directory = problem.path.parent().map(|parent| format!("{}/", parent.display()));
            problem.to_string().replace(&directory.unwrap_or_default(), "")
        })
        .collect()
}

fn cluster_ip(batch: &Batch, index: usize) -> String {
    match &batch.events[index] {
        ObjectEvent::Applied(Object::Service(service)) => {
            service.spec.cluster_ip.as_ref().unwrap().to_string()
        }
        other => panic!("{other:?}"),
    }
}
