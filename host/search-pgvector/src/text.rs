//! Text as PostgreSQL can keep it.

use std::borrow::Cow;

/// Stands before a digit that says what it stands for. A character that Unicode keeps out of texts, so that texts look as they are.
const ESCAPE: char = '\u{10FFFF}';

/// The text with NUL, which PostgreSQL refuses, written as two other characters. No two texts become the same, so equality stays.
pub(crate) fn kept(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => kept.extend([ESCAPE, '0']),
            ESCAPE => kept.extend([ESCAPE, '1']),
            other => kept.push(other),
        }
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        assert!(matches!(kept("Schuhe'; --"), Cow::Borrowed("Schuhe'; --")));
        assert_eq!(kept("a\0b"), "a\u{10FFFF}0b");
    }

    proptest! {
        #[test]
        fn no_two_texts_become_the_same(a in "[\0\u{10FFFF}01a]{0,6}", b in "[\0\u{10FFFF}01a]{0,6}") {
            prop_assert!(!kept(&a).contains('\0'));
            prop_assert_eq!(kept(&a) == kept(&b), a == b);
        }
    }
}
