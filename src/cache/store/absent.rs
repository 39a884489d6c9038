//! Replaces network stores in a build without the shared-cache feature. None can be opened.

use super::{OpenError, RequestError, StoreOptions};

#[derive(Debug)]
pub(super) enum Objects {}

impl Objects {
    pub(super) fn open(_: &str, _: &StoreOptions) -> Result<Objects, OpenError> {
        Err(OpenError::NotBuilt)
    }

    pub(super) fn read(&self, _: &str, _: u64) -> Result<Option<Vec<u8>>, RequestError> {
        match *self {}
    }

    pub(super) fn write(&self, _: &str, _: &[u8]) -> Result<(), RequestError> {
        match *self {}
    }
}
