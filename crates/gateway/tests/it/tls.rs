//! HTTP-08: TLS 1.2 and 1.3 only, certificates exchanged without a dropped request.

use super::door::{Door, Folder, statuses};
use doorward_gateway::listen::tls::Oldest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A TLS connection that trusts the certificate in `folder`.
pub(crate) async fn connect(
    door: &Door,
    folder: &Folder,
    alpn: &[&[u8]],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.0.join("cert.pem")).expect("certificate")).expect("root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("name");
    TlsConnector::from(Arc::new(config)).connect(name, door.dial().await).await
}

#[tokio::test]
async fn http_08_tls_12_and_13_are_spoken_and_13_alone_if_so_configured() {
    use rustls::version::{TLS12, TLS13};
    let folder = Folder::new("versions");
    let (both, only) = (Door::secured(&folder, Oldest::V1_2, |_| {}).await, Door::secured(&folder, Oldest::V1_3, |_| {}).await);
    assert!(connect(&both, &folder, &[], &[&TLS12]).await.is_ok());
    assert!(connect(&both, &folder, &[], &[&TLS13]).await.is_ok());
    assert!(connect(&only, &folder, &[], &[&TLS12]).await.is_err());
    assert!(connect(&only, &folder, &[], &[&TLS13]).await.is_ok());
    let spoken = connect(&both, &folder, &[b"h2", b"http/1.1"], &[&TLS13]).await.expect("handshake");
    assert_eq!(spoken.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert!(connect(&both, &folder, &[b"smtp"], &[&TLS13]).await.is_err(), "no common protocol");
}

/// A ClientHello as TLS 1.0 or 1.1 clients send it: no `supported_versions`, the old version in record and hello.
fn old_hello(version: u8) -> Vec<u8> {
    let mut hello = vec![3, version];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0xc0, 0x14, 1, 0]);
    let mut handshake = vec![1, 0, 0, u8::try_from(hello.len()).expect("short")];
    handshake.extend(hello);
    let mut record = vec![0x16, 3, 1, 0, u8::try_from(handshake.len()).expect("short")];
    record.extend(handshake);
    record
}

#[tokio::test]
async fn http_08_tls_10_and_11_and_plain_http_are_refused() {
    let folder = Folder::new("old");
    let door = Door::secured(&folder, Oldest::V1_2, |_| {}).await;
    for version in [0, 1, 2] {
        let mut stream = door.dial().await;
        stream.write_all(&old_hello(version)).await.expect("write");
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer[0] == 0x15, "an alert or nothing, not {answer:?}");
    }
    let answer = door.raw(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", door.host()).as_bytes()).await;
    assert!(statuses(&answer).is_empty(), "{answer}");
}

#[tokio::test]
async fn http_08_answers_over_tls_demand_tls() {
    let folder = Folder::new("hsts");
    let door = Door::secured(&folder, Oldest::V1_2, |_| {}).await;
    let mut stream = connect(&door, &folder, &[b"http/1.1"], &[&rustls::version::TLS13]).await.expect("handshake");
    stream
        .write_all(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", door.host()).as_bytes())
        .await
        .expect("write");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    assert!(String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("strict-transport-security: max-age=31536000\r\n"));
}

#[tokio::test]
async fn http_08_a_new_certificate_drops_no_request() {
    use doorward_gateway::listen::tls::Tls;
    let folder = Folder::new("reload");
    let tls = Tls::load(&folder.0.join("cert.pem"), &folder.0.join("key.pem"), Oldest::V1_2).expect("tls");
    let handle = tls.clone();
    let door = Door::with(|settings| settings.tls = Some(tls)).await;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", door.host());
    let mut old = connect(&door, &folder, &[], &[&rustls::version::TLS13]).await.expect("handshake");
    for round in 0..20 {
        if round % 2 == 1 {
            // Half-written files: the certificate in use stays.
            std::fs::write(folder.0.join("key.pem"), "-----BEGIN").expect("write");
            assert!(handle.reload().is_err());
        }
        let made = folder.certificate();
        handle.reload().expect("reload");
        for stream in [&mut old, &mut connect(&door, &folder, &[], &[&rustls::version::TLS13]).await.expect("new certificate")] {
            stream.write_all(request.as_bytes()).await.expect("write");
            let mut answer = String::new();
            while !answer.ends_with("ok") {
                answer.push(char::from(stream.read_u8().await.expect("not dropped")));
            }
            assert_eq!(statuses(&answer), [200]);
        }
        assert_eq!(presented(&door).await, made);
    }
}

/// The certificate that the listener shows.
async fn presented(door: &Door) -> CertificateDer<'static> {
    #[derive(Debug)]
    struct Anyone;
    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, door.dial().await).await.expect("handshake");
    stream.get_ref().1.peer_certificates().expect("certificates")[0].clone().into_owned()
}

#[tokio::test]
async fn rs_10_where_certificates_are_asked_for_no_session_is_resumed() {
    use doorward_gateway::env::Env;
    use doorward_gateway::listen::tls::Tls;
    use rustls::HandshakeKind;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::version::{TLS12, TLS13};
    let folder = Folder::new("resumed");
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.0.join(name));
    let plain = Tls::load(&cert, &key, Oldest::V1_2).expect("tls");
    let asking = plain.clone().asking(&cert, &Env::system()).expect("tls");
    for (tls, versions, second) in [
        (&plain, [&TLS12], HandshakeKind::Resumed),
        (&plain, [&TLS13], HandshakeKind::Resumed),
        (&asking, [&TLS12], HandshakeKind::Full),
        (&asking, [&TLS13], HandshakeKind::Full),
    ] {
        let door = Door::with(|settings| settings.tls = Some(tls.clone())).await;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&cert).expect("certificate")).expect("root");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let name = ServerName::try_from("localhost").expect("name");
            let mut stream = TlsConnector::from(Arc::clone(&config)).connect(name, door.dial().await).await.expect("handshake");
            kinds.push(stream.get_ref().1.handshake_kind().expect("a handshake"));
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", door.host());
            stream.write_all(request.as_bytes()).await.expect("write");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("read");
            assert_eq!(statuses(&answer), [200]);
        }
        assert_eq!(kinds, [HandshakeKind::Full, second], "{versions:?}");
    }
}
