//! Reads the document of a definition and tells everything that has not the shape of one.

use serde_json::{Map, Value};

use super::findings::{Findings, escaped, meant, shown};
use super::{MAX_DOCUMENT, MAX_NESTING, MAX_STEPS, Problem};
use crate::definition::{Definition, StepType};

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    /// A whole number up to this one.
    Count(u64),
    Any,
    /// An object with any fields.
    Object,
    /// An object with these fields.
    Fields(&'static [Field]),
    StepType,
    Choices,
    Steps,
    Branches,
}

struct Field {
    name: &'static str,
    kind: Kind,
    is_required: bool,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: false }
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: true }
}

const U32_MAX: u64 = u32::MAX as u64;
const U32: Kind = Kind::Count(U32_MAX);
const U64: Kind = Kind::Count(u64::MAX);

const DEFINITION: &[Field] = &[
    required("name", Kind::Text),
    field("description", Kind::Text),
    required("steps", Kind::Steps),
    field("input_schema", Kind::Any),
    field("output", Kind::Text),
    field("timeout_ms", U64),
    field("metadata", Kind::Object),
];

const STEP: &[Field] = &[
    required("id", Kind::Text),
    field("type", Kind::StepType),
    field("description", Kind::Text),
    field("service", Kind::Text),
    field("action", Kind::Text),
    field("operation", Kind::Text),
    field("input", Kind::Text),
    field("when", Kind::Text),
    field("next", Kind::Text),
    field("retry", Kind::Fields(RETRY)),
    field("timeout_ms", U64),
    field("fallback", Kind::Fields(FALLBACK)),
    field("compensate", Kind::Fields(COMPENSATION)),
    field("choices", Kind::Choices),
    field("branches", Kind::Branches),
    field("items", Kind::Text),
    field("steps", Kind::Steps),
    field("concurrency", U32),
    field("continue_on_error", Kind::Flag),
    field("signal", Kind::Text),
    field("wait_ms", U64),
    field("until", Kind::Text),
    field("workflow", Kind::Text),
    field("max_visits", U32),
];

const RETRY: &[Field] = &[field("max_retries", U32), field("base_ms", U64), field("max_delay_ms", U64)];
const FALLBACK: &[Field] = &[field("output", Kind::Any), field("next", Kind::Text)];
const COMPENSATION: &[Field] =
    &[field("service", Kind::Text), field("action", Kind::Text), field("operation", Kind::Text), field("input", Kind::Text)];
const CHOICE: &[Field] = &[required("when", Kind::Text), field("next", Kind::Text)];

/// What a document is taken for.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The definition. Without what has not the shape of one, and with stand-ins for what it cannot be without, if there are problems.
    pub definition: Option<Definition>,
    /// Everything that has not the shape of a definition; whether the rest makes sense is for [`super::validate`].
    pub problems: Vec<Problem>,
}

/// Reads a definition. A field that is `null` counts as absent, but for the output of a fallback, which may be `null`.
///
/// # Errors
/// [`Reading::problems`], if there are any.
pub fn parse(document: &Value) -> Result<Definition, Vec<Problem>> {
    match read(document) {
        Reading { definition: Some(definition), problems } if problems.is_empty() => Ok(definition),
        Reading { problems, .. } => Err(problems),
    }
}

/// Reads a definition as far as it is one.
#[must_use]
pub fn read(document: &Value) -> Reading {
    let mut reader = Reader { findings: Findings::new(false), steps: 0, stand_ins: 0 };
    if is_too_large(document) {
        let message = format!("the definition is larger than {MAX_DOCUMENT} bytes");
        reader.findings.error("", "definition.too-large", message);
        return Reading { definition: None, problems: reader.findings.report().errors };
    }
    let read = reader.read(document, Kind::Fields(DEFINITION), "", 0);
    let mut problems = reader.findings.report().errors;
    match serde_path_to_error::deserialize(read) {
        Ok(definition) => Reading { definition: Some(definition), problems },
        Err(error) => {
            if problems.is_empty() {
                let pointer: String = error.path().iter().map(|segment| format!("/{}", escaped(&segment.to_string()))).collect();
                problems.push(Problem { pointer, code: "field.wrong-type", message: error.inner().to_string() });
            }
            Reading { definition: None, problems }
        }
    }
}

struct Reader {
    findings: Findings,
    steps: usize,
    stand_ins: usize,
}

impl Reader {
    /// Reads a value. If it is another one than is wanted, that is told, and `null` stands in its place.
    fn read(&mut self, value: &Value, kind: Kind, at: &str, depth: usize) -> Value {
        match (kind, value) {
            (Kind::Any, _) | (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) | (Kind::Object, Value::Object(_)) => {
                value.clone()
            }
            (Kind::Count(most), Value::Number(number)) if number.as_u64().is_some_and(|number| number <= most) => value.clone(),
            (Kind::Count(most), Value::Number(number)) => {
                let wanted =
                    if most == U32_MAX { format!("a whole number from 0 to {most}") } else { "a whole number of 0 or more".to_owned() };
                self.findings.error(at, "field.wrong-type", format!("{wanted} is wanted, not {number}"));
                Value::Null
            }
            (Kind::Fields(fields), Value::Object(object)) => self.fields(object, fields, at, depth),
            (Kind::StepType, Value::String(name)) => self.step_type(name, value, at),
            (Kind::Choices, Value::Array(choices)) => self.list(choices, CHOICE, at, depth),
            (Kind::Steps, Value::Array(steps)) => self.steps(steps, at, depth),
            (Kind::Branches, Value::Object(branches)) => {
                let read = |(name, steps): (&String, &Value)| {
                    let steps = self.read(steps, Kind::Steps, &format!("{at}/{}", escaped(name)), depth);
                    (name.clone(), if steps.is_null() { Value::Array(Vec::new()) } else { steps })
                };
                Value::Object(branches.iter().map(read).collect())
            }
            _ => {
                self.findings.error(at, "field.wrong-type", format!("{} is wanted, not {}", wanted(kind), found(value)));
                Value::Null
            }
        }
    }

    fn fields(&mut self, object: &Map<String, Value>, fields: &'static [Field], at: &str, depth: usize) -> Value {
        let mut read = Map::new();
        for (name, value) in object {
            if self.findings.is_full() {
                break;
            }
            let at = format!("{at}/{}", escaped(name));
            match fields.iter().find(|field| field.name == name) {
                None => {
                    let message = format!("there is no field `{}`{}", shown(name), meant(name, fields.iter().map(|field| field.name)));
                    self.findings.error(at, "field.unknown", message);
                }
                Some(field) if value.is_null() && !matches!(field.kind, Kind::Any) => {}
                Some(field) => {
                    let value = self.read(value, field.kind, &at, depth);
                    if !value.is_null() || matches!(field.kind, Kind::Any) {
                        read.insert(name.clone(), value);
                    }
                }
            }
        }
        for field in fields.iter().filter(|field| field.is_required && object.get(field.name).is_none_or(Value::is_null)) {
            self.findings.error(at, "field.missing", format!("`{}` is missing", field.name));
        }
        self.stand_in(fields, &mut read);
        Value::Object(read)
    }

    /// Puts something that nothing is wrong with where something needed is not there, so that the rest can be looked at.
    fn stand_in(&mut self, fields: &'static [Field], read: &mut Map<String, Value>) {
        for field in fields.iter().filter(|field| field.is_required) {
            if !read.contains_key(field.name) {
                self.stand_ins += 1;
                let value = match (field.kind, field.name) {
                    (Kind::Steps, _) => Value::Array(Vec::new()),
                    (_, "when") => Value::from("`true`"),
                    _ => Value::from(format!("stand-in-{}", self.stand_ins)),
                };
                read.insert(field.name.to_owned(), value);
            }
        }
    }

    fn list(&mut self, items: &[Value], fields: &'static [Field], at: &str, depth: usize) -> Value {
        let read = |(place, item): (usize, &Value)| match self.read(item, Kind::Fields(fields), &format!("{at}/{place}"), depth) {
            Value::Null => {
                let mut read = Map::new();
                self.stand_in(fields, &mut read);
                Value::Object(read)
            }
            read => read,
        };
        Value::Array(items.iter().enumerate().map(read).collect())
    }

    fn steps(&mut self, steps: &[Value], at: &str, depth: usize) -> Value {
        self.steps = self.steps.saturating_add(steps.len());
        if depth == MAX_NESTING {
            self.findings.error(at, "definition.too-deep", format!("steps may stand in each other {MAX_NESTING} deep"));
            return Value::Null;
        }
        if self.steps > MAX_STEPS {
            self.findings.error(at, "definition.too-large", format!("a workflow has at most {MAX_STEPS} steps, those within others too"));
            return Value::Null;
        }
        self.list(steps, STEP, at, depth + 1)
    }

    fn step_type(&mut self, name: &str, value: &Value, at: &str) -> Value {
        let names = StepType::ALL.map(StepType::name);
        if names.contains(&name) {
            return value.clone();
        }
        let message = format!("there is no type `{}`{}; there are {}", shown(name), meant(name, names), names.join(", "));
        self.findings.error(at, "step.type-unknown", message);
        Value::Null
    }
}

const fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::StepType => "a string",
        Kind::Flag => "true or false",
        Kind::Count(_) => "a whole number",
        Kind::Any => "a value",
        Kind::Object | Kind::Fields(_) => "an object",
        Kind::Choices => "a list of choices",
        Kind::Steps => "a list of steps",
        Kind::Branches => "an object with a list of steps for each branch",
    }
}

const fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn is_too_large(document: &Value) -> bool {
    serde_json::to_writer(Room(MAX_DOCUMENT), document).is_err()
}

/// Takes what is written until it is full.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
