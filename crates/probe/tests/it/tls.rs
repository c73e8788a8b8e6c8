//! TLS: what is wrong with it is found, nothing is sent where a certificate is not to be believed, and a right one is clean.

use crate::{bare, found, ids, report, request};
use doorward_probe::BadRequest;
use doorward_scan::{Color, Report};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A server behind TLS with a certificate for `mcp.test`, which answers 401; with `old`, whoever offers TLS 1.1 is taken up.
async fn serve(key: &rcgen::KeyPair, certificate: &rcgen::Certificate, old: bool) -> SocketAddr {
    let key = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { one(stream, acceptor, old).await });
        }
    });
    address
}

async fn one(mut stream: TcpStream, acceptor: TlsAcceptor, old: bool) {
    let mut first = [0; 11];
    while stream.peek(&mut first).await.is_ok_and(|read| read > 0 && read < first.len()) {}
    if old && first.get(9..11) == Some(&[3, 2]) {
        // A ServerHello of 1.1, as far as it is looked at.
        let _sent = stream.write_all(&[&[22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[9; 36]].concat()).await;
        return;
    }
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut read = [0; 8192];
    let _request = stream.read(&mut read).await;
    let answer = b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let _sent = stream.write_all(answer).await;
    let _closed = stream.shutdown().await;
}

fn certificate() -> (rcgen::KeyPair, rcgen::Certificate) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["mcp.test".to_owned()]).expect("a name").self_signed(&key).expect("a certificate");
    (key, certificate)
}

async fn asked(address: SocketAddr, authority: &str) -> Report {
    let mut request = bare(&[format!("https://mcp.test:{}/mcp", address.port())]);
    request.pins.insert("mcp.test".to_owned(), address);
    request.extra_ca = authority.as_bytes().to_vec();
    report(&request).await
}

#[tokio::test]
async fn scn_01_a_certificate_that_nobody_vouches_for_is_found_and_nothing_is_sent() {
    let (key, own) = certificate();
    let address = serve(&key, &own, false).await;
    let report = asked(address, "").await;
    assert_eq!(found(&report), ["DW113 high connection: the certificate is not to be believed; nothing was sent"]);
    assert!(report.unread() > 0 && report.text(100, Color::Plain).contains("certificate that is not to be believed"));
}

#[tokio::test]
async fn scn_01_old_tls_is_found_and_new_tls_is_clean() {
    let (key, own) = certificate();
    let new = asked(serve(&key, &own, false).await, &own.pem()).await;
    assert!(!ids(&new).contains(&"DW113"), "{:?}", found(&new));
    let old = asked(serve(&key, &own, true).await, &own.pem()).await;
    assert!(found(&old).contains(&"DW113 high connection: TLS 1.1 is accepted".to_owned()), "{:?}", found(&old));
}

#[tokio::test]
async fn scn_01_what_speaks_no_tls_and_what_has_none_is_found() {
    let plain = doorward_testkit::flawed::serve(None, None).await.expect("a server");
    let report = asked(plain.address, "").await;
    assert_eq!(found(&report), ["DW113 medium connection: no handshake of TLS 1.2 or 1.3 was possible; nothing was sent"]);
    let urls = [format!("http://mcp.test:{}/mcp", plain.address.port())];
    let refused = doorward_probe::probe(&request(&urls)).await;
    assert_eq!(refused.err(), Some(BadRequest::Plain("http://mcp.test".to_owned())), "no credential goes over the network in clear text");
    let mut request = bare(&urls);
    request.pins.insert("mcp.test".to_owned(), plain.address);
    let report = crate::report(&request).await;
    assert!(found(&report).contains(&"DW113 high connection: plain HTTP".to_owned()), "{:?}", found(&report));
}
