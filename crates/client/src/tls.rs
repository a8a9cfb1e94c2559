//! `tls_config`: whom we trust, and the certificate that we show.
//!
//! - TLS-1: files are read again as soon as they change; a connection that is open stays open.
//! - Versions before 1.2 are not spoken: a `min_version` below it means 1.2.

mod verify;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::secret::{Secret, Source};
use crate::tls::verify::{Anchored, Unverified};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tls {
    ca: Option<Source>,
    identity: Option<Identity>,
    /// What the server is asked for and must prove to be, whatever the URL says.
    pub(crate) server_name: Option<ServerName<'static>>,
    insecure_skip_verify: bool,
    min_version: Option<Version>,
    max_version: Option<Version>,
}

#[derive(Clone, Debug, PartialEq)]
struct Identity {
    certificate: Source,
    key: Source,
}

/// Why TLS cannot be spoken as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}")]
    Read(std::io::Error),
    #[error("{place}: no certificate in it")]
    NoCertificate { place: String },
    #[error("{place}: {reason}")]
    Key { place: String, reason: rustls::pki_types::pem::Error },
    #[error("{certificate} and {key}: {reason}")]
    Identity { certificate: String, key: String, reason: rustls::Error },
    #[error("this system has no trusted certificates: set ca_file")]
    NoTrusted,
    #[error("{0}")]
    Trusted(rustls::server::VerifierBuilderError),
}

/// Tells a changed file from one that is as it was: time, size and number of each.
pub(crate) type Stamp = Vec<Option<(i64, i64, u64, u64)>>;

impl Tls {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        let identity = self.identity.iter_mut().flat_map(|i| [&mut i.certificate, &mut i.key]);
        for source in self.ca.iter_mut().chain(identity) {
            source.set_directory(directory);
        }
    }

    pub(crate) fn check_files(&self) -> Result<(), ConfigError> {
        let names_files = self.sources().any(|source| source.file().is_some());
        if names_files {
            self.load().map_err(|error| ConfigError::new(error).within("tls_config"))?;
        }
        Ok(())
    }

    /// What the files look like from outside; take it before they are read.
    pub(crate) fn stamp(&self) -> Stamp {
        let files = self.sources().filter_map(Source::file);
        let stamp = files.map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.mtime(), metadata.mtime_nsec(), metadata.size(), metadata.ino()))
        });
        stamp.collect()
    }

    /// Reads the files.
    pub(crate) fn load(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if self.insecure_skip_verify {
            Arc::new(Unverified::new(&provider))
        } else {
            Arc::new(self.anchored(&provider)?)
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions())
            .expect("the provider has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let Some(identity) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let (certificates, key) = identity.read()?;
        builder.with_client_auth_cert(certificates, key).map_err(|reason| TlsError::Identity {
            certificate: place(&identity.certificate, "cert"),
            key: place(&identity.key, "key"),
            reason,
        })
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        let identity = self.identity.iter().flat_map(|i| [&i.certificate, &i.key]);
        self.ca.iter().chain(identity)
    }

    fn anchored(&self, provider: &Arc<CryptoProvider>) -> Result<Anchored, TlsError> {
        let (roots, own) = match &self.ca {
            Some(ca) => {
                let certificates = certificates(ca, "ca")?;
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates.iter().cloned());
                (Arc::new(roots), certificates)
            }
            None => (system_roots(), Vec::new()),
        };
        if roots.is_empty() {
            return Err(match &self.ca {
                Some(ca) => TlsError::NoCertificate { place: place(ca, "ca") },
                None => TlsError::NoTrusted,
            });
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
        Ok(Anchored::new(webpki.build().map_err(TlsError::Trusted)?, own))
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let (min, max) = (self.min_version, self.max_version);
        let is_allowed =
            |version| min.is_none_or(|m| m <= version) && max.is_none_or(|m| version <= m);
        let known = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)];
        known.into_iter().filter_map(|(v, known)| is_allowed(v).then_some(known)).collect()
    }
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let certificates = certificates(&self.certificate, "cert")?;
        let key = self.key.read().map_err(TlsError::Read)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|reason| TlsError::Key { place: place(&self.key, "key"), reason })?;
        Ok((certificates, key))
    }
}

/// All certificates in a PEM text, of which there must be one.
fn certificates(source: &Source, key: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = source.read().map_err(TlsError::Read)?;
    let found = CertificateDer::pem_slice_iter(pem.expose().as_bytes()).filter_map(Result::ok);
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(TlsError::NoCertificate { place: place(source, key) });
    }
    Ok(found)
}

/// The file, or the key of the configuration.
fn place(source: &Source, key: &str) -> String {
    source.file().map_or_else(|| key.to_owned(), |path| path.display().to_string())
}

/// What this system trusts, read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    Arc::clone(roots)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Version {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// `tls_config:`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsYaml {
    ca: Option<Secret>,
    ca_file: Option<PathBuf>,
    cert: Option<Secret>,
    cert_file: Option<PathBuf>,
    key: Option<Secret>,
    key_file: Option<PathBuf>,
    server_name: String,
    insecure_skip_verify: bool,
    min_version: Option<Version>,
    max_version: Option<Version>,
}

impl TryFrom<TlsYaml> for Tls {
    type Error = ConfigError;

    fn try_from(yaml: TlsYaml) -> Result<Self, ConfigError> {
        let certificate = Source::one_of("cert", yaml.cert, yaml.cert_file)?;
        let key = Source::one_of("key", yaml.key, yaml.key_file)?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::new("cert or cert_file needs a key")),
            (None, Some(_)) => return Err(ConfigError::new("key or key_file needs a cert")),
        };
        if yaml.max_version.is_some_and(|max| max < Version::Tls12) {
            return Err(ConfigError::new("max_version: versions before TLS12 are not supported"));
        }
        if yaml.max_version.zip(yaml.min_version).is_some_and(|(max, min)| max < min) {
            return Err(ConfigError::new("max_version must not be below min_version"));
        }
        let server_name = Some(yaml.server_name).filter(|name| !name.is_empty());
        let server_name = server_name.map(ServerName::try_from).transpose();
        Ok(Self {
            ca: Source::one_of("ca", yaml.ca, yaml.ca_file)?,
            identity,
            server_name: server_name
                .map_err(|error| ConfigError::new(error).within("server_name"))?,
            insecure_skip_verify: yaml.insecure_skip_verify,
            min_version: yaml.min_version,
            max_version: yaml.max_version,
        })
    }
}
