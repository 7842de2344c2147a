//! Which host functions a generation can reach: those of its world and its capabilities, and nothing else.

use std::collections::BTreeSet;

use wasmtime::component::{HasSelf, Linker, ResourceType};
use wasmtime::{Engine, Result};

use crate::bindings::{breakwater, wasi};
use crate::capabilities::blobs::GuestBlob;
use crate::capabilities::imaging::GuestImage;
use crate::capability::Capability;
use crate::state::CallState;
use crate::world::World;

/// A linker with the functions of `granted` and those that need no grant.
pub(crate) fn linker(engine: &Engine, world: World, granted: &BTreeSet<Capability>) -> Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    breakwater::plugin::call::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    wasi::logging::logging::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    if granted.contains(&Capability::Config) {
        wasi::config::store::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted.contains(&Capability::Blobs) {
        breakwater::plugin::blobs::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    } else {
        // The type alone: signatures of other interfaces mention it. There is no function to get one from, but an adapter is given
        // attachments, which go back to the host when it drops them.
        let dropped = |mut store: wasmtime::StoreContextMut<'_, CallState>, rep| {
            store.data_mut().take(wasmtime::component::Resource::new_own(rep)).map(drop)
        };
        linker.instance("breakwater:plugin/blobs@0.1.0")?.resource("blob", ResourceType::host::<GuestBlob>(), dropped)?;
    }
    if granted.contains(&Capability::Imaging) {
        breakwater::plugin::imaging::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    } else {
        linker.instance("breakwater:plugin/imaging@0.1.0")?.resource("image", ResourceType::host::<GuestImage>(), |_, _| Ok(()))?;
    }
    if granted.contains(&Capability::Upstream) && matches!(world, World::Adapter | World::AdapterWasi) {
        breakwater::plugin::upstream::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted.contains(&Capability::FeatureFlags) && world != World::Crop {
        breakwater::plugin::feature_flags::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted.contains(&Capability::Embedder) && world != World::Crop {
        breakwater::plugin::embedder::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted.contains(&Capability::Nn) && world != World::Crop {
        wasi::nn::tensor::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
        wasi::nn::graph::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
        wasi::nn::inference::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
        wasi::nn::errors::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if world == World::AdapterWasi {
        // Files, addresses and the environment are linked and empty: see `capabilities::wasi`.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        if granted.contains(&Capability::Http) {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        }
    }
    Ok(linker)
}
