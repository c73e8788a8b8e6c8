//! Last good copies of client id metadata documents.

use crate::bench::{Bench, NOW, later};
use doorward_core::id::ClientId;
use doorward_store::{ClientDocument, Refused, StoreError};

fn id(text: &str) -> ClientId {
    ClientId::new(text).expect("id")
}

fn copy(text: &str, at: u64) -> ClientDocument {
    ClientDocument { document: Some(text.as_bytes().to_vec()), checked: later(at), fresh: later(at + 60) }
}

pub(crate) async fn reg_07_a_copy_is_replaced_by_a_later_one_only(bench: &Bench) {
    let app = id("https://app.test/c.json");
    assert_eq!(bench.a.client_document(&app).await.expect("answer"), None);
    bench.a.keep_client_document(&app, &copy("one", 10)).await.expect("kept");
    assert_eq!(bench.b.client_document(&app).await.expect("answer"), Some(copy("one", 10)));
    bench.b.keep_client_document(&app, &copy("two", 20)).await.expect("kept");
    bench.a.keep_client_document(&app, &copy("late", 15)).await.expect("no error, and nothing changed");
    assert_eq!(bench.a.client_document(&app).await.expect("answer"), Some(copy("two", 20)));
    assert_eq!(bench.a.client_document(&id("https://app.test/C.json")).await.expect("answer"), None, "exact ids");
    let gone = ClientDocument { document: None, checked: later(30), fresh: later(30) };
    bench.a.keep_client_document(&app, &gone).await.expect("noted");
    assert_eq!(bench.b.client_document(&app).await.expect("answer"), Some(gone));
    let large = ClientDocument { document: Some(vec![b'x'; 8 * 1024 + 1]), checked: NOW, fresh: NOW };
    let refused = bench.a.keep_client_document(&app, &large).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refused::Unfit(_)))));
}

pub(crate) async fn reg_08_copies_do_not_grow_beyond_their_number(bench: &Bench) {
    for n in 0..1_005_u64 {
        bench.a.keep_client_document(&id(&format!("https://v.test/{n}")), &copy("x", n)).await.expect("kept");
    }
    for (n, is_there) in [(0, false), (4, false), (5, true), (1_004, true)] {
        let found = bench.b.client_document(&id(&format!("https://v.test/{n}"))).await.expect("answer");
        assert_eq!(found.is_some(), is_there, "{n}");
    }
}
