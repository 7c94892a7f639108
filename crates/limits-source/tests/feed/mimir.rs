//! What servers say of Mimir, and of what is wrong with the documents.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use limits::Severity;
use limits_source::{Feed, Freshness};
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{self as feed, ElectedPart, ElectedReplica, Heartbeat, ProblemList};

use crate::server::{Server, Watch};
use crate::support::{Client, everything, in_time, state_with};

const A: &str = "a {ingestion_rate: 10}";

async fn connected(server: &mut Server) -> (Client, Watch) {
    let client = Client::start(&[server.url()]);
    let watch = server.watch_beating().await;
    watch.limits(everything(1, &[A])).await;
    (client.started().await, watch)
}

fn problem(message: &str) -> feed::Problem {
    feed::Problem {
        code: "MRC0031".to_owned(),
        document: "runtime.yaml".to_owned(),
        tenant: Some("a".to_owned()),
        field: None,
        line: Some(3),
        severity: feed::Severity::Rejected.into(),
        message: message.to_owned(),
        mimir: None,
    }
}

#[tokio::test]
async fn problems_stay_until_replaced_and_while_disconnected() {
    let mut server = Server::start().await;
    let (mut client, watch) = connected(&mut server).await;
    for message in ["first", "second"] {
        watch.say(Update::Problems(ProblemList { problems: vec![problem(message)] })).await;
        let shown = client.feed.limits.states.wait_for(|state| state.problems.iter().any(|one| one.message == message));
        let state = in_time("a problem", shown).await.unwrap().clone();
        assert_eq!((state.problems[0].severity, state.problems[0].line), (Severity::Rejected, Some(3)));
    }
    watch.fail().await;
    let watch = server.watch_beating().await;
    assert_eq!(client.state().problems.len(), 1);
    watch.say(Update::Problems(ProblemList { problems: vec![problem("x"); 2_000] })).await;
    in_time("problems", client.feed.limits.states.wait_for(|state| state.problems.len() == 1_000)).await.unwrap();
}

#[tokio::test]
async fn a_count_of_distributors_holds_until_another_is_counted() {
    let mut server = Server::start().await;
    let (mut client, mut watch) = connected(&mut server).await;
    assert_eq!(*client.feed.distributors.borrow(), None);
    // Those in between would say that there is no tracker.
    watch.hush();
    let Feed { distributors: counted, has_ha_tracker: published, .. } = &mut client.feed;
    for (distributors, has_ha_tracker, expected) in [(3, true, 3), (0, false, 3), (5, true, 5)] {
        watch.heartbeat(Heartbeat { distributors, has_ha_tracker, ..Heartbeat::default() }).await;
        let update = published.wait_for(|published| *published == Some(has_ha_tracker));
        in_time("the heartbeat", update).await.unwrap();
        assert_eq!(*counted.borrow(), NonZeroU32::new(expected));
    }
}

#[tokio::test]
async fn a_known_count_of_distributors_holds_from_the_start() {
    let mut server = Server::start().await;
    let known = NonZeroU32::new(3);
    let client = Client::start_with(&server.url(), state_with(&[A]), Freshness::default(), known);
    let mut watch = server.watch_beating().await;
    let mut client = client.started().await;
    assert_eq!(*client.feed.distributors.borrow(), known);
    watch.hush();
    for (distributors, has_ha_tracker, expected) in [(0, true, 3), (2, false, 2)] {
        watch.heartbeat(Heartbeat { distributors, has_ha_tracker, ..Heartbeat::default() }).await;
        let published = client.feed.has_ha_tracker.wait_for(|published| *published == Some(has_ha_tracker));
        in_time("the heartbeat", published).await.unwrap();
        assert_eq!(*client.feed.distributors.borrow(), NonZeroU32::new(expected));
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn elected(requested_at_unix_millis: i64, replicas: &[&str], last: bool) -> Update {
    let entry = |replica: &&str| ElectedReplica {
        tenant: "t".to_owned(),
        cluster: "c".to_owned(),
        replica: (*replica).to_owned(),
        received_at: 1,
        elected_at: 2,
    };
    let elected = replicas.iter().map(entry).collect();
    Update::Elected(ElectedPart { requested_at_unix_millis, last, elected, age_millis: None })
}

fn aged(update: Update, age: Duration) -> Update {
    let age_millis = Some(age.as_millis().try_into().unwrap());
    match update {
        Update::Elected(part) => Update::Elected(ElectedPart { age_millis, ..part }),
        other => other,
    }
}

#[tokio::test]
async fn a_lists_age_is_the_servers_whatever_the_clocks_say() {
    let mut server = Server::start().await;
    let (mut client, watch) = connected(&mut server).await;
    let lists = &mut client.feed.ha_tracker.states;
    let hour = 3_600_000;
    for (requested_at_unix_millis, age) in
        [(now() - hour, 4), (now() + hour, 15), (now(), 3_600), (now() - 1, u64::MAX / 1_000)]
    {
        let age = Duration::from_secs(age);
        watch.say(aged(elected(requested_at_unix_millis, &["r"], true), age)).await;
        in_time("a list", lists.wait_for(|list| list.requested_at_unix_millis == requested_at_unix_millis))
            .await
            .unwrap();
        let assumed = lists.borrow_and_update().age();
        assert!(
            age <= assumed && assumed < age.saturating_add(Duration::from_secs(20)) || assumed == Duration::MAX,
            "{assumed:?} for {age:?}"
        );
    }
}

#[tokio::test]
async fn another_server_starts_with_a_younger_list_or_none() {
    let mut server = Server::start().await;
    let (mut client, watch) = connected(&mut server).await;
    let mut lists = client.feed.ha_tracker.states.clone();
    watch.say(aged(elected(now(), &["first"], true), Duration::from_secs(4))).await;
    in_time("a list", lists.wait_for(|list| list.elected.is_some())).await.unwrap();
    lists.mark_unchanged();
    watch.fail().await;
    // The clock of the next server is an hour ahead.
    let ahead = now() + 3_600_000;
    let watch = server.watch_beating().await;
    watch.say(aged(elected(ahead, &["older"], true), Duration::from_secs(60))).await;
    watch.say(Update::Problems(ProblemList { problems: vec![problem("said after the list")] })).await;
    let said = client.feed.limits.states.wait_for(|state| !state.problems.is_empty());
    in_time("what is said after the list", said).await.unwrap();
    assert!(!lists.has_changed().unwrap());
    watch.fail().await;
    let watch = server.watch_beating().await;
    watch.say(aged(elected(ahead - 7_200_000, &["younger"], true), Duration::ZERO)).await;
    in_time("the younger list", lists.changed()).await.unwrap();
    assert_eq!(&*lists.borrow().elected.as_ref().unwrap()[0].replica, "younger");
}

#[tokio::test]
async fn each_list_of_elected_replicas_is_applied_whole_and_once() {
    let mut server = Server::start().await;
    let (mut client, watch) = connected(&mut server).await;
    let requested_at_unix_millis = now() - 5_000;
    assert!(client.feed.ha_tracker.states.borrow().elected.is_none());
    watch.say(elected(requested_at_unix_millis, &["r1"], false)).await;
    watch.say(elected(requested_at_unix_millis, &["r2"], true)).await;
    let lists = &mut client.feed.ha_tracker.states;
    let state = in_time("a list", lists.wait_for(|list| list.elected.is_some())).await.unwrap().clone();
    let names: Vec<_> = state.elected.unwrap().iter().map(|one| one.replica.to_string()).collect();
    assert_eq!(
        (state.requested_at_unix_millis, names),
        (requested_at_unix_millis, vec!["r1".to_owned(), "r2".to_owned()])
    );
    let age = client.feed.ha_tracker.freshness.age();
    assert!((Duration::from_secs(5)..Duration::from_secs(25)).contains(&age), "{age:?}");

    lists.mark_unchanged();
    watch.fail().await;
    let watch = server.watch_beating().await;
    watch.say(elected(requested_at_unix_millis, &["again"], true)).await;
    watch.say(Update::Problems(ProblemList { problems: vec![problem("said after the list")] })).await;
    let said = client.feed.limits.states.wait_for(|state| !state.problems.is_empty());
    in_time("what is said after the list", said).await.unwrap();
    assert!(!lists.has_changed().unwrap());
    watch.say(elected(requested_at_unix_millis + 1, &["r3"], true)).await;
    in_time("the newer list", lists.changed()).await.unwrap();
    assert_eq!(&*lists.borrow_and_update().elected.as_ref().unwrap()[0].replica, "r3");
    // A clock that was set back.
    watch.say(elected(requested_at_unix_millis - 9, &["r4"], true)).await;
    in_time("the next list", lists.changed()).await.unwrap();
    assert_eq!(lists.borrow().requested_at_unix_millis, requested_at_unix_millis - 9);
}
