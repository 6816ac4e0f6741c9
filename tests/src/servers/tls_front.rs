//! A TLS front for a server without TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::place::Place;
use super::tls::Certificate;

/// A front on a free port of 127.0.0.1, with a certificate from an unknown authority. It stops when
/// dropped.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    certificate: Certificate,
    task: JoinHandle<()>,
    _place: Place,
}

impl TlsFront {
    /// Forwards the decrypted data to `server`, a host and port.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn to(server: &str) -> Self {
        let place = Place::new();
        let certificate = Certificate::make(place.path());
        let chain = CertificateDer::pem_file_iter(&certificate.server).expect("openssl wrote it");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("openssl wrote certificates");
        let key = PrivateKeyDer::from_pem_file(&certificate.key).expect("openssl wrote a key");
        let settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key is that of the certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let task = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(settings)), server.to_owned()));
        Self { address, certificate, task, _place: place }
    }

    /// The host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The authority's certificate, for clients to trust.
    pub fn authority(&self) -> &Path {
        &self.certificate.authority
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, server: String) {
    let mut open = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, server) = (acceptor.clone(), server.clone());
        open.spawn(async move {
            // A client that does not trust the certificate disconnects.
            let (Ok(mut client), Ok(mut server)) =
                (acceptor.accept(client).await, TcpStream::connect(server).await)
            else {
                return;
            };
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
        while open.try_join_next().is_some() {}
    }
}
