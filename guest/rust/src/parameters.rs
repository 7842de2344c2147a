//! Parameters of a strategy: one declaration gives the struct, its defaults, and the JSON Schema that the host checks against.

mod json;

pub use self::json::Scalar;
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
        let inside = json.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let empty = inside.is_some_and(|inside| inside.trim().is_empty());
        if empty { Ok(Self) } else { Err(invalid("this strategy has no parameters")) }
    }
}

/// Types a parameter may have.
#[doc(hidden)]
pub trait ParameterType: Sized {
    const JSON_TYPE: &'static str;

    /// The value, unless the scalar is of another type or out of range.
    fn from_scalar(scalar: Scalar) -> Option<Self>;
}

impl ParameterType for f32 {
    const JSON_TYPE: &'static str = "number";

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        let Scalar::Number(number) = scalar else { return None };
        let single = number as Self;
        single.is_finite().then_some(single)
    }
}

impl ParameterType for u32 {
    const JSON_TYPE: &'static str = "integer";

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        let Scalar::Number(number) = scalar else { return None };
        // 3.0 is an integer to JSON Schema.
        let whole = number.fract() == 0.0 && (0.0..=f64::from(Self::MAX)).contains(&number);
        whole.then_some(number as Self)
    }
}

impl ParameterType for bool {
    const JSON_TYPE: &'static str = "boolean";

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        if let Scalar::Bool(value) = scalar { Some(value) } else { None }
    }
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
        #[derive(Debug, Clone, Copy, PartialEq)]
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
                let mut read = <Self as ::std::default::Default>::default();
                $crate::parameters::read_members(json, |name, scalar| {
                    match name {
                        $(::std::stringify!($field) => {
                            read.$field = <$type as $crate::parameters::ParameterType>::from_scalar(scalar)?;
                        })+
                        _ => return ::std::option::Option::None,
                    }
                    ::std::option::Option::Some(())
                })?;
                ::std::result::Result::Ok(read)
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

/// Hands each member of a flat object to `take`, which gives `None` for one it does not know or whose value does not fit.
#[doc(hidden)]
pub fn read_members(json: &str, mut take: impl FnMut(&str, Scalar) -> Option<()>) -> Result<(), Failure> {
    json::members(json, |name, scalar| match take(name, scalar) {
        Some(()) => Ok(()),
        None => Err(format!("{name} is not known or has a value that does not fit")),
    })
    .map_err(|reason| invalid(&reason))
}

fn invalid(reason: &str) -> Failure {
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

#[cfg(test)]
mod tests {
    use super::*;

    crate::parameters! {
        /// For the tests.
        struct Sample {
            /// How much "of it",
            /// on two lines.
            amount: f32 = 0.5 in -1.0..=2.0,
            /// How many.
            count: u32 = 3 in 1..=9,
            /// Whether.
            on: bool = true,
        }
    }

    #[test]
    fn the_schema_is_json_and_says_what_the_struct_does() {
        let schema: serde_json::Value = serde_json::from_str(&Sample::schema()).unwrap();
        let expected = serde_json::json!({
            "type": "object",
            "properties": {
                "amount": { "type": "number", "description": "How much \"of it\", on two lines.", "default": 0.5, "minimum": -1.0, "maximum": 2.0 },
                "count": { "type": "integer", "description": "How many.", "default": 3, "minimum": 1, "maximum": 9 },
                "on": { "type": "boolean", "description": "Whether.", "default": true },
            },
            "additionalProperties": false,
        });
        assert_eq!(schema, expected);
    }

    #[test]
    fn what_is_not_given_takes_its_default() {
        for nothing in ["{}", " { } ", "{\n}"] {
            assert_eq!(Sample::parse(nothing), Ok(Sample::default()), "{nothing:?}");
        }
        assert_eq!(Sample::parse(r#"{"count":7}"#), Ok(Sample { count: 7, ..Sample::default() }));
    }

    #[test]
    fn what_does_not_fit_is_the_callers_mistake() {
        for wrong in ["", "[]", "{", r#"{"count":"7"}"#, r#"{"counts":7}"#, r#"{"count":-1}"#] {
            let failure = Sample::parse(wrong).unwrap_err();
            assert_eq!((failure.kind, failure.code.as_str()), (crate::FailureKind::InvalidRequest, "crop.parameters-invalid"), "{wrong}");
        }
        assert!(NoParameters::parse(r#"{"count":7}"#).is_err());
    }
}
