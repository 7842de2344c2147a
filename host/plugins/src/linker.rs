//! Which host functions a generation can reach: those of its capabilities, and nothing else.

use std::collections::BTreeSet;

use wasmtime::component::{HasSelf, Linker, ResourceType};
use wasmtime::{Engine, Result};

use crate::bindings::{breakwater, wasi};
use crate::capabilities::blobs::GuestBlob;
use crate::capabilities::imaging::GuestImage;
use crate::capability::Capability;
use crate::state::CallState;

/// A linker with the functions of `granted` and those that need no grant.
pub(crate) fn linker(engine: &Engine, granted: &BTreeSet<Capability>) -> Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    breakwater::plugin::call::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    wasi::logging::logging::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    if granted.contains(&Capability::Config) {
        wasi::config::store::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted.contains(&Capability::Blobs) {
        breakwater::plugin::blobs::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    } else {
        // The type alone: signatures of other interfaces mention it. There is no function to get one from.
        linker.instance("breakwater:plugin/blobs@0.1.0")?.resource("blob", ResourceType::host::<GuestBlob>(), |_, _| Ok(()))?;
    }
    if granted.contains(&Capability::Imaging) {
        breakwater::plugin::imaging::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    } else {
        linker.instance("breakwater:plugin/imaging@0.1.0")?.resource("image", ResourceType::host::<GuestImage>(), |_, _| Ok(()))?;
    }
    Ok(linker)
}
