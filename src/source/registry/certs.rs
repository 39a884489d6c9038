//! Certificates of the user's: authorities that are trusted beside the system's, and per host what Docker and podman
//! keep in `certs.d`. A key is read only for the host that its folder is named after, and shown to no other.
//! Source: containers-certs.d(5).

use std::io::Read;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity};

use crate::source::SourceError;

/// A bundle of all public authorities is 250 KiB.
const FILE_LIMIT: u64 = 4 << 20;

/// What a `certs.d` folder has for one host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostCerts {
    pub(super) authorities: Vec<Certificate>,
    pub(super) identity: Option<Identity>,
}

/// The authorities in a PEM file, of which there must be one.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<Certificate>, SourceError> {
    match Certificate::from_pem_bundle(&read(path)?) {
        Ok(certificates) if certificates.is_empty() => Err(malformed(path, "it has no PEM certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(malformed(path, &super::fault::text(&error))),
    }
}

/// `HOST:PORT/` in the first of `folders` that has it: `*.crt` are authorities, `*.cert` with its `*.key` is who we are.
/// `None`: none has.
pub(super) fn of_host(folders: &[PathBuf], host: &str) -> Result<Option<HostCerts>, SourceError> {
    let Some(folder) = folders.iter().map(|folder| folder.join(host)).find(|folder| folder.is_dir()) else {
        return Ok(None);
    };
    let failed = |cause| SourceError::File { path: folder.clone(), cause };
    let entries = std::fs::read_dir(&folder).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // By name, as podman takes them: of several identities the first counts.
    paths.sort();
    let mut found = HostCerts::default();
    for path in &paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => found.authorities.extend(read_authorities(path)?),
            Some("cert") if found.identity.is_none() => found.identity = Some(read_identity(path)?),
            _ => {}
        }
    }
    Ok(Some(found))
}

fn read_identity(cert: &Path) -> Result<Identity, SourceError> {
    let mut pem = read(&cert.with_extension("key"))?;
    pem.push(b'\n');
    pem.extend(read(cert)?);
    Identity::from_pem(&pem).map_err(|_| malformed(cert, "with its key beside it, it is no identity in PEM"))
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_LIMIT).read_to_end(&mut bytes))
        .map_err(|cause| SourceError::File { path: path.to_path_buf(), cause })?;
    Ok(bytes)
}

fn malformed(path: &Path, cause: &str) -> SourceError {
    SourceError::Malformed { place: path.display().to_string(), cause: cause.to_string() }
}
