//! How long an answer may take. An Envoy that fails open takes its own timeout for "allow", so the answer comes a little before that.

use std::time::Duration;

use http::HeaderMap;

/// For calls without a timeout, or with a longer one.
pub(crate) const MAX_CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The time in which a call is answered: four fifths of its timeout. The rest is for the network.
pub(super) fn answer_timeout(headers: &HeaderMap) -> Duration {
    let timeout = headers.get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
    timeout.map_or(MAX_CALL_TIMEOUT, |timeout| timeout.min(MAX_CALL_TIMEOUT)).mul_f64(0.8)
}

/// At most eight digits and a unit (gRPC over HTTP/2, `Timeout`).
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let count: u32 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(u64::from(count) * 3600),
        "M" => Duration::from_secs(u64::from(count) * 60),
        "S" => Duration::from_secs(count.into()),
        "m" => Duration::from_millis(count.into()),
        "u" => Duration::from_micros(count.into()),
        "n" => Duration::from_nanos(count.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(value: Option<&'static str>, expected: Duration) {
        let headers = value.map(|value| ("grpc-timeout".parse().unwrap(), HeaderValue::from_static(value)));
        assert_eq!(answer_timeout(&headers.into_iter().collect()), expected, "{value:?}");
    }

    #[test]
    fn an_answer_comes_before_its_caller_gives_up() {
        check(Some("5000m"), Duration::from_secs(4));
        check(Some("10S"), Duration::from_secs(8));
        check(Some("1000u"), Duration::from_micros(800));
        check(Some("1000n"), Duration::from_nanos(800));
        check(Some("0m"), Duration::ZERO);
    }

    #[test]
    fn no_call_lasts_longer_than_a_minute() {
        for value in [
            None,
            Some(""),
            Some("S"),
            Some("5"),
            Some("-5S"),
            Some("5s"),
            Some("123456789n"),
            Some("99999999H"),
            Some("1H"),
            Some("2M"),
        ] {
            check(value, Duration::from_secs(48));
        }
    }
}
