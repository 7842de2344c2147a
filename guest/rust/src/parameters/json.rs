//! Just enough JSON for parameters: one flat object of numbers and booleans.

/// The value of a member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// A finite number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
}

/// Hands each member to `take`, in order. A member named twice is handed over twice.
///
/// # Errors
/// What is wrong, for a person: with the text, or as `take` says.
pub(super) fn members(text: &str, mut take: impl FnMut(&str, Scalar) -> Result<(), String>) -> Result<(), String> {
    let mut rest = Rest(text);
    rest.expect('{')?;
    if !rest.skip('}') {
        loop {
            let name = rest.name()?;
            rest.expect(':')?;
            let scalar = rest.scalar()?;
            take(name, scalar)?;
            if !rest.skip(',') {
                break;
            }
        }
        rest.expect('}')?;
    }
    rest.space();
    if rest.0.is_empty() { Ok(()) } else { Err("something follows the object".to_owned()) }
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Reads a character if it is the next after space.
    fn skip(&mut self, wanted: char) -> bool {
        self.space();
        let after = self.0.strip_prefix(wanted);
        self.0 = after.unwrap_or(self.0);
        after.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.skip(wanted) { Ok(()) } else { Err(format!("expected `{wanted}`")) }
    }

    fn name(&mut self) -> Result<&'a str, String> {
        self.expect('"')?;
        let (name, after) = self.0.split_once('"').ok_or("a name does not end")?;
        // Names of parameters are identifiers, so one with an escape or a control character is none of them.
        if name.contains('\\') || name.contains(char::is_control) {
            return Err("a name is not that of a parameter".to_owned());
        }
        self.0 = after;
        Ok(name)
    }

    fn scalar(&mut self) -> Result<Scalar, String> {
        self.space();
        for (word, value) in [("true", true), ("false", false)] {
            if let Some(after) = self.0.strip_prefix(word) {
                self.0 = after;
                return Ok(Scalar::Bool(value));
            }
        }
        let end = self.0.find(|character| !matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(self.0.len());
        let (digits, after) = self.0.split_at(end);
        let number = if is_number(digits) { digits.parse::<f64>().ok() } else { None };
        let number = number.filter(|number| number.is_finite()).ok_or("a value is neither a number nor a boolean")?;
        self.0 = after;
        Ok(Scalar::Number(number))
    }
}

/// Whether JSON's grammar has this number; Rust's is wider.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<(String, Scalar)>, String> {
        let mut read = Vec::new();
        members(text, |name, scalar| {
            read.push((name.to_owned(), scalar));
            Ok(())
        })?;
        Ok(read)
    }

    #[test]
    fn members_come_in_order() {
        let expected = [("a", Scalar::Number(-0.5)), ("b", Scalar::Bool(true)), ("c", Scalar::Number(3e4))];
        let expected: Vec<_> = expected.map(|(name, scalar)| (name.to_owned(), scalar)).into();
        assert_eq!(read(" {\"a\" : -0.5,\n\t\"b\":true ,\"c\":3E+4 } "), Ok(expected));
        assert_eq!(read("{ }"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_flat_object_is_refused() {
        for wrong in [
            "",
            "{",
            "[]",
            "{}x",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":null}"#,
            r#"{"a":"b"}"#,
            r#"{"a":[1]}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        /// Any object of numbers and booleans, however it is written, is read as a complete JSON library reads it.
        #[test]
        fn it_agrees_with_a_complete_reader(object in prop::collection::btree_map("[a-z_]{1,8}", prop_oneof![
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<u32>().prop_map(serde_json::Value::from),
        ], 0..5), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let read = read(&text).unwrap();
            prop_assert_eq!(read.len(), object.len());
            for (name, scalar) in read {
                let same = match scalar {
                    Scalar::Number(number) => object[&name].as_f64() == Some(number),
                    Scalar::Bool(value) => object[&name].as_bool() == Some(value),
                };
                prop_assert!(same, "{name}: {scalar:?} in {text}");
            }
        }

        /// Whatever is read is JSON, and nothing makes it panic.
        #[test]
        fn what_it_accepts_is_json(text in r#"[{}\[\]",:. 0-9eE+\-a-ftrulsn\\]{0,24}"#) {
            if read(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            }
        }
    }
}
