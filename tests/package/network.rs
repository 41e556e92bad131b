//! A network namespace of a container, and servers in it.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns};

/// One that can be entered.
#[derive(Clone, Debug)]
pub struct Network(Arc<File>);

impl Network {
    /// By its file.
    pub fn open(path: &str) -> Network {
        Network(Arc::new(File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"))))
    }

    /// Moves the calling thread there, for good.
    pub fn enter(&self) {
        setns(&*self.0, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// Does something there, on a thread of its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = || {
                self.enter();
                work()
            };
            scope.spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A server that says what it is told, until the test ends.
    pub fn echo_at(&self, address: SocketAddr) {
        let listener = self.run(|| TcpListener::bind(address).unwrap());
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut back = client.try_clone().unwrap();
                thread::spawn(move || std::io::copy(&mut client, &mut back));
            }
        });
    }

    /// A server that tells who connects its address, and has then said all.
    pub fn greet_at(&self, address: SocketAddr) {
        let listener = self.run(|| TcpListener::bind(address).unwrap());
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                // A client may have left already; it knows best whether that was a failure.
                let _ = client.write_all(name(address).as_bytes());
            }
        });
    }

    /// A server that answers every datagram with its address.
    pub fn answer_at(&self, address: SocketAddr) {
        let socket = self.run(|| UdpSocket::bind(address).unwrap());
        thread::spawn(move || {
            let mut question = [0; 64];
            while let Ok((_, client)) = socket.recv_from(&mut question) {
                let _ = socket.send_to(name(address).as_bytes(), client);
            }
        });
    }
}

fn name(address: SocketAddr) -> String {
    address.ip().to_string()
}
