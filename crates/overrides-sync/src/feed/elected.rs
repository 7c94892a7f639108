//! Whom Mimir's HA tracker has elected, as messages of the feed.

use std::sync::Arc;
use std::time::Duration;

use limits::ElectedReplica;
use limits_source::HaTrackerState;
use proto::edge::limits::v1::{ElectedPart, ElectedReplica as ElectedMessage};

/// Where a part ends.
const PART_BYTES: usize = 512 << 10;
/// What an entry takes beside its texts: tags, lengths and two times.
const ENTRY_BYTES: usize = 32;

/// For so long a client believes a list from when Mimir was asked for it. One that is as old may be what Mimir has taken back since.
const WORD_HOLDS: Duration = Duration::from_secs(20);

/// The list that is told now, if there is one that is young enough.
pub(super) fn told(state: &HaTrackerState) -> Option<Arc<[ElectedReplica]>> {
    state.elected.clone().filter(|_| state.age() < WORD_HOLDS)
}

/// The part of a list that begins at `told`, which goes on to the part after it. The list is so old now.
pub(super) fn next_part(list: &[ElectedReplica], told: &mut usize, asked_at: i64, age: Duration) -> ElectedPart {
    let (mut elected, mut bytes) = (Vec::new(), 0_usize);
    for replica in list.iter().skip(*told) {
        let texts = [&replica.tenant, &replica.cluster, &replica.replica];
        let size = texts.iter().fold(ENTRY_BYTES, |size, text| size.saturating_add(text.len()));
        if bytes > 0 && bytes.saturating_add(size) > PART_BYTES {
            break;
        }
        bytes = bytes.saturating_add(size);
        elected.push(message(replica));
    }
    *told = told.saturating_add(elected.len());
    let age_millis = Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    ElectedPart { asked_at, last: *told >= list.len(), elected, age_millis }
}

fn message(replica: &ElectedReplica) -> ElectedMessage {
    let ElectedReplica { tenant, cluster, replica, received_at, elected_at } = replica;
    ElectedMessage {
        tenant: tenant.to_string(),
        cluster: cluster.to_string(),
        replica: replica.to_string(),
        received_at: *received_at,
        elected_at: *elected_at,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn elected(number: usize, bytes: usize) -> ElectedReplica {
        ElectedReplica {
            tenant: format!("{number:05}{}", "x".repeat(bytes)).into(),
            cluster: "c".into(),
            replica: "r".into(),
            received_at: 1,
            elected_at: 2,
        }
    }

    #[track_caller]
    fn check(entries: usize, bytes: usize, expected_parts: usize) {
        let list: Vec<_> = (0..entries).map(|number| elected(number, bytes)).collect();
        let (mut told, mut parts) = (0, Vec::new());
        loop {
            parts.push(next_part(&list, &mut told, 7, Duration::from_millis(parts.len() as u64)));
            if parts.last().unwrap().last {
                break;
            }
        }
        assert_eq!(parts.len(), expected_parts, "{entries} of {bytes}");
        assert!(
            parts.iter().all(|part| part.asked_at == 7 && (part.elected.len() == 1 || prost_len(part) <= PART_BYTES))
        );
        assert!(
            (0..).zip(&parts).all(|(sent, part)| part.age_millis == Some(sent)),
            "each part says how old the list is"
        );
        let told: Vec<_> = parts.into_iter().flat_map(|part| part.elected).collect();
        assert_eq!(told, list.iter().map(message).collect::<Vec<_>>());
    }

    fn prost_len(part: &ElectedPart) -> usize {
        prost::Message::encoded_len(part)
    }

    #[test]
    fn a_list_is_told_as_long_as_it_is_young_whatever_the_clock_says() {
        let list: Arc<[_]> = Arc::new([elected(1, 1)]);
        for asked_at in [i64::MIN, 0, 100_000, i64::MAX] {
            for (elected, age, is_told) in
                [(Some(&list), 0, true), (Some(&list), 15_000, true), (Some(&list), 20_000, false), (None, 0, false)]
            {
                let asked = Instant::now().checked_sub(Duration::from_millis(age));
                let state = HaTrackerState { elected: elected.cloned(), asked_at, asked };
                assert_eq!(told(&state).is_some(), is_told, "{age}");
            }
        }
        let unknown = HaTrackerState { elected: Some(list), asked_at: 0, asked: None };
        assert!(told(&unknown).is_none());
    }

    #[test]
    fn a_list_is_told_whole_in_parts_of_a_bounded_size() {
        check(0, 1, 1);
        check(1, 1, 1);
        check(10_000, 10, 1);
        check(20_000, 100, 6);
        check(3, PART_BYTES, 3);
    }
}
