//! The models against reference tensors, photographs, broken engines and crowds of callers.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod clip;
#[cfg(test)]
mod devices;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod gpu;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod models;
#[cfg(test)]
mod photographs;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod side_by_side;
#[cfg(test)]
mod tensors;
