//! MCP tasks, and the sweep of what else ends.

use crate::bench::{Bench, LIVES, NOW, client, credential, later, new_key, record, server, task, user};
use doorward_core::identity::caller::{Level, Record};
use doorward_core::secret::{AccessToken, PlainToken};
use doorward_store::{NewTask, Refused, Store, StoreError, StoredTask, TaskEnd, Word};

async fn find(store: &Store, of: &NewTask) -> Result<Option<StoredTask>, StoreError> {
    store.task(&of.digest, &of.user, &of.client, &of.credential, &of.server).await
}

pub(crate) async fn a_task_is_seen_and_listed_by_its_owner_alone(bench: &Bench) {
    let (one, two) = (task("one", "alice"), NewTask { created: later(1), expires: None, ..task("two", "alice") });
    bench.a.put_task(&one, 10).await.expect("put");
    bench.a.put_task(&two, 10).await.expect("put");
    let found = find(&bench.b, &one).await.expect("answer").expect("found");
    assert_eq!((found.upstream_id.as_str(), found.tool.as_str()), ("upstream of one", "transcode"));
    let listed = bench.b.tasks_of(&one.user, &one.client, &one.credential, &one.server).await.expect("list");
    let shown: Vec<_> =
        listed.iter().map(|task| (task.gateway_id.as_str(), task.upstream_id.as_str(), task.created, task.expires)).collect();
    assert_eq!(shown, [("one", "upstream of one", NOW, Some(later(100))), ("two", "upstream of two", later(1), None)]);
    for stranger in [
        NewTask { digest: two.digest, user: user("bob"), ..one.clone() },
        NewTask { user: user("bob"), ..one.clone() },
        NewTask { client: client("other"), ..one.clone() },
        NewTask { credential: credential("other"), ..one.clone() },
        NewTask { server: server("beta"), ..one.clone() },
    ] {
        assert!(find(&bench.a, &stranger).await.expect("answer").is_none(), "{stranger:?}");
        let list = bench.a.tasks_of(&stranger.user, &stranger.client, &stranger.credential, &stranger.server).await.expect("list");
        assert!(list.is_empty(), "{stranger:?}");
    }
    assert!(!bench.a.end_task(&one.digest, &user("bob"), (TaskEnd::Failed, Word::Said), NOW).await.expect("answer"));
    assert_eq!(find(&bench.b, &one).await.expect("answer").expect("found").ended, None);
    let (said, assumed) = (Word::Said, Word::Assumed);
    let mut noted = Vec::new();
    for (how, word, new) in [
        (TaskEnd::Cancelled, assumed, true),
        (TaskEnd::Completed, assumed, false),
        (TaskEnd::Completed, said, true),
        (TaskEnd::Completed, said, false),
        (TaskEnd::Cancelled, assumed, false),
    ] {
        assert_eq!(bench.a.end_task(&one.digest, &one.user, (how, word), later(noted.len() as u64)).await.expect("answer"), new);
        noted.push(find(&bench.b, &one).await.expect("answer").expect("over, and there for its result").ended);
    }
    let (first, then) = (Some((NOW, TaskEnd::Cancelled)), Some((NOW, TaskEnd::Completed)));
    assert_eq!(noted, [first, first, then, then, then], "its server's word goes before, and its end stays where it was");
    assert_eq!(format!("{:?}", listed[1]).matches("two").count() + format!("{two:?}").matches("two").count(), 0, "ids are not printed");
}

pub(crate) async fn tasks_have_a_cap_and_are_swept(bench: &Bench) {
    let lasting = NewTask { expires: None, ..task("lasting", "alice") };
    bench.a.put_task(&task("one", "alice"), 2).await.expect("put");
    bench.a.put_task(&lasting, 2).await.expect("put");
    assert!(matches!(bench.b.put_task(&task("three", "alice"), 2).await, Err(StoreError::Refused(Refused::TooMany))));
    bench.b.put_task(&task("three", "bob"), 2).await.expect("another user");
    // Over is over: the room is free for the next, and each one that is over is still there.
    assert_eq!(bench.a.running_tasks(&lasting.user, 10).await.expect("count"), 2);
    assert!(bench.a.end_task(&task("one", "alice").digest, &lasting.user, (TaskEnd::Completed, Word::Said), NOW).await.expect("ended"));
    assert_eq!(bench.b.running_tasks(&lasting.user, 10).await.expect("count"), 1);
    bench.b.put_task(&task("five", "alice"), 2).await.expect("room");
    assert!(matches!(bench.b.put_task(&task("six", "alice"), 2).await, Err(StoreError::Refused(Refused::TooMany))));
    assert!(find(&bench.a, &task("one", "alice")).await.expect("answer").is_some());
    let wrong = NewTask { digest: [0; 32], ..task("four", "carol") };
    assert!(matches!(bench.b.put_task(&wrong, 2).await, Err(StoreError::Refused(Refused::Unfit("digest")))));
    assert_eq!(bench.a.sweep(later(99), LIVES).await.expect("swept").tasks, 0);
    assert_eq!(bench.a.sweep(later(100), LIVES).await.expect("swept").tasks, 3, "over or not");
    assert!(find(&bench.a, &lasting).await.expect("answer").is_some());
    assert_eq!(bench.a.sweep(later(7 * 86_400), LIVES).await.expect("swept").tasks, 1, "seven days without a word of the server");
}

pub(crate) async fn ended_keys_tokens_and_forgotten_users_are_swept(bench: &Bench) {
    bench.a.create_api_key(&new_key(1, "k1", "alice")).await.expect("created");
    bench.a.create_api_key(&new_key(2, "k2", "alice")).await.expect("created");
    assert!(bench.a.revoke_api_key(&credential("k2"), NOW).await.expect("revoked"));
    let token = PlainToken::<AccessToken>::mint(&[1; 32]).hashed();
    let grant = Record { level: Level::OAuth, client: client("c"), ..record("g", "alice") };
    bench.a.put_access_token(&token, &grant, NOW).await.expect("put");
    let at_end = bench.a.sweep(later(1_000), LIVES).await.expect("swept");
    assert_eq!((at_end.access_tokens, at_end.api_keys), (1, 0), "a key stays listed for a while");
    assert_eq!(bench.a.sweep(later(90 * 86_400), LIVES).await.expect("swept").api_keys, 1, "the revoked one");
    assert_eq!(bench.a.sweep(later(90 * 86_400 + 1_000), LIVES).await.expect("swept").api_keys, 1, "the expired one");
    assert!(bench.a.list_api_keys(None).await.expect("list").is_empty());

    bench.a.put_user(&user("carol"), &[], NOW).await.expect("put");
    bench.a.put_secret(&user("carol"), "token", &crate::bench::secret("kept")).await.expect("put");
    bench.a.disable_user(&user("dave"), NOW).await.expect("disabled");
    bench.a.put_user(&user("erin"), &[], later(1)).await.expect("put");
    assert_eq!(bench.a.sweep(later(400 * 86_400), LIVES).await.expect("swept").users, 1, "alice, who has nothing left");
    assert_eq!(
        bench.a.sweep(later(400 * 86_400 + 1), LIVES).await.expect("swept").users,
        1,
        "erin; carol has a value, dave stays disabled"
    );
}
