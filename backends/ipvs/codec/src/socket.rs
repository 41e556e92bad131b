//! The kernel, by a socket of generic netlink. It asks for CAP_NET_ADMIN, and acts in the network namespace of
//! the thread that opens it.

use std::io;

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN, NetlinkBuffer,
    NetlinkHeader,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

use crate::message::Attributes;
use crate::{
    Command, CommandAttribute, Info, Key, ListedRealServer, ListedVirtualServer, Load, Message, Order,
    RealServer, Refusal, VirtualServer, control,
};

/// The kernel's listings come in pieces of at most 32 KiB.
const DATAGRAM: usize = 64 << 10;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// What is asked for to keep answers in.
const ROOM: libc::c_int = 1 << 20;
/// What one answer takes of it at most, with all that the kernel has around it.
const ANSWER: usize = 2 << 10;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// the kernel has no IPVS, and could not load it
    #[error("the kernel has no IPVS: load the module ip_vs (CONFIG_IP_VS)")]
    Missing,
    /// the socket failed
    #[error("generic netlink: {0}")]
    Socket(#[from] io::Error),
    /// the kernel said no
    #[error("the kernel refuses {command:?}: {why}")]
    Refused {
        /// what it refuses
        command: Command,
        /// its error
        why: io::Error,
    },
    /// the kernel answered something else
    #[error("the kernel's answer to {0:?} is not understood")]
    Answer(Command),
}

impl Error {
    /// The kernel's error number, if it said no: ENOENT, no such real server; ESRCH, no such virtual one; EEXIST,
    /// it is there already.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Refused { why, .. } => why.raw_os_error(),
            _ => None,
        }
    }
}

/// How long IPVS remembers connections on which nothing happens; seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// established ones of TCP
    pub tcp: u32,
    /// those of TCP that end
    pub tcp_fin: u32,
    /// UDP
    pub udp: u32,
}

/// The kernel's IPVS.
#[derive(Debug)]
pub struct Ipvs {
    socket: Socket,
    buffer: Vec<u8>,
    outgoing: Vec<u8>,
    sequence: u32,
    family: u16,
}

impl Ipvs {
    /// Finds IPVS. The kernel loads its module if it may; Linux 5.10 does not, 6.1 does.
    pub fn open() -> Result<Ipvs, Error> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // More is given as far as net.core.rmem_max allows; refusals need not repeat what they refuse.
        let _ = socket.set_rx_buf_sz::<libc::c_int>(ROOM);
        let _ = socket.set_cap_ack(true);
        let mut ipvs = Ipvs {
            socket,
            buffer: Vec::with_capacity(DATAGRAM),
            outgoing: Vec::new(),
            sequence: 0,
            family: control::TYPE,
        };
        let mut family = None;
        let answer =
            ipvs.exchange(&control::question(), 0, &mut |bytes| family = family.or(control::answer(bytes)));
        match answer? {
            0 => {}
            libc::ENOENT => return Err(Error::Missing),
            errno => return Err(io::Error::from_raw_os_error(errno).into()),
        }
        ipvs.family = family.ok_or(Error::Missing)?;
        Ok(ipvs)
    }

    /// What it is.
    pub fn info(&mut self) -> Result<Info, Error> {
        let answers = self.ask(Message::new(Command::GetInfo, vec![]), 0)?;
        let info = answers.iter().find_map(|message| match &message.attributes {
            Attributes::Info(attributes) => Some(Info::of(attributes)),
            Attributes::Command(_) => None,
        });
        info.ok_or(Error::Answer(Command::GetInfo))
    }

    /// Its timeouts.
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        let mut timeouts = Timeouts::default();
        for message in self.ask(Message::new(Command::GetConfig, vec![]), 0)? {
            for attribute in message.of_command() {
                match attribute {
                    CommandAttribute::TimeoutTcp(seconds) => timeouts.tcp = *seconds,
                    CommandAttribute::TimeoutTcpFin(seconds) => timeouts.tcp_fin = *seconds,
                    CommandAttribute::TimeoutUdp(seconds) => timeouts.udp = *seconds,
                    _ => {}
                }
            }
        }
        Ok(timeouts)
    }

    /// Sets them; 0: as it is.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), Error> {
        let attributes = vec![
            CommandAttribute::TimeoutTcp(timeouts.tcp),
            CommandAttribute::TimeoutTcpFin(timeouts.tcp_fin),
            CommandAttribute::TimeoutUdp(timeouts.udp),
        ];
        self.ask(Message::new(Command::SetConfig, attributes), 0).map(drop)
    }

    /// All virtual servers, whoever made them.
    pub fn virtual_servers(&mut self) -> Result<Vec<ListedVirtualServer>, Error> {
        let answers = self.ask(Message::new(Command::GetService, vec![]), NLM_F_DUMP)?;
        let services = answers.iter().flat_map(Message::of_command).filter_map(|attribute| match attribute {
            CommandAttribute::Service(attributes) => Some(ListedVirtualServer::of(attributes)),
            _ => None,
        });
        services.collect::<Option<_>>().ok_or(Error::Answer(Command::GetService))
    }

    /// The real servers of a virtual one; none if that is not there.
    pub fn real_servers(&mut self, of: &Key) -> Result<Vec<ListedRealServer>, Error> {
        let question = vec![CommandAttribute::Service(of.attributes())];
        let answers = self.ask(Message::new(Command::GetDestination, question), NLM_F_DUMP)?;
        let servers = answers.iter().flat_map(Message::of_command).filter_map(|attribute| match attribute {
            CommandAttribute::Destination(attributes) => Some(ListedRealServer::of(of.family(), attributes)),
            _ => None,
        });
        servers.collect::<Option<_>>().ok_or(Error::Answer(Command::GetDestination))
    }

    /// The same without what they counted, in a fraction of the time; `loads` is emptied first.
    pub fn loads(&mut self, of: &Key, loads: &mut Vec<Load>) -> Result<(), Error> {
        loads.clear();
        let question =
            Message::new(Command::GetDestination, vec![CommandAttribute::Service(of.attributes())]);
        let mut is_understood = true;
        let errno = self.exchange(&question.encode(), NLM_F_DUMP, &mut |bytes| match Load::read(
            of.family(),
            bytes,
        ) {
            Some(load) => loads.push(load),
            None => is_understood = false,
        })?;
        match errno {
            0 if is_understood => Ok(()),
            0 => Err(Error::Answer(Command::GetDestination)),
            errno => Err(Error::Refused {
                command: Command::GetDestination,
                why: io::Error::from_raw_os_error(errno),
            }),
        }
    }

    /// Makes a virtual server.
    pub fn add(&mut self, server: &VirtualServer) -> Result<(), Error> {
        self.order(Order::Add(*server))
    }

    /// Changes everything of a virtual server but its key.
    pub fn change(&mut self, server: &VirtualServer) -> Result<(), Error> {
        self.order(Order::Change(*server))
    }

    /// Deletes a virtual server, and its real ones.
    pub fn delete(&mut self, key: &Key) -> Result<(), Error> {
        self.order(Order::Delete(*key))
    }

    /// Adds a real server to a virtual one.
    pub fn add_to(&mut self, key: &Key, server: &RealServer) -> Result<(), Error> {
        self.order(Order::AddTo(*key, *server))
    }

    /// Changes a real server of a virtual one.
    pub fn change_in(&mut self, key: &Key, server: &RealServer) -> Result<(), Error> {
        self.order(Order::ChangeIn(*key, *server))
    }

    /// Takes a real server away from a virtual one.
    pub fn delete_from(&mut self, key: &Key, server: &RealServer) -> Result<(), Error> {
        self.order(Order::DeleteFrom(*key, *server))
    }

    /// Deletes all virtual servers of the network namespace, whoever made them.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.ask(Message::new(Command::Flush, vec![]), 0).map(drop)
    }

    /// Carries out orders one after the other, whatever becomes of those before, and tells which the kernel
    /// refuses, in their order. After an error nobody knows which of them it has carried out.
    pub fn run(&mut self, orders: &[Order]) -> Result<Vec<Refusal>, Error> {
        let mut refused = Vec::new();
        let mut done = 0;
        while done < orders.len() {
            let room = (self.socket.get_rx_buf_sz()? / ANSWER).max(1);
            let count = self.write(&orders[done..], room);
            let first = self.sequence.wrapping_add(1);
            self.sequence = self.sequence.wrapping_add(count as u32);
            self.socket.send(&self.outgoing, 0)?;
            self.answers(first, done, &mut refused)?;
            done += count;
        }
        Ok(refused)
    }

    /// Writes what fits into one send: all of it may be refused, and every refusal must have room. How many
    /// these are.
    fn write(&mut self, orders: &[Order], room: usize) -> usize {
        self.outgoing.clear();
        let (mut count, mut last) = (0, 0);
        for order in orders.iter().take(room) {
            if self.outgoing.len() + Order::LONGEST > DATAGRAM {
                break;
            }
            last = self.outgoing.len();
            count += 1;
            self.outgoing.resize(last + HEADER, 0);
            order.write(&mut self.outgoing);
            let mut header = NetlinkHeader::default();
            header.message_type = self.family;
            header.flags = NLM_F_REQUEST;
            header.sequence_number = self.sequence.wrapping_add(count as u32);
            header.length = (self.outgoing.len() - last) as u32;
            header.emit(&mut self.outgoing[last..]);
        }
        // Refusals are told anyway; that the last one is done says that all are.
        if let Some(flags) = self.outgoing.get_mut(last + 6..last + 8) {
            flags.copy_from_slice(&(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        }
        count
    }

    /// Reads what is said of the messages from `first` on to the last, the orders from `offset` on. The kernel has
    /// answered when a send returns: there is nothing to wait for.
    fn answers(&mut self, first: u32, offset: usize, refused: &mut Vec<Refusal>) -> io::Result<()> {
        loop {
            self.receive(libc::MSG_DONTWAIT)?;
            let mut rest = self.buffer.as_slice();
            while let Ok(message) = NetlinkBuffer::new_checked(rest) {
                rest = rest.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
                let number = message.sequence_number();
                let index = number.wrapping_sub(first);
                let is_ours = index <= self.sequence.wrapping_sub(first);
                if !is_ours || message.message_type() != NLMSG_ERROR {
                    continue;
                }
                let errno = errno(message.payload());
                if errno != 0 {
                    refused.push(Refusal { order: offset + index as usize, errno });
                }
                if number == self.sequence {
                    return Ok(());
                }
            }
        }
    }

    fn order(&mut self, order: Order) -> Result<(), Error> {
        match self.run(&[order])?.first() {
            None => Ok(()),
            Some(refusal) => Err(Error::Refused {
                command: order.command(),
                why: io::Error::from_raw_os_error(refusal.errno),
            }),
        }
    }

    fn ask(&mut self, question: Message, flags: u16) -> Result<Vec<Message>, Error> {
        let command = question.command;
        let mut answers = Vec::new();
        let errno =
            self.exchange(&question.encode(), flags, &mut |bytes| answers.extend(Message::decode(bytes)))?;
        match errno {
            0 => Ok(answers),
            errno => Err(Error::Refused { command, why: io::Error::from_raw_os_error(errno) }),
        }
    }

    /// Sends a question and hands on every answer, until the kernel says that there are no more. Its error
    /// number; 0: none.
    fn exchange(&mut self, payload: &[u8], flags: u16, each: &mut dyn FnMut(&[u8])) -> io::Result<i32> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.message_type = self.family;
        // The answer to a listing ends by itself.
        header.flags =
            NLM_F_REQUEST | if flags & NLM_F_DUMP == NLM_F_DUMP { flags } else { flags | NLM_F_ACK };
        header.sequence_number = self.sequence;
        header.length = (HEADER + payload.len()) as u32;
        let mut bytes = vec![0; HEADER];
        header.emit(&mut bytes);
        bytes.extend_from_slice(payload);
        self.socket.send(&bytes, 0)?;
        loop {
            self.receive(0)?;
            let mut rest = self.buffer.as_slice();
            while let Ok(message) = NetlinkBuffer::new_checked(rest) {
                rest = rest.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
                // What is left of a question that went wrong.
                if message.sequence_number() != self.sequence {
                    continue;
                }
                match message.message_type() {
                    NLMSG_ERROR | NLMSG_DONE => return Ok(errno(message.payload())),
                    NLMSG_OVERRUN => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                    kind if kind == self.family => each(message.payload()),
                    _ => {}
                }
            }
        }
    }

    fn receive(&mut self, flags: i32) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, flags) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether IPVS is in the kernel, for who does not want it to be loaded: [`Ipvs::open`] has it loaded, if it can be.
pub fn is_loaded() -> bool {
    std::fs::exists("/proc/thread-self/net/ip_vs").unwrap_or(false)
}

/// Of an error or of the end of a listing.
fn errno(payload: &[u8]) -> i32 {
    let code = payload.get(..4).and_then(|bytes| bytes.try_into().ok());
    code.map_or(0, |bytes| i32::from_ne_bytes(bytes).saturating_neg())
}
