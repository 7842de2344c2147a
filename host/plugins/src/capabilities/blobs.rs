//! `breakwater:plugin/blobs`: byte strings that stay in the host.

use breakwater_core::Failure;
use bytes::Bytes;
use wasmtime::component::Resource;

use crate::bindings::breakwater::plugin::blobs::{Host, HostBlob};
use crate::bindings::breakwater::plugin::types;
use crate::convert::{failure_to_guest, truncated};
use crate::state::CallState;

/// The most bytes one read returns.
const MAX_READ: u32 = 1 << 20;
/// The longest media type kept, in bytes.
const MAX_MEDIA_TYPE: usize = 256;

/// An immutable byte string.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GuestBlob {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    /// How many of them count towards what the call may hold.
    pub(crate) held: u64,
}

impl GuestBlob {
    /// Up to `length` bytes from `offset`; fewer at the end, none past it.
    fn slice(&self, offset: u64, length: u32) -> Bytes {
        let end = self.bytes.len();
        let start = usize::try_from(offset).map_or(end, |offset| offset.min(end));
        self.bytes.slice(start..start.saturating_add(length as usize).min(end))
    }
}

impl Host for CallState {}

impl HostBlob for CallState {
    fn new(&mut self, media_type: String, bytes: Vec<u8>) -> wasmtime::Result<Resource<GuestBlob>> {
        self.charge_call()?;
        self.charge_bytes(bytes.len())?;
        let blob = GuestBlob { media_type: truncated(media_type, MAX_MEDIA_TYPE), bytes: bytes.into(), held: 0 };
        Ok(self.table.push(blob)?)
    }

    fn media_type(&mut self, blob: Resource<GuestBlob>) -> wasmtime::Result<String> {
        Ok(self.table.get(&blob)?.media_type.clone())
    }

    fn length(&mut self, blob: Resource<GuestBlob>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&blob)?.bytes.len() as u64)
    }

    fn read(&mut self, blob: Resource<GuestBlob>, offset: u64, length: u32) -> wasmtime::Result<Result<Vec<u8>, types::Failure>> {
        self.charge_call()?;
        if length > MAX_READ {
            let failure = Failure::limit("blob.read-too-large", format!("one read returns at most {MAX_READ} bytes"));
            return Ok(Err(failure_to_guest(&failure)));
        }
        let bytes = self.table.get(&blob)?.slice(offset, length);
        Ok(self.charge_bytes(bytes.len()).map(|()| bytes.into()).map_err(|crossed| failure_to_guest(&crossed.into())))
    }

    fn drop(&mut self, blob: Resource<GuestBlob>) -> wasmtime::Result<()> {
        self.take(blob)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_end_with_the_bytes() {
        let blob = GuestBlob { media_type: String::new(), bytes: Bytes::from_static(b"0123456789"), held: 0 };
        assert_eq!(blob.slice(0, 4), "0123");
        assert_eq!(blob.slice(8, 4), "89");
        assert_eq!(blob.slice(10, 4), "");
        assert_eq!(blob.slice(u64::MAX, u32::MAX), "");
    }
}
