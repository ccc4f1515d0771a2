//! TLS 1.3 with raw public keys (RFC 7250): a peer is a pinned Ed25519 key, nothing else.
//!
//! There is no certificate authority, no expiry and no host name to match. A dialling node pins the one key that its
//! config gives for that party; an accepting node pins the keys of its roster and learns from the key which party it
//! talks to. Both verify the handshake signature, so holding a pinned key's text is not enough. Tickets, resumption
//! and 0-RTT are off: nothing of a session can be replayed into another. The hybrid X25519MLKEM768 exchange comes
//! first, because who records the traffic of today must not read the inputs in it when quantum computers exist.
//!
//! **Trap:** with TLS 1.3 a client's handshake completes before the server has judged the client's key, so `connect`
//! returning is no sign of being accepted. Callers count a peer only after its [hello](super::hello).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::identity::{Identity, PublicKey};

/// The application protocol that both sides must speak.
pub(crate) const ALPN: &[u8] = b"subrosa/1";
/// The name that the client sends. It means nothing: a peer is its key.
pub(crate) const SERVER_NAME: &str = "subrosa";

/// AES-128-GCM first: with AES instructions it is twice as fast as ChaCha20-Poly1305, which stays for nodes without.
fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![
        aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
        aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
    Arc::new(CryptoProvider { cipher_suites, kx_groups, ..aws_lc_rs::default_provider() })
}

/// This node's key in the form that the TLS library presents.
#[derive(Clone)]
pub(crate) struct OwnKey(Arc<CertifiedKey>);

impl OwnKey {
    pub(crate) fn new(identity: &Identity) -> Result<Self, Error> {
        let der = identity.to_pkcs8();
        let key = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))?;
        let spki = CertificateDer::from(identity.public_key().to_spki());
        Ok(Self(Arc::new(CertifiedKey::new(vec![spki], key))))
    }
}

/// Accepts exactly the pinned keys, and remembers a key that it turned away for the error message.
#[derive(Debug)]
pub(crate) struct PinnedKeys {
    pins: Vec<PublicKey>,
    refused: Mutex<Option<String>>,
    provider: Arc<CryptoProvider>,
}

impl PinnedKeys {
    fn new(pins: Vec<PublicKey>) -> Arc<Self> {
        Arc::new(Self { pins, refused: Mutex::new(None), provider: provider() })
    }

    /// The key that was presented and not pinned, if that is what went wrong.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let key = PublicKey::from_spki(presented);
        if intermediates.is_empty() && key.is_some_and(|k| self.pins.contains(&k)) {
            return Ok(());
        }
        let shown = key.map_or_else(|| "something that is no Ed25519 key".to_owned(), |k| k.fingerprint());
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Err(Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
    }

    fn check_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(presented.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &spki, dss, algorithms)
    }

    fn refuse_tls12() -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }
}

impl ServerCertVerifier for PinnedKeys {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for PinnedKeys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The time for TLS, where nothing depends on it: pinned keys do not expire. The library's own clock panics where the
/// system's says a time before 1970.
#[derive(Debug)]
struct AnyClock;

impl TimeProvider for AnyClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(since_1970))
    }
}

/// The client side of one dial, with one pin. The verifier tells afterwards which other key was presented.
pub(crate) fn client(
    own: &OwnKey,
    pin: PublicKey,
) -> Result<(Arc<QuicClientConfig>, Arc<PinnedKeys>), Error> {
    let verifier = PinnedKeys::new(vec![pin]);
    let mut config =
        rustls::ClientConfig::builder_with_details(verifier.provider.clone(), Arc::new(AnyClock))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(
                own.0.clone(),
            )));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    let quic = QuicClientConfig::try_from(config).map_err(|e| Error::General(e.to_string()))?;
    Ok((Arc::new(quic), verifier))
}

/// The server side of one incoming connection, with the pins of a roster.
pub(crate) fn server(
    own: &OwnKey,
    pins: Vec<PublicKey>,
) -> Result<(Arc<QuicServerConfig>, Arc<PinnedKeys>), Error> {
    let verifier = PinnedKeys::new(pins);
    let mut config =
        rustls::ServerConfig::builder_with_details(verifier.provider.clone(), Arc::new(AnyClock))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(
                own.0.clone(),
            )));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    let quic = QuicServerConfig::try_from(config).map_err(|e| Error::General(e.to_string()))?;
    Ok((Arc::new(quic), verifier))
}

/// The key that the peer proved to hold.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let [key] = identity.as_slice() else { return None };
    PublicKey::from_spki(key)
}
