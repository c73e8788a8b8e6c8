//! What a hop costs on the libraries that Doorward stands on (hyper and tokio, two threads), with nothing of Doorward in it: the
//! floor below which no gateway on them gets.
//!
//! Usage: bench-hop LISTEN UPSTREAM, both as `address:port`. Connections to the upstream are kept; streams are passed on.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Line = SendRequest<Full<Bytes>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = words.as_slice() else { panic!("usage: bench-hop LISTEN UPSTREAM") };
    let (upstream, idle): (Arc<str>, Arc<Mutex<Vec<Line>>>) = (Arc::from(upstream.as_str()), Arc::default());
    let listener = TcpListener::bind(listen).await.expect("listen");
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        let (upstream, idle) = (Arc::clone(&upstream), Arc::clone(&idle));
        tokio::spawn(async move {
            let service = service_fn(|request| hop(request, &upstream, &idle));
            // A client that goes away is no fault.
            let _gone = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn hop(request: Request<Incoming>, upstream: &str, idle: &Mutex<Vec<Line>>) -> Result<Response<Either<Full<Bytes>, Incoming>>, Infallible> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.expect("body").to_bytes();
    head.headers.remove(CONTENT_LENGTH);
    let kept = idle.lock().expect("lock").pop();
    let mut line = match kept {
        Some(line) => line,
        None => connect(upstream).await,
    };
    let (head, body) = line.send_request(Request::from_parts(head, Full::new(body))).await.expect("answer").into_parts();
    if head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
        return Ok(Response::from_parts(head, Either::Right(body)));
    }
    let body = body.collect().await.expect("body").to_bytes();
    idle.lock().expect("lock").push(line);
    Ok(Response::from_parts(head, Either::Left(Full::new(body))))
}

async fn connect(upstream: &str) -> Line {
    let stream = TcpStream::connect(upstream).await.expect("upstream");
    stream.set_nodelay(true).expect("nodelay");
    let (line, connection) = handshake(TokioIo::new(stream)).await.expect("handshake");
    tokio::spawn(connection);
    line
}
