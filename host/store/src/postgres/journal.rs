//! The journals: many appends in one statement.

use std::collections::HashSet;
use std::sync::Arc;

use breakwater_workflow::{Append, Event, NewSignal, Part, RecordsError, Signal};

use super::PostgresStore;
use crate::workflows::journal::{is_gapless, steps};
use crate::workflows::rows::{EventRow, SignalRow, bound, count, event, failed, number, signal, text};
use crate::workflows::statements;

/// Writes the appends of which the owner is right and whose events follow those that are there, and says which those were. Whoever takes an
/// execution over meanwhile is waited for, and then its row is looked at again.
const APPEND: &str = "
    WITH moved AS (
        UPDATE workflow_execution AS x SET
            last_event = coalesce(a.last, x.last_event),
            status = coalesce(a.status, x.status),
            output = CASE WHEN a.status IS NULL THEN x.output ELSE a.output END,
            error = CASE WHEN a.status IS NULL THEN x.error ELSE a.error END,
            started_at_ms = CASE WHEN a.status = 'RUNNING' THEN coalesce(x.started_at_ms, a.at_ms) ELSE x.started_at_ms END,
            completed_at_ms = CASE WHEN a.status IS NULL THEN x.completed_at_ms ELSE a.ended_at_ms END,
            wanted = CASE WHEN a.ended_at_ms IS NULL THEN x.wanted END
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[],
            $10::bigint[]) AS a (id, owner, epoch, first, last, status, output, error, at_ms, ended_at_ms)
        WHERE x.id = a.id AND x.owner = a.owner AND x.epoch = a.epoch AND x.last_event = coalesce(a.first, x.last_event)
        RETURNING x.id, x.key),
    written AS (
        INSERT INTO workflow_event (execution, seq, at_ms, path, what)
        SELECT m.key, e.seq, e.at_ms, e.path, e.what
        FROM unnest($11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::text[]) AS e (id, seq, at_ms, path, what)
        JOIN moved m ON m.id = e.id)
    SELECT id FROM moved";

const SIGNAL: &str = "
    WITH x AS (UPDATE workflow_execution SET last_signal = last_signal + 1 WHERE id = $1 RETURNING key, last_signal)
    INSERT INTO workflow_signal (execution, number, name, payload, at_ms, idempotency_key) SELECT key, last_signal, $2, $3, $4, $5 FROM x
    RETURNING number";

/// The appends by column.
#[derive(Default)]
struct Moves<'a> {
    ids: Vec<&'a str>,
    owners: Vec<&'a str>,
    epochs: Vec<i64>,
    first: Vec<Option<i64>>,
    last: Vec<Option<i64>>,
    statuses: Vec<Option<&'static str>>,
    outputs: Vec<Option<String>>,
    errors: Vec<Option<String>>,
    at_ms: Vec<Option<i64>>,
    ended_at_ms: Vec<Option<i64>>,
}

impl<'a> Moves<'a> {
    fn push(&mut self, append: &'a Append) -> Result<(), RecordsError> {
        let (first, last) = steps(append)?;
        let change = append.change.as_ref();
        let at_ms = change.map(|change| number(change.at_ms)).transpose()?;
        self.ids.push(&append.fence.execution);
        self.owners.push(&append.fence.node);
        self.epochs.push(bound(append.fence.epoch));
        self.first.push(first);
        self.last.push(last);
        self.statuses.push(change.map(|change| change.status.name()));
        self.outputs.push(change.and_then(|change| change.output.as_ref()).map(text).transpose()?);
        self.errors.push(change.and_then(|change| change.error.as_ref()).map(text).transpose()?);
        self.at_ms.push(at_ms);
        self.ended_at_ms.push(at_ms.filter(|_| change.is_some_and(|change| change.status.is_final())));
        Ok(())
    }
}

/// Their events by column.
#[derive(Default)]
struct Events<'a> {
    ids: Vec<&'a str>,
    numbers: Vec<i64>,
    at_ms: Vec<i64>,
    paths: Vec<&'a str>,
    whats: Vec<String>,
}

impl<'a> Events<'a> {
    fn push(&mut self, id: &'a str, event: &'a Event) -> Result<(), RecordsError> {
        self.ids.push(id);
        self.numbers.push(number(event.seq)?);
        self.at_ms.push(number(event.at_ms)?);
        self.paths.push(&event.path);
        self.whats.push(text(&event.what)?);
        Ok(())
    }
}

impl PostgresStore {
    pub(super) async fn append_all(&self, appends: &[Append]) -> Vec<Result<(), RecordsError>> {
        if appends.is_empty() {
            return Vec::new();
        }
        match self.append_sound(appends).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let error = Arc::new(error);
                appends.iter().map(|_| Err(failed(Arc::clone(&error)))).collect()
            }
        }
    }

    async fn append_sound(&self, appends: &[Append]) -> Result<Vec<Result<(), RecordsError>>, RecordsError> {
        let (mut named, mut moves, mut events) = (HashSet::with_capacity(appends.len()), Moves::default(), Events::default());
        for append in appends {
            if is_gapless(append) && named.insert(&append.fence.execution) {
                moves.push(append)?;
                for event in &append.events {
                    events.push(&append.fence.execution, event)?;
                }
            }
        }
        let write = sqlx::query_as(APPEND).bind(moves.ids).bind(moves.owners).bind(moves.epochs).bind(moves.first).bind(moves.last);
        let write = write.bind(moves.statuses).bind(moves.outputs).bind(moves.errors).bind(moves.at_ms).bind(moves.ended_at_ms);
        let write = write.bind(events.ids).bind(events.numbers).bind(events.at_ms).bind(events.paths).bind(events.whats);
        let written: Vec<(String,)> = self.all(write).await.map_err(failed)?;
        let mut written: HashSet<String> = written.into_iter().map(|(id,)| id).collect();
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            // Taken away: a second one for the same execution was not written.
            let done = is_gapless(append) && written.remove(&append.fence.execution);
            outcomes.push(if done { Ok(()) } else { Err(self.refusal(append).await?) });
        }
        Ok(outcomes)
    }

    /// Why an append was not written.
    async fn refusal(&self, append: &Append) -> Result<RecordsError, RecordsError> {
        let owner = self.optional(sqlx::query_as(statements::OWNER).bind(&append.fence.execution)).await.map_err(failed)?;
        let Some((owner, epoch)): Option<(Option<String>, i64)> = owner else { return Ok(RecordsError::Absent) };
        let theirs = owner.as_deref() == Some(&append.fence.node) && count(epoch)? == append.fence.epoch;
        Ok(if theirs { RecordsError::Conflict } else { RecordsError::Fenced })
    }

    pub(super) async fn events_of(&self, id: &str, after: u64, take: u32) -> Result<Part<Event>, RecordsError> {
        let found = self.optional(sqlx::query_as(statements::LAST_EVENT).bind(id)).await.map_err(failed)?;
        let Some((key, total)): Option<(i64, i64)> = found else { return Ok(Part { items: Vec::new(), total: 0 }) };
        let events = sqlx::query_as(statements::EVENTS).bind(key).bind(bound(after)).bind(i64::from(take));
        let rows: Vec<EventRow> = self.all(events).await.map_err(failed)?;
        Ok(Part { items: rows.into_iter().map(event).collect::<Result<_, _>>()?, total: count(total)? })
    }

    pub(super) async fn add_signal(&self, id: &str, sent: &NewSignal, at_ms: u64) -> Result<Signal, RecordsError> {
        let add = sqlx::query_as(SIGNAL).bind(id).bind(&sent.name).bind(text(&sent.payload)?).bind(number(at_ms)?);
        let added: Option<(i64,)> = match (self.optional(add.bind(&sent.idempotency_key)).await, &sent.idempotency_key) {
            // It is there, and was not counted again.
            (Err(sqlx::Error::Database(refused)), Some(key)) if refused.is_unique_violation() => {
                return self.keyed_signal(id, key).await?.ok_or(RecordsError::Absent);
            }
            (added, _) => added.map_err(failed)?,
        };
        let (last,) = added.ok_or(RecordsError::Absent)?;
        Ok(Signal::of(sent.clone(), count(last)?, at_ms))
    }

    pub(super) async fn keyed_signal(&self, id: &str, key: &str) -> Result<Option<Signal>, RecordsError> {
        let known = self.optional(sqlx::query_as(statements::SIGNAL_OF_KEY).bind(id).bind(key)).await.map_err(failed)?;
        known.map(signal).transpose()
    }

    pub(super) async fn signals_of(&self, id: &str, after: u64) -> Result<Vec<Signal>, RecordsError> {
        let rows: Vec<SignalRow> = self.all(sqlx::query_as(statements::SIGNALS).bind(id).bind(bound(after))).await.map_err(failed)?;
        rows.into_iter().map(signal).collect()
    }
}
