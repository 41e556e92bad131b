//! Values that a person may have mistyped.
//!
//! One bad address must not cost its whole object, so leaves decode into either a value or the text that
//! should have been one; `validate` reports the latter and the table passes over it. Kubernetes cannot tell an
//! empty string from an absent one, so [`optional`] reads both, and `null`, as absent.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::fate::Policy;
use crate::net::{Cidr, Family, Protocol, parse_ip};

/// A value, or what was written in its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Leaf<T> {
    /// as it should be
    Valid(T),
    /// the text (or a description of the structure) that is no such value
    Invalid(Box<str>),
}

/// An IP address.
pub type Address = Leaf<IpAddr>;

/// A whole number; its range is checked by `validate`.
pub type Number = Leaf<i64>;

impl<T: Copy> Leaf<T> {
    /// The value, if it is one.
    pub fn get(&self) -> Option<T> {
        match self {
            Leaf::Valid(value) => Some(*value),
            Leaf::Invalid(_) => None,
        }
    }
}

impl Number {
    /// The value as a port number, 1 to 65535.
    pub fn port(&self) -> Option<u16> {
        self.get().and_then(|n| u16::try_from(n).ok()).filter(|port| *port != 0)
    }
}

impl<T: fmt::Display> fmt::Display for Leaf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leaf::Valid(value) => value.fmt(f),
            Leaf::Invalid(text) => write!(f, "{text:?}"),
        }
    }
}

/// What can be read from a leaf of a document.
pub trait LeafValue: Sized {
    /// The value that `text` spells.
    fn from_text(text: &str) -> Option<Self>;

    /// The value of a bare number.
    fn from_number(_number: i64) -> Option<Self> {
        None
    }
}

impl LeafValue for IpAddr {
    fn from_text(text: &str) -> Option<Self> {
        parse_ip(text)
    }
}

impl LeafValue for Cidr {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl LeafValue for Protocol {
    /// Kubernetes' spelling only.
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|protocol: &Protocol| protocol.to_string() == text)
    }
}

impl LeafValue for Family {
    fn from_text(text: &str) -> Option<Self> {
        Family::BOTH.into_iter().find(|family| family.to_string() == text)
    }
}

impl LeafValue for Policy {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "Cluster" => Some(Policy::Cluster),
            "Local" => Some(Policy::Local),
            _ => None,
        }
    }
}

impl LeafValue for i64 {
    /// A quoted number is text, as it is to an API server.
    fn from_text(_text: &str) -> Option<Self> {
        None
    }
    fn from_number(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl LeafValue for Box<str> {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

struct LeafVisitor<T>(PhantomData<T>);

impl<'de, T: LeafValue> Visitor<'de> for LeafVisitor<T> {
    type Value = Leaf<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Leaf<T>, E> {
        Ok(T::from_text(text).map_or_else(|| Leaf::Invalid(text.into()), Leaf::Valid))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Leaf<T>, E> {
        Ok(T::from_number(number).map_or_else(|| Leaf::Invalid(number.to_string().into()), Leaf::Valid))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Leaf<T>, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Ok(Leaf::Invalid(number.to_string().into())),
        }
    }

    fn visit_f64<E>(self, number: f64) -> Result<Leaf<T>, E> {
        Ok(Leaf::Invalid(number.to_string().into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Leaf<T>, E> {
        Ok(Leaf::Invalid(value.to_string().into()))
    }

    fn visit_unit<E>(self) -> Result<Leaf<T>, E> {
        Ok(Leaf::Invalid("".into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Leaf<T>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Leaf::Invalid("a list".into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Leaf<T>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Leaf::Invalid("a mapping".into()))
    }
}

impl<'de, T: LeafValue> Deserialize<'de> for Leaf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeafVisitor(PhantomData))
    }
}

/// A leaf that may be missing: `null` and the empty string are None.
pub(super) fn optional<'de, T, D>(deserializer: D) -> Result<Option<Leaf<T>>, D::Error>
where
    T: LeafValue,
    D: Deserializer<'de>,
{
    let leaf = Leaf::deserialize(deserializer)?;
    Ok(Some(leaf).filter(|leaf| !matches!(leaf, Leaf::Invalid(text) if text.is_empty())))
}

/// Text that may be missing or, in careless YAML, look like something else: a number keeps its digits.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<str>, D::Error> {
    Ok(match Leaf::<Box<str>>::deserialize(deserializer)? {
        Leaf::Valid(text) | Leaf::Invalid(text) => text,
    })
}

/// [`text`], empty as None.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<str>>, D::Error> {
    Ok(Some(text(deserializer)?).filter(|text| !text.is_empty()))
}

/// `null` is as good as absent.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
