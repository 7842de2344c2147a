//! Reaching the cluster, and seeing that it knows what executions are looked up by.

use std::collections::HashMap;
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_client::{Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, TlsOptions, Url, WorkflowCountOptions};
use temporalio_common::protos::temporal::api::enums::v1::IndexedValueType;
use temporalio_common::protos::temporal::api::operatorservice::v1::AddSearchAttributesRequest;
use tokio::time::Instant;

use crate::config::TemporalConfig;
use crate::workflow::{OF_WORKFLOW, STATUS};

/// How long a cluster may take until everything in it knows new search attributes.
const SETTLE: Duration = Duration::from_secs(60);
const SETTLE_LOOK: Duration = Duration::from_millis(200);

/// # Errors
/// `workflow.temporal` (unavailable; invalid request when the configuration is wrong).
pub(crate) async fn connect(config: &TemporalConfig) -> Result<Client, Failure> {
    let url = Url::parse(&config.url).map_err(|error| wrong(format!("the address of the Temporal cluster is none: {error}")))?;
    let is_https = match url.scheme() {
        "http" => false,
        "https" => true,
        scheme => return Err(wrong(format!("the address of the Temporal cluster begins with `{scheme}`; it must be http or https"))),
    };
    let mut options = ConnectionOptions::new(url).identity(format!("breakwater@{}", std::process::id())).build();
    options.connect_timeout = Some(config.connect_timeout);
    options.api_key.clone_from(&config.api_key);
    if is_https || config.api_key.is_some() {
        let client = config
            .tls
            .client
            .clone()
            .map(|(certificate, key)| ClientTlsOptions::builder().client_cert(certificate).client_private_key(key).build());
        let tls = TlsOptions::builder().maybe_server_root_ca_cert(config.tls.ca.clone()).maybe_client_tls_options(client).build();
        options.tls_options = Some(tls);
    }
    let connected = tokio::time::timeout(config.connect_timeout, Connection::connect(options)).await;
    let connection = connected
        .map_err(|_| unreachable_cluster().caused_by(format!("no answer within {:?}", config.connect_timeout)))?
        .map_err(|error| unreachable_cluster().caused_by(error))?;
    let client = Client::new(connection, ClientOptions::new(config.namespace.clone()).build());
    let client = client.map_err(|error| wrong(format!("the client of the Temporal cluster cannot be made: {error}")))?;
    know_attributes(&client, &config.namespace).await?;
    Ok(client)
}

/// Adds the search attributes if they are not there and may be added, and waits until executions can be looked up by them.
async fn know_attributes(client: &Client, namespace: &str) -> Result<(), Failure> {
    let ends = Instant::now() + SETTLE;
    let query = format!("{} = 'none' AND {} = 'none'", OF_WORKFLOW.name(), STATUS.name());
    let mut is_asked_for = false;
    loop {
        let error = match client.count_workflows(query.clone(), WorkflowCountOptions::default()).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if !is_asked_for {
            is_asked_for = true;
            add_attributes(client, namespace).await?;
        }
        if Instant::now() >= ends {
            let message = format!(
                "the Temporal namespace `{namespace}` does not answer a search for `{}` and `{}`; it must be there and have both as Keyword",
                OF_WORKFLOW.name(),
                STATUS.name()
            );
            return Err(wrong(message).caused_by(error.to_string()));
        }
        tokio::time::sleep(SETTLE_LOOK).await;
    }
}

async fn add_attributes(client: &Client, namespace: &str) -> Result<(), Failure> {
    let keyword = IndexedValueType::Keyword as i32;
    let search_attributes = HashMap::from([(OF_WORKFLOW.name().to_owned(), keyword), (STATUS.name().to_owned(), keyword)]);
    let request = AddSearchAttributesRequest { search_attributes, namespace: namespace.to_owned() };
    match client.connection().operator_service().add_search_attributes(request.into_request()).await {
        Ok(_) => Ok(()),
        Err(status) if matches!(status.code(), Code::AlreadyExists | Code::PermissionDenied | Code::Unimplemented) => Ok(()),
        Err(status) if status.code() == Code::NotFound => {
            Err(wrong(format!("the Temporal cluster has no namespace `{namespace}`; create it first")).caused_by(status))
        }
        Err(status) => Err(unreachable_cluster().caused_by(status)),
    }
}

fn wrong(message: String) -> Failure {
    Failure::invalid("workflow.temporal", message)
}

fn unreachable_cluster() -> Failure {
    Failure::new(FailureKind::Unavailable, "workflow.temporal", "the Temporal cluster cannot be reached")
}
