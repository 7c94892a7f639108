//! What other tests rely on: a real Mimir of their own, and rings of several.

use e2e::{Mimir, WatchedFile, push_request, samples, until};
use tempfile::tempdir;

const BURST_OF_100: &str = "overrides: { team: { ingestion_rate: 0.003, ingestion_burst_size: 100 } }";

#[test]
fn a_mimir_accepts_pushes_and_follows_its_runtime_config() {
    let folder = tempdir().expect("a folder can be made");
    let limits = WatchedFile::of(BURST_OF_100);
    let mimir = Mimir::start(&folder.path().join("mimir"), &limits.path());
    let push = |count: usize| mimir.send(&push_request("team", &samples(count).bytes)).status;
    assert_eq!([push(100), push(1)], [200, 429]);
    limits.swap("overrides: { team: { request_rate: 0.001, request_burst_size: 1 }, other: {} }");
    until("the request rate holds", || mimir.send(&push_request("team", &[])).text().contains("request rate limit"));
}

#[test]
fn distributors_in_one_ring_divide_a_rate_and_share_ingesters() {
    let folder = tempdir().expect("a folder can be made");
    // 0.003/s by three distributors, for 100,000 s: a burst of 100 for each.
    let limits = WatchedFile::of("overrides: { team: { ingestion_rate: 0.003, ingestion_burst_factor: 100000 } }");
    let ring = Mimir::ring(folder.path(), 3, &limits.path(), &[]);
    let push = |mimir: &Mimir, count: usize| mimir.send(&push_request("team", &samples(count).bytes));
    for mimir in &ring {
        let denial = push(mimir, 101);
        assert!(denial.text().contains("burst size limit, set to 100, with 101 items"), "{}", denial.text());
    }
    let answers = ring.iter().map(|mimir| push(mimir, 100)).collect::<Vec<_>>();
    assert_eq!(answers[0].status, 200);
    for later in &answers[1..] {
        assert!(later.text().contains("err-mimir-sample-out-of-order"), "{} {}", later.status, later.text());
    }
}
