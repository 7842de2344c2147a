//! What single arguments may be, so that what cannot be meant is wrong usage whichever command it is typed for.

use breakwater_operations::Format;
use serde_json::Value;

/// Reads a JSON object.
pub(super) fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(r#"a JSON object is expected, such as {"x": 0.1}"#.to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

/// Reads the name of a format that results can have; others can only be read.
pub(super) fn written_format(text: &str) -> Result<Format, String> {
    let format = text.parse::<Format>().ok().filter(|format| format.can_be_written());
    format.ok_or_else(|| {
        let names: Vec<&str> = Format::ALL.into_iter().filter(|format| format.can_be_written()).map(Format::name).collect();
        format!("results are written as one of {}", names.join(", "))
    })
}

/// Reads a number within these bounds, which belong to it.
pub(super) fn number(least: f32, most: f32) -> impl Fn(&str) -> Result<f32, String> + Clone + Send + Sync + 'static {
    move |text: &str| {
        let number = text.trim().parse::<f32>().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("a number from {least} to {most} is expected"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_an_object_written_as_json() {
        assert_eq!(object(r#"{"x": 0.1}"#), Ok(json!({ "x": 0.1 })));
        for (text, said) in
            [("[1]", "a JSON object is expected"), ("7", "a JSON object is expected"), ("{x: 1}", "not JSON"), ("", "not JSON")]
        {
            let refused = object(text).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }

    #[test]
    fn only_what_can_be_written_is_a_format_of_results() {
        for (text, format) in
            [("jpeg", Format::Jpeg), ("JPG", Format::Jpeg), ("png", Format::Png), ("WebP", Format::WebP), ("avif", Format::Avif)]
        {
            assert_eq!(written_format(text), Ok(format));
        }
        for text in ["gif", "bmp", ""] {
            assert_eq!(written_format(text), Err("results are written as one of jpeg, png, webp, avif".to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        let threshold = number(0.0, 1.0);
        assert_eq!((threshold("0"), threshold("0.5"), threshold("1")), (Ok(0.0), Ok(0.5), Ok(1.0)));
        for text in ["-0.1", "1.1", "nan", "inf", "half"] {
            assert_eq!(threshold(text), Err("a number from 0 to 1 is expected".to_owned()), "{text}");
        }
    }
}
