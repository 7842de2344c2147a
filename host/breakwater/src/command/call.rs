//! `breakwater call`.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_vision::Format;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::local::block_on;
use crate::cli::CallArguments;
use crate::output;
use crate::server_client::Server;

/// What a file is when its content does not say.
const UNKNOWN_TYPE: &str = "application/octet-stream";

pub(crate) fn run(arguments: CallArguments) -> Result<ExitCode> {
    let form = form(&arguments)?;
    let mut answer = block_on(async {
        let server = Server::at(&arguments.server)?;
        server.call(&arguments.name, form, arguments.idempotency_key.as_deref()).await
    })?;
    if let Some(folder) = &arguments.out {
        save(&mut answer, folder)?;
    }
    output::line(&serde_json::to_string_pretty(&answer)?);
    Ok(ExitCode::SUCCESS)
}

fn form(arguments: &CallArguments) -> Result<Form> {
    let input = arguments.input.as_deref().map_or_else(|| Ok("{}".to_owned()), input)?;
    let mut form = Form::new().text("input", input);
    for (name, text) in [("subject", &arguments.subject), ("tenant", &arguments.tenant)] {
        if let Some(text) = text {
            form = form.text(name, text.clone());
        }
    }
    for file in &arguments.attach {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let media_type = media_type(file, &bytes);
        let name = file.file_name().map_or_else(|| "attachment".to_owned(), |name| name.to_string_lossy().into_owned());
        form = form.part("attachment", Part::bytes(bytes).file_name(name).mime_str(media_type)?);
    }
    Ok(form)
}

/// The input's text. That it is JSON is checked here, where its place can be named.
fn input(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    Ok(value.to_string())
}

/// Pictures are known by their content, a few documents by their name.
fn media_type(file: &Path, bytes: &[u8]) -> &'static str {
    if let Some(format) = Format::sniff(bytes) {
        return format.media_type();
    }
    match file.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("json") => "application/json",
        Some("pdf") => "application/pdf",
        Some("txt" | "md") => "text/plain",
        Some("csv") => "text/csv",
        _ => UNKNOWN_TYPE,
    }
}

/// Writes the attachments of an answer to files and names these in place of the content.
fn save(answer: &mut Value, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let attachments = answer.get_mut("attachments").and_then(Value::as_array_mut);
    for (number, attachment) in (1..).zip(attachments.into_iter().flatten()) {
        let data = attachment.get("data").and_then(Value::as_str).unwrap_or_default();
        let bytes = STANDARD.decode(data).context("an attachment of the answer is not base64; is this a Breakwater service?")?;
        let media_type = attachment.get("media_type").and_then(Value::as_str).unwrap_or(UNKNOWN_TYPE).to_owned();
        let file: PathBuf = folder.join(format!("attachment-{number}.{}", extension(&media_type, &bytes)));
        fs::write(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
        *attachment = json!({ "media_type": media_type, "bytes": bytes.len(), "file": file.display().to_string() });
    }
    Ok(())
}

fn extension(media_type: &str, bytes: &[u8]) -> &'static str {
    if let Some(format) = Format::sniff(bytes) {
        return format.extension();
    }
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => "json",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        "text/csv" => "csv",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_are_written_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let png = b"\x89PNG\r\n\x1a\n----------------";
        let mut answer = json!({
            "output": { "pages": 1 },
            "attachments": [
                { "media_type": "application/pdf", "data": STANDARD.encode(b"%PDF-1.7") },
                { "media_type": "application/octet-stream", "data": STANDARD.encode(png) },
            ],
        });
        save(&mut answer, &out).unwrap();
        assert_eq!(fs::read(out.join("attachment-1.pdf")).unwrap(), b"%PDF-1.7");
        assert_eq!(fs::read(out.join("attachment-2.png")).unwrap(), png);
        assert_eq!((&answer["output"]["pages"], &answer["attachments"][0]["bytes"]), (&json!(1), &json!(8)));
        assert!(answer["attachments"][1].get("data").is_none());
        let mut odd = json!({ "attachments": [{ "media_type": "a/b", "data": "??" }] });
        assert!(save(&mut odd, &out).is_err());
        assert!(save(&mut json!({}), &out).is_ok());
    }

    #[test]
    fn a_file_is_what_its_content_or_else_its_name_says() {
        assert_eq!(media_type(Path::new("photo.txt"), b"\xff\xd8\xff\xe0----------------"), "image/jpeg");
        assert_eq!(media_type(Path::new("cv.PDF"), b"%PDF"), "application/pdf");
        assert_eq!(media_type(Path::new("data"), b""), UNKNOWN_TYPE);
    }

    #[test]
    fn an_input_that_is_no_json_is_refused_before_anything_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.json");
        fs::write(&file, "{\"a\": [1, 2]}\n").unwrap();
        assert_eq!(input(&file).unwrap(), r#"{"a":[1,2]}"#);
        fs::write(&file, "{").unwrap();
        assert!(input(&file).unwrap_err().to_string().contains("is not JSON"));
        assert!(input(&folder.path().join("none")).is_err());
    }
}
