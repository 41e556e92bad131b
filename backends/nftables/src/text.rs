//! The ruleset as text that `nft -f` loads and `nft list ruleset` would print, but for the order of elements.

use std::collections::BTreeMap;
use std::fmt::Write;

use kube_verdict_table::{Backend, Family, Frontend, Protocol};

use crate::layout::{
    Bits, Chain, Context, Data, Declaration, Detect, Element, Field, HASH_SEED, OURS, Set, Statement, TABLE,
    Verdict, comment, loopback,
};

/// How a family's table is called in a command.
pub fn family_and_name(family: Family) -> String {
    format!("{} {TABLE}", Text { family }.ip())
}

/// The table of one family as text.
pub fn table(
    context: &Context,
    sets: &[Set],
    chains: &[Chain],
    elements: &BTreeMap<Set, Vec<Element>>,
) -> String {
    let text = Text { family: context.family };
    let mut out = String::new();
    // Formatting into a String cannot fail.
    let _ = text.table(&mut out, context, sets, chains, elements);
    out
}

struct Text {
    family: Family,
}

impl Text {
    fn ip(&self) -> &'static str {
        match self.family {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        }
    }

    fn table(
        &self,
        out: &mut String,
        context: &Context,
        sets: &[Set],
        chains: &[Chain],
        elements: &BTreeMap<Set, Vec<Element>>,
    ) -> std::fmt::Result {
        writeln!(out, "table {} {TABLE} {{", self.ip())?;
        writeln!(out, "\tcomment \"{}\"", comment())?;
        for set in sets {
            writeln!(out)?;
            self.set(out, *set, elements.get(set).map_or(&[], Vec::as_slice))?;
        }
        for chain in chains {
            writeln!(out, "\n\tchain {chain} {{")?;
            if let Some(base) = chain.base() {
                writeln!(
                    out,
                    "\t\ttype {} hook {} priority {}; policy accept;",
                    base.kind, base.hook, base.priority
                )?;
            }
            for rule in chain.rules(context) {
                let statements: Vec<String> =
                    rule.iter().map(|statement| self.statement(statement)).collect();
                writeln!(out, "\t\t{}", statements.join(" "))?;
            }
            writeln!(out, "\t}}")?;
        }
        writeln!(out, "}}")
    }

    fn set(&self, out: &mut String, set: Set, elements: &[Element]) -> std::fmt::Result {
        let declaration = set.declaration(self.family);
        let Declaration { key, data, counter, interval, dynamic } = &declaration;
        let kind = if *data == Data::None { "set" } else { "map" };
        writeln!(out, "\t{kind} {} {{", set.name())?;
        let data = match data {
            Data::None => String::new(),
            Data::Verdict => " : verdict".into(),
            data => format!(" : {}", self.concat(crate::wire::data_fields(*data))),
        };
        writeln!(out, "\t\ttypeof {}{data}", self.concat(key))?;
        if let Some(size) = dynamic {
            writeln!(out, "\t\tsize {size}\n\t\tflags dynamic,timeout")?;
        }
        if *interval {
            writeln!(out, "\t\tflags interval")?;
        }
        if *counter {
            writeln!(out, "\t\tcounter")?;
        }
        if !elements.is_empty() {
            write!(out, "\t\telements = {{ ")?;
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    write!(out, ",\n\t\t\t     ")?;
                }
                self.element(out, element)?;
            }
            writeln!(out, " }}")?;
        }
        writeln!(out, "\t}}")
    }

    fn element(&self, out: &mut String, element: &Element) -> std::fmt::Result {
        if let Some(frontend) = element.frontend() {
            self.frontend(out, &frontend)?;
        }
        match element {
            Element::Frontend(_, verdict) => write!(out, " counter : {}", self.verdict(verdict)),
            Element::Inside(_, verdict) | Element::BySource(_, verdict) => {
                write!(out, " : {}", self.verdict(verdict))
            }
            Element::SourceRange(_, cidr) => write!(out, " . {cidr}"),
            Element::Slot(_, _, slot, backend) => write!(out, " . {slot} : {}", self.backend(backend)),
            Element::Mark(_, _, mark) => write!(out, " : {mark:#010x}"),
            Element::AffinityId(_, number) => write!(out, " : {}", handle(*number)),
            Element::AffinityTimeout(number, seconds) => {
                write!(out, "{} : goto {}", handle(*number), Chain::RememberFor(*seconds))
            }
            Element::Sticky(_, _, hash, backend) => {
                write!(out, " . {} : {}", handle(*hash), self.backend(backend))
            }
            Element::Hairpin(protocol, Backend { ip, port }) => {
                write!(out, "{ip} . {ip} . {} . {port}", protocol.lower())
            }
            Element::ClusterIp(ip) | Element::NodePortAddress(ip) => write!(out, "{ip}"),
        }
    }

    fn frontend(&self, out: &mut String, frontend: &Frontend) -> std::fmt::Result {
        if let Frontend::Address { ip, .. } = frontend {
            write!(out, "{ip} . ")?;
        }
        write!(out, "{} . {}", frontend.protocol().lower(), frontend.port())
    }

    fn backend(&self, backend: &Backend) -> String {
        format!("{} . {}", backend.ip, backend.port)
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::Goto(chain) => format!("goto {chain}"),
            Verdict::Drop => "drop".into(),
        }
    }

    fn concat(&self, fields: &[Field]) -> String {
        fields.iter().map(|field| self.field(*field)).collect::<Vec<_>>().join(" . ")
    }

    fn field(&self, field: Field) -> String {
        let ip = self.ip();
        match field {
            Field::Saddr => format!("{ip} saddr"),
            Field::Daddr => format!("{ip} daddr"),
            Field::Protocol => "meta l4proto".into(),
            Field::Dport => "th dport".into(),
            Field::OriginalDaddr => format!("ct original {ip} daddr"),
            Field::OriginalDport => "ct original proto-dst".into(),
            Field::Priority => "meta priority".into(),
            Field::Mark => "meta mark".into(),
            Field::ConnectionId => "ct id".into(),
            Field::Random(slots) => format!("numgen random mod {slots}"),
            Field::First => "numgen inc mod 1".into(),
            Field::HashSaddr => {
                format!("jhash {} mod {} seed {HASH_SEED:#x}", self.field(Field::Saddr), u32::MAX)
            }
            Field::HashBackend => {
                let backend = self.concat(&[Field::Daddr, Field::Dport]);
                format!("jhash {backend} mod {OURS} seed {HASH_SEED:#x} offset {OURS}")
            }
        }
    }

    fn statement(&self, statement: &Statement) -> String {
        let ip = self.ip();
        match statement {
            Statement::LocalPod(detect, positive) => {
                let not = if *positive { "" } else { "!= " };
                match detect {
                    Detect::Source(cidr) => format!("{ip} saddr {not}{cidr}"),
                    Detect::Interface(name) => format!("iifname {not}\"{name}\""),
                    Detect::InterfacePrefix(prefix) => format!("iifname {not}\"{prefix}*\""),
                }
            }
            Statement::SourceIsLocal => "fib saddr type local".into(),
            Statement::DestinationIsLocal(true) => "fib daddr type local".into(),
            Statement::DestinationIsLocal(false) => "fib daddr type != local".into(),
            Statement::NotLoopback => match loopback(self.family) {
                cidr if cidr.family() == Family::V4 => format!("{ip} daddr != {cidr}"),
                cidr => format!("{ip} daddr != {}", cidr.first()),
            },
            Statement::Destination(cidr) => format!("{ip} daddr {cidr}"),
            Statement::ProtocolIs(protocol) => format!("meta l4proto {}", Protocol::lower(*protocol)),
            Statement::Marked(bit) => format!("meta mark & {bit:#010x} != 0x00000000"),
            Statement::MarkIs { mask, value, holds } => {
                let op = if *holds { "==" } else { "!=" };
                format!("meta mark & {mask:#010x} {op} {value:#010x}")
            }
            Statement::AnyMark => "meta mark != 0x00000000".into(),
            Statement::ConnectionMarkIs { mask, value } => format!("ct mark & {mask:#010x} == {value:#010x}"),
            Statement::OriginalDirection => "ct direction original".into(),
            Statement::Underway => "tcp flags & syn == 0".into(),
            Statement::New => "ct state new".into(),
            Statement::Dnated => "ct status dnat".into(),
            Statement::Numbered => format!("meta priority & {} != none", handle(OURS)),
            Statement::In(key, set) => format!("{} @{}", self.concat(key), set.name()),
            Statement::ChangeMark(bits) => change("meta mark", *bits),
            Statement::ChangeConnectionMark(bits) => change("ct mark", *bits),
            Statement::MarkBy(key, set) => {
                format!("meta mark set {} map @{}", self.concat(key), set.name())
            }
            Statement::ClearMark => "meta mark set 0x00000000".into(),
            Statement::SetAside { seconds } => {
                format!("add @other-marks {{ ct id timeout {seconds}s : meta mark }}")
            }
            Statement::Number(key, set) => {
                format!("meta priority set {} map @{}", self.concat(key), set.name())
            }
            Statement::ClearNumber => "meta priority set none".into(),
            Statement::Remember { client, seconds } => {
                let key = self.concat(&[*client, Field::Priority]);
                format!(
                    "update @affinity {{ {key} timeout {seconds}s : {} }}",
                    self.field(Field::HashBackend)
                )
            }
            Statement::Forget { client } => {
                let key = self.concat(&[*client, Field::Priority]);
                format!("delete @affinity {{ {key} : {} }}", self.field(Field::HashBackend))
            }
            Statement::VerdictMap(key, set) => format!("{} vmap @{}", self.concat(key), set.name()),
            Statement::Dnat(key, set) => format!("dnat {ip} to {} map @{}", self.concat(key), set.name()),
            Statement::Masquerade => "masquerade fully-random".into(),
            Statement::Jump(chain) => format!("jump {chain}"),
            Statement::Goto(chain) => format!("goto {chain}"),
            Statement::KeepDestination => format!("dnat {ip} to {}", self.field(Field::Daddr)),
            Statement::Accept => "accept".into(),
            Statement::Drop => "drop".into(),
            Statement::Reject => "reject".into(),
            Statement::Reset => "reject with tcp reset".into(),
        }
    }
}

/// A change of a mark as nft spells it: what is kept, turned over, set.
fn change(mark: &str, Bits { keep, set }: Bits) -> String {
    let (turned, added) = (set & keep, set & !keep);
    let mut text = format!("{mark} set {mark}");
    for (operator, bits, is_idle) in
        [('&', keep | added, keep | added == u32::MAX), ('^', turned, turned == 0), ('|', added, added == 0)]
    {
        if !is_idle {
            text.push_str(&format!(" {operator} {bits:#010x}"));
        }
    }
    text
}

/// A packet priority as nft spells it: a traffic control handle.
fn handle(number: u32) -> String {
    match number {
        0 => "none".into(),
        u32::MAX => "root".into(),
        number => format!("{:x}:{:x}", number >> 16, number & 0xffff),
    }
}
