//! Long lists, a page at a time.

use breakwater_core::Failure;
use breakwater_operations::workflows::{Part, Range};
use serde::Serialize;
use utoipa::ToSchema;

use crate::form::field_invalid;
use crate::query::Query;

/// Entries of a page when nothing is said.
const DEFAULT_PER_PAGE: u32 = 50;
/// The most entries of a page.
const MAX_PER_PAGE: u32 = 200;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// From 1.
    page: u32,
    /// 1 to [`MAX_PER_PAGE`].
    per_page: u32,
}

impl Page {
    /// The parameters that say so.
    pub(crate) const PARAMETERS: [&'static str; 2] = ["page", "per_page"];

    /// From a query.
    ///
    /// # Errors
    /// `request.field-invalid`.
    pub(crate) fn of(query: &Query) -> Result<Self, Failure> {
        let [page_name, per_page_name] = Self::PARAMETERS;
        let page = query.parsed(page_name)?.unwrap_or(1);
        let per_page = query.parsed(per_page_name)?.unwrap_or(DEFAULT_PER_PAGE);
        if page == 0 {
            return Err(field_invalid(page_name, "counts from 1"));
        }
        if !(1..=MAX_PER_PAGE).contains(&per_page) {
            return Err(field_invalid(per_page_name, &format!("is from 1 to {MAX_PER_PAGE}")));
        }
        Ok(Self { page, per_page })
    }

    /// The page as a range, for whoever keeps the list.
    pub(crate) fn range(self) -> Range {
        Range { skip: u64::from(self.page - 1) * u64::from(self.per_page), take: self.per_page }
    }

    /// What the keeper of a list gave for the page.
    pub(crate) fn of_part<T, U: From<T>>(self, part: Part<T>) -> PageBody<U> {
        self.of_mapped(part, U::from)
    }

    /// The same, with each entry turned.
    pub(crate) fn of_mapped<T, U>(self, part: Part<T>, turn: impl FnMut(T) -> U) -> PageBody<U> {
        let total = usize::try_from(part.total).unwrap_or(usize::MAX);
        PageBody { items: part.items.into_iter().map(turn).collect(), total, page: self.page, per_page: self.per_page }
    }

    /// Takes the page out of the whole list. One behind the end is empty.
    pub(crate) fn cut<T, U: From<T>>(self, all: Vec<T>) -> PageBody<U> {
        let total = all.len();
        let per_page = usize::try_from(self.per_page).unwrap_or(usize::MAX);
        let before = usize::try_from(self.page - 1).unwrap_or(usize::MAX).saturating_mul(per_page);
        let items = all.into_iter().skip(before).take(per_page).map(U::from).collect();
        PageBody { items, total, page: self.page, per_page: self.per_page }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PageBody<T> {
    /// The entries of this page.
    pub(crate) items: Vec<T>,
    /// Entries on all pages.
    pub(crate) total: usize,
    /// Which page this is, from 1.
    pub(crate) page: u32,
    /// The most entries of a page.
    pub(crate) per_page: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, Failure> {
        let uri = format!("/x?{query}").parse().unwrap();
        Page::of(&Query::of(&uri, &Page::PARAMETERS).unwrap())
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let cut = |query: &str| page(query).unwrap().cut::<u32, u32>((0..120).collect());
        let first = cut("");
        assert_eq!((first.items.len(), first.items[0], first.total, first.page, first.per_page), (50, 0, 120, 1, 50));
        let last = cut("page=3");
        assert_eq!((last.items.len(), last.items[0]), (20, 100));
        assert!(cut("page=4").items.is_empty());
        assert_eq!(page("page=3&per_page=20").unwrap().range(), Range { skip: 40, take: 20 });
        let part = page("page=3").unwrap().of_part::<u32, u64>(Part { items: vec![1, 2], total: 102 });
        assert_eq!((part.items, part.total, part.page), (vec![1, 2], 102, 3));
        assert_eq!(cut("page=2&per_page=7").items, (7..14).collect::<Vec<_>>());
        assert!(cut("page=4294967295&per_page=200").items.is_empty());
    }

    #[test]
    fn a_page_that_cannot_be_is_refused() {
        for query in ["page=0", "page=-1", "per_page=0", "per_page=201", "per_page=all", "page=4294967296"] {
            assert_eq!(page(query).unwrap_err().code, "request.field-invalid", "{query}");
        }
        assert_eq!(page("per_page=200").unwrap().per_page, 200);
    }
}
