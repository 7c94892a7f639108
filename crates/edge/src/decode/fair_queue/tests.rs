//! The order of jobs; each job is how many milliseconds it takes.

use super::*;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn queue(jobs: usize) -> FairQueue<u64> {
    FairQueue::new(TenantCap { jobs, weight: 100 })
}

fn push(queue: &mut FairQueue<u64>, tenant: &str, took: u64) {
    queue.push(tenant, Cost { estimate: millis(took), weight: 1 }, took);
}

fn begin(queue: &mut FairQueue<u64>) -> Option<Started<u64>> {
    queue.next(|_, _| true)
}

/// Runs the next one to its end; whose it was.
fn run(queue: &mut FairQueue<u64>) -> Option<Arc<str>> {
    let Started { tenant, cost, job } = begin(queue)?;
    queue.finished(&tenant, cost, millis(job));
    Some(tenant)
}

/// Runs everything one after the other; the order of tenants.
fn order(queue: &mut FairQueue<u64>) -> String {
    std::iter::from_fn(|| run(queue)).map(|tenant| tenant.to_string()).collect()
}

#[test]
fn slow_bodies_delay_only_their_own_tenant() {
    let mut queue = queue(1);
    (0..3).for_each(|_| push(&mut queue, "d", 500));
    (0..5).for_each(|_| push(&mut queue, "n", 10));
    assert_eq!(order(&mut queue), "nnnnnddd");
}

#[test]
fn tenants_with_equal_jobs_take_turns_in_arrival_order() {
    let mut queue = queue(1);
    ["b", "b", "b", "a", "a", "a", "c"].iter().for_each(|tenant| push(&mut queue, tenant, 10));
    assert_eq!(order(&mut queue), "bacbaba");
}

#[test]
fn underestimated_jobs_are_paid_for_afterwards() {
    let mut queue = queue(1);
    for _ in 0..3 {
        queue.push("liar", Cost { estimate: millis(1), weight: 1 }, 100);
        push(&mut queue, "honest", 10);
    }
    assert_eq!(order(&mut queue), "liarhonesthonesthonestliarliar");
}

#[test]
fn no_number_of_invented_names_keeps_a_tenant_waiting() {
    let mut queue = queue(1);
    (0..20).for_each(|_| push(&mut queue, "prod", 10));
    let mut served = 0;
    for number in 0..100 {
        push(&mut queue, &format!("a{number}"), 10);
        served += usize::from(run(&mut queue).as_deref() == Some("prod"));
    }
    assert!(served >= 10, "{served} of its jobs had their turn, though each name is a tenant with a share");
}

#[test]
fn a_lane_that_was_idle_gains_no_credit() {
    let mut queue = queue(1);
    push(&mut queue, "old", 1);
    assert_eq!(order(&mut queue), "old");
    (0..4).for_each(|_| push(&mut queue, "b", 100));
    assert_eq!([run(&mut queue), run(&mut queue)].map(|tenant| tenant.as_deref() == Some("b")), [true, true]);
    (0..2).for_each(|_| push(&mut queue, "old", 100));
    assert_eq!(order(&mut queue), "boldbold");
}

#[test]
fn no_tenant_has_more_under_way_than_it_may() {
    let mut queue = queue(2);
    (0..4).for_each(|_| push(&mut queue, "a", 10));
    push(&mut queue, "b", 100);
    let started: Vec<_> = std::iter::from_fn(|| begin(&mut queue)).collect();
    assert_eq!(started.iter().map(|started| &*started.tenant).collect::<String>(), "aab");
    let Started { tenant, cost, job } = started.into_iter().next().unwrap();
    queue.finished(&tenant, cost, millis(job));
    assert_eq!(begin(&mut queue).map(|started| started.tenant).as_deref(), Some("a"));
}

#[test]
fn running_weight_of_a_tenant_is_bounded_beyond_one_job() {
    let mut queue = queue(4);
    for (tenant, weight) in [("a", 60), ("a", 60), ("b", 500), ("b", 1)] {
        queue.push(tenant, Cost { estimate: millis(10), weight }, 10);
    }
    let started: String = std::iter::from_fn(|| begin(&mut queue)).map(|started| started.tenant.to_string()).collect();
    assert_eq!(started, "ab", "the second of each would be too much");
}

#[test]
fn what_may_not_begin_yet_keeps_its_turn() {
    let mut queue = queue(1);
    push(&mut queue, "first", 10);
    push(&mut queue, "second", 20);
    assert!(queue.next(|_, job| *job > 10).is_none());
    assert!(queue.has_waiting());
    assert_eq!(order(&mut queue), "firstsecond");
    assert!(!queue.has_waiting());
}

#[test]
fn lanes_of_tenants_that_come_and_go_are_forgotten() {
    let mut queue = queue(1);
    for number in 0..100 * SWEEP_AT as u64 {
        push(&mut queue, &format!("t{number}"), 1);
        order(&mut queue);
    }
    assert!(queue.lanes.len() <= 2 * SWEEP_AT, "{}", queue.lanes.len());
}
