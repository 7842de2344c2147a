//! The journals: many appends in one transaction of few statements.

use std::collections::HashSet;
use std::sync::Arc;

use breakwater_workflow::{Append, Event, NewSignal, Part, RecordsError, Signal};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::rows::{EventRow, SignalRow, bound, count, event, failed, number, signal, text};
use super::statements;
use crate::sqlite::SqliteStore;

/// Rows of one statement: as few statements as can be, of few different texts, because each is prepared once.
const ROWS_AT_ONCE: [usize; 4] = [64, 16, 4, 1];

/// Parts of `rows` in the lengths of [`ROWS_AT_ONCE`].
pub(super) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = ROWS_AT_ONCE.into_iter().find(|length| *length <= rows.len())?;
        let (chunk, rest) = rows.split_at_checked(length)?;
        rows = rest;
        Some(chunk)
    })
}

/// Whether the numbers of its events follow each other.
pub(crate) fn is_gapless(append: &Append) -> bool {
    let first = append.events.first().map_or(1, |event| event.seq);
    first >= 1 && append.events.iter().zip(first..).all(|(event, number)| event.seq == number)
}

impl SqliteStore {
    pub(super) async fn append_all(&self, appends: &[Append]) -> Vec<Result<(), RecordsError>> {
        if appends.is_empty() {
            return Vec::new();
        }
        let written = async {
            let mut write = self.write().await?;
            let mut outcomes: Vec<_> = appends.iter().map(|_| Ok(())).collect();
            if !append_at_once(&mut write.transaction, appends).await? {
                write = self.again(write).await?;
                outcomes = append_singly(&mut write.transaction, appends).await?;
            }
            write.commit().await?;
            Ok(outcomes)
        };
        written.await.unwrap_or_else(|error: RecordsError| {
            let error = Arc::new(error);
            appends.iter().map(|_| Err(failed(Arc::clone(&error)))).collect()
        })
    }

    pub(super) async fn events_of(&self, id: &str, after: u64, take: u32) -> Result<Part<Event>, RecordsError> {
        let found = sqlx::query_as(statements::LAST_EVENT).bind(id).fetch_optional(&self.pool).await.map_err(failed)?;
        let Some((key, total)): Option<(i64, i64)> = found else { return Ok(Part { items: Vec::new(), total: 0 }) };
        let events = sqlx::query_as(statements::EVENTS).bind(key).bind(bound(after)).bind(i64::from(take));
        let rows: Vec<EventRow> = events.fetch_all(&self.pool).await.map_err(failed)?;
        Ok(Part { items: rows.into_iter().map(event).collect::<Result<_, _>>()?, total: count(total)? })
    }

    pub(super) async fn add_signal(&self, id: &str, sent: &NewSignal, at_ms: u64) -> Result<Signal, RecordsError> {
        let mut write = self.write().await?;
        if let Some(key) = &sent.idempotency_key {
            let known = sqlx::query_as(statements::SIGNAL_OF_KEY).bind(id).bind(key);
            if let Some(row) = known.fetch_optional(&mut *write.transaction).await.map_err(failed)? {
                return signal(row);
            }
        }
        let counted = sqlx::query_as(statements::COUNT_SIGNAL).bind(id).fetch_optional(&mut *write.transaction).await.map_err(failed)?;
        let (key, last): (i64, i64) = counted.ok_or(RecordsError::Absent)?;
        let add = sqlx::query(statements::ADD_SIGNAL).bind(key).bind(last).bind(&sent.name).bind(text(&sent.payload)?);
        add.bind(number(at_ms)?).bind(&sent.idempotency_key).execute(&mut *write.transaction).await.map_err(failed)?;
        write.commit().await?;
        Ok(Signal::of(sent.clone(), count(last)?, at_ms))
    }

    pub(super) async fn keyed_signal(&self, id: &str, key: &str) -> Result<Option<Signal>, RecordsError> {
        let known = sqlx::query_as(statements::SIGNAL_OF_KEY).bind(id).bind(key).fetch_optional(&self.pool).await.map_err(failed)?;
        known.map(signal).transpose()
    }

    pub(super) async fn signals_of(&self, id: &str, after: u64) -> Result<Vec<Signal>, RecordsError> {
        let signals = sqlx::query_as(statements::SIGNALS).bind(id).bind(bound(after));
        let rows: Vec<SignalRow> = signals.fetch_all(&self.pool).await.map_err(failed)?;
        rows.into_iter().map(signal).collect()
    }
}

/// Whether all of them were written, which is nearly always so: no row has to come back then. Otherwise the transaction is of no use.
async fn append_at_once(connection: &mut SqliteConnection, appends: &[Append]) -> Result<bool, RecordsError> {
    let mut named = HashSet::with_capacity(appends.len());
    if !appends.iter().all(|append| is_gapless(append) && named.insert(&append.fence.execution)) {
        return Ok(false);
    }
    let (changed, unchanged): (Vec<_>, Vec<_>) = appends.iter().partition(|append| append.change.is_some());
    for chunk in chunks(&unchanged) {
        if advance(connection, chunk).await? != chunk.len() as u64 {
            return Ok(false);
        }
    }
    for chunk in chunks(&changed) {
        if change(connection, chunk).await? != chunk.len() as u64 {
            return Ok(false);
        }
    }
    insert(connection, appends).await?;
    Ok(true)
}

/// What became of each, one after the other.
async fn append_singly(connection: &mut SqliteConnection, appends: &[Append]) -> Result<Vec<Result<(), RecordsError>>, RecordsError> {
    let mut outcomes = Vec::with_capacity(appends.len());
    for append in appends {
        let moved = match append.change {
            _ if !is_gapless(append) => 0,
            Some(_) => change(connection, &[append]).await?,
            None => advance(connection, &[append]).await?,
        };
        if moved == 0 {
            outcomes.push(Err(refusal(connection, append).await?));
        } else {
            insert(connection, std::slice::from_ref(append)).await?;
            outcomes.push(Ok(()));
        }
    }
    Ok(outcomes)
}

/// The number of the last event before an append and after it; none when it has no events, and then it may follow any.
pub(crate) fn steps(append: &Append) -> Result<(Option<i64>, Option<i64>), RecordsError> {
    let before = append.events.first().map(|event| number(event.seq.saturating_sub(1))).transpose()?;
    Ok((before, append.events.last().map(|event| number(event.seq)).transpose()?))
}

/// Counts the events of those that their owner may write and whose events follow those that are there; how many these are.
async fn advance(connection: &mut SqliteConnection, appends: &[&Append]) -> Result<u64, RecordsError> {
    let mut query = QueryBuilder::<Sqlite>::new("WITH a (id, owner, epoch, first, last) AS (");
    let rows: Vec<_> = appends.iter().map(|append| Ok((&append.fence, steps(append)?))).collect::<Result<_, RecordsError>>()?;
    query.push_values(rows, |mut row, (fence, (first, last))| {
        row.push_bind(fence.execution.clone()).push_bind(fence.node.clone()).push_bind(bound(fence.epoch)).push_bind(first);
        row.push_bind(last);
    });
    query.push(
        ") UPDATE workflow_execution AS x SET last_event = coalesce(a.last, x.last_event) FROM a
         WHERE x.id = a.id AND x.owner = a.owner AND x.epoch = a.epoch AND x.last_event = coalesce(a.first, x.last_event)",
    );
    Ok(query.build().execute(connection).await.map_err(failed)?.rows_affected())
}

/// As [`advance`], and what became of the execution. Apart from it, because a status is in several indices.
async fn change(connection: &mut SqliteConnection, appends: &[&Append]) -> Result<u64, RecordsError> {
    let mut query = QueryBuilder::<Sqlite>::new("WITH a (id, owner, epoch, first, last, status, output, error, at_ms, ended_at_ms) AS (");
    let mut rows = Vec::with_capacity(appends.len());
    for append in appends {
        let Some(change) = &append.change else { continue };
        let output = change.output.as_ref().map(text).transpose()?;
        let error = change.error.as_ref().map(text).transpose()?;
        let at_ms = number(change.at_ms)?;
        rows.push((&append.fence, steps(append)?, change.status, output, error, at_ms));
    }
    query.push_values(rows, |mut row, (fence, (first, last), status, output, error, at_ms)| {
        row.push_bind(fence.execution.clone()).push_bind(fence.node.clone()).push_bind(bound(fence.epoch)).push_bind(first);
        row.push_bind(last).push_bind(status.name()).push_bind(output).push_bind(error).push_bind(at_ms);
        row.push_bind(status.is_final().then_some(at_ms));
    });
    query.push(
        ") UPDATE workflow_execution AS x SET last_event = coalesce(a.last, x.last_event), status = a.status, output = a.output,
             error = a.error, completed_at_ms = a.ended_at_ms,
             started_at_ms = CASE WHEN a.status = 'RUNNING' THEN coalesce(x.started_at_ms, a.at_ms) ELSE x.started_at_ms END,
             wanted = CASE WHEN a.ended_at_ms IS NULL THEN x.wanted END
         FROM a
         WHERE x.id = a.id AND x.owner = a.owner AND x.epoch = a.epoch AND x.last_event = coalesce(a.first, x.last_event)",
    );
    Ok(query.build().execute(connection).await.map_err(failed)?.rows_affected())
}

/// Adds the events of executions that there are.
async fn insert(connection: &mut SqliteConnection, appends: &[Append]) -> Result<(), RecordsError> {
    let mut rows = Vec::with_capacity(appends.len());
    for append in appends {
        for event in &append.events {
            rows.push((&append.fence.execution, number(event.seq)?, number(event.at_ms)?, &event.path, text(&event.what)?));
        }
    }
    for chunk in chunks(&rows) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH e (id, seq, at_ms, path, what) AS (");
        query.push_values(chunk, |mut row, (id, seq, at_ms, path, what)| {
            row.push_bind((*id).clone()).push_bind(*seq).push_bind(*at_ms).push_bind((*path).clone()).push_bind(what.clone());
        });
        query.push(
            ") INSERT INTO workflow_event (execution, seq, at_ms, path, what)
             SELECT x.key, e.seq, e.at_ms, e.path, e.what FROM e CROSS JOIN workflow_execution x ON x.id = e.id",
        );
        query.build().execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}

/// Why an append was not written.
async fn refusal(connection: &mut SqliteConnection, append: &Append) -> Result<RecordsError, RecordsError> {
    let owner = sqlx::query_as(statements::OWNER).bind(&append.fence.execution).fetch_optional(connection).await.map_err(failed)?;
    let Some((owner, epoch)): Option<(Option<String>, i64)> = owner else { return Ok(RecordsError::Absent) };
    let theirs = owner.as_deref() == Some(&append.fence.node) && count(epoch)? == append.fence.epoch;
    Ok(if theirs { RecordsError::Conflict } else { RecordsError::Fenced })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_in_few_lengths() {
        let rows: Vec<_> = (0..150).collect();
        let parts: Vec<_> = chunks(&rows).collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [64, 64, 16, 4, 1, 1]);
        assert_eq!(parts.concat(), rows);
        assert_eq!(chunks::<u8>(&[]).count(), 0);
    }
}
