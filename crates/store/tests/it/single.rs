//! Single use, approvals and the epoch.

use crate::bench::{Bench, LIVES, NOW, later, open, server};
use doorward_core::id::ToolName;
use doorward_core::policy::facts::RiskClass;
use doorward_store::{Pin, Refused, StoreError};

fn pin(tool: &str, digest: u8, class: RiskClass) -> Pin {
    Pin { tool: ToolName::new(tool).expect("tool"), digest: [digest; 32], class, by: String::from("root"), at: NOW, reviewed: Vec::new() }
}

pub(crate) async fn an_id_is_consumed_once_until_it_expires(bench: &Bench) {
    let id = [1; 32];
    assert!(bench.a.consume_once("code", &id, later(10), NOW).await.expect("first"));
    assert!(!bench.b.consume_once("code", &id, later(10), NOW).await.expect("second"));
    assert!(!bench.b.consume_once("code", &id, later(99), later(9)).await.expect("still alive"));
    assert!(bench.b.consume_once("state", &id, later(10), NOW).await.expect("another kind"));
    assert!(bench.b.consume_once("code", &[2; 32], later(10), NOW).await.expect("another id"));
    assert!(bench.b.consume_once("code", &id, later(20), later(10)).await.expect("expired"));
    assert!(!bench.a.consume_once("code", &id, later(20), later(10)).await.expect("taken over already"));
    assert!(!bench.a.consume_once("code", &[3; 32], NOW, NOW).await.expect("a life that has ended is never won"));
    assert!(matches!(bench.a.consume_once("", &id, later(1), NOW).await, Err(StoreError::Refused(Refused::Unfit("kind")))));
    assert_eq!(bench.a.sweep(later(3 * 3_600 + 10), LIVES).await.expect("swept").consumed, 2);
    assert!(!bench.a.consume_once("code", &id, later(30), later(19)).await.expect("not swept before its time"));
}

pub(crate) async fn flt_07_what_was_used_stays_used_for_a_clock_that_is_behind(bench: &Bench) {
    assert!(bench.a.consume_once("state", &[7; 32], later(600), NOW).await.expect("first"));
    // A's clock says that it is over; B's, two hours behind, that it has just begun.
    assert_eq!(bench.a.sweep(later(7_200), LIVES).await.expect("swept").consumed, 0);
    assert!(!bench.b.consume_once("state", &[7; 32], later(600), later(1)).await.expect("second"));
}

pub(crate) async fn consumed_ids_survive_a_restart(bench: &Bench) {
    assert!(bench.a.consume_once("code", &[1; 32], later(10), NOW).await.expect("first"));
    bench.a.close().await;
    bench.b.close().await;
    let again = open(&bench.url, 1).await.expect("reopened");
    assert!(!again.consume_once("code", &[1; 32], later(10), later(1)).await.expect("second"));
    again.close().await;
}

pub(crate) async fn approvals_come_back_and_raise_the_epoch(bench: &Bench) {
    let (alpha, beta) = (server("alpha"), server("beta"));
    let (read, write) = (pin("read", 1, RiskClass::Read), pin("write", 2, RiskClass::Destructive));
    let before = bench.a.epoch().await.expect("epoch");
    bench.a.approve(&alpha, &[write.clone(), read.clone()]).await.expect("approved");
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1);
    assert_eq!(bench.b.pins(&alpha).await.expect("pins"), [read.clone(), write.clone()]);
    assert!(bench.b.pins(&beta).await.expect("pins").is_empty());
    let reviewed = vec!["instruction-tag".to_owned(), "jwt".to_owned()];
    let changed = Pin { reviewed, ..pin("read", 9, RiskClass::Write) };
    bench.a.approve(&alpha, std::slice::from_ref(&changed)).await.expect("approved anew");
    assert_eq!(bench.b.pins(&alpha).await.expect("pins"), [changed.clone(), write.clone()]);
    let unfit = Pin { reviewed: vec!["Two words".to_owned()], ..changed.clone() };
    let answer = bench.a.approve(&alpha, &[unfit]).await;
    assert!(matches!(answer, Err(StoreError::Refused(Refused::Unfit("findings")))));
    let nameless = Pin { by: String::new(), ..pin("late", 3, RiskClass::Read) };
    let answer = bench.a.approve(&alpha, &[pin("early", 3, RiskClass::Read), nameless]).await;
    assert!(matches!(answer, Err(StoreError::Refused(Refused::Unfit("approver")))));
    assert_eq!(bench.b.pins(&alpha).await.expect("pins").len(), 2, "all or none");
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 2, "nor the epoch");
    assert_eq!(bench.a.withdraw(&alpha, Some(&write.tool), NOW).await.expect("withdrawn"), 1);
    assert_eq!(bench.a.withdraw(&alpha, Some(&write.tool), NOW).await.expect("again"), 0);
    assert_eq!(bench.a.withdraw(&beta, None, NOW).await.expect("another server"), 0);
    assert_eq!(bench.a.withdraw(&alpha, None, NOW).await.expect("withdrawn"), 1);
    assert!(bench.b.pins(&alpha).await.expect("pins").is_empty());
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 6);
}

pub(crate) async fn launches_are_approved_by_digest_and_server(bench: &Bench) {
    let (alpha, beta) = (server("alpha"), server("beta"));
    let before = bench.a.epoch().await.expect("epoch");
    assert!(!bench.a.launch_approved(&alpha, &[1; 32]).await.expect("answer"));
    bench.a.approve_launch(&alpha, [1; 32], "root", NOW).await.expect("approved");
    assert!(bench.b.launch_approved(&alpha, &[1; 32]).await.expect("answer"));
    assert!(!bench.b.launch_approved(&alpha, &[2; 32]).await.expect("another profile"));
    assert!(!bench.b.launch_approved(&beta, &[1; 32]).await.expect("another server"));
    assert!(!bench.a.withdraw_launch(&beta, &[1; 32], NOW).await.expect("not approved"));
    assert!(bench.a.withdraw_launch(&alpha, &[1; 32], NOW).await.expect("withdrawn"));
    assert!(!bench.b.launch_approved(&alpha, &[1; 32]).await.expect("answer"));
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 3);
    for (server, digest) in [(&alpha, [1; 32]), (&alpha, [2; 32]), (&beta, [1; 32])] {
        bench.a.approve_launch(server, digest, "root", NOW).await.expect("approved");
    }
    assert_eq!(bench.a.withdraw_launches(&alpha, NOW).await.expect("withdrawn"), 2);
    assert!(!bench.b.launch_approved(&alpha, &[2; 32]).await.expect("answer"));
    assert!(bench.b.launch_approved(&beta, &[1; 32]).await.expect("another server"));
}

pub(crate) async fn the_epoch_only_rises_and_every_replica_sees_it(bench: &Bench) {
    let first = bench.a.epoch().await.expect("epoch");
    assert_eq!(bench.a.raise_epoch("emergency", NOW).await.expect("raised"), first + 1);
    assert_eq!(bench.b.raise_epoch("emergency", NOW).await.expect("raised"), first + 2);
    assert_eq!(bench.a.epoch().await.expect("epoch"), first + 2);
    assert_eq!(bench.raw("UPDATE counters SET value = -1 WHERE name = 'epoch'").await, 1);
    assert!(matches!(bench.a.epoch().await, Err(StoreError::Integrity { table: "counters", .. })));
}
