//! From what a caller says of a product to what is stored: its picture, its vectors, its hash.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{CallContext, Deadline, Digest, Failure, FailureKind, Reason};
use breakwater_inference::Priority;
use breakwater_search::product::Stored;
use breakwater_search::records::Draft;
use breakwater_search::{Product, Space, Vector};
use breakwater_vision::Format;
use bytes::Bytes;
use futures_util::future::join_all;

use super::products::ProductInput;
use super::searching::given_vector;
use super::targets::Target;
use crate::invoke::HostSnapshot;
use crate::operations::Operations;
use crate::providers::is_about_the_input;
use crate::source::ImageSource;

/// What it takes to prepare products.
pub(super) struct Preparing {
    pub(super) context: CallContext,
    pub(super) snapshot: Arc<HostSnapshot>,
    pub(super) targets: Vec<Target>,
    pub(super) priority: Priority,
}

/// A product that is ready to be stored.
pub(super) struct Prepared {
    pub(super) draft: Draft,
    /// Spaces in which it keeps the vector it has.
    pub(super) kept: Vec<Space>,
    /// Why it has no vector of somebody.
    pub(super) reasons: Vec<Reason>,
}

/// How a picture is looked at.
#[derive(Clone, Copy)]
struct Looking {
    /// Whether bytes that were sent are kept.
    store: bool,
    /// Whether the product calls its picture something else than the place where it can be read again.
    renamed: bool,
    /// Whether the product has a vector anyway.
    has_vector: bool,
}

/// A picture as far as it had to be looked at.
struct Looked {
    image: String,
    digest: Digest,
    hash: Option<u64>,
    vectors: Vec<(Space, Vector)>,
    kept: Vec<Space>,
    reasons: Vec<Reason>,
    /// Whether the stored product has the same picture.
    unchanged: bool,
}

impl Preparing {
    /// The same with a deadline that begins now.
    pub(super) fn within(&self, budget: Duration) -> Self {
        let context = CallContext { deadline: Deadline::after(budget), ..self.context.clone() };
        Self { context, snapshot: Arc::clone(&self.snapshot), targets: self.targets.clone(), priority: self.priority }
    }
}

impl Operations {
    pub(super) fn preparing(&self, context: &CallContext, priority: Priority) -> Result<Preparing, Failure> {
        let (context, snapshot) = self.enter(context);
        let targets = self.targets(&context, &snapshot)?;
        Ok(Preparing { context, snapshot, targets, priority })
    }

    /// Looks at a product's picture and gets its vectors.
    ///
    /// # Errors
    /// `product.invalid`, `product.image-missing`, `search.vector-invalid`, `search.dimension-mismatch` (invalid request),
    /// `search.space-unknown` (not found), and what loading, decoding and every model fail with.
    pub(super) async fn prepare(&self, preparing: &Preparing, input: ProductInput) -> Result<Prepared, Failure> {
        let mut product = Product {
            id: input.id,
            title: input.title,
            category: input.category,
            attributes: input.attributes,
            image: input.image_name.unwrap_or_default(),
            quality: input.quality.unwrap_or(1.0),
            perceptual_hash: None,
            image_digest: None,
        };
        checked(&product)?;
        let given = match input.vector {
            Some(given) => {
                let space = self.space_named(&preparing.context, given.model.as_deref())?;
                Some((space.clone(), given_vector(&given.values, &space)?))
            }
            None => None,
        };
        let existing = self.products().records().get(&product.id).await?;
        let of = Some(existing.as_ref().map_or(0, |stored| stored.sequence));
        let Some(image) = input.image else {
            return without_image(product, existing, given, of);
        };
        let looking = Looking { store: input.store_image, renamed: !product.image.is_empty(), has_vector: given.is_some() };
        let looked = self.look(preparing, image, existing.as_ref(), looking).await?;
        if product.image.is_empty() {
            product.image = looked.image;
        }
        checked(&product)?;
        product.perceptual_hash = looked.hash;
        product.image_digest = Some(looked.digest.to_string());
        let mut vectors = looked.vectors;
        if let Some((space, vector)) = given {
            vectors.retain(|(known, _)| *known != space);
            vectors.push((space, vector));
        }
        let draft = Draft { product, vectors, replace_vectors: !looked.unchanged, of };
        Ok(Prepared { draft, kept: looked.kept, reasons: looked.reasons })
    }

    async fn look(
        &self,
        preparing: &Preparing,
        image: ImageSource,
        existing: Option<&Stored>,
        looking: Looking,
    ) -> Result<Looked, Failure> {
        let Looking { store, renamed, has_vector } = looking;
        let context = &preparing.context;
        let named = match &image {
            ImageSource::Bytes(_) => None,
            ImageSource::Path(path) | ImageSource::Url(path) => Some(path.clone()),
        };
        let bytes = self.load(context, image).await?;
        let digest = self.digest(&bytes, context).await?;
        let same = existing.filter(|stored| stored.product.image_digest.as_deref() == Some(&digest.to_string()));
        let (wanted, kept) = self.missing(&preparing.targets, same).await?;
        let mut looked = Looked {
            image: String::new(),
            digest,
            hash: same.and_then(|stored| stored.product.perceptual_hash),
            vectors: Vec::new(),
            kept,
            reasons: Vec::new(),
            unchanged: same.is_some(),
        };
        if !wanted.is_empty() || same.is_none() {
            let picture = self.picture(context, bytes.clone(), &wanted).await?;
            looked.hash = picture.hash;
            let ask = |target| self.target_features(context, &preparing.snapshot, target, &picture, preparing.priority);
            let answers = join_all(wanted.iter().map(ask)).await;
            let readable = !renamed && (named.is_some() || store);
            let can_wait = readable || has_vector || !looked.kept.is_empty();
            collect(&mut looked, &wanted, answers, can_wait)?;
        }
        looked.image = match named {
            Some(named) => named,
            None if store => self.stored_image(bytes, context).await?,
            None => same.map(|stored| stored.product.image.clone()).unwrap_or_default(),
        };
        Ok(looked)
    }

    /// Those of whom the stored product has no vector of this picture, and the spaces of the others.
    async fn missing(&self, targets: &[Target], same: Option<&Stored>) -> Result<(Vec<Target>, Vec<Space>), Failure> {
        let (mut wanted, mut kept) = (Vec::new(), Vec::new());
        for target in targets {
            match (same, self.known_space(target)) {
                (Some(stored), Some(space)) if self.products().records().vector(stored.key, &space).await?.is_some() => kept.push(space),
                _ => wanted.push(target.clone()),
            }
        }
        Ok((wanted, kept))
    }

    /// The digest of a picture; that of a large one is computed on the pool.
    pub(super) async fn digest(&self, bytes: &Bytes, context: &CallContext) -> Result<Digest, Failure> {
        const QUICK: usize = 1 << 18;
        if bytes.len() <= QUICK {
            return Ok(Digest::of(bytes));
        }
        let bytes = bytes.clone();
        self.cpu().compute(context.deadline, move || Digest::of(&bytes)).await
    }

    /// Where a picture that was sent is kept, so that it can be shown, and read again for another model.
    async fn stored_image(&self, bytes: Bytes, context: &CallContext) -> Result<String, Failure> {
        let Some(media) = self.media() else {
            let message = "the service has no media root, so it cannot keep pictures";
            return Err(Failure::new(FailureKind::Denied, "media.not-configured", message));
        };
        let format = Format::sniff(&bytes).unwrap_or(Format::Jpeg);
        media.write(bytes, format, context.deadline).await
    }
}

/// Sorts answers into vectors and reasons. When nobody who answers in full did, the product can only be stored if its picture can be
/// looked at again later.
fn collect(
    looked: &mut Looked,
    targets: &[Target],
    answers: Vec<Result<crate::features::Features, Failure>>,
    can_wait: bool,
) -> Result<(), Failure> {
    let (mut answered, mut first) = (false, None);
    for (target, answer) in targets.iter().zip(answers) {
        match answer {
            Ok(features) => {
                answered |= target.is_live();
                if !looked.vectors.iter().any(|(space, _)| *space == features.space) {
                    looked.vectors.push((features.space, (*features.vector).clone()));
                }
            }
            Err(failure) if is_about_the_input(&failure) => return Err(failure),
            Err(failure) => {
                looked.reasons.push(Reason::of(target.name(), &failure));
                if target.is_live() {
                    first.get_or_insert(failure);
                }
            }
        }
    }
    match first {
        Some(failure) if !answered && !can_wait => Err(failure),
        _ => Ok(()),
    }
}

/// Keeps the picture and the vectors that the stored product has.
fn without_image(product: Product, existing: Option<Stored>, given: Option<(Space, Vector)>, of: Option<u64>) -> Result<Prepared, Failure> {
    let missing = || Failure::invalid("product.image-missing", "a product that is new has a picture or a vector");
    let product = match existing {
        Some(stored) => Product {
            image: if product.image.is_empty() { stored.product.image } else { product.image },
            perceptual_hash: stored.product.perceptual_hash,
            image_digest: stored.product.image_digest,
            ..product
        },
        None if given.is_some() => product,
        None => return Err(missing()),
    };
    let draft = Draft { product, vectors: given.into_iter().collect(), replace_vectors: false, of };
    Ok(Prepared { draft, kept: Vec::new(), reasons: Vec::new() })
}

fn checked(product: &Product) -> Result<(), Failure> {
    product.check().map_err(|error| {
        let detail = serde_json::json!({ "violations": [{ "pointer": format!("/{}", error.field), "message": error.problem }] });
        Failure::invalid("product.invalid", error.to_string()).with_detail(detail)
    })
}
