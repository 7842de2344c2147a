//! Ids of what is created under an idempotency key: they tell the key, so that nothing else has to be kept for whoever asks again.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::digest::Digest;

/// Bytes of a UUID before those that are not of its time.
const TIME: usize = 6;

/// A new id for what is called `name`: a UUID of version 7, so that ids sort by age. With an idempotency key, what would be random in it is made of
/// key and name.
#[must_use]
pub fn new_id(name: &str, key: Option<&str>) -> String {
    let Some(key) = key else { return Uuid::now_v7().to_string() };
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    at(u64::try_from(now_ms).unwrap_or(u64::MAX), name, key).to_string()
}

/// Whether an id was made for this name under this key.
#[must_use]
pub fn is_under_key(id: &str, name: &str, key: &str) -> bool {
    Uuid::parse_str(id).is_ok_and(|id| id.as_bytes().get(TIME..) == at(0, name, key).as_bytes().get(TIME..))
}

fn at(ms: u64, name: &str, key: &str) -> Uuid {
    let digest = Digest::of_parts([name.as_bytes(), key.as_bytes()]);
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(digest.as_bytes()).for_each(|(byte, digested)| *byte = *digested);
    Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_key_that_it_was_made_under() {
        let id = new_id("text", Some("order-7"));
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        assert!(is_under_key(&id, "text", "order-7"));
        for (name, key) in [("text", "order-8"), ("texts", "order-7"), ("textorder", "-7")] {
            assert!(!is_under_key(&id, name, key), "{name} {key}");
        }
        assert!(!is_under_key("no id", "text", "order-7"));
        assert!(!is_under_key(&new_id("text", None), "text", "order-7"));
    }

    #[test]
    fn ids_sort_by_age() {
        let ids: Vec<Uuid> = [1, 2, 1 << 40].into_iter().map(|ms| at(ms, "text", "k")).collect();
        assert!(ids.is_sorted() && ids[0] < ids[1], "{ids:?}");
        assert!(new_id("a", Some("k")) > ids[2].to_string(), "it is later than 2004");
    }
}
