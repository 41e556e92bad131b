//! The numbers of the API's protobuf messages, as far as [`super::objects`] fills them; from `generated.proto` of
//! k8s.io/api and k8s.io/apimachinery 1.36.

/// A field of a message: its name in JSON, its number, what it is.
pub type Field = (&'static str, u32, Type);

/// What a field is. Of a JSON array every item is a field of its own.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// text
    Text,
    /// a whole number
    Number,
    /// a truth
    Truth,
    /// a message
    Message(&'static [Field]),
    /// names and texts
    Map,
    /// a moment: the message `Time`, in JSON RFC 3339
    Time,
    /// `IntOrString`, here always a number
    IntOrString,
    /// `FieldsV1`: JSON within the message
    Json,
}

use Type::{IntOrString, Json, Map, Message, Number, Text, Time, Truth};

const MANAGED_FIELDS: &[Field] = &[
    ("manager", 1, Text),
    ("operation", 2, Text),
    ("apiVersion", 3, Text),
    ("time", 4, Time),
    ("fieldsType", 6, Text),
    ("fieldsV1", 7, Json),
];

const OWNER: &[Field] = &[
    ("kind", 1, Text),
    ("name", 3, Text),
    ("uid", 4, Text),
    ("apiVersion", 5, Text),
    ("controller", 6, Truth),
    ("blockOwnerDeletion", 7, Truth),
];

const METADATA: Field = (
    "metadata",
    1,
    Message(&[
        ("name", 1, Text),
        ("generateName", 2, Text),
        ("namespace", 3, Text),
        ("uid", 5, Text),
        ("resourceVersion", 6, Text),
        ("generation", 7, Number),
        ("creationTimestamp", 8, Time),
        ("labels", 11, Map),
        ("annotations", 12, Map),
        ("ownerReferences", 13, Message(OWNER)),
        ("managedFields", 17, Message(MANAGED_FIELDS)),
    ]),
);

const SERVICE_PORT: &[Field] =
    &[("name", 1, Text), ("protocol", 2, Text), ("port", 3, Number), ("targetPort", 4, IntOrString)];

const SERVICE_SPEC: &[Field] = &[
    ("ports", 1, Message(SERVICE_PORT)),
    ("selector", 2, Map),
    ("clusterIP", 3, Text),
    ("type", 4, Text),
    ("sessionAffinity", 7, Text),
    ("ipFamilyPolicy", 17, Text),
    ("clusterIPs", 18, Text),
    ("ipFamilies", 19, Text),
    ("internalTrafficPolicy", 22, Text),
];

const SERVICE_STATUS: &[Field] = &[("loadBalancer", 1, Message(&[]))];

/// core/v1 Service
pub const SERVICE: &[Field] =
    &[METADATA, ("spec", 2, Message(SERVICE_SPEC)), ("status", 3, Message(SERVICE_STATUS))];

const CONDITIONS: &[Field] = &[("ready", 1, Truth), ("serving", 2, Truth), ("terminating", 3, Truth)];

const REFERENCE: &[Field] = &[("kind", 1, Text), ("namespace", 2, Text), ("name", 3, Text), ("uid", 4, Text)];

const ENDPOINT: &[Field] = &[
    ("addresses", 1, Text),
    ("conditions", 2, Message(CONDITIONS)),
    ("targetRef", 4, Message(REFERENCE)),
    ("nodeName", 6, Text),
    ("zone", 7, Text),
];

const ENDPOINT_PORT: &[Field] = &[("name", 1, Text), ("protocol", 2, Text), ("port", 3, Number)];

/// discovery.k8s.io/v1 EndpointSlice
pub const ENDPOINT_SLICE: &[Field] = &[
    METADATA,
    ("endpoints", 2, Message(ENDPOINT)),
    ("ports", 3, Message(ENDPOINT_PORT)),
    ("addressType", 4, Text),
];

const NODE_STATUS: &[Field] = &[("addresses", 5, Message(&[("type", 1, Text), ("address", 2, Text)]))];

/// core/v1 Node
pub const NODE: &[Field] =
    &[METADATA, ("spec", 2, Message(&[("podCIDR", 1, Text)])), ("status", 3, Message(NODE_STATUS))];

/// networking.k8s.io/v1 ServiceCIDR
pub const SERVICE_CIDR: &[Field] = &[METADATA, ("spec", 2, Message(&[("cidrs", 1, Text)]))];
