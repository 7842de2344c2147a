//! How an entry is written for other processes.
//!
//! One byte of version; a SHA-256 over the key and all that follows; the header as a JSON object; the answer's bytes. The digest
//! makes a damaged value a miss, and a value that got under another key as well.

use breakwater_core::Digest;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::entry::CacheEntry;
use crate::key::CacheKey;

/// A change of the form gets a new number; values of another number are misses.
const VERSION: u8 = 1;
/// Version and digest.
const SEAL_BYTES: usize = 1 + 32;
/// The most that version, digest and header take. The header is four numbers and a revision of at most 128 bytes, each of which JSON
/// may write as six.
pub(crate) const MAX_OVERHEAD: usize = SEAL_BYTES + 6 * CacheEntry::MAX_REVISION_LENGTH + 256;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    stored_at_ms: u64,
    fresh_until_ms: u64,
    revalidate_until_ms: u64,
    stale_until_ms: u64,
    revision: String,
}

pub(crate) fn seal(key: &CacheKey, entry: &CacheEntry) -> serde_json::Result<Vec<u8>> {
    let mut content = serde_json::to_vec(&Header {
        stored_at_ms: entry.stored_at_ms,
        fresh_until_ms: entry.fresh_until_ms,
        revalidate_until_ms: entry.revalidate_until_ms,
        stale_until_ms: entry.stale_until_ms,
        revision: entry.revision.clone(),
    })?;
    content.extend_from_slice(&entry.bytes);
    let digest = Digest::of_parts([key.as_bytes().as_slice(), &content]);
    Ok([&[VERSION], digest.as_bytes().as_slice(), &content].concat())
}

/// The entry, unless the value is of another version, damaged, or of another key.
pub(crate) fn open(key: &CacheKey, value: &Bytes) -> Option<CacheEntry> {
    let (version, rest) = value.split_first()?;
    let (digest, content) = rest.split_at_checked(SEAL_BYTES - 1)?;
    if *version != VERSION || digest != Digest::of_parts([key.as_bytes().as_slice(), content]).as_bytes() {
        return None;
    }
    let mut headers = serde_json::Deserializer::from_slice(content).into_iter::<Header>();
    let header = headers.next()?.ok()?;
    let bytes = value.slice(SEAL_BYTES + headers.byte_offset()..);
    Some(CacheEntry {
        bytes,
        stored_at_ms: header.stored_at_ms,
        fresh_until_ms: header.fresh_until_ms,
        revalidate_until_ms: header.revalidate_until_ms,
        stale_until_ms: header.stale_until_ms,
        revision: header.revision,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = CacheEntry> {
        let times = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
        // Bytes that look like more of the header are the ones that could be misread.
        let bytes = prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), "[ {}\",:0-9]{0,20}".prop_map(String::into_bytes)];
        (times, ".{0,32}", bytes).prop_map(|((stored_at_ms, fresh_until_ms, revalidate_until_ms, stale_until_ms), revision, bytes)| {
            CacheEntry { bytes: bytes.into(), stored_at_ms, fresh_until_ms, revalidate_until_ms, stale_until_ms, revision }
        })
    }

    fn key(text: &str) -> CacheKey {
        CacheKey::of([text.as_bytes()])
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_to_the_same(entry in entries()) {
            let sealed = Bytes::from(seal(&key("k"), &entry).unwrap());
            prop_assert!(sealed.len() <= entry.bytes.len() + MAX_OVERHEAD);
            prop_assert_eq!(open(&key("k"), &sealed), Some(entry));
        }

        #[test]
        fn what_is_damaged_does_not_open(entry in entries(), at in any::<prop::sample::Index>(), bit in 0..8u8, cut in any::<prop::sample::Index>()) {
            let sealed = seal(&key("k"), &entry).unwrap();
            let mut flipped = sealed.clone();
            flipped[at.index(sealed.len())] ^= 1 << bit;
            prop_assert_eq!(open(&key("k"), &flipped.into()), None);
            prop_assert_eq!(open(&key("k"), &sealed[..cut.index(sealed.len())].to_vec().into()), None);
            prop_assert_eq!(open(&key("other"), &sealed.into()), None);
        }

        #[test]
        fn what_others_wrote_does_not_open(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(open(&key("k"), &value.into()), None);
        }
    }

    #[test]
    fn the_form_of_version_one_does_not_change() {
        // A change here must come with a new version: another process may run the old code.
        let entry = CacheEntry {
            bytes: Bytes::from_static(b"body"),
            stored_at_ms: 1,
            fresh_until_ms: 2,
            revalidate_until_ms: 3,
            stale_until_ms: 4,
            revision: "r".into(),
        };
        let sealed = seal(&key("k"), &entry).unwrap();
        assert_eq!(sealed[0], 1);
        let content = r#"{"stored_at_ms":1,"fresh_until_ms":2,"revalidate_until_ms":3,"stale_until_ms":4,"revision":"r"}body"#;
        assert_eq!(std::str::from_utf8(&sealed[33..]).unwrap(), content);
    }

    #[test]
    fn the_longest_header_is_within_its_limit() {
        let entry = CacheEntry {
            bytes: Bytes::new(),
            stored_at_ms: u64::MAX,
            fresh_until_ms: u64::MAX,
            revalidate_until_ms: u64::MAX,
            stale_until_ms: u64::MAX,
            revision: "\u{1}".repeat(CacheEntry::MAX_REVISION_LENGTH),
        };
        assert!(seal(&key("k"), &entry).unwrap().len() <= MAX_OVERHEAD);
    }
}
