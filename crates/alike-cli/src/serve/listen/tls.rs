//! Encrypted connections (TLS 1.2 and 1.3), by rustls.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with its key, and where they are renewed.
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads a certificate, with those that signed it after it, and its key, both as PEM.
    ///
    /// # Errors
    /// A file cannot be read, or the two do not belong together.
    pub(crate) fn open(certificate: &Path, key: &Path) -> Result<Self, String> {
        let current = RwLock::new(read(certificate, key)?);
        Ok(Self { certificate: certificate.to_path_buf(), key: key.to_path_buf(), current })
    }

    /// Reads both again; connections that are there keep what they began with.
    ///
    /// # Errors
    /// As above; what was read before stays.
    pub(crate) fn refresh(&self) -> Result<(), String> {
        let next = read(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// What encrypts a new connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let of = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| of(certificate, &e))?;
    if chain.is_empty() {
        return Err(of(certificate, &"has no certificate (PEM)"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| of(key, &e))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|e| of(key, &e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
