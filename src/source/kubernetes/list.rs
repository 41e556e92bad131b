//! The API's objects as they are now, once: for the commands that look at them and leave.

use kube::api::ListParams;
use kube::{Api, Client};
use kube_verdict_table::objects::{EndpointSlice, Kind, Node, ObjectEvent, Service, ServiceCidr};

use super::watched::{Part, Selectors, Slim, Watched};
use crate::client::{explain, printable};

/// How many objects a page has.
const PAGE: u32 = 500;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {plural}: {message}")]
pub struct ListError {
    plural: &'static str,
    message: String,
}

/// Everything that the daemon would have in its first batch.
pub async fn list(client: &Client, part: &Part) -> Result<Vec<ObjectEvent>, ListError> {
    let mut events = Vec::new();
    all::<Service>(client, part, &mut events).await?;
    all::<EndpointSlice>(client, part, &mut events).await?;
    all::<Node>(client, part, &mut events).await?;
    if part.proxy_name.is_none() {
        all::<ServiceCidr>(client, part, &mut events).await?;
    }
    Ok(events)
}

async fn all<T: Watched>(
    client: &Client,
    part: &Part,
    events: &mut Vec<ObjectEvent>,
) -> Result<(), ListError> {
    let api: Api<Slim<T>> = Api::all(client.clone());
    let Selectors { labels, fields } = Selectors::of(T::KIND, part);
    let mut parameters = ListParams {
        label_selector: labels,
        field_selector: fields,
        limit: Some(PAGE),
        ..ListParams::default()
    };
    loop {
        let page = match api.list(&parameters).await {
            Ok(page) => page,
            Err(kube::Error::Api(status))
                if T::KIND == Kind::ServiceCidr && [403, 404].contains(&status.code) =>
            {
                tracing::info!("ServiceCIDRs cannot be listed: {}", status.message);
                return Ok(());
            }
            Err(error) => {
                let message = match &error {
                    kube::Error::Api(status) => printable(&status.message),
                    other => explain(other),
                };
                return Err(ListError { plural: T::PLURAL, message });
            }
        };
        let objects = page.items.into_iter().map(|slim| slim.into_parts().0);
        events.extend(objects.filter(|object| object.is_watched()).map(ObjectEvent::Applied));
        parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if parameters.continue_token.is_none() {
            return Ok(());
        }
    }
}
