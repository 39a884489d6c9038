//! Stores accessed through the `object_store` crate. Callers block; the futures run on one dedicated thread.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error, ObjectStore, ObjectStoreExt, ObjectStoreScheme, RetryConfig,
};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::runtime::Runtime;

use super::{OpenError, RequestError, StoreOptions, shown};

/// Retries after a failed request. Waiting longer for a failing store costs more time than the cache saves.
const RETRIES: usize = 2;

/// Connection timeout. A store that is close enough to save time answers within it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum length of an error message in characters. Some stores answer with pages of XML.
const CAUSE_LIMIT: usize = 300;

/// A store and the prefix of its records.
#[derive(Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Limit for a whole request with its credentials and retries.
    patience: Duration,
}

impl Objects {
    pub(super) fn open(place: &str, options: &StoreOptions) -> Result<Objects, OpenError> {
        let (scheme, url, prefix) = scheme(place)?;
        let store = remote(&scheme, &url, options).map_err(OpenError::Broken)?;
        runtime().map_err(OpenError::Broken)?;
        // The request itself, and as long again for credentials and retries.
        Ok(Objects { store, prefix, patience: options.timeout * 2 })
    }

    pub(super) fn read(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, RequestError> {
        let place = self.place(key)?;
        let read = self.wait(async {
            let found = self.store.get(&place).await?;
            if found.meta.size > limit {
                return Ok(Err(found.meta.size));
            }
            // The size comes from the response headers, and an HTTP client reads no byte beyond it.
            Ok(Ok(found.bytes().await?))
        })?;
        match read {
            Ok(Ok(bytes)) => Ok(Some(bytes.to_vec())),
            Ok(Err(size)) => Err(RequestError::Refused(format!("a record has {size} bytes; the limit is {limit}"))),
            Err(error @ Error::NotFound { .. }) => match missing_store(&error) {
                None => Ok(None),
                Some(cause) => Err(RequestError::Broken(cause)),
            },
            // S3 also answers 403 for a missing object if the caller may not list the bucket.
            Err(error @ Error::PermissionDenied { .. }) => Err(RequestError::Refused(cause(&error))),
            Err(error) => Err(RequestError::Broken(cause(&error))),
        }
    }

    pub(super) fn write(&self, key: &str, bytes: &[u8]) -> Result<(), RequestError> {
        let place = self.place(key)?;
        let written = self.wait(self.store.put(&place, bytes.to_vec().into()))?;
        written.map(drop).map_err(|error| RequestError::Broken(cause(&error)))
    }

    fn place(&self, key: &str) -> Result<Path, RequestError> {
        let below = Path::parse(key).map_err(|error| RequestError::Broken(error.to_string()))?;
        Ok(self.prefix.parts().chain(below.parts()).collect())
    }

    /// Waits for the future, at most as long as `patience`.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, RequestError> {
        let runtime = runtime().map_err(RequestError::Broken)?;
        let within = async { tokio::time::timeout(self.patience, future).await };
        let late = |_| RequestError::Broken(format!("no answer within {} s", self.patience.as_secs_f32()));
        runtime.block_on(within).map_err(late)
    }
}

fn runtime() -> Result<&'static Runtime, String> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let build = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("shared-cache").enable_all().build().map_err(|error| error.to_string())
    };
    RUNTIME.get_or_init(build).as_ref().map_err(String::clone)
}

fn scheme(place: &str) -> Result<(ObjectStoreScheme, Url, Path), OpenError> {
    let url = Url::parse(place).map_err(|_| OpenError::Unnamed)?;
    let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|_| OpenError::Unnamed)?;
    match scheme {
        // Directories are handled without this crate.
        ObjectStoreScheme::Local | ObjectStoreScheme::Memory => Err(OpenError::Unnamed),
        scheme => Ok((scheme, url, prefix)),
    }
}

/// Opens a store over the network. Variables that it does not know belong to other programs and are ignored.
fn remote(scheme: &ObjectStoreScheme, url: &Url, options: &StoreOptions) -> Result<Arc<dyn ObjectStore>, String> {
    // An error means that the process already has a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(1), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: options.timeout };
    let url_text = url.as_str();
    macro_rules! of_cloud {
        ($builder:ty, $prefix:literal, $client:expr) => {{
            let mut builder = <$builder>::new().with_client_options($client).with_retry(retry.clone());
            for (name, value) in options.variables.iter().filter(|(name, _)| name.starts_with($prefix)) {
                if let Ok(key) = name.to_ascii_lowercase().parse() {
                    builder = builder.with_config(key, value);
                }
            }
            builder.with_url(url_text).build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }};
    }
    let build = |client: ClientOptions| match scheme {
        ObjectStoreScheme::AmazonS3 => of_cloud!(AmazonS3Builder, "AWS_", client),
        ObjectStoreScheme::GoogleCloudStorage => of_cloud!(GoogleCloudStorageBuilder, "GOOGLE_", client),
        ObjectStoreScheme::MicrosoftAzure => of_cloud!(MicrosoftAzureBuilder, "AZURE_", client),
        _ => {
            let mut base = url.clone();
            base.set_path("");
            base.set_query(None);
            let client = match login(url) {
                None => client,
                Some(login) => client.with_default_headers(HeaderMap::from_iter([(AUTHORIZATION, login)])),
            };
            let builder = HttpBuilder::new().with_url(base).with_client_options(client).with_retry(retry.clone());
            builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }
    };
    let client = client_options(options)?;
    let built = build(client.clone()).or_else(|error| match format!("{error:?}").contains(NO_AUTHORITIES) {
        // As for registries: Mozilla's authorities if the system has none.
        true => build(with_mozilla(client)?.with_no_system_certificates(true)),
        false => Err(error),
    });
    built.map_err(|error| cause(&error))
}

const NO_AUTHORITIES: &str = "No CA certificates were loaded from the system";

fn with_mozilla(mut client: ClientOptions) -> object_store::Result<ClientOptions> {
    for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        client = client.with_root_certificate(Certificate::from_der(der)?);
    }
    Ok(client)
}

/// The URL's user and password as a header, because the client would drop them.
fn login(url: &Url) -> Option<HeaderValue> {
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
            let decoded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(decoded.unwrap_or(*first));
            rest = if decoded.is_some() { &after[2..] } else { after };
        }
        bytes
    };
    let is_named = !url.username().is_empty() || url.password().is_some();
    let login = [plain(url.username()), plain(url.password().unwrap_or_default())].join(&b':');
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(login))).ok().filter(|_| is_named)?;
    value.set_sensitive(true);
    Some(value)
}

fn client_options(options: &StoreOptions) -> Result<ClientOptions, String> {
    let mut client = ClientOptions::new()
        .with_timeout(options.timeout)
        .with_connect_timeout(CONNECT_TIMEOUT.min(options.timeout))
        // Plain HTTP is used only if the user wrote an http:// URL or endpoint.
        .with_allow_http(true);
    for pem in &options.authorities {
        for authority in Certificate::from_pem_bundle(pem).map_err(|error| cause(&error))? {
            client = client.with_root_certificate(authority);
        }
    }
    Ok(client)
}

/// Whether a "not found" response is about the store and not about a record in it.
fn missing_store(error: &Error) -> Option<String> {
    let text = error.to_string();
    let codes = ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"];
    codes.iter().find(|code| text.contains(**code)).map(|code| code.to_string())
}

fn innermost(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

/// A short message for an error: the status from the server or the innermost cause, without the secrets of URLs and
/// without pages of XML.
fn cause(error: &Error) -> String {
    let whole = error.to_string();
    let text = match whole.split_once("status code: ") {
        Some((_, status)) => status.split([':', '<']).next().unwrap_or(status).trim().to_string(),
        None => innermost(error),
    };
    let mut text = shown(text.lines().next().unwrap_or_default());
    if let Some(code) = error_code(&whole).filter(|code| !text.contains(code)) {
        text = format!("{text} ({code})");
    }
    text.chars().take(CAUSE_LIMIT).collect()
}

/// The code in an error of S3, Google Cloud Storage or Azure: `ExpiredToken`, `SlowDown`.
fn error_code(text: &str) -> Option<&str> {
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    (!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}
