//! A small API server, inside this process: the part of the Kubernetes API that service proxies ask for, with a
//! [`World`](crate::workload::World) behind it.
//!
//! A real one with its etcd takes minutes to be filled with ten thousand Services and a core of the machine whenever
//! something changes; a contender measured beside it would be measured with it. This one encodes every object once, as
//! JSON and as protobuf, before anybody asks, and tells a change to all watches at once.
//!
//! From objects to bytes: [`objects`] say what the API would say of the world → [`protobuf`] encodes the same by the
//! numbers of a [`schema`] → a [`store`] keeps what is and what happened → [`frame`]s of a watch or a list →
//! [`connection`]s, a thread each. Facts are from KEP-3157 (streamed lists), k8s.io/api 1.36 (`generated.proto`) and
//! k8s.io/apimachinery 1.36 (protobuf's envelope, watch frames).

mod connection;
mod feed;
mod frame;
mod objects;
mod protobuf;
mod request;
mod schema;
mod server;
mod store;

pub use server::Api;
