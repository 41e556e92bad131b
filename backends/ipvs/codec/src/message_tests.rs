//! Bytes that ipvsadm 1.31 and Linux 6.1 sent to each other, and bytes that nobody would send.

use netlink_packet_core::DefaultNla;
use proptest::prelude::*;

use super::*;
use crate::{
    Connections, DestinationAttribute, Family, Flags, Info, Key, ListedRealServer, ListedVirtualServer, Load,
    Name, NetworkOrder, RealServer, ServiceAttribute, StatisticsAttribute, VirtualServer, control, flags,
};

/// Of lines of hexadecimal bytes, with comments behind `#`.
fn bytes(text: &str) -> Vec<u8> {
    let words = text.lines().flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace());
    words.map(|word| u8::from_str_radix(word, 16).unwrap()).collect()
}

fn web() -> Key {
    Key::Address { address: [10, 96, 0, 1].into(), protocol: 6, port: 80 }
}

/// `ipvsadm -A -t 10.96.0.1:80 -s sh -p 300 -b sh-port`
const NEW_SERVICE: &str = "
    01 01 00 00                # IPVS_CMD_NEW_SERVICE, version 1
    54 00 01 80                # IPVS_CMD_ATTR_SERVICE, nested
    06 00 01 00 02 00 00 00    # AF: AF_INET
    06 00 02 00 06 00 00 00    # PROTOCOL: TCP
    14 00 03 00                # ADDR
    0a 60 00 01 00 00 00 00 00 00 00 00 00 00 00 00
    06 00 04 00 00 50 00 00    # PORT: 80
    07 00 06 00 73 68 00 00    # SCHED_NAME: sh
    0c 00 07 00 11 00 00 00 ff ff ff ff    # FLAGS: persistent, second of the scheduler
    08 00 08 00 2c 01 00 00    # TIMEOUT: 300
    08 00 09 00 ff ff ff ff    # NETMASK: all of it";

#[test]
fn a_virtual_server_is_made_as_ipvsadm_makes_it() {
    let mut server = VirtualServer::new(web(), Name::new("sh").unwrap());
    server.flags = flags::PERSISTENT | flags::SCHEDULER_2;
    server.timeout = 300;
    let message = Message::new(Command::NewService, vec![CommandAttribute::Service(server.attributes())]);
    assert_eq!(message.encode(), bytes(NEW_SERVICE));
    assert_eq!(Message::decode(&bytes(NEW_SERVICE)), Some(message));
}

/// `ipvsadm -A -u '[fd00::1]:53' -s rr`
const NEW_SERVICE_V6: &str = "
    01 01 00 00
    54 00 01 80
    06 00 01 00 0a 00 00 00    # AF: AF_INET6
    06 00 02 00 11 00 00 00    # PROTOCOL: UDP
    14 00 03 00 fd 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01
    06 00 04 00 00 35 00 00    # PORT: 53
    07 00 06 00 72 72 00 00    # SCHED_NAME: rr
    0c 00 07 00 00 00 00 00 ff ff ff ff
    08 00 08 00 00 00 00 00
    08 00 09 00 80 00 00 00    # NETMASK: 128 bits";

#[test]
fn one_of_ipv6_as_well() {
    let key = Key::Address { address: "fd00::1".parse().unwrap(), protocol: 17, port: 53 };
    let server = VirtualServer::new(key, Name::new("rr").unwrap());
    let message = Message::new(Command::NewService, vec![CommandAttribute::Service(server.attributes())]);
    assert_eq!(message.encode(), bytes(NEW_SERVICE_V6));
}

/// What the kernel says of the first; its flags are persistent, hashed, second of the scheduler.
const LISTED_SERVICE: &str = "
    01 01 00 00
    2c 01 01 00                # not nested by its type
    06 00 01 00 02 00 00 00
    06 00 02 00 06 00 00 00
    14 00 03 00 0a 60 00 01 00 00 00 00 00 00 00 00 00 00 00 00
    06 00 04 00 00 50 00 00
    07 00 06 00 73 68 00 00
    0c 00 07 00 13 00 00 00 ff ff ff ff
    08 00 08 00 2c 01 00 00
    08 00 09 00 ff ff ff ff
    5c 00 0a 00                # STATS: 32 bits wide but for the bytes
    08 00 01 00 00 00 00 00 08 00 02 00 00 00 00 00 08 00 03 00 00 00 00 00
    0c 00 04 00 00 00 00 00 00 00 00 00 0c 00 05 00 00 00 00 00 00 00 00 00
    08 00 06 00 00 00 00 00 08 00 07 00 00 00 00 00 08 00 08 00 00 00 00 00
    08 00 09 00 00 00 00 00 08 00 0a 00 00 00 00 00
    7c 00 0c 00                # STATS64; the kernel counted nothing, the first two are changed here
    0c 00 01 00 07 00 00 00 00 00 00 00    # CONNS: 7
    0c 00 02 00 00 00 00 00 01 00 00 00    # INPKTS: 2^32
    0c 00 03 00 00 00 00 00 00 00 00 00 0c 00 04 00 00 00 00 00 00 00 00 00
    0c 00 05 00 00 00 00 00 00 00 00 00 0c 00 06 00 00 00 00 00 00 00 00 00
    0c 00 07 00 00 00 00 00 00 00 00 00 0c 00 08 00 00 00 00 00 00 00 00 00
    0c 00 09 00 00 00 00 00 00 00 00 00 0c 00 0a 00 00 00 00 00 00 00 00 00";

#[test]
fn a_virtual_server_is_listed() {
    let message = Message::decode(&bytes(LISTED_SERVICE)).unwrap();
    let [CommandAttribute::Service(attributes)] = message.of_command() else { panic!("{message:?}") };
    let listed = ListedVirtualServer::of(attributes).unwrap();
    assert_eq!(listed.server.key, web());
    assert_eq!(listed.server.flags, flags::PERSISTENT | flags::SCHEDULER_2);
    assert_eq!((listed.server.timeout, listed.server.client_prefix), (300, 32));
    assert_eq!(listed.server.scheduler.as_str(), "sh");
    assert_eq!((listed.statistics.connections, listed.statistics.packets_in), (7, 1 << 32));
}

/// `ipvsadm -A -f 7 -s wlc`, as the kernel lists it, without statistics.
const LISTED_MARK: &str = "
    01 01 00 00
    34 00 01 00
    06 00 01 00 02 00 00 00
    08 00 05 00 07 00 00 00    # FWMARK: 7
    08 00 06 00 77 6c 63 00    # SCHED_NAME: wlc
    0c 00 07 00 02 00 00 00 ff ff ff ff
    08 00 08 00 00 00 00 00
    08 00 09 00 ff ff ff ff";

#[test]
fn a_virtual_server_may_be_known_by_a_mark() {
    let message = Message::decode(&bytes(LISTED_MARK)).unwrap();
    let [CommandAttribute::Service(attributes)] = message.of_command() else { panic!("{message:?}") };
    let server = VirtualServer::of(attributes).unwrap();
    assert_eq!(
        server,
        VirtualServer::new(Key::Mark { family: Family::V4, mark: 7 }, Name::new("wlc").unwrap())
    );
}

/// ipvsadm asks for the real servers of the first.
const GET_DEST: &str = "
    08 01 00 00                # IPVS_CMD_GET_DEST
    30 00 01 80
    06 00 01 00 02 00 00 00 06 00 02 00 06 00 00 00
    14 00 03 00 0a 60 00 01 00 00 00 00 00 00 00 00 00 00 00 00
    06 00 04 00 00 50 00 00";

/// The kernel's answer after `ipvsadm -a -t 10.96.0.1:80 -r 10.2.0.2:8080 -m -w 3`, without statistics; the
/// numbers of connections are changed.
const LISTED_DEST: &str = "
    05 01 00 00                # IPVS_CMD_NEW_DEST
    78 00 02 00                # IPVS_CMD_ATTR_DEST
    14 00 01 00 0a 02 00 02 00 00 00 00 00 00 00 00 00 00 00 00    # ADDR
    06 00 02 00 1f 90 00 00    # PORT: 8080
    08 00 03 00 00 00 00 00    # FWD_METHOD: masquerade
    08 00 04 00 03 00 00 00    # WEIGHT
    05 00 0d 00 00 00 00 00    # TUN_TYPE
    06 00 0e 00 00 00 00 00    # TUN_PORT
    06 00 0f 00 00 00 00 00    # TUN_FLAGS
    08 00 05 00 00 00 00 00    # U_THRESH
    08 00 06 00 00 00 00 00    # L_THRESH
    08 00 07 00 01 00 00 00    # ACTIVE_CONNS
    08 00 08 00 02 00 00 00    # INACT_CONNS
    08 00 09 00 03 00 00 00    # PERSIST_CONNS
    06 00 0b 00 02 00 00 00    # ADDR_FAMILY";

#[test]
fn real_servers_are_asked_for_and_listed() {
    let question = vec![CommandAttribute::Service(web().attributes())];
    assert_eq!(Message::new(Command::GetDestination, question).encode(), bytes(GET_DEST));
    let message = Message::decode(&bytes(LISTED_DEST)).unwrap();
    let [CommandAttribute::Destination(attributes)] = message.of_command() else { panic!("{message:?}") };
    let listed = ListedRealServer::of(Family::V6, attributes).unwrap();
    assert_eq!(listed.server, RealServer { weight: 3, ..RealServer::new([10, 2, 0, 2].into(), 8080) });
    assert_eq!(listed.connections, Connections { active: 1, inactive: 2, persistent: 3 });
    let load = Load { server: listed.server, connections: listed.connections };
    assert_eq!(Load::read(Family::V6, &bytes(LISTED_DEST)), Some(load));
    assert_eq!(Load::read(Family::V4, &bytes(GET_DEST)), None);
}

/// As it was before Linux 3.18.
#[test]
fn a_real_server_without_a_family_has_that_of_its_virtual_server() {
    let attributes = RealServer::new("fd00::2".parse().unwrap(), 1).attributes();
    let without = &attributes[1..];
    let listed = ListedRealServer::of(Family::V6, without).unwrap();
    assert_eq!(listed.server.address, "fd00::2".parse::<std::net::IpAddr>().unwrap());
}

#[test]
fn timeouts_and_information() {
    // ipvsadm -l --timeout
    let message =
        bytes("0c 01 00 00 08 00 04 00 84 03 00 00 08 00 05 00 78 00 00 00 08 00 06 00 2c 01 00 00");
    let attributes = vec![
        CommandAttribute::TimeoutTcp(900),
        CommandAttribute::TimeoutTcpFin(120),
        CommandAttribute::TimeoutUdp(300),
    ];
    assert_eq!(Message::decode(&message), Some(Message::new(Command::SetConfig, attributes)));
    // IPVS_INFO_ATTR_VERSION, IPVS_INFO_ATTR_CONN_TAB_SIZE
    let message = bytes("0e 01 00 00 08 00 01 00 01 02 01 00 08 00 02 00 00 10 00 00");
    let Some(Message { attributes: Attributes::Info(attributes), .. }) = Message::decode(&message) else {
        panic!("no information");
    };
    assert_eq!(Info::of(&attributes), Info { version: (1, 2, 1), connection_table_size: 4096 });
}

#[test]
fn the_family_is_asked_for_and_found() {
    // CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME
    assert_eq!(control::question(), bytes("03 01 00 00 09 00 02 00 49 50 56 53 00 00 00 00"));
    // CTRL_CMD_NEWFAMILY; CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_VERSION
    let answer =
        "01 02 00 00 09 00 02 00 49 50 56 53 00 00 00 00 06 00 01 00 20 00 00 00 08 00 03 00 01 00 00 00";
    assert_eq!(control::answer(&bytes(answer)), Some(0x20));
    assert_eq!(control::answer(&[]), None);
}

#[test]
fn client_prefixes_of_both_families() {
    for (address, prefixes) in [("10.0.0.1", 0..=32u8), ("fd00::1", 0..=128)] {
        for prefix in prefixes {
            let key = Key::Address { address: address.parse().unwrap(), protocol: 6, port: 1 };
            let mut server = VirtualServer::new(key, Name::new("rr").unwrap());
            server.client_prefix = prefix;
            assert_eq!(VirtualServer::of(&server.attributes()), Some(server));
        }
    }
}

#[test]
fn names_that_the_kernel_has_no_room_for() {
    assert!(Name::new("exactly15bytes.").is_ok());
    for name in ["exactly16bytes..", "r\0r"] {
        assert_eq!(Name::new(name).unwrap_err().0, name);
    }
}

/// Of the two flags that a type may have netlink_packet_core writes one: no attribute has both.
fn stays(message: &Message) -> bool {
    let again = |message: &Message| Message::decode(&message.encode()).unwrap();
    let once = again(message);
    again(&once) == once
}

fn unknown() -> impl Strategy<Value = DefaultNla> {
    (100u16..0x3fff, proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(kind, value)| DefaultNla::new(kind, value))
}

fn service() -> impl Strategy<Value = ServiceAttribute> {
    let statistics = prop_oneof![
        any::<u64>().prop_map(StatisticsAttribute::OctetsOut),
        unknown().prop_map(StatisticsAttribute::Other),
    ];
    prop_oneof![
        any::<u16>().prop_map(ServiceAttribute::Family),
        any::<[u8; 16]>().prop_map(ServiceAttribute::Address),
        any::<u16>().prop_map(|port| ServiceAttribute::Port(NetworkOrder(port))),
        any::<u32>().prop_map(ServiceAttribute::Mark),
        "[a-z-]{0,15}".prop_map(|name| ServiceAttribute::Scheduler(Name::new(&name).unwrap())),
        any::<(u32, u32)>().prop_map(|(flags, mask)| ServiceAttribute::Flags(Flags { flags, mask })),
        proptest::collection::vec(statistics, 0..4).prop_map(ServiceAttribute::Statistics64),
        unknown().prop_map(ServiceAttribute::Other),
    ]
}

fn destination() -> impl Strategy<Value = DestinationAttribute> {
    prop_oneof![
        any::<u32>().prop_map(DestinationAttribute::Weight),
        any::<u8>().prop_map(DestinationAttribute::TunnelType),
        unknown().prop_map(DestinationAttribute::Other),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_unknown_attributes_too(
        services in proptest::collection::vec(service(), 0..8),
        destinations in proptest::collection::vec(destination(), 0..8),
        other in unknown(),
        number in 1u8..14,
    ) {
        let attributes = vec![
            CommandAttribute::Service(services),
            CommandAttribute::Destination(destinations),
            CommandAttribute::Other(other),
        ];
        let message = Message::new(Command::of(number), attributes);
        prop_assert_eq!(Message::decode(&message.encode()), Some(message));
    }

    #[test]
    fn no_bytes_panic_and_what_is_understood_of_them_is_kept(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = control::answer(&bytes);
        if let Some(message) = Message::decode(&bytes) {
            prop_assert!(stays(&message));
        }
    }

    /// Bytes that begin well go deeper.
    #[test]
    fn no_damage_panics(at in 0usize..300, value in any::<u8>(), end in 0usize..300) {
        for text in [NEW_SERVICE, LISTED_SERVICE, LISTED_MARK, LISTED_DEST] {
            let mut bytes = bytes(text);
            let index = at % bytes.len();
            bytes[index] = value;
            bytes.truncate(end.max(4));
            let message = Message::decode(&bytes).unwrap();
            for attribute in message.of_command() {
                match attribute {
                    CommandAttribute::Service(attributes) => drop(ListedVirtualServer::of(attributes)),
                    CommandAttribute::Destination(attributes) => drop(ListedRealServer::of(Family::V4, attributes)),
                    _ => {}
                }
            }
            prop_assert!(stays(&message));
            let load = Load::read(Family::V4, &bytes);
            let [CommandAttribute::Destination(attributes), ..] = message.of_command() else { continue };
            if let (Some(load), Some(listed)) = (load, ListedRealServer::of(Family::V4, attributes)) {
                prop_assert_eq!((load.server, load.connections), (listed.server, listed.connections));
            }
        }
    }
}
