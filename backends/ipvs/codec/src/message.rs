//! One message of the family IPVS, from `struct genlmsghdr` on, without the header of netlink.

use crate::attributes::{read, write};
use crate::{CommandAttribute, InfoAttribute};

/// IPVS_GENL_VERSION.
pub(crate) const VERSION: u8 = 1;
/// `struct genlmsghdr`: command, version, two bytes of nothing.
const HEADER: usize = 4;

/// IPVS_CMD_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// makes a virtual server; in listings, here is one
    NewService,
    /// changes one
    SetService,
    /// deletes one, and its real servers
    DeleteService,
    /// lists one, or all
    GetService,
    /// adds a real server to a virtual one; in listings, here is one
    NewDestination,
    /// changes one
    SetDestination,
    /// takes one away
    DeleteDestination,
    /// lists those of a virtual server
    GetDestination,
    /// sets timeouts; also what answers the next
    SetConfig,
    /// asks for them
    GetConfig,
    /// answers the next
    SetInfo,
    /// asks for what IPVS is
    GetInfo,
    /// zeroes statistics, of one virtual server or of all
    Zero,
    /// deletes everything, whoever made it
    Flush,
    /// one that is not known here
    Other(u8),
}

const COMMANDS: [(u8, Command); 14] = [
    (1, Command::NewService),
    (2, Command::SetService),
    (3, Command::DeleteService),
    (4, Command::GetService),
    (5, Command::NewDestination),
    (6, Command::SetDestination),
    (7, Command::DeleteDestination),
    (8, Command::GetDestination),
    (12, Command::SetConfig),
    (13, Command::GetConfig),
    (14, Command::SetInfo),
    (15, Command::GetInfo),
    (16, Command::Zero),
    (17, Command::Flush),
];

impl Command {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Command::Other(number) => number,
            known => COMMANDS.iter().find(|(_, command)| *command == known).map_or(0, |(number, _)| *number),
        }
    }

    /// The command of a number.
    pub fn of(number: u8) -> Command {
        COMMANDS
            .iter()
            .find(|known| known.0 == number)
            .map_or(Command::Other(number), |(_, command)| *command)
    }
}

/// What a message has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// of `SetInfo`
    Info(Vec<InfoAttribute>),
    /// of all others
    Command(Vec<CommandAttribute>),
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// what it asks or says
    pub command: Command,
    /// about what
    pub attributes: Attributes,
}

impl Message {
    /// A message that is not `SetInfo`.
    pub fn new(command: Command, attributes: Vec<CommandAttribute>) -> Message {
        Message { command, attributes: Attributes::Command(attributes) }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.command.number(), VERSION, 0, 0];
        bytes.extend(match &self.attributes {
            Attributes::Info(attributes) => write(attributes),
            Attributes::Command(attributes) => write(attributes),
        });
        bytes
    }

    /// Reads a message; None: it is too short for one.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let command = Command::of(header[0]);
        let attributes = match command {
            Command::SetInfo => Attributes::Info(read(rest)),
            _ => Attributes::Command(read(rest)),
        };
        Some(Message { command, attributes })
    }

    /// Its attributes, if they are those of a command.
    pub fn of_command(&self) -> &[CommandAttribute] {
        match &self.attributes {
            Attributes::Command(attributes) => attributes,
            Attributes::Info(_) => &[],
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
