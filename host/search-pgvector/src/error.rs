//! What an error of the database means to whoever uses an index.

use std::error::Error;
use std::io::ErrorKind;

use breakwater_search::IndexError;

/// May work later.
pub(crate) fn unavailable(what: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> IndexError {
    IndexError::Unavailable { what: what.to_owned(), source: source.into() }
}

/// Turns the database's errors into ours, saying what was tried.
pub(crate) fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> IndexError {
    move |error| match &error {
        sqlx::Error::Database(refused) => match meaning(refused.code().as_deref().unwrap_or_default()) {
            Meaning::Timeout => IndexError::Timeout,
            Meaning::Corrupt => IndexError::Corrupt(format!("{what}: {}", refused.message())),
            Meaning::Unsupported => IndexError::Unsupported(refused.message().to_owned()),
            Meaning::Unavailable => unavailable(what, error),
        },
        sqlx::Error::Io(slow) if slow.kind() == ErrorKind::TimedOut => IndexError::Timeout,
        sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::TypeNotFound { .. } => {
            IndexError::Corrupt(format!("{what}: {error}"))
        }
        _ => unavailable(what, error),
    }
}

#[derive(Debug, PartialEq)]
enum Meaning {
    Timeout,
    Corrupt,
    Unsupported,
    Unavailable,
}

/// By the SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn meaning(code: &str) -> Meaning {
    match code {
        // query_canceled, which a statement's timeout is; lock_not_available
        "57014" | "55P03" => Meaning::Timeout,
        // undefined_table, undefined_column, undefined_function, undefined_object, invalid_schema_name, datatype_mismatch,
        // data_corrupted, index_corrupted
        "42P01" | "42703" | "42883" | "42704" | "3F000" | "42804" | "XX001" | "XX002" => Meaning::Corrupt,
        // program_limit_exceeded: an index entry is too long, for one
        "54000" => Meaning::Unsupported,
        _ => Meaning::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_a_meaning() {
        for (code, expected) in [
            ("57014", Meaning::Timeout),
            ("42P01", Meaning::Corrupt),
            ("54000", Meaning::Unsupported),
            ("57P01", Meaning::Unavailable),
            ("57P03", Meaning::Unavailable),
            ("53300", Meaning::Unavailable),
            ("28P01", Meaning::Unavailable),
            ("40001", Meaning::Unavailable),
            ("", Meaning::Unavailable),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
    }

    #[test]
    fn a_lost_connection_may_come_back() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(failed("searching")(lost), IndexError::Unavailable { what, .. } if what == "searching"));
        assert!(matches!(failed("searching")(sqlx::Error::RowNotFound), IndexError::Corrupt(_)));
    }
}
