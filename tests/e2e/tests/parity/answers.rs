//! When two responses count as the same, and where the edge is known to differ.

use std::borrow::Cow;

use e2e::Response;

use super::tenants::Kind;

/// The headers that clients go by. Of `Retry-After` only whether it is there: Mimir draws its number.
const HEADERS: [&str; 5] = [
    "Content-Type",
    "X-Content-Type-Options",
    "X-Prometheus-Remote-Write-Samples-Written",
    "X-Prometheus-Remote-Write-Histograms-Written",
    "X-Prometheus-Remote-Write-Exemplars-Written",
];

/// How the edge's answer is to Mimir's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// A client cannot tell.
    Same,
    /// The edge denies a repeated header.
    TenantTwice,
    /// Both reject a body that they cannot decode, with different texts.
    WordsForProtobuf,
    /// The edge denies a body over its limit.
    AboveBodyLimit,
    /// A fault.
    Different,
}

pub(crate) fn compare(kind: Kind, mimir: &Response, edge: &Response) -> Likeness {
    if looks(mimir) == looks(edge) && in_order(mimir) == in_order(edge) {
        return Likeness::Same;
    }
    let unreadable = edge.reason().as_deref() == Some("unreadable_body");
    match kind {
        Kind::TwoHeaders if edge.status == 400 => Likeness::TenantTwice,
        Kind::TooLarge if edge.status == 413 => Likeness::AboveBodyLimit,
        // Words of Mimir's own have a name; those of its libraries have none.
        Kind::Usual if unreadable && looks(mimir) == looks(edge) && !mimir.text().contains("err-mimir") => {
            Likeness::WordsForProtobuf
        }
        Kind::Usual | Kind::TwoHeaders | Kind::TooLarge => Likeness::Different,
    }
}

/// The body; Mimir lists what it found wrong with several pairs of Prometheus in no order.
fn in_order(response: &Response) -> Vec<u8> {
    match response.text().split_once(" errors: ") {
        Some((count, list)) if count.parse::<u32>().is_ok() => {
            let mut errors: Vec<&str> = list.trim_end().split("; ").collect();
            errors.sort_unstable();
            format!("{count} errors: {}", errors.join("; ")).into_bytes()
        }
        _ => response.body.clone(),
    }
}

/// Everything but the body.
fn looks(response: &Response) -> (u16, bool, [Option<String>; 5]) {
    let retry_after = response.headers.get("Retry-After").is_some();
    (response.status, retry_after, HEADERS.map(|name| response.headers.get(name).map(Cow::into_owned)))
}

/// An answer in one line.
pub(crate) fn shown(response: &Response) -> String {
    let (status, retry_after, headers) = looks(response);
    let headers: Vec<&str> = headers.iter().flatten().map(String::as_str).collect();
    format!("{status} {headers:?} retry-after={retry_after} {:?}", response.text())
}

/// What the answer is about, for the statistics: its status, and the name of Mimir's error.
pub(crate) fn subject(response: &Response) -> String {
    let text = response.text();
    let named = text.split("(err-mimir-").nth(1).and_then(|rest| rest.split(')').next());
    match named {
        Some(name) => format!("{} {name}", response.status),
        None if response.body.is_empty() => response.status.to_string(),
        None => format!("{} {}", response.status, text.split([':', ',']).next().unwrap_or_default().trim()),
    }
}
