//! The part of an object's metadata that matters (reference §1.1, §1.3, §1.4).
//!
//! Labels are distilled while decoding: of the whole map only the keys that kube-proxy's selectors and the
//! slice's owner need survive.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::leaf::{optional_text, or_default, text};

/// Names, age and the few labels that count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// empty for cluster-scoped objects, and before defaulting
    #[serde(default, deserialize_with = "text")]
    pub namespace: Box<str>,
    /// the object's name
    #[serde(default, deserialize_with = "text")]
    pub name: Box<str>,
    /// RFC 3339, as the API server writes it (UTC, whole seconds), so that text order is time order
    #[serde(default, deserialize_with = "optional_text")]
    pub creation_timestamp: Option<Box<str>>,
    /// set while the object waits for its finalizers
    #[serde(default, deserialize_with = "optional_text")]
    pub deletion_timestamp: Option<Box<str>>,
    /// what an API server counts versions with; a source that watches one takes it out of the object, so that
    /// nobody takes another version for another object
    #[serde(default, deserialize_with = "optional_text")]
    pub resource_version: Option<Box<str>>,
    /// the labels that count
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    /// the annotations that count
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: Annotations,
}

/// The annotations that count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Annotations {
    /// when the change happened that an EndpointSlice was written for: RFC 3339 with a fraction of a second
    /// (reference §14.1, network programming latency)
    #[serde(
        default,
        rename = "endpoints.kubernetes.io/last-change-trigger-time",
        deserialize_with = "optional_text"
    )]
    pub last_change_trigger_time: Option<Box<str>>,
    /// how IPVS is to balance a Service
    #[serde(default, rename = "kube-verdict.io/ipvs-scheduler")]
    pub ipvs_scheduler: Option<Box<SchedulerText>>,
}

/// A scheduler as it was written: see [`crate::parse_scheduler`]. In a box: few objects have one, and each object
/// has the room for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SchedulerText(#[serde(deserialize_with = "text")] pub Box<str>);

/// The labels that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// `service.kubernetes.io/service-proxy-name` is there, with whatever value: another proxy's Service
    pub has_proxy_name: bool,
    /// `service.kubernetes.io/headless` is there: not for proxies
    pub is_headless: bool,
    /// `kubernetes.io/service-name`: the Service that a slice belongs to
    pub service_name: Option<Box<str>>,
    /// `topology.kubernetes.io/zone` of a Node
    pub zone: Option<Box<str>>,
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of label names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Labels, A::Error> {
        let mut labels = Labels::default();
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "kubernetes.io/service-name" => labels.service_name = entries.next_value::<LabelValue>()?.0,
                "topology.kubernetes.io/zone" => labels.zone = entries.next_value::<LabelValue>()?.0,
                other => {
                    labels.has_proxy_name |= other == "service.kubernetes.io/service-proxy-name";
                    labels.is_headless |= other == "service.kubernetes.io/headless";
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(labels)
    }
}

#[derive(Deserialize)]
struct LabelValue(#[serde(deserialize_with = "optional_text")] Option<Box<str>>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor)
    }
}
