use super::*;
use crate::work::Caps;

#[track_caller]
fn check(points: &[(i64, bool)], expected: Option<u64>) {
    let mut recount = TimeCounter::default();
    recount.begin();
    let mut work = Work::new(100, Caps::USUAL);
    points.iter().for_each(|(time, valid)| assert!(recount.add(*time, *valid, &mut work)));
    assert_eq!(recount.count(), expected, "{points:?}");
}

#[test]
fn points_of_one_time_are_one() {
    check(&[], Some(0));
    check(&[(1, true), (1, true)], Some(1));
    check(&[(3, true), (1, true), (3, true), (2, true)], Some(3));
    check(&[(i64::MIN, true), (i64::MAX, true), (i64::MIN, true)], Some(2));
}

#[test]
fn only_the_first_point_of_a_time_must_be_valid() {
    check(&[(1, true), (1, false)], Some(1));
    check(&[(1, false), (1, true)], None);
    check(&[(2, true), (1, true), (2, false), (3, true)], Some(3));
    check(&[(2, true), (1, false), (2, true)], None);
}

#[test]
fn the_first_of_many_points_of_a_time_is_kept() {
    let times = 0..10 * TimeCounter::ROOM as i64;
    let mut points: Vec<_> = times.map(|time| (time % 3000, time < 3000)).collect();
    check(&points, Some(3000));
    points[17].1 = false;
    check(&points, None);
}

#[test]
fn equal_times_take_no_memory() {
    let mut recount = TimeCounter::default();
    recount.begin();
    let mut work = Work::new(100, Caps::USUAL);
    assert!((0..100 * TimeCounter::ROOM).all(|index| recount.add(index as i64 % 2, true, &mut work)));
    assert!(recount.points.capacity() <= 2 * TimeCounter::ROOM);
}

#[test]
fn times_ascend_if_each_is_later() {
    let ascend = |times: &[i64]| {
        let mut points = Points::default();
        times.iter().for_each(|time| points.add(*time));
        points.ascend
    };
    assert!(ascend(&[]) && ascend(&[i64::MIN]) && ascend(&[1, 2, 5]));
    assert!(!ascend(&[1, 1]) && !ascend(&[1, 3, 2]) && !ascend(&[i64::MIN, i64::MIN]));
}
