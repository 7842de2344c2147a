//! Dates as people write them. There is no clock here: the same input has the same answer on every day.

use chrono::{Datelike, NaiveDate};

/// The day of `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a point in time; the first of what is not said. Nothing for a day that does not exist.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    let mut parts = text.get(..10).unwrap_or(text).splitn(3, '-');
    let year = parts.next()?.parse().ok()?;
    let mut part = || parts.next().map_or(Some(1), |part| part.parse().ok());
    let (month, day) = (part()?, part()?);
    NaiveDate::from_ymd_opt(year, month, day)
}

/// Counts months from year 0.
fn month(day: NaiveDate) -> i32 {
    day.year() * 12 + i32::try_from(day.month()).unwrap_or_default()
}

/// Such as `2026-11`.
pub(crate) fn month_name(day: NaiveDate) -> String {
    format!("{:04}-{:02}", day.year(), day.month())
}

/// A stretch of time that was worked: from its first month to its last, both included. Nothing when either is not known.
pub(crate) fn months(start: Option<&str>, end: Option<&str>, as_of: Option<&str>) -> Option<(i32, i32)> {
    let (first, last) = (month(day(start?)?), month(day(end.or(as_of)?)?));
    (first <= last).then_some((first, last))
}

/// Years that a person worked: months of all stretches together, those that overlap once.
pub(crate) fn years(stretches: impl IntoIterator<Item = (i32, i32)>) -> f64 {
    let mut stretches: Vec<_> = stretches.into_iter().collect();
    stretches.sort_unstable();
    let (mut total, mut counted_to) = (0, i32::MIN);
    for (first, last) in stretches {
        let from = first.max(counted_to.saturating_add(1));
        total += (last - from + 1).max(0);
        counted_to = counted_to.max(last);
    }
    f64::from(total) / 12.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_however_much_of_it_is_said() {
        let is = |text: &str| day(text).map(|day| day.to_string());
        assert_eq!(is("2026"), Some("2026-01-01".to_owned()));
        assert_eq!(is("2026-11"), Some("2026-11-01".to_owned()));
        assert_eq!(is("2026-11-22"), Some("2026-11-22".to_owned()));
        assert_eq!(is("2026-11-22T10:00:00Z"), Some("2026-11-22".to_owned()));
        for none in ["", "soon", "2026-13", "2026-02-30", "2026-1-é"] {
            assert_eq!(day(none), None, "{none:?}");
        }
    }

    #[test]
    fn months_that_overlap_count_once() {
        let stretch = |start, end| months(Some(start), Some(end), None).unwrap();
        assert_eq!(years([stretch("2020-01", "2020-12")]), 1.0);
        assert_eq!(years([stretch("2020-07", "2021-06"), stretch("2020-01", "2020-12")]), 1.5);
        assert_eq!(years([stretch("2019-01", "2022-12"), stretch("2020-01", "2020-12")]), 4.0);
        assert_eq!(years([]), 0.0);
    }

    #[test]
    fn a_job_that_lasts_counts_up_to_the_day_that_is_given() {
        assert_eq!(months(Some("2026-01"), None, None), None);
        let (first, last) = months(Some("2026-01"), None, Some("2026-11-22")).unwrap();
        assert_eq!(last - first, 10);
        assert_eq!(months(Some("2026-01"), Some("2025-01"), None), None);
    }
}
