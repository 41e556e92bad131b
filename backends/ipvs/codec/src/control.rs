//! The family's number, which the kernel chooses: CTRL_CMD_GETFAMILY of generic netlink's own family
//! (linux/genetlink.h). If it does not have the family yet, the question has it load the module, where ip_vs bears the
//! family's name as an alias: not in 5.10, but in 6.1.

use netlink_packet_core::{DefaultNla, NlasIterator};

use crate::attributes;

/// GENL_ID_CTRL: the type of the message that asks.
pub const TYPE: u16 = 0x10;
/// IPVS_GENL_NAME.
pub const NAME: &str = "IPVS";

const GET_FAMILY: u8 = 3;
const VERSION: u8 = 1;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// The question, from `struct genlmsghdr` on.
pub fn question() -> Vec<u8> {
    let mut bytes = vec![GET_FAMILY, VERSION, 0, 0];
    let name = format!("{NAME}\0").into_bytes();
    bytes.extend(attributes::write(&[DefaultNla::new(FAMILY_NAME, name)]));
    bytes
}

/// The number in an answer: the type of IPVS' messages.
pub fn answer(bytes: &[u8]) -> Option<u16> {
    let attributes = NlasIterator::new(bytes.get(4..)?).map_while(Result::ok);
    let mut numbers = attributes.filter(|nla| nla.kind() == FAMILY_ID);
    Some(u16::from_ne_bytes(numbers.next()?.value().try_into().ok()?))
}
