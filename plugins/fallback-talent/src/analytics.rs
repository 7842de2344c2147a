//! Counts, rates and averages.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use talent_model::{AnalyticsInput, AnalyticsOutput, Application, Metrics, MonthCount, Period};

use crate::calendar::{day, month_name};
use crate::matching::rounded;

/// What came after an answer of the employer.
const ANSWERED: &[&str] = &["interview", "offer", "accepted", "rejected"];
const INTERVIEWED: &[&str] = &["interview", "offer", "accepted"];
const OFFERED: &[&str] = &["offer", "accepted"];
const ACCEPTED: &[&str] = &["accepted"];

/// Counts the applications of the period.
pub(crate) fn calculate(input: &AnalyticsInput) -> AnalyticsOutput {
    let counted: Vec<&Application> =
        input.applications.iter().filter(|application| input.period.as_ref().is_none_or(|period| falls_in(application, period))).collect();
    let metrics = metrics(&counted);
    AnalyticsOutput { insights: insights(&metrics), metrics, forecast: None, model: None }
}

fn applied(application: &Application) -> Option<NaiveDate> {
    day(application.applied_at.as_deref()?)
}

/// An application without a day falls in no period.
fn falls_in(application: &Application, period: &Period) -> bool {
    let Some(applied) = applied(application) else { return false };
    let bound = |text: &Option<String>| text.as_deref().and_then(day);
    bound(&period.from).is_none_or(|from| from <= applied) && bound(&period.to).is_none_or(|to| applied <= to)
}

fn metrics(applications: &[&Application]) -> Metrics {
    let is = |application: &Application, words: &[&str]| words.contains(&application.status.to_lowercase().as_str());
    let count = |words: &[&str]| applications.iter().filter(|one| is(one, words)).count();
    let total = applications.len();
    let rate = |count: usize, of: usize| if of > 0 { rounded(count as f64 / of as f64) } else { 0.0 };
    let answered = applications.iter().filter(|one| is(one, ANSWERED) || one.responded_at.is_some()).count();
    let offers = count(OFFERED);
    let waits = waits(applications);
    let mut by_month = BTreeMap::<String, u64>::new();
    applications.iter().filter_map(|one| applied(one)).for_each(|day| *by_month.entry(month_name(day)).or_default() += 1);
    Metrics {
        total: total as u64,
        by_status: counts(applications.iter().map(|one| one.status.to_lowercase())),
        response_rate: rate(answered, total),
        interview_rate: rate(count(INTERVIEWED), total),
        offer_rate: rate(offers, total),
        acceptance_rate: (offers > 0).then(|| rate(count(ACCEPTED), offers)),
        average_response_days: mean(&waits),
        median_response_days: median(&waits),
        applications_per_week: per_week(applications),
        by_source: counts(applications.iter().filter_map(|one| one.source.clone())),
        by_month: by_month.into_iter().map(|(month, count)| MonthCount { month, count }).collect(),
    }
}

fn counts(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}

/// Days until each answer, shortest first. An answer before its application says nothing.
fn waits(applications: &[&Application]) -> Vec<i64> {
    let wait = |one: &&Application| Some((day(one.responded_at.as_deref()?)? - applied(one)?).num_days());
    let mut waits: Vec<i64> = applications.iter().filter_map(wait).filter(|days| *days >= 0).collect();
    waits.sort_unstable();
    waits
}

fn mean(sorted: &[i64]) -> Option<f64> {
    (!sorted.is_empty()).then(|| rounded(sorted.iter().sum::<i64>() as f64 / sorted.len() as f64))
}

/// The middle one, or the mean of the two in the middle.
fn median(sorted: &[i64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) as f64 / 2.0)
}

/// Over the days from the first application to the last, both included, but at least a week.
fn per_week(applications: &[&Application]) -> Option<f64> {
    let days: Vec<NaiveDate> = applications.iter().filter_map(|one| applied(one)).collect();
    let span = (*days.iter().max()? - *days.iter().min()?).num_days() + 1;
    Some(rounded(days.len() as f64 * 7.0 / span.max(7) as f64))
}

fn insights(metrics: &Metrics) -> Vec<String> {
    let percent = |rate: f64| (rate * 100.0).round();
    if metrics.total == 0 {
        return vec!["No applications.".to_owned()];
    }
    let mut insights = vec![format!(
        "{} applications: {} % answered, {} % led to an interview, {} % to an offer.",
        metrics.total,
        percent(metrics.response_rate),
        percent(metrics.interview_rate),
        percent(metrics.offer_rate)
    )];
    if let Some(days) = metrics.median_response_days {
        insights.push(format!("Half of the answers came within {days} days."));
    }
    // The first of equal ones, by name.
    let most = metrics.by_source.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
    if let Some((source, count)) = most.filter(|_| metrics.by_source.len() > 1) {
        insights.push(format!("Most were found at {source}: {count}."));
    }
    insights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(status: &str, applied: &str, responded: &str, source: &str) -> Application {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Application {
            status: status.to_owned(),
            company: None,
            source: some(source),
            applied_at: some(applied),
            responded_at: some(responded),
        }
    }

    fn sample() -> Vec<Application> {
        vec![
            application("applied", "2026-10-01", "", "board"),
            application("Rejected", "2026-10-05", "2026-10-08", "board"),
            application("interview", "2026-10-20T09:00:00Z", "2026-10-30T08:00:00Z", "friend"),
            application("offer", "2026-11-01", "2026-11-05", ""),
            application("accepted", "2026-11-04", "2026-11-25", "board"),
            application("withdrawn", "", "", "friend"),
            application("screening", "2026-10-02", "2026-09-02", "fair"),
            application("applied", "2026-10-28", "", "friend"),
        ]
    }

    fn calculated(period: Option<Period>) -> AnalyticsOutput {
        calculate(&AnalyticsInput { applications: sample(), period })
    }

    #[test]
    fn rates_are_shares_of_all_applications() {
        let metrics = calculated(None).metrics;
        assert_eq!((metrics.total, metrics.by_status["applied"], metrics.by_status["rejected"]), (8, 2, 1));
        // Four by their status, and the screening because it was answered.
        assert_eq!((metrics.response_rate, metrics.interview_rate, metrics.offer_rate), (0.625, 0.375, 0.25));
        assert_eq!(metrics.acceptance_rate, Some(0.5));
        assert_eq!(metrics.by_source, BTreeMap::from([("board".to_owned(), 3), ("friend".to_owned(), 3), ("fair".to_owned(), 1)]));
    }

    #[test]
    fn waits_are_counted_in_days_and_those_before_the_application_left_out() {
        let metrics = calculated(None).metrics;
        // 3, 4, 10, 21
        assert_eq!((metrics.average_response_days, metrics.median_response_days), (Some(9.5), Some(7.0)));
        // Seven with a day, from 1 October to 4 November: 35 days.
        assert_eq!(metrics.applications_per_week, Some(1.4));
        let months: Vec<_> = metrics.by_month.iter().map(|month| (month.month.as_str(), month.count)).collect();
        assert_eq!(months, [("2026-10", 5), ("2026-11", 2)]);
    }

    #[test]
    fn a_period_holds_both_of_its_days() {
        let period = |from: Option<&str>, to: Option<&str>| {
            let period = Period { from: from.map(str::to_owned), to: to.map(str::to_owned) };
            calculated(Some(period)).metrics.total
        };
        assert_eq!(period(Some("2026-10-05"), Some("2026-11-01")), 4);
        assert_eq!(period(Some("2026-11-02"), None), 1);
        assert_eq!(period(None, Some("2026-09-30")), 0);
        // Without bounds only those without a day are left out.
        assert_eq!(period(None, None), 7);
    }

    #[test]
    fn what_it_comes_to_is_said_in_sentences() {
        let expected = [
            "8 applications: 63 % answered, 38 % led to an interview, 25 % to an offer.",
            "Half of the answers came within 7 days.",
            "Most were found at board: 3.",
        ];
        assert_eq!(calculated(None).insights, expected);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let none = calculate(&AnalyticsInput { applications: Vec::new(), period: None });
        let expected = Metrics::default();
        assert_eq!((none.metrics, none.insights), (expected, vec!["No applications.".to_owned()]));
        let one = calculate(&AnalyticsInput { applications: vec![application("applied", "2026-11-01", "", "")], period: None });
        assert_eq!((one.metrics.applications_per_week, one.metrics.acceptance_rate), (Some(1.0), None));
    }
}
