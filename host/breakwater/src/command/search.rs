//! `breakwater search`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use breakwater_core::{CallContext, Failure};
use breakwater_http::SearchAnswer;
use breakwater_operations::search::{SearchBy, SearchRequest, SpacePhase};
use breakwater_operations::{Filter, ImageSource, Operations};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use super::found;
use super::local::{Local, block_on};
use super::pictures::Finder;
use super::search_page;
use crate::cli::SearchArguments;
use crate::configuration::Sources;
use crate::output;
use crate::places::Surroundings;
use crate::server_client::Server;

/// How often the indices are looked at until they hold what the records hold.
const LOOK: Duration = Duration::from_millis(50);
/// How long that may take. An index of a million pictures is made again within it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Endings of files that a query names which is no text.
const ENDINGS: [&str; 7] = ["jpg", "jpeg", "png", "gif", "webp", "avif", "bmp"];

pub(crate) fn run(arguments: SearchArguments) -> Result<ExitCode> {
    block_on(async {
        let query = Query::of(&arguments.query, arguments.text)?;
        let sources = Sources::of_places(&arguments.places)?;
        let finder = Finder::new(&sources.read()?, &Surroundings::of_process());
        let answer = match &arguments.server {
            Some(server) => Server::at(server)?.search(form(&arguments, &query)?).await?,
            None => here(&arguments, &query, &sources).await?,
        };
        if let Some(file) = &arguments.html {
            search_page::write(file, &query, &answer, &finder).await?;
            output::note(&format!("wrote {}", file.display()));
        }
        let shown = if arguments.json { serde_json::to_string_pretty(&answer)? } else { found::text(&query, &answer) };
        output::line(&shown);
        Ok(ExitCode::SUCCESS)
    })
}

/// What is looked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Query {
    Picture(PathBuf),
    Text(String),
}

impl Query {
    /// A file if there is one, otherwise a text.
    ///
    /// # Errors
    /// When it is no file but looks like the name of one.
    fn of(typed: &str, as_text: bool) -> Result<Self> {
        let path = Path::new(typed);
        if !as_text && path.is_file() {
            return Ok(Self::Picture(path.to_owned()));
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        let names_a_picture = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
        if !as_text && (names_a_picture || path.is_dir()) {
            bail!("{typed} is no file; to look for these words, add --text");
        }
        if typed.trim().is_empty() {
            bail!("say what is looked for: a picture's file, or a text");
        }
        Ok(Self::Text(typed.to_owned()))
    }
}

async fn here(arguments: &SearchArguments, query: &Query, sources: &Sources) -> Result<Value> {
    let local = Local::with_records(sources).await?;
    let by = match query {
        Query::Picture(file) => {
            let bytes = local.read(file).with_context(|| format!("cannot look for {}", file.display()))?;
            SearchBy::Image(ImageSource::Bytes(bytes))
        }
        Query::Text(text) => SearchBy::Text(text.clone()),
    };
    let request = SearchRequest {
        page_size: Some(usize::from(arguments.top)),
        filter: Filter { categories: arguments.category.clone(), ..Filter::default() },
        min_similarity: arguments.min_similarity,
        fold_duplicates: !arguments.all_duplicates,
        model: arguments.model.clone(),
        ..SearchRequest::by(by)
    };
    let operations = &local.host.operations;
    if operations.search_status().await?.products == 0 {
        bail!("nothing is indexed yet; `breakwater index FOLDER` does that");
    }
    settle(operations, PATIENCE).await;
    let context: CallContext = local.call();
    let outcome = operations.search(&context, request).await.map_err(explained)?;
    let answer = serde_json::to_value(SearchAnswer::of(outcome, &context))?;
    local.host.stop(Duration::from_secs(5)).await;
    Ok(answer)
}

/// Waits until the indices hold what the records hold, or can not.
pub(super) async fn settle(operations: &Operations, patience: Duration) {
    let settled = async {
        while let Ok(status) = operations.search_status().await {
            let behind = |space: &breakwater_operations::search::SpaceStatus| space.phase != SpacePhase::Unavailable && space.pending > 0;
            if !status.spaces.iter().any(behind) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(patience, settled).await.is_err() {
        output::note("the index does not hold every picture yet");
    }
}

/// Says what to do about what newcomers meet.
fn explained(failure: Failure) -> anyhow::Error {
    let hint = match &*failure.code {
        "embedder.no-text" => "; `breakwater models list` shows the models, and --model chooses one that takes texts",
        "search.space-not-indexed" => "; `breakwater index FOLDER` makes the pictures findable with this model",
        _ => "",
    };
    anyhow::anyhow!("{failure}{hint}")
}

/// The same search for a service.
fn form(arguments: &SearchArguments, query: &Query) -> Result<Form> {
    let mut form = Form::new().text("limit", arguments.top.to_string()).text("fold_duplicates", (!arguments.all_duplicates).to_string());
    for category in &arguments.category {
        form = form.text("category", category.clone());
    }
    if let Some(least) = arguments.min_similarity {
        form = form.text("min_similarity", least.to_string());
    }
    if let Some(model) = &arguments.model {
        form = form.text("model", model.clone());
    }
    Ok(match query {
        Query::Text(text) => form.text("text", text.clone()),
        Query::Picture(file) => {
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            form.part("image", Part::bytes(bytes).file_name("query"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_a_file_or_else_a_text() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jpg");
        std::fs::write(&file, b"x").unwrap();
        let typed = file.to_str().unwrap();
        assert_eq!(Query::of(typed, false).unwrap(), Query::Picture(file.clone()));
        assert_eq!(Query::of(typed, true).unwrap(), Query::Text(typed.to_owned()));
        assert_eq!(Query::of("a red dress", false).unwrap(), Query::Text("a red dress".into()));
        for missing in ["missing.jpg", "photos/b.PNG", folder.path().to_str().unwrap()] {
            assert!(Query::of(missing, false).unwrap_err().to_string().contains("--text"), "{missing}");
        }
        assert!(Query::of("  ", false).is_err());
    }

    #[test]
    fn newcomers_are_told_what_to_do() {
        let text = explained(Failure::invalid("embedder.no-text", "the model takes no texts")).to_string();
        assert!(text.contains("takes no texts") && text.contains("breakwater models list"), "{text}");
        assert_eq!(explained(Failure::invalid("search.text-invalid", "no")).to_string(), "no (search.text-invalid)");
    }
}
