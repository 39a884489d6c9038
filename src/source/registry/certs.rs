//! The user's certificates: authorities that are trusted in addition to the system's, and the per-host files that
//! Docker and podman store in `certs.d`. A key is read only for the host that its directory is named after, and used
//! for no other. Source: containers-certs.d(5).

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::files;
use crate::source::SourceError;

/// Size limit of a file. A bundle of all public authorities takes 250 KiB.
const FILE_LIMIT: u64 = 4 << 20;

/// The `certs.d` content for one host; empty if there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct HostCerts {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Key and certificates, in PEM.
    pub(super) identity: Option<Vec<u8>>,
}

impl HostCerts {
    pub(super) fn is_empty(&self) -> bool {
        self.authorities.is_empty() && self.identity.is_none()
    }
}

/// Reads the authorities in a PEM file, which must contain at least one.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let pem = read(path)?;
    let parsed = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = parsed.map_err(|error| malformed(path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(malformed(path, "it contains no PEM certificate"));
    }
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|error| malformed(path, &error.to_string()))?;
    }
    Ok(certificates)
}

/// Reads `HOST:PORT/` in the first of `directories` that has it: `*.crt` are authorities, `*.cert` with its `*.key` is
/// the client's identity.
pub(super) fn read_host(directories: &[PathBuf], host: &str) -> Result<HostCerts, SourceError> {
    let mut found = HostCerts::default();
    let Some(directory) = directories.iter().map(|directory| directory.join(host)).find(|directory| directory.is_dir())
    else {
        return Ok(found);
    };
    let failed = |cause| SourceError::File { path: directory.clone(), cause };
    let entries = std::fs::read_dir(&directory).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // Sorted by name, as in podman: the first of several identities counts.
    paths.sort();
    for path in &paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => found.authorities.extend(read_authorities(path)?),
            Some("cert") if found.identity.is_none() => found.identity = Some(read_identity(path)?),
            _ => {}
        }
    }
    Ok(found)
}

fn read_identity(cert: &Path) -> Result<Vec<u8>, SourceError> {
    let mut pem = read(&cert.with_extension("key"))?;
    pem.push(b'\n');
    pem.extend(read(cert)?);
    match reqwest::Identity::from_pem(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(malformed(cert, "with its key, it is not a valid PEM identity")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    files::read_named(path, FILE_LIMIT).map_err(|cause| SourceError::File { path: path.to_path_buf(), cause })
}

fn malformed(path: &Path, cause: &str) -> SourceError {
    SourceError::Malformed { place: path.display().to_string(), cause: cause.to_string() }
}
