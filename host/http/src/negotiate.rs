//! What the client can take: the picture or a description, and which picture formats (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};
use breakwater_core::Failure;
use breakwater_operations::Format;

/// The most media ranges of an `Accept` header that are looked at.
const MAX_RANGES: usize = 64;

/// Formats in the order they are preferred when the client does not mind; AVIF last, because it takes longest.
const PREFERENCE: [Format; 4] = [Format::WebP, Format::Jpeg, Format::Png, Format::Avif];

/// What a crop is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CropAnswer {
    /// A description; the picture is written below the media root.
    Json,
    /// The picture, in this format or else in the one that fits the input best.
    Picture(Option<Format>),
}

#[derive(Debug)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// 0..=1000.
    quality: u16,
}

/// Chooses from the `Accept` header and the format asked for. JSON wins a tie, so `*/*` and no header mean JSON.
///
/// # Errors
/// `http.not-acceptable`.
pub(crate) fn crop_answer(headers: &HeaderMap, asked: Option<Format>) -> Result<CropAnswer, Failure> {
    let text = accept(headers);
    let ranges = ranges(&text);
    let json = quality(&ranges, "application", "json").max(quality(&ranges, "application", "problem+json"));
    let formats: &[Format] = asked.as_ref().map_or(&PREFERENCE, std::slice::from_ref);
    let of = |format: &Format| format.media_type().split_once('/').map_or(0, |(kind, subtype)| quality(&ranges, kind, subtype));
    // The first of the best: `max_by_key` would take the last.
    let best = formats.iter().rev().max_by_key(|format| of(format)).map(|format| (*format, of(format)));
    match best {
        Some((_, picture)) if json > 0 && json >= picture => Ok(CropAnswer::Json),
        Some((format, picture)) if picture > 0 => {
            let free = asked.is_none() && PREFERENCE.iter().all(|other| of(other) == picture);
            Ok(CropAnswer::Picture((!free).then_some(format)))
        }
        _ if json > 0 => Ok(CropAnswer::Json),
        _ => Err(not_acceptable(
            "a crop is application/json or image/jpeg, image/png, image/webp, image/avif, the one that output_format names",
        )),
    }
}

/// Whether the client takes JSON; every other answer of the service is.
///
/// # Errors
/// `http.not-acceptable`.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Failure> {
    let text = accept(headers);
    let takes = quality(&ranges(&text), "application", "json") > 0;
    takes.then_some(()).ok_or_else(|| not_acceptable("the answer is application/json"))
}

/// How lines that come one by one are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinesAnswer {
    /// One JSON object a line.
    Ndjson,
    /// Server-sent events.
    Events,
}

/// How the client takes lines that come one by one. Lines of JSON win a tie.
///
/// # Errors
/// `http.not-acceptable`.
pub(crate) fn lines_answer(headers: &HeaderMap) -> Result<LinesAnswer, Failure> {
    let text = accept(headers);
    let ranges = ranges(&text);
    let json = ["x-ndjson", "jsonl", "json"].into_iter().map(|subtype| quality(&ranges, "application", subtype)).max().unwrap_or(0);
    let events = quality(&ranges, "text", "event-stream");
    match (json, events) {
        (0, 0) => Err(not_acceptable("the answer is application/x-ndjson or text/event-stream")),
        (json, events) if json >= events => Ok(LinesAnswer::Ndjson),
        _ => Ok(LinesAnswer::Events),
    }
}

/// What an attachment is called when its own type is not asked for.
const BYTES: &str = "application/octet-stream";

/// Whether the client takes what an operation answers: JSON, or the bytes of an attachment.
///
/// # Errors
/// `http.not-acceptable`.
pub(crate) fn require_answer(headers: &HeaderMap) -> Result<(), Failure> {
    let text = accept(headers);
    let ranges = ranges(&text);
    let takes =
        |range: &Range<'_>| range.quality > 0 && ["application", "image", "*"].iter().any(|kind| range.kind.eq_ignore_ascii_case(kind));
    let possible = ranges.iter().any(takes);
    possible.then_some(()).ok_or_else(|| not_acceptable("the answer is application/json, or the only attachment: image/* or application/*"))
}

/// Whether the client would rather have an attachment of this type than JSON, and under which type. JSON wins a tie.
pub(crate) fn attachment_type<'a>(headers: &HeaderMap, media_type: &'a str) -> Option<&'a str> {
    let text = accept(headers);
    let ranges = ranges(&text);
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let of = |essence: &str| essence.split_once('/').map_or(0, |(kind, subtype)| quality(&ranges, kind, subtype));
    let (own, bytes, json) = (of(essence), of(BYTES), of("application/json"));
    if own.max(bytes) <= json {
        return None;
    }
    Some(if own >= bytes { media_type } else { BYTES })
}

/// Whether the client would rather have a sheet itself than a description of it. JSON wins a tie.
///
/// # Errors
/// `http.not-acceptable`.
pub(crate) fn wants_sheet(headers: &HeaderMap, media_type: &str) -> Result<bool, Failure> {
    if attachment_type(headers, media_type).is_some() {
        return Ok(true);
    }
    let text = accept(headers);
    let ranges = ranges(&text);
    let json = quality(&ranges, "application", "json").max(quality(&ranges, "application", "problem+json"));
    if json > 0 { Ok(false) } else { Err(not_acceptable(&format!("a sheet of this format is application/json or {media_type}"))) }
}

fn not_acceptable(message: &str) -> Failure {
    Failure::invalid("http.not-acceptable", message)
}

fn accept(headers: &HeaderMap) -> String {
    let values: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() { "*/*".to_owned() } else { values.join(",") }
}

fn ranges(text: &str) -> Vec<Range<'_>> {
    let range = |text| {
        let mut parts = str::split(text, ';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let mut quality = 1000;
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim().eq_ignore_ascii_case("q")
            {
                let value: f32 = value.trim().parse().ok().filter(|value| (0.0..=1.0).contains(value))?;
                quality = (value * 1000.0) as u16;
            }
        }
        Some(Range { kind, subtype, quality })
    };
    text.split(',').take(MAX_RANGES).filter_map(range).collect()
}

/// The quality of the most specific range that matches.
fn quality(ranges: &[Range<'_>], kind: &str, subtype: &str) -> u16 {
    let specificity = |range: &Range<'_>| {
        let (same_kind, same_subtype) = (range.kind.eq_ignore_ascii_case(kind), range.subtype.eq_ignore_ascii_case(subtype));
        match (range.kind, range.subtype) {
            _ if same_kind && same_subtype => Some(2),
            (_, "*") if same_kind => Some(1),
            ("*", "*") => Some(0),
            _ => None,
        }
    };
    let matching = ranges.iter().filter_map(|range| Some((specificity(range)?, range.quality)));
    matching.max().map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        headers
    }

    #[test]
    fn the_accept_header_chooses_between_picture_and_description() {
        use CropAnswer::{Json, Picture};
        for (accept, asked, expected) in [
            ("*/*", None, Some(Json)),
            ("application/json", None, Some(Json)),
            ("application/problem+json", None, Some(Json)),
            ("image/*", None, Some(Picture(None))),
            ("image/*;q=0.5, application/json;q=0.4", None, Some(Picture(None))),
            ("image/*, application/json", None, Some(Json)),
            ("image/webp", None, Some(Picture(Some(Format::WebP)))),
            ("image/avif;q=0.9, image/png", None, Some(Picture(Some(Format::Png)))),
            // What a browser sends for an <img>.
            ("image/avif,image/webp,image/apng,image/*,*/*;q=0.8", None, Some(Picture(None))),
            ("image/*;q=0, */*", None, Some(Json)),
            ("image/*", Some(Format::Png), Some(Picture(Some(Format::Png)))),
            ("image/webp", Some(Format::Png), None),
            ("text/html", None, None),
            ("text/html, */*;q=0.1", None, Some(Json)),
            ("", None, None),
            ("image/*;q=nan", None, None),
        ] {
            assert_eq!(crop_answer(&headers(accept), asked).ok(), expected, "{accept} {asked:?}");
        }
        assert_eq!(crop_answer(&HeaderMap::new(), None).unwrap(), Json);
    }

    #[test]
    fn an_attachment_is_given_to_whoever_would_rather_have_it() {
        for (accept, media_type, expected) in [
            ("*/*", "image/jpeg", None),
            ("application/json", "image/jpeg", None),
            ("application/*", "application/pdf", None),
            ("image/*", "image/jpeg", Some("image/jpeg")),
            ("image/*", "application/pdf", None),
            ("image/png", "image/jpeg", None),
            ("application/octet-stream", "image/jpeg", Some(BYTES)),
            ("application/octet-stream", "no type", Some(BYTES)),
            ("application/octet-stream;q=0.5, image/*;q=0.5", "image/jpeg", Some("image/jpeg")),
            ("application/pdf, application/json;q=0.5", "application/pdf", Some("application/pdf")),
            ("text/plain, application/json;q=0.1", "text/plain; charset=utf-8", Some("text/plain; charset=utf-8")),
        ] {
            assert_eq!(attachment_type(&headers(accept), media_type), expected, "{accept} {media_type}");
        }
    }

    #[test]
    fn a_sheet_is_given_to_whoever_would_rather_have_it() {
        for (accept, media_type, expected) in [
            ("*/*", "application/pdf", Some(false)),
            ("application/json", "image/png", Some(false)),
            ("application/pdf", "application/pdf", Some(true)),
            ("application/pdf, application/json;q=0.5", "application/pdf", Some(true)),
            ("image/*", "image/png", Some(true)),
            ("image/*", "application/pdf", None),
            ("text/html", "application/pdf", None),
        ] {
            assert_eq!(wants_sheet(&headers(accept), media_type).ok(), expected, "{accept}");
        }
    }

    #[test]
    fn lines_come_as_events_to_whoever_would_rather_have_them() {
        use LinesAnswer::{Events, Ndjson};
        for (accept, expected) in [
            ("*/*", Some(Ndjson)),
            ("application/x-ndjson", Some(Ndjson)),
            ("application/json", Some(Ndjson)),
            ("text/event-stream", Some(Events)),
            ("text/event-stream, */*;q=0.1", Some(Events)),
            ("text/event-stream;q=0.5, application/x-ndjson", Some(Ndjson)),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(lines_answer(&headers(accept)).ok(), expected, "{accept}");
        }
        assert_eq!(lines_answer(&HeaderMap::new()).unwrap(), Ndjson);
    }

    #[test]
    fn what_no_operation_answers_is_refused() {
        for (accept, possible) in
            [("*/*", true), ("application/json", true), ("image/webp", true), ("text/html", false), ("image/*;q=0", false), ("", false)]
        {
            assert_eq!(require_answer(&headers(accept)).is_ok(), possible, "{accept}");
        }
        assert!(require_answer(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn answers_that_are_only_json_say_so() {
        assert!(require_json(&headers("application/*")).is_ok());
        assert_eq!(require_json(&headers("image/png")).unwrap_err().code, "http.not-acceptable");
    }
}
