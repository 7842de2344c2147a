//! Products and the indices that follow them.
//!
//! The records are written first; each index has one task that applies their changes in order and is woken by every change. A change
//! that was stored is therefore never lost: when an index is away, behind after a crash, or made anew, its task asks the records for
//! everything after the index's own sequence number. An index that is ahead, because the records were put back to an earlier state, is
//! thrown away and made again. Changes of other processes are found by polling.

mod follower;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use breakwater_core::{Deadline, Failure, FailureKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::index::{Indices, VectorIndex};
use crate::product::Stored;
use crate::records::{Draft, ImportState, NewVector, ProductRecords, RecordsError};
use crate::space::Space;
use follower::Follower;
pub use follower::{FollowedState, Problem};

/// The most spaces. A model has one for each of its revisions; whoever reaches this has a provider that makes up models.
pub const MAX_SPACES: usize = 64;

/// How indices follow the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueConfig {
    /// Changes that are read and applied at once, at least 1.
    pub batch: usize,
    /// Changes after which an index makes a snapshot, at least 1.
    pub snapshot_changes: u64,
    /// The longest that changes wait for a snapshot.
    pub snapshot_interval: Duration,
    /// How often the records are asked for changes that another process made.
    pub poll: Duration,
    /// How long a change waits for the indices before it is answered as stored but not indexed.
    pub wait: Duration,
    /// The pause after an index failed first; it doubles with every failure.
    pub least_pause: Duration,
    /// The longest pause.
    pub most_pause: Duration,
}

impl Default for CatalogueConfig {
    fn default() -> Self {
        Self {
            batch: 256,
            snapshot_changes: 10_000,
            snapshot_interval: Duration::from_secs(300),
            poll: Duration::from_secs(2),
            wait: Duration::from_secs(2),
            least_pause: Duration::from_millis(100),
            most_pause: Duration::from_secs(30),
        }
    }
}

/// Why the catalogue could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The records failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A vector of a draft has another dimension than its space.
    #[error("a vector of {found} numbers is none of the space {space}")]
    Dimension {
        /// The space.
        space: Space,
        /// Of the vector.
        found: usize,
    },
    /// There are as many spaces as there may be.
    #[error("there are {MAX_SPACES} spaces, as many as there may be")]
    TooManySpaces,
    /// No product has a vector in the space.
    #[error("no product has a vector in the space {0}")]
    NotIndexed(Space),
    /// The index of the space is not there now.
    #[error("the index of {space} is not available: {problem}")]
    Unavailable {
        /// The space.
        space: Space,
        /// Why.
        problem: Problem,
    },
}

impl CatalogueError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Records(_) => "search.records",
            Self::Dimension { .. } => "search.dimension-mismatch",
            Self::TooManySpaces => "search.too-many-spaces",
            Self::NotIndexed(_) => "search.space-not-indexed",
            Self::Unavailable { .. } => "search.index-unavailable",
        }
    }
}

impl From<CatalogueError> for Failure {
    fn from(error: CatalogueError) -> Self {
        let (kind, message) = match &error {
            CatalogueError::Records(_) => (FailureKind::Unavailable, "the records of products failed".to_owned()),
            CatalogueError::Dimension { .. } => (FailureKind::InvalidRequest, error.to_string()),
            CatalogueError::TooManySpaces => (FailureKind::Limit, error.to_string()),
            CatalogueError::NotIndexed(_) => (FailureKind::NotFound, error.to_string()),
            // What the problem is, is for the log: it may name a host.
            CatalogueError::Unavailable { space, .. } => (FailureKind::Unavailable, format!("the index of {space} is not available now")),
        };
        Self::new(kind, error.code(), message).caused_by(error)
    }
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed<T> {
    /// What was stored or deleted.
    pub value: T,
    /// Whether every index has taken it in.
    pub indexed: bool,
}

/// Products, and the indices of all their spaces.
pub struct ProductCatalogue {
    records: Arc<dyn ProductRecords>,
    indices: Arc<dyn Indices>,
    config: CatalogueConfig,
    followers: RwLock<BTreeMap<Space, Arc<Follower>>>,
    latest: Arc<AtomicU64>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl ProductCatalogue {
    /// Begins to follow the records with an index for every space in which a product has a vector. Does not wait for the indices.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn open(
        records: Arc<dyn ProductRecords>,
        indices: Arc<dyn Indices>,
        config: CatalogueConfig,
    ) -> Result<Arc<Self>, CatalogueError> {
        let latest = Arc::new(AtomicU64::new(records.sequence().await?));
        let catalogue = Arc::new(Self {
            records,
            indices,
            config,
            followers: RwLock::default(),
            latest,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        catalogue.discover().await?;
        Ok(catalogue)
    }

    /// What is durable.
    #[must_use]
    pub fn records(&self) -> &Arc<dyn ProductRecords> {
        &self.records
    }

    /// Stores products, then waits a little for the indices. The answer is `Ok` as soon as they are stored, whatever the indices do; none
    /// stands for a draft that was made from something else than what is there.
    ///
    /// # Errors
    /// When a vector does not fit its space, there would be too many spaces, or the records fail. Nothing is stored then.
    pub async fn put(
        &self,
        drafts: Vec<Draft>,
        import: Option<(&str, ImportState)>,
    ) -> Result<Changed<Vec<Option<Stored>>>, CatalogueError> {
        for (space, vector) in drafts.iter().flat_map(|draft| &draft.vectors) {
            self.admit(space, vector.dimension())?;
        }
        let stored = self.records.put(drafts, import).await?;
        let last = stored.iter().flatten().map(|stored| stored.sequence).max();
        let indexed = match last {
            Some(last) => self.applied(last).await,
            None => true,
        };
        Ok(Changed { value: stored, indexed })
    }

    /// Gives products further vectors; those that have changed since are left out. Returns how many were not.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn add_vectors(&self, vectors: Vec<NewVector>) -> Result<usize, CatalogueError> {
        for new in &vectors {
            self.admit(&new.space, new.vector.dimension())?;
        }
        let added = self.records.add_vectors(vectors).await?;
        self.wake(self.records.sequence().await?);
        Ok(added)
    }

    /// Deletes a product, then waits a little for the indices. None if there was no such product.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn delete(&self, id: &str) -> Result<Option<Changed<Stored>>, CatalogueError> {
        let Some((stored, sequence)) = self.records.delete(id).await? else { return Ok(None) };
        Ok(Some(Changed { value: stored, indexed: self.applied(sequence).await }))
    }

    /// The index of a space. Waits for it to be opened until the deadline.
    ///
    /// # Errors
    /// [`CatalogueError::NotIndexed`] and [`CatalogueError::Unavailable`].
    pub async fn index(&self, space: &Space, deadline: Deadline) -> Result<Arc<dyn VectorIndex>, CatalogueError> {
        let follower = match self.follower(space) {
            Some(follower) => follower,
            None => {
                self.discover().await?;
                self.follower(space).ok_or_else(|| CatalogueError::NotIndexed(space.clone()))?
            }
        };
        follower.index(deadline).await.map_err(|problem| CatalogueError::Unavailable { space: space.clone(), problem })
    }

    /// How the index of each space is, by space.
    #[must_use]
    pub fn followed(&self) -> Vec<(Space, FollowedState)> {
        let followers = self.followers.read().unwrap_or_else(PoisonError::into_inner);
        followers.iter().map(|(space, follower)| (space.clone(), follower.state())).collect()
    }

    /// Changes that the index of a space has yet to take in, changes of other spaces included; 0 for a space that is not followed.
    #[must_use]
    pub fn pending(&self, space: &Space) -> u64 {
        let latest = self.latest.load(Ordering::Acquire);
        self.follower(space).map_or(0, |follower| latest.saturating_sub(follower.state().synced))
    }

    /// Ends the tasks; every index makes a snapshot before. Waits until the deadline.
    pub async fn shutdown(&self, deadline: Deadline) {
        self.stop.cancel();
        self.tasks.close();
        if deadline.bound("the indices", self.tasks.wait()).await.is_err() {
            tracing::warn!("an index did not stop in time; it takes its changes from the records again");
        }
    }

    fn follower(&self, space: &Space) -> Option<Arc<Follower>> {
        self.followers.read().unwrap_or_else(PoisonError::into_inner).get(space).cloned()
    }

    /// Follows the spaces that another process, or this one before a restart, has put vectors into.
    async fn discover(&self) -> Result<(), CatalogueError> {
        for (space, _) in self.records.spaces().await? {
            self.follow(&space)?;
        }
        Ok(())
    }

    /// Makes sure that the space of a vector that is about to be stored is followed.
    fn admit(&self, space: &Space, dimension: usize) -> Result<(), CatalogueError> {
        if dimension != space.dimension as usize {
            return Err(CatalogueError::Dimension { space: space.clone(), found: dimension });
        }
        if self.follower(space).is_some() { Ok(()) } else { self.follow(space) }
    }

    fn follow(&self, space: &Space) -> Result<(), CatalogueError> {
        let mut followers = self.followers.write().unwrap_or_else(PoisonError::into_inner);
        if followers.contains_key(space) {
            return Ok(());
        }
        if followers.len() >= MAX_SPACES {
            return Err(CatalogueError::TooManySpaces);
        }
        let (records, indices) = (Arc::clone(&self.records), Arc::clone(&self.indices));
        let follower = Follower::new(space.clone(), records, indices, self.config, Arc::clone(&self.latest));
        self.tasks.spawn(Arc::clone(&follower).run(self.stop.clone()));
        followers.insert(space.clone(), follower);
        Ok(())
    }

    /// Tells the followers of changes up to a sequence number.
    fn wake(&self, sequence: u64) -> Vec<Arc<Follower>> {
        self.latest.fetch_max(sequence, Ordering::AcqRel);
        let followers: Vec<_> = self.followers.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        followers.iter().for_each(|follower| follower.wake());
        followers
    }

    /// Whether every index has taken in the changes up to a sequence number, after a little while at most.
    async fn applied(&self, sequence: u64) -> bool {
        let followers = self.wake(sequence);
        let all = async {
            let mut applied = true;
            for follower in followers {
                applied &= follower.applied(sequence).await;
            }
            applied
        };
        tokio::time::timeout(self.config.wait, all).await.unwrap_or(false)
    }
}

impl std::fmt::Debug for ProductCatalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProductCatalogue").field("config", &self.config).finish_non_exhaustive()
    }
}
