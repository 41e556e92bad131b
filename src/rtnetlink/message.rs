//! Requests to bytes, and datagrams to messages.

use std::io;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;

/// One request.
pub(super) fn request(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The messages of a datagram, up to the first that cannot be read.
pub(super) fn messages(
    datagram: &[u8],
) -> impl Iterator<Item = io::Result<NetlinkPayload<RouteNetlinkMessage>>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
            Ok(message) => {
                // Messages are aligned to four bytes; a length of nothing would never end.
                let length = (message.header.length as usize).next_multiple_of(4).max(16);
                rest = rest.get(length..).unwrap_or_default();
                Some(Ok(message.payload))
            }
            Err(error) => {
                rest = &[];
                Some(Err(io::Error::other(error)))
            }
        }
    })
}

/// Takes in one datagram of an answer; whether it was the last.
pub(super) fn take_in(datagram: &[u8], each: &mut dyn FnMut(RouteNetlinkMessage)) -> io::Result<bool> {
    for payload in messages(datagram) {
        match payload? {
            NetlinkPayload::Done(_) => return Ok(true),
            // An error of nothing says that all is well.
            NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::InnerMessage(message) => each(message),
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NLM_F_DUMP;
    use netlink_packet_route::address::AddressMessage;

    use super::*;

    fn whole() -> Vec<u8> {
        request(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)
    }

    /// A header with a payload, as the kernel ends an answer.
    fn last(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![16 + payload.len() as u8, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn damaged_answers_do_not_hang_or_panic() {
        let whole = whole();
        for end in 0..whole.len() {
            let _ = take_in(&whole[..end], &mut |_| {});
        }
        let _ = take_in(&[0; 64], &mut |_| {});
        let _ = take_in(&[0xff; 64], &mut |_| {});
    }

    #[test]
    fn an_answer_ends_as_the_kernel_says() {
        let twice = [whole(), whole()].concat();
        let mut count = 0;
        assert!(!take_in(&twice, &mut |_| count += 1).unwrap(), "more is to come");
        assert_eq!(count, 2);
        // NLMSG_DONE
        assert!(take_in(&last(3, &[0; 4]), &mut |_| {}).unwrap());
        // NLMSG_ERROR: an acknowledgement, and a refusal, each with the header of what it is about.
        let about = [0; 16];
        assert!(take_in(&last(2, &[&[0; 4], &about[..]].concat()), &mut |_| {}).unwrap());
        let refusal = (-libc::EPERM).to_ne_bytes();
        let error = take_in(&last(2, &[&refusal, &about[..]].concat()), &mut |_| {}).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
}
