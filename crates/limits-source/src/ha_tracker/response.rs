//! The JSON response of Mimir's HA tracker (Mimir `pkg/distributor/ha_tracker_http.go`).
//!
//! An entry that cannot be read does not affect the others. Unused parts take no memory beyond the text itself.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use limits::ElectedReplica;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The most entries: at Mimir's usual 280 bytes per entry, this is as long as the largest response.
pub(super) const MAX_ENTRIES: usize = 250_000;

/// What Go's JSON encoder writes for a byte that is not UTF-8. It writes the character itself unescaped.
const REPLACED_BYTE: &str = "\\ufffd";

/// The most characters of an error in a log line: it can quote the response.
const FAULT_CHARACTERS: usize = 200;

/// The list of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListedReplicas {
    pub(super) elected: Vec<ElectedReplica>,
    /// How many entries could not be read.
    pub(super) unreadable: usize,
    /// The error of the first of them.
    pub(super) first_fault: Option<String>,
}

/// Decodes a response.
///
/// # Errors
/// It is no object with a list `elected`, or that list is too long.
pub(super) fn read(json: &[u8]) -> Result<ListedReplicas, String> {
    #[derive(Deserialize)]
    struct Response {
        #[serde(deserialize_with = "listed")]
        elected: ListedReplicas,
    }
    serde_json::from_slice(json).map(|Response { elected }| elected).map_err(shortened)
}

fn listed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ListedReplicas, D::Error> {
    deserializer.deserialize_any(ListVisitor)
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = ListedReplicas;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of elected replicas")
    }

    /// Go's `null` for an empty list.
    fn visit_unit<E>(self) -> Result<ListedReplicas, E> {
        Ok(ListedReplicas::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<ListedReplicas, A::Error> {
        let mut listed = ListedReplicas::default();
        while let Some(entry) = entries.next_element::<&RawValue>()? {
            if listed.elected.len() + listed.unreadable == MAX_ENTRIES {
                return Err(A::Error::custom(format_args!("there are more than {MAX_ENTRIES} elected replicas")));
            }
            match read_entry(entry.get()) {
                Ok(elected) => listed.elected.push(elected),
                Err(fault) => {
                    listed.unreadable += 1;
                    listed.first_fault.get_or_insert(fault);
                }
            }
        }
        Ok(listed)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'t> {
    #[serde(rename = "userID")]
    tenant: Box<str>,
    cluster: Box<str>,
    replica: Box<str>,
    last_election_time: &'t str,
    elected_last_seen_time: &'t str,
}

fn read_entry(json: &str) -> Result<ElectedReplica, String> {
    let Entry { tenant, cluster, replica, last_election_time, elected_last_seen_time } =
        serde_json::from_str(json).map_err(shortened)?;
    for (field, name) in [("userID", &tenant), ("cluster", &cluster), ("replica", &replica)] {
        if name.is_empty() {
            return Err(format!("{field} is empty"));
        }
        if name.contains(char::REPLACEMENT_CHARACTER) && json.contains(REPLACED_BYTE) {
            // Different names look the same here, so the election could be applied to another pair.
            return Err(format!("{field} is not UTF-8 in Mimir, so it is ambiguous"));
        }
    }
    let elected_at = unix_millis("lastElectionTime", last_election_time)?;
    let received_at = unix_millis("electedLastSeenTime", elected_last_seen_time)?;
    Ok(ElectedReplica { tenant, cluster, replica, received_at, elected_at })
}

fn unix_millis(field: &str, time: &str) -> Result<i64, String> {
    let time = humantime::parse_rfc3339(time).map_err(|error| format!("{field} is no time in UTC: {error}"))?;
    Ok(millis_since_1970(time))
}

fn shortened(error: serde_json::Error) -> String {
    error.to_string().chars().take(FAULT_CHARACTERS).collect()
}

/// Milliseconds since 1970; 0 for a time before.
pub(super) fn millis_since_1970(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
