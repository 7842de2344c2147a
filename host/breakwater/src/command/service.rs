//! `breakwater service`.

mod table;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use breakwater_upstream::ServiceDraft;
use serde_json::{Map, Value, json};

use super::local::block_on;
use crate::cli::{ServerAddress, ServiceCommand};
use crate::document::{self, Typed};
use crate::fields::text;
use crate::output;
use crate::server_client::Server;
use crate::times::now_ms;

/// What a file says of a service, and what is kept of it besides.
const FIELDS: [&str; 6] = ["name", "description", "endpoint", "actions", "metadata", "status"];

pub(crate) fn run(command: ServiceCommand) -> Result<ExitCode> {
    block_on(async {
        match command {
            ServiceCommand::List { status, server } => {
                let status = status.map(|status| status.to_uppercase());
                let services = Server::at(&server.server)?.services(status.as_deref()).await?;
                output::answer(server.json, &services, |services| table::all(services, now_ms()))?;
            }
            ServiceCommand::Show { id, server } => {
                let client = Server::at(&server.server)?;
                let mut service = client.service(&id).await?;
                if let Some(fields) = service.as_object_mut() {
                    fields.insert("health".to_owned(), client.service_health(&id).await?);
                }
                output::answer(server.json, &service, |service| table::one(service, now_ms()))?;
            }
            ServiceCommand::Apply { file, server } => apply(&file, &server).await?,
            ServiceCommand::Delete { id, server } => {
                let deleted = Server::at(&server.server)?.delete_service(&id).await?;
                output::answer(server.json, &deleted, |deleted| format!("deleted {}", text(deleted, "id")))?;
            }
            ServiceCommand::Execute { id, action, input, context, key, server } => {
                let input = Typed::read_optional(input.as_ref())?.unwrap_or_else(|| json!({}));
                let context = Typed::read_optional(context.as_ref())?;
                let client = Server::at(&server.server)?;
                let answer = client.execute_action(&id, &action, &input, context.as_ref(), key.as_deref()).await?;
                // An output is JSON whoever reads it.
                output::line(&serde_json::to_string_pretty(&answer)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn apply(file: &Path, server: &ServerAddress) -> Result<()> {
    let document = document::read(file)?;
    let name = document.get("name").and_then(Value::as_str).with_context(|| format!("{} names no service", file.display()))?;
    let client = Server::at(&server.server)?;
    let (what, service) = match client.service_named(name).await? {
        None => ("created", client.create_service(&Value::Object(document)).await?),
        Some(existing) => match draft(&document) {
            Some(draft) if Some(&draft) == kept(&existing).as_ref() => ("unchanged", existing),
            // In full, so that what the file leaves out becomes what it was by default.
            Some(draft) => ("changed", client.update_service(text(&existing, "id"), &serde_json::to_value(draft)?).await?),
            // The service says what is wrong with it.
            None => ("changed", client.update_service(text(&existing, "id"), &Value::Object(document)).await?),
        },
    };
    Ok(output::answer(server.json, &service, |service| table::applied(what, service))?)
}

/// What a file means, if it means anything.
fn draft(document: &Map<String, Value>) -> Option<ServiceDraft> {
    serde_json::from_value(Value::Object(document.clone())).ok()
}

/// What a service is now.
fn kept(service: &Value) -> Option<ServiceDraft> {
    let fields = FIELDS.into_iter().filter_map(|name| Some((name.to_owned(), service.get(name)?.clone())));
    draft(&fields.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_what_became_of_it_mean_the_same() {
        let file = json!({ "name": "text", "endpoint": "http://text/api", "actions": [{ "name": "extract" }] });
        let service = json!({
            "id": "1", "name": "text", "description": "", "endpoint": "http://text/api", "metadata": {}, "status": "ACTIVE", "version": 3,
            "actions": [{ "name": "extract", "description": "", "effect": "create", "idempotent": false }],
            "created_at_ms": 1, "updated_at_ms": 2,
        });
        let drafted = |file: &Value| draft(file.as_object().unwrap());
        assert!(drafted(&file).is_some());
        assert_eq!(drafted(&file), kept(&service));
        let other = json!({ "name": "text", "endpoint": "http://text/api", "actions": [{ "name": "extract", "effect": "read" }] });
        assert_ne!(drafted(&other), kept(&service));
        assert_eq!(drafted(&json!({ "name": "text", "endpont": "http://text/api" })), None);
    }
}
