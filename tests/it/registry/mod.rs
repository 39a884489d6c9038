//! The registry source against a registry with faults: its requests, the faults that it survives, and those that it
//! reports.

mod bodies;
mod faults;
mod login;
mod mirrors;
mod proxies;
mod push;
mod real;
mod redirects;
mod roots;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use imgarch::oci::{Descriptor, Digest, Reference};
use imgarch::source::registry::{
    Credential, CredentialStore, Credentials, HostOptions, Registry, RegistryClient, RegistryOptions, RetryPolicy,
    TlsTrust, in_memory,
};
use imgarch::source::{ImageSource, SourceError};

use crate::kit::registry::{
    FakeRegistry, Fault, Login, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Stored, image_json, noise,
};

fn options() -> RegistryOptions {
    RegistryOptions {
        retry: RetryPolicy { retries: 4, first_wait: Duration::from_millis(1), longest_wait: Duration::from_secs(2) },
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        ..RegistryOptions::default()
    }
}

fn with_login(host: &str, credential: Credential) -> RegistryOptions {
    let store = CredentialStore::Given { host: host.to_string(), credential };
    RegistryOptions { credentials: Credentials { stores: vec![store], ..Credentials::default() }, ..options() }
}

fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic { username: username.to_string(), password: password.to_string() }
}

fn image(fake: &FakeRegistry, options: RegistryOptions, rest: &str) -> Registry {
    let reference = Reference::parse(&format!("{}/{rest}", fake.host)).unwrap();
    RegistryClient::new(options).unwrap().image(&reference)
}

fn layer_of(stored: &Stored) -> Descriptor {
    Descriptor::new(OCI_LAYER, stored.layer.clone(), stored.layer_bytes.len() as u64)
}

fn read(source: &dyn ImageSource, descriptor: &Descriptor) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut content = source.open(descriptor).map_err(|error| error.to_string())?;
    content.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Plans `faults` for the blob of a new image and reads it. Returns the result and the ranges of the blob's requests.
fn check_blob(size: usize, faults: Vec<Fault>) -> (Result<Vec<u8>, String>, Vec<Option<String>>) {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", &noise(size));
    faults.into_iter().for_each(|fault| fake.plan("/blobs/", fault));
    let result = read(&image(&fake, options(), "a/b:1"), &layer_of(&stored));
    let blobs = fake.seen().into_iter().filter(|seen| seen.path.contains("/blobs/"));
    let ranges = blobs.map(|seen| seen.headers.get("range").cloned()).collect();
    (result, ranges)
}

fn whole(size: usize) -> Result<Vec<u8>, String> {
    Ok(noise(size))
}

/// Pushes an image, reads it back, and checks that a second push sends nothing.
fn check_push(image: &Registry) {
    let layer = noise(300_000);
    let (config, manifest) = image_json(&layer);
    for (bytes, media_type) in [(&layer, OCI_LAYER), (&config, OCI_CONFIG)] {
        let descriptor = Descriptor::new(media_type, Digest::from_bytes(bytes), bytes.len() as u64);
        image.push_blob(&descriptor, &in_memory(bytes)).unwrap();
        assert_eq!(read(image, &descriptor).unwrap(), *bytes);
        image.push_blob(&descriptor, &|| panic!("the blob is already there")).unwrap();
    }
    let tag = image.reference().tag.clone().unwrap();
    let digest = image.push_manifest(&tag, OCI_MANIFEST, &manifest).unwrap();
    assert_eq!(digest, Digest::from_bytes(&manifest));
    assert_eq!(image.root().unwrap().digest, digest);
}
