//! `compose-sheet`.

use breakwater_guest::{Failure, Invocation, Reply, Response, Upstreams};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::service::{self, Route};

pub(crate) const NAME: &str = "compose-sheet";
const ROUTE: Route =
    Route { setting: "compose_path", path: "/compose", named_by: "processed_images", part: "processed_images", several: true };

#[derive(Deserialize)]
struct Asked {
    grid_layout: Value,
    sheet_orientation: Option<String>,
    output_format: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    output_path: Option<String>,
    #[serde(default)]
    output: File,
    #[serde(default)]
    pages: Option<u32>,
    #[serde(default)]
    placed: Option<u32>,
    /// The sheet itself, where it has no path.
    #[serde(default)]
    file_base64: Option<String>,
}

#[derive(Default, Deserialize)]
struct File {
    format: Option<String>,
    media_type: Option<String>,
    bytes: Option<u64>,
}

/// Asks the service for a sheet.
pub(crate) fn compose<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
    let asked: Asked = call.read()?;
    let named = service::is_named(&call, &ROUTE)?;
    let accept = if named { "application/json" } else { "application/pdf, image/*, application/json;q=0.9" };
    let answer = service::ask(host, call, &ROUTE, accept)?;
    if answer.media_type() == "application/pdf" || answer.media_type().starts_with("image/") {
        return of_file(answer, asked);
    }
    let answer: Answer = answer.json()?;
    let format = answer.output.format.clone().or_else(|| asked.output_format.clone()).unwrap_or_else(|| "pdf".to_owned());
    let media_type = answer.output.media_type.clone().unwrap_or_else(|| media_type_of(&format));
    if format.len() > 32 || media_type.len() > 128 {
        return Err(Failure::response_invalid("/output: the format is no name"));
    }
    let mut output = json!({ "output": { "format": format, "media_type": media_type } });
    if let (Some(file), Some(bytes)) = (output.get_mut("output").and_then(Value::as_object_mut), answer.output.bytes) {
        file.insert("bytes".to_owned(), bytes.into());
    }
    put(&mut output, "pages", answer.pages.filter(|pages| *pages > 0).map(Value::from));
    put(&mut output, "placed", answer.placed.map(Value::from));
    match (answer.output_path, answer.file_base64) {
        (Some(path), _) if !(1..=4096).contains(&path.chars().count()) => {
            Err(Failure::response_invalid("/output_path: not from 1 to 4096 characters"))
        }
        // A path means something only where both see the same files: where the pictures were named too.
        (path, Some(base64)) if !named || path.is_none() => {
            Ok(Reply::new(repeated(output, asked)).with_attachment(service::inline(&base64, &media_type)?))
        }
        (Some(path), _) => {
            put(&mut output, "output_path", Some(path.into()));
            Ok(Reply::new(repeated(output, asked)))
        }
        (None, _) => Err(Failure::response_invalid("it has neither output_path nor file_base64, and is no sheet")),
    }
}

/// An answer that is the sheet.
fn of_file(answer: Response, asked: Asked) -> Result<Reply, Failure> {
    let sheet = answer.into_blob()?;
    let media_type = sheet.media_type();
    let format = service::format_of(&media_type).ok_or_else(|| Failure::response_invalid("its content type is no name"))?;
    let output = json!({ "output": { "format": format, "media_type": media_type, "bytes": sheet.length() } });
    Ok(Reply::new(repeated(output, asked)).with_attachment(sheet))
}

/// With what the request said.
fn repeated(mut output: Value, asked: Asked) -> Value {
    put(&mut output, "grid_layout", Some(asked.grid_layout));
    put(&mut output, "sheet_orientation", asked.sheet_orientation.map(Value::from));
    output
}

fn put(output: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (output.as_object_mut(), value) {
        members.insert(name.to_owned(), value);
    }
}

fn media_type_of(format: &str) -> String {
    match format {
        "pdf" => "application/pdf".to_owned(),
        picture => format!("image/{picture}"),
    }
}
