//! Parameters of a strategy: one declaration gives the struct, its defaults, and the JSON Schema that the host checks against.

use crate::failure::Failure;

/// What a caller may set. Implemented by [`parameters!`](crate::parameters!).
pub trait Parameters: Sized {
    /// JSON Schema of the accepted object. The host refuses a request that does not satisfy it.
    fn schema() -> String;

    /// Reads the JSON of a request; members that are missing take their defaults.
    ///
    /// # Errors
    /// `crop.parameters-invalid` (invalid-request) when the text does not fit.
    fn parse(json: &str) -> Result<Self, Failure>;
}

/// For a strategy without parameters: only `{}` is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoParameters;

impl Parameters for NoParameters {
    fn schema() -> String {
        r#"{"type":"object","properties":{},"additionalProperties":false}"#.to_owned()
    }

    fn parse(json: &str) -> Result<Self, Failure> {
        if is_empty_object(json) { Ok(Self) } else { Err(invalid(&"this strategy has no parameters")) }
    }
}

/// Types a parameter may have.
#[doc(hidden)]
pub trait ParameterType {
    const JSON_TYPE: &'static str;
}

impl ParameterType for f32 {
    const JSON_TYPE: &'static str = "number";
}

impl ParameterType for u32 {
    const JSON_TYPE: &'static str = "integer";
}

impl ParameterType for bool {
    const JSON_TYPE: &'static str = "boolean";
}

/// Declares the parameters of a strategy: a struct with public fields of type `f32`, `u32` or `bool`, each with its default and,
/// for numbers, the range it may have. The comments become descriptions in the schema.
///
/// ```
/// use breakwater_guest::parameters::Parameters;
///
/// breakwater_guest::parameters! {
///     /// How faces are framed.
///     pub struct Framing {
///         /// Lowest confidence of a face that counts.
///         confidence: f32 = 0.8 in 0.0..=1.0,
///         /// Whether profiles count.
///         profiles: bool = true,
///     }
/// }
///
/// assert_eq!(Framing::default().confidence, 0.8);
/// assert_eq!(Framing::parse(r#"{"profiles": false}"#).unwrap(), Framing { confidence: 0.8, profiles: false });
/// assert!(Framing::parse(r#"{"profile": false}"#).is_err());
/// ```
#[macro_export]
macro_rules! parameters {
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ident = $default:literal $(in $low:literal..=$high:literal)?),+ $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, $crate::serde::Deserialize)]
        #[serde(crate = "::breakwater_guest::serde", default, deny_unknown_fields)]
        $visibility struct $name {
            $($(#[doc = $doc])+ pub $field: $type),+
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $crate::parameters::Parameters for $name {
            fn schema() -> ::std::string::String {
                $crate::parameters::object_schema(&[$(
                    $crate::parameters::Property {
                        name: ::std::stringify!($field),
                        json_type: <$type as $crate::parameters::ParameterType>::JSON_TYPE,
                        description: &[$($doc),+],
                        default: ::std::stringify!($default),
                        range: &[$((::std::stringify!($low), ::std::stringify!($high)))?],
                    }
                ),+])
            }

            fn parse(json: &str) -> ::std::result::Result<Self, $crate::Failure> {
                $crate::parameters::read(json)
            }
        }
    };
}

/// One member of a schema, as the macro collects it.
#[doc(hidden)]
pub struct Property {
    pub name: &'static str,
    pub json_type: &'static str,
    pub description: &'static [&'static str],
    pub default: &'static str,
    pub range: &'static [(&'static str, &'static str)],
}

#[doc(hidden)]
#[must_use]
pub fn object_schema(properties: &[Property]) -> String {
    let mut schema = String::from(r#"{"type":"object","properties":{"#);
    for (index, property) in properties.iter().enumerate() {
        if index > 0 {
            schema.push(',');
        }
        push_string(&mut schema, property.name);
        schema.push_str(":{\"type\":");
        push_string(&mut schema, property.json_type);
        schema.push_str(",\"description\":");
        let lines: Vec<&str> = property.description.iter().map(|line| line.trim()).collect();
        push_string(&mut schema, &lines.join(" "));
        schema.push_str(",\"default\":");
        schema.push_str(property.default);
        for (low, high) in property.range {
            for part in [",\"minimum\":", low, ",\"maximum\":", high] {
                schema.push_str(part);
            }
        }
        schema.push('}');
    }
    schema.push_str("},\"additionalProperties\":false}");
    schema
}

#[doc(hidden)]
pub fn read<P: Default + serde::de::DeserializeOwned>(json: &str) -> Result<P, Failure> {
    // Most requests carry none, and then no parser runs.
    if is_empty_object(json) { Ok(P::default()) } else { serde_json::from_str(json).map_err(|error| invalid(&error)) }
}

fn is_empty_object(json: &str) -> bool {
    json.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inside| inside.trim().is_empty())
}

fn invalid(reason: &dyn std::fmt::Display) -> Failure {
    Failure::invalid_request("crop.parameters-invalid", &format!("the strategy's parameters cannot be read: {reason}"))
}

/// Appends `text` as a JSON string.
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control if control < ' ' => json.push(' '),
            other => json.push(other),
        }
    }
    json.push('"');
}
