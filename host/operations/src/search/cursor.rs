//! Cursors: where a list or a search goes on, as text for the caller to bring back.
//!
//! A cursor is base64 of a kind, the digest of the question it belongs to, what is needed to go on, and a checksum. Nothing is kept in
//! the service. The checksum finds damage, it is no secret: a forged cursor shows its maker other pages of what he may see anyway.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use breakwater_core::{Digest, Failure};
use breakwater_search::{Key, Passed};

/// The longest cursor, in bytes of text.
const MAX_LENGTH: usize = 96 << 10;
/// Bytes of the question's digest and of the checksum.
const DIGEST: usize = 16;
const CHECKSUM: usize = 8;

const SEARCH: u8 = 1;
const LIST: u8 = 2;

/// The question that a cursor belongs to.
pub(crate) type Question = [u8; DIGEST];

/// The digest of everything that decides what a search or list shows.
pub(crate) fn question<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Question {
    let mut head = [0; DIGEST];
    head.copy_from_slice(Digest::of_parts(parts).as_bytes().first_chunk::<DIGEST>().unwrap_or(&[0; DIGEST]));
    head
}

/// Where a search goes on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SearchCursor {
    pub(crate) question: Question,
    /// Which model the alias stood for: a page of the other model would be of another space.
    pub(crate) other: Option<bool>,
    pub(crate) passed: Passed,
}

impl SearchCursor {
    pub(crate) fn encode(&self) -> String {
        let other = match self.other {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        seal(SEARCH, &[&[other][..], &self.question, &self.passed.to_bytes()].concat())
    }

    /// # Errors
    /// `search.cursor-invalid`.
    pub(crate) fn decode(text: &str) -> Result<Self, Failure> {
        let bytes = open(SEARCH, text)?;
        let (other, rest) = bytes.split_first().ok_or_else(invalid)?;
        let other = match other {
            0 => None,
            1 => Some(false),
            2 => Some(true),
            _ => return Err(invalid()),
        };
        let (question, passed) = rest.split_first_chunk().ok_or_else(invalid)?;
        Ok(Self { question: *question, other, passed: Passed::from_bytes(passed).map_err(|_| invalid())? })
    }
}

/// Where a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListCursor {
    pub(crate) question: Question,
    pub(crate) after: Key,
}

impl ListCursor {
    pub(crate) fn encode(self) -> String {
        seal(LIST, &[&self.question[..], &self.after.0.to_le_bytes()].concat())
    }

    /// # Errors
    /// `search.cursor-invalid`.
    pub(crate) fn decode(text: &str) -> Result<Self, Failure> {
        let bytes = open(LIST, text)?;
        let (question, after) = bytes.split_first_chunk().ok_or_else(invalid)?;
        let after = after.try_into().map_err(|_| invalid())?;
        Ok(Self { question: *question, after: Key(u64::from_le_bytes(after)) })
    }
}

fn invalid() -> Failure {
    Failure::invalid(
        "search.cursor-invalid",
        "the cursor is none: take `next_cursor` of the page before as it is, or begin anew without one",
    )
}

/// The cursor belongs to another search or list.
pub(crate) fn mismatch() -> Failure {
    let message = "the cursor belongs to another question; with a cursor, only the size of the page may change";
    Failure::invalid("search.cursor-mismatch", message)
}

fn checksum(kind: u8, content: &[u8]) -> [u8; CHECKSUM] {
    let digest = Digest::of_parts([&b"breakwater-cursor"[..], &[kind], content]);
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

fn seal(kind: u8, content: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([&[kind][..], content, &checksum(kind, content)].concat())
}

fn open(kind: u8, text: &str) -> Result<Vec<u8>, Failure> {
    if text.len() > MAX_LENGTH {
        return Err(invalid());
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    let (content, found) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(invalid)?;
    let (sealed, content) = content.split_first().ok_or_else(invalid)?;
    if *sealed == kind && *found == checksum(kind, content) { Ok(content.to_vec()) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> SearchCursor {
        let mut passed = Passed::nothing(9);
        (0..40).for_each(|key| passed.pass(Key(key * 3)));
        SearchCursor { question: question([&b"a"[..]]), other: Some(true), passed }
    }

    #[test]
    fn cursors_survive_the_way_out_and_back() {
        for other in [None, Some(false), Some(true)] {
            let cursor = SearchCursor { other, ..search() };
            assert_eq!(SearchCursor::decode(&cursor.encode()).unwrap(), cursor);
        }
        let list = ListCursor { question: question([&b"a"[..], b"b"]), after: Key(u64::MAX) };
        assert_eq!(ListCursor::decode(&list.encode()).unwrap(), list);
        assert_ne!(question([&b"a"[..], b"b"]), question([&b"ab"[..]]));
    }

    #[test]
    fn a_cursor_with_one_letter_changed_is_none() {
        let text = search().encode();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(SearchCursor::decode(&changed).unwrap_err().code, "search.cursor-invalid", "{at}");
        }
        let list = ListCursor { question: [0; DIGEST], after: Key(1) }.encode();
        for wrong in ["", "a", "ä", "=====", &text[1..], &list, &"A".repeat(MAX_LENGTH + 1)] {
            assert_eq!(SearchCursor::decode(wrong).unwrap_err().code, "search.cursor-invalid", "{wrong:.20}");
        }
        assert!(ListCursor::decode(&text).is_err());
    }
}
