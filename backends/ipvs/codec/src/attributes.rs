//! Lists of attributes, and how a group of them is declared: a number, a name and a type of value for each.

use netlink_packet_core::{DefaultNla, Emitable, Nla, NlaBuffer, NlasIterator, Parseable};

/// What a group of attributes can do beyond being emitted.
pub(crate) trait Attribute: Nla + Sized {
    /// The attribute of this number and value. One that is not understood becomes `Other`.
    fn of(nla: &NlaBuffer<&[u8]>) -> Self;
}

/// Reads a list. What follows something that is no attribute is not looked at: the kernel writes none such.
pub(crate) fn read<A: Attribute>(bytes: &[u8]) -> Vec<A> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|nla| A::of(&nla)).collect()
}

/// Writes a list.
pub(crate) fn write<A: Nla>(attributes: &[A]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

/// An attribute as it came.
pub(crate) fn other(nla: &NlaBuffer<&[u8]>) -> DefaultNla {
    // Its error is for types that can fail.
    DefaultNla::parse(nla).unwrap_or_else(|_| DefaultNla::new(nla.kind(), nla.value().to_vec()))
}

/// Declares a group: `Name(Type) = NUMBER`, each `Type` a [`crate::value::Value`].
macro_rules! group {
    (
        $(#[$about:meta])*
        $group:ident { $( $(#[$say:meta])* $name:ident($type:ty) = $number:literal, )* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $group {
            $( $(#[$say])* $name($type), )*
            /// one that is not known here, or not of the length that was expected
            Other(netlink_packet_core::DefaultNla),
        }

        impl netlink_packet_core::Nla for $group {
            fn value_len(&self) -> usize {
                match self {
                    $( $group::$name(value) => crate::value::Value::length(value), )*
                    $group::Other(other) => other.value_len(),
                }
            }

            fn kind(&self) -> u16 {
                match self {
                    $( $group::$name(_) => $number | <$type as crate::value::Value>::FLAG, )*
                    $group::Other(other) => other.kind(),
                }
            }

            fn emit_value(&self, buffer: &mut [u8]) {
                match self {
                    $( $group::$name(value) => crate::value::Value::write(value, buffer), )*
                    $group::Other(other) => other.emit_value(buffer),
                }
            }
        }

        impl crate::attributes::Attribute for $group {
            fn of(nla: &netlink_packet_core::NlaBuffer<&[u8]>) -> Self {
                let known = match nla.kind() {
                    $( $number => crate::value::Value::read(nla.value()).map($group::$name), )*
                    _ => None,
                };
                known.unwrap_or_else(|| $group::Other(crate::attributes::other(nla)))
            }
        }
    };
}
pub(crate) use group;
