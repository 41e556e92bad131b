//! The server's life: a listener in a node's namespace, a thread for every connection, and the end of all of them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use kube_verdict_scenario_tests::netns::Netns;

use super::connection;
use super::feed::Feed;
use super::objects::{self, Object};
use super::store::{Store, Verb};
use crate::workload::{Change, World};

/// Connections at a time; a proxy has up to four watches, and perhaps a connection for its Events.
const CONNECTIONS: usize = 64;

/// A running server. It is gone with its value.
#[derive(Debug)]
pub struct Api {
    world: World,
    feed: Arc<Feed>,
    connections: Arc<Connections>,
    listener: Arc<TcpListener>,
    acceptor: Option<JoinHandle<()>>,
    address: SocketAddr,
}

/// The open connections by number, to be closed from outside.
#[derive(Debug, Default)]
struct Connections(Mutex<BTreeMap<u64, TcpStream>>);

impl Connections {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<u64, TcpStream>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Api {
    /// Encodes a world, and listens in a namespace, on its loopback.
    ///
    /// # Errors
    /// There can be no listener.
    pub fn start(node: &Netns, world: &World) -> io::Result<Api> {
        let listener = Arc::new(node.run(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?);
        let address = listener.local_addr()?;
        let feed = Arc::new(Feed::new(store(world)));
        let connections = Arc::new(Connections::default());
        let acceptor = {
            let (listener, feed) = (Arc::clone(&listener), Arc::clone(&feed));
            let connections = Arc::clone(&connections);
            thread::Builder::new().name("api".into()).spawn(move || accept(&listener, &feed, &connections))?
        };
        let world = world.clone();
        Ok(Api { world, feed, connections, listener, acceptor: Some(acceptor), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The objects as they are now.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The first question that it did not understand, and a real API server would have: whoever asked it may have done
    /// worse for it.
    pub fn refused(&self) -> Option<String> {
        self.feed.refused()
    }

    /// Makes changes: every watch is told of all of them, at once.
    pub fn tell(&mut self, changes: &[Change]) {
        let mut revision = self.feed.look(Store::revision);
        let mut events = Vec::new();
        for change in changes {
            self.happen(*change, &mut revision, &mut events);
        }
        self.feed.record(events);
    }

    fn happen(&mut self, change: Change, revision: &mut u64, events: &mut Vec<(Verb, Object)>) {
        let before = self.world.service(change.service());
        let after = self.world.apply(change);
        let mut next = || {
            *revision += 1;
            *revision
        };
        match (change, before, after) {
            (Change::Replace { endpoint, .. }, _, Some(service)) => {
                let place = endpoint as usize / objects::SLICE;
                events.push((Verb::Modified, objects::slice(&service, place, next())));
            }
            (Change::Create { .. }, None, Some(service)) => {
                events.push((Verb::Added, objects::service(&service, next())));
                let places = 0..objects::slices(&service);
                events.extend(places.map(|place| (Verb::Added, objects::slice(&service, place, next()))));
            }
            (Change::Delete { .. }, Some(service), _) => {
                events.push((Verb::Deleted, objects::service(&service, next())));
                let places = 0..objects::slices(&service);
                events.extend(places.map(|place| (Verb::Deleted, objects::slice(&service, place, next()))));
            }
            // What is there already, or is not there, does not change.
            (Change::Replace { .. } | Change::Create { .. } | Change::Delete { .. }, _, _) => {}
        }
    }
}

impl Drop for Api {
    /// Wakes every thread, whatever it waits for.
    fn drop(&mut self) {
        self.feed.close();
        let _ = nix::sys::socket::shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.connections.with(|connections| {
            connections.values().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        });
    }
}

/// Everything that there is at the start.
fn store(world: &World) -> Store {
    let mut revision = 0;
    let mut next = || {
        revision += 1;
        revision
    };
    let mut all = vec![objects::node(next()), objects::service_cidr(next())];
    for service in world.services() {
        all.push(objects::service(&service, next()));
        all.extend((0..objects::slices(&service)).map(|place| objects::slice(&service, place, next())));
    }
    Store::new(all, revision)
}

fn accept(listener: &TcpListener, feed: &Arc<Feed>, connections: &Arc<Connections>) {
    for (number, stream) in (0..).zip(listener.incoming()) {
        let stream = match stream {
            Ok(stream) => stream,
            // The listener was shut down.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(_) => continue,
        };
        let Ok(handle) = stream.try_clone() else { continue };
        let is_room = connections.with(|connections| {
            let is_room = connections.len() < CONNECTIONS;
            if is_room {
                connections.insert(number, handle);
            }
            is_room
        });
        if !is_room {
            continue;
        }
        let (feed, connections) = (Arc::clone(feed), Arc::clone(connections));
        thread::spawn(move || {
            // However it ends: the other side sees an end, and comes again if it likes.
            let _ = connection::serve(stream, &feed);
            connections.with(|connections| connections.remove(&number));
        });
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
