//! An image of a batch as a caller or a manifest names it.

use breakwater_core::Failure;
use serde_json::{Map, Value};

use super::input::Item;
use super::violations::{Violation, Violations};
use super::{OptionsJson, ProcessingOptions, options};
use crate::json::read;

/// The longest path, in bytes; paths of the media root are shorter.
const MAX_PATH: usize = 1024;
/// The longest id, in bytes.
const MAX_ID: usize = 256;
/// What an image has beside options of its own.
const FIELDS: [&str; 2] = ["image_path", "id"];

/// An image, what it is called, and what is done with it in another way than with the others.
#[derive(Debug, Clone)]
pub struct BatchEntry {
    image_path: String,
    id: Option<String>,
    own: Option<Map<String, Value>>,
    /// The line of the manifest that names it.
    line: Option<u64>,
}

impl BatchEntry {
    /// An image with nothing of its own.
    #[must_use]
    pub fn of_path(image_path: String) -> Self {
        Self { image_path, id: None, own: None, line: None }
    }

    /// The images of a list: each a path, or an object with `image_path`, `id` and any of the processing options.
    ///
    /// # Errors
    /// `batch.entry-invalid` with the violations of all of them, each below `/images` and its place in the list.
    pub fn list(values: Vec<Value>) -> Result<Vec<Self>, Failure> {
        let mut entries = Vec::with_capacity(values.len());
        let mut wrong = Violations::default();
        for (index, value) in values.into_iter().enumerate() {
            match Self::of_value(value) {
                Ok(entry) => entries.push(entry),
                Err(violations) => wrong.put_below(&place(None, index), violations),
            }
        }
        if wrong.is_empty() { Ok(entries) } else { Err(refused(wrong, false)) }
    }

    /// One of them. What is wrong with it has places below it.
    pub(super) fn of_value(value: Value) -> Result<Self, Violations> {
        let mut wrong = Violations::default();
        let mut fields = match value {
            Value::Object(fields) => fields,
            Value::String(path) => match wrong_path(&path) {
                Some(message) => {
                    wrong.put("", message);
                    return Err(wrong);
                }
                None => return Ok(Self::of_path(path)),
            },
            _ => {
                wrong.put("", "it is neither a path nor an object with `image_path`");
                return Err(wrong);
            }
        };
        if fields.get("image_path").is_none_or(Value::is_null) {
            wrong.put("", "it has no `image_path`");
        }
        let image_path = text(&mut fields, "image_path", wrong_path, &mut wrong);
        let id = text(&mut fields, "id", wrong_id, &mut wrong);
        let own = (!fields.is_empty()).then_some(Value::Object(fields));
        if let Some(own) = &own {
            wrong.put_below("", options::violations(own, &FIELDS));
        }
        let own = match own {
            Some(Value::Object(own)) => Some(own),
            _ => None,
        };
        match image_path {
            Some(image_path) if wrong.is_empty() => Ok(Self { image_path, id, own, line: None }),
            _ => Err(wrong),
        }
    }

    /// The same, as a line of a manifest.
    pub(super) fn of_line(self, line: u64) -> Self {
        Self { line: Some(line), ..self }
    }

    /// Whether a manifest names it.
    pub(super) fn is_of_manifest(&self) -> bool {
        self.line.is_some()
    }

    /// Where it stands: in its manifest, or in a list.
    pub(super) fn place(&self, index: usize) -> String {
        place(self.line, index)
    }

    /// The options of this image, if it has any of its own.
    pub(super) fn own_options(&self, all: &ProcessingOptions) -> Result<Option<ProcessingOptions>, Failure> {
        let Some(own) = &self.own else { return Ok(None) };
        read::<OptionsJson>(Value::Object(own.clone()))?.over(all).map(Some)
    }

    /// As the journal keeps it.
    pub(super) fn item(self, own: Option<&ProcessingOptions>) -> Item {
        Item {
            image_path: self.image_path,
            id: self.id,
            options: own.map(ProcessingOptions::crop_fields),
            detect: own.map(|own| own.detect_fields().map_or(Value::Bool(false), Value::Object)),
        }
    }
}

fn place(line: Option<u64>, index: usize) -> String {
    line.map_or_else(|| format!("/images/{index}"), |line| format!("/{line}"))
}

/// The failure of a list or a manifest with images that cannot be worked on.
pub(super) fn refused(wrong: Violations, is_manifest: bool) -> Failure {
    if !is_manifest {
        return wrong.into_failure("batch.entry-invalid", |first| format!("an image of the list cannot be meant: {first}"));
    }
    wrong.into_failure("batch.manifest-invalid", |Violation { pointer, message }| {
        let (line, below) = pointer.trim_start_matches('/').split_once('/').unwrap_or((pointer.trim_start_matches('/'), ""));
        let below = if below.is_empty() { String::new() } else { format!("/{below}: ") };
        format!("line {line} of the manifest: {below}{message}")
    })
}

/// Takes a text out of an object.
fn text(fields: &mut Map<String, Value>, name: &str, wrong_with: fn(&str) -> Option<String>, wrong: &mut Violations) -> Option<String> {
    let message = match fields.remove(name)? {
        Value::Null => return None,
        Value::String(text) => match wrong_with(&text) {
            None => return Some(text),
            Some(message) => message,
        },
        _ => "it is no text".to_owned(),
    };
    wrong.put(format!("/{name}"), message);
    None
}

fn wrong_path(path: &str) -> Option<String> {
    let is_possible = (1..=MAX_PATH).contains(&path.len()) && !path.contains('\0');
    (!is_possible).then(|| format!("a path has 1 to {MAX_PATH} bytes and no NUL"))
}

fn wrong_id(id: &str) -> Option<String> {
    let is_possible = id.len() <= MAX_ID && !id.chars().any(char::is_control);
    (!is_possible).then(|| format!("an id has at most {MAX_ID} printable bytes"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_may_have_options_of_its_own() {
        let all = ProcessingOptions { strategy: Some("center".into()), quality: Some(70), ..ProcessingOptions::default() };
        let one = |value| BatchEntry::list(vec![value]).unwrap().remove(0);
        let entry = one(json!({ "image_path": "/a.jpg", "id": "x", "quality": 90, "detection_types": [] }));
        let own = entry.own_options(&all).unwrap().unwrap();
        assert_eq!((own.quality, own.strategy.as_deref()), (Some(90), Some("center")));
        let item = entry.item(Some(&own));
        assert_eq!((item.id.as_deref(), item.options.unwrap()["quality"].clone(), item.detect), (Some("x"), json!(90), Some(json!(false))));
        assert!(one(json!("/b.jpg")).own_options(&all).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let long = "x".repeat(MAX_PATH + 1);
        for wrong in [
            json!(7),
            json!(""),
            json!({ "id": "x" }),
            json!({ "image_path": 3 }),
            json!({ "image_path": "/a.jpg", "quality": 0 }),
            json!({ "image_path": "/a.jpg", "qualty": 80 }),
            json!({ "image_path": "/a.jpg", "id": "x".repeat(MAX_ID + 1) }),
            json!(long),
            json!("a\u{0}b"),
        ] {
            assert_eq!(BatchEntry::list(vec![wrong.clone()]).unwrap_err().code, "batch.entry-invalid", "{wrong}");
        }
        BatchEntry::list(vec![json!("x".repeat(MAX_PATH))]).unwrap();
    }

    #[test]
    fn every_image_that_cannot_be_meant_is_named_by_its_place() {
        let mut values = vec![json!("/a.jpg"); 500];
        values.extend([
            json!({ "image_pth": "/x" }),
            json!("/b.jpg"),
            json!({ "image_path": 3, "id": 4, "quality": 0, "colour": "red" }),
            json!(null),
        ]);
        let failure = BatchEntry::list(values).unwrap_err();
        let told = |failure: &Failure| -> Vec<(String, String)> {
            let detail = failure.detail.clone().unwrap();
            let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
            detail["violations"].as_array().unwrap().iter().map(|one| (text(one, "pointer"), text(one, "message"))).collect()
        };
        let found = told(&failure);
        let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        let places = ["500", "500/image_pth", "502/image_path", "502/id", "502/colour", "502/quality", "503"];
        assert_eq!(pointers, places.map(|place| format!("/images/{place}")));
        assert_eq!(found[0].1, "it has no `image_path`");
        assert_eq!(found[1].1, "there is no option \"image_pth\"; did you mean \"image_path\"?");
        assert_eq!(failure.message, "an image of the list cannot be meant: /images/500: it has no `image_path` (and 6 more)");

        let many = BatchEntry::list(vec![json!(7); 1000]).unwrap_err();
        assert_eq!((told(&many).len(), &many.detail.unwrap()["more"]), (20, &json!(980)));
    }
}
