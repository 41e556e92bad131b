//! The kinds that are watched, and how: decoded straight into the table's own slim types, so that memory follows
//! the table and not the API's objects. kube's client only ever sees an object's version.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{Debug, Display};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher;
use kube_verdict_table::objects::{EndpointSlice, Kind, Metadata, Node, Object, Service, ServiceCidr};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::client::chance;

/// A kind that the API knows.
pub(super) trait Watched: Clone + Debug + DeserializeOwned + Send + 'static {
    const KIND: Kind;
    /// as URLs spell it
    const PLURAL: &'static str;

    fn metadata(&mut self) -> &mut Metadata;
    fn into_object(self) -> Object;
}

macro_rules! watched {
    ($type:ident, $kind:ident, $plural:literal, $object:expr) => {
        impl Watched for $type {
            const KIND: Kind = Kind::$kind;
            const PLURAL: &'static str = $plural;

            fn metadata(&mut self) -> &mut Metadata {
                &mut self.metadata
            }

            fn into_object(self) -> Object {
                $object(self)
            }
        }
    };
}

watched!(Service, Service, "services", |service| Object::Service(Box::new(service)));
watched!(EndpointSlice, EndpointSlice, "endpointslices", Object::EndpointSlice);
watched!(Node, Node, "nodes", Object::Node);
watched!(ServiceCidr, ServiceCidr, "servicecidrs", Object::ServiceCidr);

/// An object as kube's client wants it: with its version beside it, and no longer in it.
#[derive(Clone, Debug)]
pub(super) struct Slim<T> {
    meta: ObjectMeta,
    object: T,
}

impl<T: Watched> Slim<T> {
    /// The object and its version. Whose a Service is the selector has decided: with `--service-proxy-name` ours
    /// are those with the label.
    pub(super) fn into_parts(mut self) -> (Object, String) {
        self.object.metadata().labels.has_proxy_name = false;
        (self.object.into_object(), self.meta.resource_version.unwrap_or_default())
    }
}

impl<'de, T: Watched> Deserialize<'de> for Slim<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = T::deserialize(deserializer).inspect_err(keep)?;
        if object.metadata().name.is_empty() {
            return Err(serde::de::Error::custom("it has no name")).inspect_err(keep);
        }
        let resource_version = object.metadata().resource_version.take().map(Into::into);
        Ok(Slim { meta: ObjectMeta { resource_version, ..ObjectMeta::default() }, object })
    }
}

thread_local! {
    /// What is wrong with the object that was decoded last and could not be. kube's client takes an event that it cannot
    /// decode for a refusal without words and forgets the error. Whoever complains does so in the same breath as he
    /// gets that refusal, on the same thread.
    static WHY: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn keep(error: &impl Display) {
    WHY.set(Some(error.to_string()));
}

/// What was wrong with an object, for whoever got an error instead.
pub(super) fn take_why() -> Option<String> {
    WHY.take()
}

impl<T: Watched> kube::Resource for Slim<T> {
    type DynamicType = ();
    type Scope = k8s_openapi::ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        T::KIND.name().into()
    }

    fn group((): &()) -> Cow<'_, str> {
        T::KIND.api_group().into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        T::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// For how many seconds a watch is asked for: by chance, so that not all nodes begin a new one together.
const SHORTEST: u32 = 230;
/// kube refuses 295 and more.
const LONGEST: u32 = 290;

/// The part of a cluster that a proxy serves.
#[derive(Clone, Debug)]
pub struct Part {
    /// the node
    pub node_name: String,
    /// Services whose label `service.kubernetes.io/service-proxy-name` is this, beside a proxy that serves the
    /// others; None: those without the label
    pub proxy_name: Option<String>,
}

/// What of a kind is asked for (reference §1.1).
#[derive(Clone, Debug, Default)]
pub(super) struct Selectors {
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
}

impl Selectors {
    /// Those of a kind.
    pub(super) fn of(kind: Kind, part: &Part) -> Self {
        let (labels, fields) = match kind {
            Kind::Service => {
                let labels = match &part.proxy_name {
                    None => "!service.kubernetes.io/service-proxy-name".to_owned(),
                    Some(name) => format!("service.kubernetes.io/service-proxy-name={name}"),
                };
                (Some(labels), Some("spec.clusterIP!=None".to_owned()))
            }
            Kind::EndpointSlice => (Some("!service.kubernetes.io/headless".to_owned()), None),
            Kind::Node => (None, Some(format!("metadata.name={}", part.node_name))),
            Kind::ServiceCidr => (None, None),
        };
        Selectors { labels, fields }
    }

    /// As a watch takes them.
    pub(super) fn watch(&self) -> watcher::Config {
        watcher::Config {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            timeout: Some(SHORTEST + (chance() * f64::from(LONGEST - SHORTEST)) as u32),
            ..watcher::Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::*;

    #[test]
    fn the_version_leaves_the_object() {
        let text = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b",
            "resourceVersion":"7","managedFields":[{"manager":"m"}]},"spec":{"clusterIP":"10.0.0.1"}}"#;
        let slim: Slim<Service> = serde_json::from_str(text).unwrap();
        assert_eq!(slim.meta().resource_version.as_deref(), Some("7"));
        let (object, version) = slim.into_parts();
        assert_eq!((object.metadata().resource_version.as_deref(), &*version), (None, "7"));
        assert_eq!(object.key().to_string(), "Service b/a");
    }

    #[test]
    fn another_kind_or_none_that_has_a_name_is_not_taken() {
        for (text, why) in [
            (r#"{"kind":"Pod","metadata":{"name":"a"},"spec":{}}"#, "a Pod in place of a Service"),
            (r#"{"kind":7,"metadata":{"name":"a"}}"#, "a 7 in place of a Service"),
            (r#"{"kind":"Service","metadata":{"namespace":"a"}}"#, "no name"),
            ("{}", "no name"),
        ] {
            let error = serde_json::from_str::<Slim<Service>>(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        // In a list items have no kind.
        assert!(serde_json::from_str::<Slim<Service>>(r#"{"metadata":{"name":"a"}}"#).is_ok());
    }

    #[test]
    fn paths_are_the_apis() {
        assert_eq!(Slim::<Service>::url_path(&(), None), "/api/v1/services");
        assert_eq!(Slim::<Node>::url_path(&(), None), "/api/v1/nodes");
        assert_eq!(Slim::<EndpointSlice>::url_path(&(), None), "/apis/discovery.k8s.io/v1/endpointslices");
        assert_eq!(Slim::<ServiceCidr>::url_path(&(), None), "/apis/networking.k8s.io/v1/servicecidrs");
    }
}
