//! The headers of a tar, for image archives and for layers: plain headers and PAX records.

pub(crate) mod header;
pub(crate) mod pax;
