//! The real kernel, over an nfnetlink socket.
//!
//! Requests are synchronous: the kernel has done what a datagram asks when sending it returns, and its
//! answers wait in the socket (`nfnetlink_rcv_batch` of net/netfilter/nfnetlink.c). So one thread owns the
//! socket and nothing here waits for long.

mod attributes;
mod encode;
mod expressions;
mod foreign;
mod listen;
mod objects;
mod own;
mod read;
mod socket;
mod userdata;

use std::io;
use std::time::Duration;

use kube_verdict_table::Family;

use self::attributes::{HEADER, Message, attribute, messages};
use self::encode::{Blame, Encoder};
pub use self::foreign::{ForeignRule, ForeignTable, Removal};
pub use self::listen::Ear;
use self::listen::Listener;
use self::socket::Socket;
use crate::batch::Batch;
use crate::kernel::{CommitError, Kernel, Note, ReadError, Refusal, Snapshot};

/// NLMSGERR_ATTR_OFFS of linux/netlink.h
const ERROR_OFFSET: u16 = 2;
/// Before ERESTART had a name for user space (linux/errno.h).
const ERESTART: i32 = 85;
/// How long a packet takes at most from its first rule to its last in one hook.
const PASSAGE: Duration = Duration::from_millis(10);
/// How often a reading that others disturbed is begun anew.
const READ_ATTEMPTS: usize = 50;
/// After so many, two readings that agree are good enough.
const QUIET_ATTEMPTS: usize = 3;

/// nf_tables through netlink. It acts in the network namespace of the thread that opened it.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    /// reused, so that small batches allocate nothing
    spare: Encoder,
    /// somebody changed the ruleset during a dump (NLM_F_DUMP_INTR)
    is_disturbed: bool,
    /// the kernel did not say which operation of a message it refused (as Linux 5.10 does)
    is_uncertain: bool,
    /// what others do, if it is listened to
    listener: Option<Listener>,
}

/// A batch in the kernel's bytes, ready to be sent.
pub struct Prepared {
    encoder: Encoder,
    /// sequence numbers of the first message and of the one that is acknowledged
    first: u32,
    last: u32,
}

impl Prepared {
    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.encoder.bytes().len()
    }
}

impl Netlink {
    /// Opens a socket. Programming needs CAP_NET_ADMIN, which the kernel asks for at the first batch.
    pub fn open() -> io::Result<Self> {
        Ok(Netlink {
            socket: Socket::open()?,
            sequence: 0,
            spare: Encoder::default(),
            is_disturbed: false,
            is_uncertain: false,
            listener: None,
        })
    }

    /// From here on [`Kernel::hear`] tells what others do, whenever the ear becomes readable.
    pub fn listen(&mut self) -> io::Result<Ear> {
        let listener = Listener::open()?;
        let ear = listener.ear();
        self.listener = Some(listener);
        Ok(ear)
    }

    /// Listening came to an end: it is said once, and others are looked after by the ruleset's generation alone.
    fn stop_listening(&mut self, error: &io::Error) {
        self.listener = None;
        tracing::error!(
            "changes that others make to nftables are no longer heard of: {error}; they are looked for at \
             times instead. Restart to hear of them again"
        );
    }

    /// Turns a batch into bytes. Committing is preparing and sending.
    pub fn prepare(&mut self, batch: &Batch) -> Prepared {
        let mut encoder = std::mem::take(&mut self.spare);
        let first = self.sequence.wrapping_add(1);
        let last = encoder.encode(batch, first);
        self.sequence = last.wrapping_add(1);
        Prepared { encoder, first, last }
    }

    /// Sends a batch and reads the kernel's answer to it.
    pub fn send(&mut self, prepared: &Prepared) -> Result<(), CommitError> {
        self.socket.send(prepared.encoder.bytes())?;
        self.answers(prepared)
    }

    /// Reads the kernel's answers to the batch that was just sent.
    fn answers(&mut self, prepared: &Prepared) -> Result<(), CommitError> {
        let Prepared { encoder, first, last } = prepared;
        let mut refusals = Vec::new();
        self.is_uncertain = false;
        loop {
            let datagram = match self.socket.receive() {
                Ok(datagram) => datagram,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The kernel has acted, and nobody hears how.
                Err(error) => {
                    tracing::debug!(%error, "the answer to a batch cannot be read");
                    return Err(CommitError::Lost);
                }
            };
            let mut done = false;
            for message in messages(datagram) {
                let Some(answer) = Answer::of(&message) else { continue };
                if answer.sequence == *first && answer.errno == ERESTART {
                    return Err(CommitError::Stale);
                }
                if answer.sequence == *first && answer.errno != 0 {
                    return Err(CommitError::Io(io::Error::from_raw_os_error(answer.errno)));
                }
                if answer.errno != 0
                    && let Some(Blame { op, is_certain }) =
                        encoder.blame(answer.sequence.wrapping_sub(*first), answer.offset)
                {
                    self.is_uncertain |= !is_certain;
                    refusals.push(Refusal { op, errno: answer.errno });
                }
                done |= answer.sequence == *last;
            }
            if done {
                return if refusals.is_empty() { Ok(()) } else { Err(CommitError::Refused(refusals)) };
            }
        }
    }
}

impl Kernel for Netlink {
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if batch.is_empty() {
            return Ok(());
        }
        if let Some(Err(error)) = self.listener.as_mut().map(Listener::leave) {
            self.stop_listening(&error);
        }
        let prepared = self.prepare(batch);
        let mut result = self.send(&prepared);
        if self.is_uncertain && matches!(result, Err(CommitError::Refused(_))) {
            // Nothing of it became real, so it can be asked again in a way that tells.
            self.spare = Encoder::one_by_one();
            let prepared = self.prepare(batch);
            result = self.send(&prepared);
        }
        self.spare = prepared.encoder;
        self.spare.reset();
        result
    }

    fn read(&mut self, family: Family) -> Result<Snapshot, ReadError> {
        let mut before_that = None;
        for attempt in 0..READ_ATTEMPTS {
            let generation = self.generation()?;
            self.is_disturbed = false;
            let found = match read::found(self, family) {
                Ok(found) => found,
                Err(ReadError::Unstable) => continue,
                Err(error) => return Err(error),
            };
            self.is_disturbed |= self.generation()? != generation;
            if !self.is_disturbed {
                let read::Found { table, has_bridge } = found;
                return Ok(Snapshot { generation: Some(generation), table, has_bridge });
            }
            // Others change their tables without a pause. What reads the same twice is not what they change.
            if attempt >= QUIET_ATTEMPTS && before_that.as_ref() == Some(&found) {
                let read::Found { table, has_bridge } = found;
                return Ok(Snapshot { generation: None, table, has_bridge });
            }
            before_that = Some(found);
        }
        Err(ReadError::Unstable)
    }

    fn generation(&mut self) -> Result<u32, ReadError> {
        read::generation(self)
    }

    fn let_pass(&mut self) {
        // A packet meets a hook in microseconds, without being put aside; this is a thousand times that.
        std::thread::sleep(PASSAGE);
    }

    fn listens(&self) -> bool {
        self.listener.is_some()
    }

    fn resume(&mut self) {
        if let Some(Err(error)) = self.listener.as_mut().map(Listener::rejoin) {
            self.stop_listening(&error);
        }
    }

    fn hear(&mut self) -> Option<Note> {
        match self.listener.as_mut()?.next() {
            Ok(note) => note,
            Err(error) => {
                self.stop_listening(&error);
                // What was under way when it ended is not known.
                Some(Note::Lost)
            }
        }
    }
}

/// An NLMSG_ERROR message, which is also how success is acknowledged.
struct Answer {
    sequence: u32,
    /// 0: success
    errno: i32,
    /// where in the request the trouble is
    offset: Option<usize>,
}

impl Answer {
    fn of(message: &Message<'_>) -> Option<Self> {
        if i32::from(message.kind) != libc::NLMSG_ERROR {
            return None;
        }
        let errno = i32::from_ne_bytes(message.payload().get(..4)?.try_into().ok()?);
        // With NETLINK_CAP_ACK only the request's header follows, then the extended acknowledgement.
        let extended = message.payload().get(4 + HEADER..).unwrap_or_default();
        let offset = attribute(extended, ERROR_OFFSET)
            .and_then(|attribute| attribute.data.try_into().ok())
            .map(|bytes| u32::from_ne_bytes(bytes) as usize);
        Some(Answer { sequence: message.sequence, errno: -errno, offset })
    }
}
