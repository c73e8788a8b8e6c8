//! Children that break the protocol (STD-06).

use crate::bench::{Bench, LONG, ended, line, soon, variable};
use bytes::Bytes;
use doorward_gateway::upstream::stdio::child::Gone;
use doorward_gateway::upstream::stdio::ending::Why;
use std::time::Duration;

async fn why(program: &str) -> Why {
    let bench = Bench::with(|o| o.line = 64 * 1024);
    let (child, mut lines) = bench.python(program).await;
    let ended = async {
        while soon(lines.recv()).await.is_some() {}
        ended(&child).await
    };
    soon(ended).await.why
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_an_endless_line_ends_the_child() {
    assert_eq!(why("import sys\nwhile True: sys.stdout.write('x'*65536)").await, Why::LineTooLong);
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_binary_ends_the_child() {
    assert_eq!(
        why("import sys,time\nsys.stdout.buffer.write(b'{}\\n\\xff\\xfe\\n'); sys.stdout.flush(); time.sleep(600)").await,
        Why::NotText
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_closing_either_pipe_ends_the_child() {
    assert_eq!(why("import os,time\nos.close(1); time.sleep(600)").await, Why::OutputClosed);
    let bench = Bench::new();
    let (child, mut lines) = bench.python("import os,time\nos.close(0); print('closed', flush=True); time.sleep(600)").await;
    assert_eq!(line(&mut lines).await, "closed");
    child.send(Bytes::from_static(b"{}")).await.expect("queued");
    assert_eq!(ended(&child).await.why, Why::InputClosed);
    assert_eq!(child.send(Bytes::from_static(b"{}")).await, Err(Gone::Ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_half_a_message_is_no_message() {
    let bench = Bench::new();
    let (child, mut lines) = bench.python("import sys\nsys.stdout.write('{}\\r{}\\n{\"half\":'); sys.stdout.flush(); sys.exit(3)").await;
    assert_eq!(line(&mut lines).await, "{}\r{}");
    assert_eq!(soon(lines.recv()).await, None);
    let ending = ended(&child).await;
    assert_eq!((ending.why, ending.status.and_then(|s| s.code())), (Why::Exited, Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_what_was_written_before_the_exit_arrives() {
    let bench = Bench::new();
    let (child, mut lines) = bench.python("for i in range(500): print(i)").await;
    // It is dead and buried before anybody has read a line.
    assert_eq!(ended(&child).await.why, Why::Exited);
    for i in 0..500 {
        assert_eq!(line(&mut lines).await, i.to_string());
    }
    assert_eq!(soon(lines.recv()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_a_child_that_never_reads_holds_up_only_those_who_send_to_it() {
    let bench = Bench::with(|o| o.patience = Duration::from_millis(200));
    let (deaf, mut ready) = bench.python("import time\nprint('up', flush=True)\ntime.sleep(600)").await;
    let (good, mut lines) = bench.python("import sys\nfor l in sys.stdin: print(l.strip(), flush=True)").await;
    assert_eq!(line(&mut ready).await, "up");
    let message = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut sent = 0;
    let refused = loop {
        match deaf.send(message.clone()).await {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
        assert!(sent < 64, "the queue has an end");
    };
    assert_eq!(refused, Gone::Stuck);
    good.send(Bytes::from_static(b"still here")).await.expect("accepted");
    assert_eq!(line(&mut lines).await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_a_flood_that_nobody_takes_blocks_the_child_and_nobody_else() {
    let bench = Bench::new();
    let (flood, held) = bench.python("while True: print('{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}')").await;
    let (good, mut lines) = bench.python("import sys\nfor l in sys.stdin: print(l.strip(), flush=True)").await;
    good.send(Bytes::from_static(b"a")).await.expect("accepted");
    assert_eq!(line(&mut lines).await, "a");
    assert!(held.len() <= 8, "bounded");
    drop(held);
    assert_eq!(ended(&flood).await.why, Why::Unheard);
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_a_hundred_thousand_notifications_pass_in_order() {
    let bench = Bench::new();
    let (child, mut lines) = bench.python("for i in range(100000): print(i)").await;
    for i in 0..100_000 {
        assert_eq!(line(&mut lines).await, i.to_string());
    }
    assert_eq!(ended(&child).await.why, Why::Exited);
}

#[tokio::test(flavor = "multi_thread")]
async fn std_06_a_flood_on_standard_error_does_not_stop_the_answers() {
    let bench = Bench::new();
    let program = "import os,sys\nfor _ in range(2000): os.write(2, (os.environ['KEY']+'\\n').encode()*1000)\nprint('done', flush=True)";
    let (_child, mut lines) = bench.python_with(program, &[], vec![variable("KEY", "canary-canary-canary")]).await;
    assert_eq!(tokio::time::timeout(LONG, line(&mut lines)).await.expect("in time"), "done");
}
