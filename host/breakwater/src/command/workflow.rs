//! `breakwater workflow`.

mod apply;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::INTERRUPTED;
use super::local::block_on;
use crate::cli::{ExecutionArguments, RunArguments, WorkflowCommand};
use crate::document::Typed;
use crate::fields::text;
use crate::output;
use crate::server_client::{Execute, Refusal, Server, Steer};
use crate::times::now_ms;

/// How soon an execution that is waited for is looked at again: at first, since many end at once, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_millis(250);

pub(crate) fn run(command: WorkflowCommand) -> Result<ExitCode> {
    block_on(async {
        match command {
            WorkflowCommand::Apply(arguments) => apply::run(&arguments).await,
            WorkflowCommand::Run(arguments) => execute(&arguments).await,
            WorkflowCommand::Status { execution, history, server } => {
                let client = Server::at(&server.server)?;
                let mut status = client.execution(&execution).await?;
                if let Some(fields) = status.as_object_mut().filter(|_| history) {
                    let events = client.execution_history(&execution).await?.get("items").cloned();
                    fields.insert("history".to_owned(), events.unwrap_or_default());
                }
                output::answer(server.json, &status, |status| table::one(status, now_ms()))?;
                Ok(if table::is_lost(&status) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
            }
            WorkflowCommand::List { status, server } => {
                let status = status.map(|status| status.to_uppercase());
                let workflows = Server::at(&server.server)?.workflows(status.as_deref()).await?;
                output::answer(server.json, &workflows, |workflows| table::workflows(workflows, now_ms()))?;
                Ok(ExitCode::SUCCESS)
            }
            WorkflowCommand::Executions { workflow, status, limit, server } => {
                let status = status.map(|status| status.to_uppercase());
                let executions = Server::at(&server.server)?.executions(workflow.as_deref(), status.as_deref(), limit).await?;
                output::answer(server.json, &executions, |executions| table::executions(executions, now_ms()))?;
                Ok(ExitCode::SUCCESS)
            }
            WorkflowCommand::Cancel(arguments) => steer(&arguments, Steer::Cancel).await,
            WorkflowCommand::Pause(arguments) => steer(&arguments, Steer::Pause).await,
            WorkflowCommand::Resume(arguments) => steer(&arguments, Steer::Resume).await,
            WorkflowCommand::Retry(arguments) => steer(&arguments, Steer::Retry).await,
            WorkflowCommand::Signal { execution, name, data, key, server } => {
                let data = Typed::read_optional(data.as_ref())?.unwrap_or(Value::Null);
                Server::at(&server.server)?.signal(&execution, &name, &data, key.as_deref()).await?;
                let sent = json!({ "execution_id": execution, "signal": name });
                output::answer(server.json, &sent, |_| format!("sent {name} to {execution}"))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

async fn execute(arguments: &RunArguments) -> Result<ExitCode> {
    let execute = Execute {
        workflow: arguments.id.clone(),
        input: Typed::read_optional(arguments.input.as_ref())?.unwrap_or_else(|| json!({})),
        context: Typed::read_optional(arguments.context.as_ref())?,
        key: arguments.key.clone(),
    };
    let client = Server::at(&arguments.server.server)?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot catch signals")?;
    // Its end is waited for once it has told its id: whoever stops waiting can ask for it.
    let started = tokio::select! {
        started = client.execute(&execute) => Some(started),
        _ = interrupted.recv() => None,
    };
    let Some(started) = started else {
        output::note("interrupted before the service answered; `breakwater workflow executions` shows whether it was started");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let execution = started?;
    let id = text(&execution, "id").to_owned();
    if arguments.no_wait {
        output::answer(arguments.server.json, &execution, |_| id)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("execution {id} started"));
    let output = tokio::select! {
        output = result(&client, &id) => Some(output),
        _ = interrupted.recv() => None,
    };
    let Some(output) = output else {
        output::note(&format!("interrupted; execution {id} goes on: `breakwater workflow status {id}` shows how it is"));
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let output = output.map_err(explained)?;
    // An output is JSON whoever reads it; asked for as JSON, it comes with the name of its execution.
    let shown = if arguments.server.json { json!({ "execution_id": id, "output": output }) } else { output };
    output::line(&serde_json::to_string_pretty(&shown)?);
    Ok(ExitCode::SUCCESS)
}

/// The output of an execution, once it has ended.
async fn result(client: &Server, id: &str) -> Result<Value> {
    let mut pause = FIRST_LOOK;
    while !table::is_final(&client.execution(id).await?) {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK);
    }
    client.execution_result(id).await
}

/// Says where to read what happened.
fn explained(error: Error) -> Error {
    let details = error.downcast_ref::<Refusal>().map(|refusal| &refusal.details);
    if let Some(id) = details.and_then(|details| details.get("execution_id")).and_then(Value::as_str) {
        output::note(&format!("`breakwater workflow status {id} --history` shows what happened"));
    }
    error
}

async fn steer(arguments: &ExecutionArguments, steer: Steer) -> Result<ExitCode> {
    let execution = Server::at(&arguments.server.server)?.steer(&arguments.execution, steer).await?;
    output::answer(arguments.server.json, &execution, |execution| table::title(execution, now_ms()))?;
    Ok(ExitCode::SUCCESS)
}
