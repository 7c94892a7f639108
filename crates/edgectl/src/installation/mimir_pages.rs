//! The pages of a Mimir: how they are asked for, and whether they are its own.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::check::BUILD_PAGE;
use crate::mimir::MimirClient;

const TRACKER_PAGE: &str = "/distributor/ha_tracker";
/// What a Mimir without an HA tracker says there, with 404.
const TRACKER_OFF: &[u8] = b"404 page not found\n";

pub(super) async fn page(client: &MimirClient, path: &str) -> Result<Vec<u8>, String> {
    let response = client.get(path).await.map_err(|error| error.to_string())?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body().to_vec()),
        status => Err(format!("{path} answers {status}")),
    }
}

/// The page of the HA tracker, or all of what a Mimir without one says.
pub(super) async fn tracker_page(client: &MimirClient) -> Result<Vec<u8>, String> {
    match client.get(TRACKER_PAGE).await {
        Ok(response) if response.status() == StatusCode::OK || is_off(response.status(), response.body()) => {
            Ok(response.into_body().to_vec())
        }
        Ok(response) => Err(format!("{TRACKER_PAGE} answers {}", response.status())),
        Err(error) => Err(error.to_string()),
    }
}

fn is_off(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::NOT_FOUND && body == TRACKER_OFF
}

/// The build of a Mimir: Prometheus and others have such a page too.
pub(super) fn of_mimir(page: &[u8]) -> Result<Value, String> {
    let build: Value = serde_json::from_slice(page).unwrap_or_default();
    let says = |what: &str| build.pointer(&format!("/data/{what}")).and_then(Value::as_str);
    match (says("application"), says("version")) {
        (Some(application), Some(_)) if application.contains("Mimir") => Ok(build),
        (Some(application), Some(_)) => Err(format!("{BUILD_PAGE} is that of {application}, and not of Mimir")),
        _ => Err(format!("{BUILD_PAGE} is not that of a Mimir")),
    }
}

/// Whether a page is Mimir's configuration, which always has limits.
pub(super) fn has_limits(config: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(config);
    let mut rest = text.lines().skip_while(|line| line.trim_end() != "limits:").skip(1);
    let is_mapping = rest.next().is_some_and(|line| line.starts_with(' ') && line.contains(':'));
    is_mapping.then_some(()).ok_or_else(|| "/config shows no limits".to_owned())
}

/// The active members of a ring.
pub(super) fn active(page: &[u8]) -> Result<usize, String> {
    #[derive(Deserialize)]
    struct Ring {
        shards: Vec<Shard>,
    }
    #[derive(Deserialize)]
    struct Shard {
        state: String,
    }
    let ring: Ring = serde_json::from_slice(page).map_err(|_| "/distributor/ring shows no ring".to_owned())?;
    Ok(ring.shards.iter().filter(|shard| shard.state == "ACTIVE").count())
}

/// The elected replicas; none if the tracker is off. A gateway may say the same of a page that it does
/// not serve, but one that shows the ring serves distributors.
pub(super) fn pairs(page: &[u8], shows_ring: bool) -> Result<Option<usize>, String> {
    if page == TRACKER_OFF {
        return shows_ring.then_some(None).ok_or_else(|| format!("{TRACKER_PAGE} is not served"));
    }
    let list: Value = serde_json::from_slice(page).unwrap_or_default();
    match list.get("elected") {
        Some(Value::Null) => Ok(Some(0)),
        Some(Value::Array(elected)) => Ok(Some(elected.len())),
        _ => Err(format!("{TRACKER_PAGE} shows no list of elected replicas")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_members_of_a_ring_count() {
        let ring = br#"{"shards": [{"id": "a", "state": "ACTIVE"}, {"id": "b", "state": "LEAVING"}]}"#;
        assert_eq!(active(ring), Ok(1));
        assert!(active(b"<html>").is_err());
    }

    #[test]
    fn a_tracker_that_is_off_has_no_list() {
        assert_eq!(pairs(br#"{"elected": [{}, {}]}"#, true), Ok(Some(2)));
        assert_eq!(pairs(br#"{"elected": null}"#, true), Ok(Some(0)));
        assert_eq!(pairs(TRACKER_OFF, true), Ok(None));
        for (page, shows_ring) in [(TRACKER_OFF, false), (b"<html>", true), (b"{}", true)] {
            assert!(pairs(page, shows_ring).is_err());
        }
        assert!(is_off(StatusCode::NOT_FOUND, TRACKER_OFF) && !is_off(StatusCode::NOT_FOUND, b"<html>"));
    }

    #[test]
    fn only_pages_of_mimir_pass_as_such() {
        assert!(of_mimir(br#"{"data": {"application": "Grafana Mimir", "version": "aced80d"}}"#).is_ok());
        for page in [
            &br#"{"data": {"version": "3.1.0"}}"#[..],
            br#"{"data": {"application": "Loki", "version": "3.1.0"}}"#,
            br#"{"data": {"application": "Grafana Mimir"}}"#,
            b"{}",
            b"<html>",
        ] {
            assert!(of_mimir(page).is_err());
        }
        assert_eq!(has_limits(b"target: all\nlimits:\n    ingestion_rate: 1\n"), Ok(()));
        assert!(
            has_limits(b"limits: 3\n").is_err()
                && has_limits(b"{}").is_err()
                && has_limits(b"limits:\na: 1\n").is_err()
        );
    }
}
