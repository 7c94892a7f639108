//! `edgectl explain`: how a push would be decided now.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::args::ExplainArgs;
use crate::edge_api::{Answer, EdgeApi, EdgeError, Explanation, Replica, block_on};
use crate::output::{Table, counted, on_one_line};
use crate::{buckets, exit, input, output};

/// A usual push has less than 1 MiB, and the charts allow 16 MiB by default.
const MAX_BODY_BYTES: u64 = 64 << 20;
const ORG_ID: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Prints the decision.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let (path, body) = match &args.body {
        None => (format!("/api/v1/explain?items={}", args.items), Bytes::new()),
        Some(file) => ("/api/v1/explain".to_owned(), read(file)?),
    };
    let mut headers = HeaderMap::new();
    headers.insert(ORG_ID, args.tenant.clone());
    for (name, value) in &args.headers {
        headers.append(name, value.clone());
    }
    block_on(async {
        let edge = EdgeApi::new(&args.api)?;
        let ask = async |replica: &Replica| replica.post(&path, headers.clone(), body.clone()).await;
        let (explanation, note) = edge.ask(ask).await?.deciding().context("no replica answers")?;
        note.iter().for_each(|note| exit::note(note));
        output::print(args.api.output, &explanation, || text(&explanation))?;
        Ok(ExitCode::from(if explanation.value.decision == "allow" { 0 } else { exit::PROBLEMS }))
    })
}

/// The body of a push, which is not empty: without one the API explains a number of samples.
fn read(file: &Path) -> Result<Bytes, EdgeError> {
    let unusable = |why: &dyn std::fmt::Display| EdgeError::Unusable(format!("--body {}: {why}", file.display()));
    match input::read(file, MAX_BODY_BYTES) {
        Ok(body) if body.is_empty() => Err(unusable(&"it is empty; --items gives a number of samples")),
        Ok(body) => Ok(body.into()),
        Err(error) => Err(unusable(&error)),
    }
}

fn text(explanation: &Answer<Explanation>) -> String {
    let Answer { replica, value } = explanation;
    let mut facts = Table::untitled();
    let mut fact = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            facts.row([name.to_owned(), text]);
        }
    };
    let status = if value.decision == "allow" { String::new() } else { format!(", status {}", value.status) };
    fact("tenant", Some(value.limits_key.clone().unwrap_or_default()));
    fact("mode", Some(value.mode.clone()));
    fact("decision", Some(format!("{} ({}{status})", value.decision, value.reason)));
    fact("limit", value.limit.clone());
    fact("passes", Some(buckets::wait(value.passes_in_seconds)));
    fact("push", Some(content(value)));
    fact("unmetered", value.unmetered.clone());
    fact("replica", Some(buckets::where_from(replica, value.has_buckets)));
    let buckets = buckets::table_with_cost(value.request.as_ref(), value.ingestion.as_ref());
    let message = value.message.as_deref().map(|message| format!("\n{}\n", on_one_line(message)));
    format!("{}\n{buckets}{}", facts.text(), message.unwrap_or_default())
}

/// What a push holds: `100 items: 90 samples, 10 histograms`.
fn content(explanation: &Explanation) -> String {
    let counts = &explanation.counts;
    let kinds = [
        (counts.series, "series"),
        (counts.samples, "samples"),
        (counts.histograms, "histograms"),
        (counts.exemplars, "exemplars"),
        (counts.metadata, "metadata"),
    ];
    let kinds: Vec<_> =
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    let items = counted(counts.items, "item");
    if kinds.is_empty() { items } else { format!("{items}: {}", kinds.join(", ")) }
}
