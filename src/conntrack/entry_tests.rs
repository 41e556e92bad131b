//! Bytes of the kernel's, and any others.

use netlink_packet_core::NetlinkBuffer;
use proptest::prelude::*;

use super::*;

/// A dump's message about a UDP flow to 10.96.0.10:53 in zone 7, as Linux 6.18 sends it.
#[rustfmt::skip]
const FLOW: [u8; 200] = [
    0xc8, 0x00, 0x00, 0x00, // struct nlmsghdr: 200 bytes
    0x00, 0x01, 0x22, 0x00, // NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW; NLM_F_MULTI | NLM_F_DUMP_FILTERED
    0x01, 0x00, 0x00, 0x00, // sequence 1
    0x58, 0x18, 0x00, 0x00, // port
    0x02, 0x00, 0x00, 0x00, // struct nfgenmsg: AF_INET, version 0, resource 0
    0x34, 0x00, 0x01, 0x80, // CTA_TUPLE_ORIG, nested
    0x14, 0x00, 0x01, 0x80, //   CTA_TUPLE_IP, nested
    0x08, 0x00, 0x01, 0x00, //     CTA_IP_V4_SRC
    0xcb, 0x00, 0x71, 0x0a, //       203.0.113.10
    0x08, 0x00, 0x02, 0x00, //     CTA_IP_V4_DST
    0x0a, 0x60, 0x00, 0x0a, //       10.96.0.10
    0x1c, 0x00, 0x02, 0x80, //   CTA_TUPLE_PROTO, nested
    0x05, 0x00, 0x01, 0x00, //     CTA_PROTO_NUM
    0x11, 0x00, 0x00, 0x00, //       UDP
    0x06, 0x00, 0x02, 0x00, //     CTA_PROTO_SRC_PORT
    0x9c, 0x40, 0x00, 0x00, //       40000
    0x06, 0x00, 0x03, 0x00, //     CTA_PROTO_DST_PORT
    0x00, 0x35, 0x00, 0x00, //       53
    0x34, 0x00, 0x02, 0x80, // CTA_TUPLE_REPLY, nested
    0x14, 0x00, 0x01, 0x80,
    0x08, 0x00, 0x01, 0x00,
    0x0a, 0xf4, 0x01, 0x0a, //       10.244.1.10
    0x08, 0x00, 0x02, 0x00,
    0xcb, 0x00, 0x71, 0x0a, //       203.0.113.10
    0x1c, 0x00, 0x02, 0x80,
    0x05, 0x00, 0x01, 0x00,
    0x11, 0x00, 0x00, 0x00,
    0x06, 0x00, 0x02, 0x00,
    0x14, 0xe9, 0x00, 0x00, //       5353
    0x06, 0x00, 0x03, 0x00,
    0x9c, 0x40, 0x00, 0x00, //       40000
    0x06, 0x00, 0x12, 0x00, // CTA_ZONE
    0x00, 0x07, 0x00, 0x00, //   7
    0x08, 0x00, 0x03, 0x00, // CTA_STATUS
    0x00, 0x00, 0x00, 0x08,
    0x08, 0x00, 0x08, 0x00, // CTA_MARK
    0x00, 0x00, 0x00, 0x00,
    0x08, 0x00, 0x0c, 0x00, // CTA_ID
    0xcd, 0x5b, 0xb8, 0x2a,
    0x08, 0x00, 0x0b, 0x00, // CTA_USE
    0x00, 0x00, 0x00, 0x01,
    0x08, 0x00, 0x07, 0x00, // CTA_TIMEOUT
    0x00, 0x00, 0x01, 0x2b, //   299
    0x1c, 0x00, 0x18, 0x80, // CTA_SYNPROXY, nested
    0x08, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x00,
    0x08, 0x00, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00,
    0x08, 0x00, 0x03, 0x00,
    0x00, 0x00, 0x00, 0x00,
];

const HEADER: usize = 16;

fn flow() -> Entry {
    let tuple = |source: &str, destination: &str| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        zone: None,
    };
    Entry {
        original: tuple("203.0.113.10:40000", "10.96.0.10:53"),
        reply: tuple("10.244.1.10:5353", "203.0.113.10:40000"),
        zone: Some(7),
        id: 0xcd5b_b82a,
    }
}

#[test]
fn reads_what_the_kernel_sends() {
    assert_eq!(Entry::decode(&FLOW[HEADER..]), Some(flow()));
}

#[test]
fn other_protocols_are_no_flows() {
    let mut tcp = FLOW;
    let numbers: Vec<usize> = (0..tcp.len()).filter(|i| tcp[*i..].starts_with(&[0x11, 0, 0, 0])).collect();
    assert_eq!(numbers.len(), 2);
    numbers.into_iter().for_each(|i| tcp[i] = 6);
    assert_eq!(Entry::decode(&tcp[HEADER..]), None);
}

#[test]
fn asks_to_delete_by_the_bytes_that_the_kernel_sent() {
    let mut writer = Writer::default();
    flow().ask_to_delete(&mut writer, 3);
    #[rustfmt::skip]
    let header = [
        0x58, 0x00, 0x00, 0x00, // 88 bytes
        0x02, 0x01, 0x05, 0x00, // NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE; NLM_F_REQUEST | NLM_F_ACK
        0x03, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00,
        0x02, 0x00, 0x00, 0x00, // struct nfgenmsg
    ];
    let part = |marker: [u8; 4], length: usize| {
        let start = FLOW.windows(4).position(|four| four == marker).unwrap();
        &FLOW[start..start + length]
    };
    let (original, id, zone) =
        (part([0x34, 0, 1, 0x80], 52), part([8, 0, 12, 0], 8), part([6, 0, 0x12, 0], 8));
    assert_eq!(writer.bytes, [&header, original, id, zone].concat());
}

#[test]
fn a_request_to_delete_always_names_a_tuple() {
    // Without one the kernel deletes everything.
    let mut writer = Writer::default();
    flow().ask_to_delete(&mut writer, 0);
    let message = NetlinkBuffer::new_checked(&writer.bytes).unwrap();
    let mut attributes = NlasIterator::new(&message.payload()[NFGENMSG..]);
    assert_eq!(attributes.next().unwrap().unwrap().kind(), TUPLE_ORIGINAL);
}

fn tuple(v6: bool) -> impl Strategy<Value = Tuple> {
    let address = move || {
        any::<[u8; 16]>().prop_map(move |bytes| match v6 {
            true => IpAddr::from(bytes),
            false => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        })
    };
    (address(), any::<u16>(), address(), any::<u16>(), any::<Option<u16>>()).prop_map(
        |(source, source_port, destination, destination_port, zone)| Tuple {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            zone,
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    (any::<bool>().prop_flat_map(|v6| (tuple(v6), tuple(v6))), any::<Option<u16>>(), any::<u32>())
        .prop_map(|((original, reply), zone, id)| Entry { original, reply, zone, id })
}

proptest! {
    #[test]
    fn what_is_written_is_read(entry in entry()) {
        let mut writer = Writer::default();
        // A request to delete says all but the answers' direction.
        entry.ask_to_delete(&mut writer, 1);
        writer.nest(TUPLE_REPLY, |tuple| entry.reply.encode(tuple));
        prop_assert_eq!(Entry::decode(&writer.bytes[HEADER..]), Some(entry));
    }

    #[test]
    fn odd_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Entry::decode(&bytes);
    }

    #[test]
    fn damaged_bytes_are_survived(at in 0..FLOW.len(), byte in any::<u8>(), length in 0..=FLOW.len()) {
        let mut bytes = FLOW;
        bytes[at] = byte;
        let _ = Entry::decode(bytes[..length].get(HEADER..).unwrap_or_default());
    }
}
