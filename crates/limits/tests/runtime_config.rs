//! Documents that a real Mimir took or rejected, against what is made of them here (`tests/golden/runtime-config`): the verdict, the error word for
//! word, and what comes out for each key of `overrides`.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::fmt::Write;
use std::path::Path;

use limits::{Defaults, MimirVersion, SourceDocument, TenantLimits, check};

/// As `.expect` files have it.
fn verdict(name: &str, bytes: &[u8]) -> String {
    let checked = check(&Defaults::default(), &MimirVersion::default(), &[SourceDocument::new(name, bytes)]);
    if checked.rejected {
        let mimir = checked.problems.iter().find_map(|problem| problem.mimir.as_deref());
        return format!("refused\nfailed to load runtime config: {}\n", mimir.unwrap_or_default());
    }
    let mut text = "accepted\n".to_owned();
    for (tenant, limits) in &checked.limits {
        for (field, value) in shown(limits) {
            writeln!(text, "{tenant}\t{field}\t{value}").expect("a line");
        }
    }
    text
}

fn shown(limits: &TenantLimits) -> [(&'static str, String); 5] {
    let rate = |rate: f64| match rate {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        rate => rate.to_string(),
    };
    [
        ("ingestion_rate", rate(limits.ingestion_rate)),
        ("ingestion_burst_size", limits.ingestion_burst_size.to_string()),
        ("request_rate", rate(limits.request_rate)),
        ("request_burst_size", limits.request_burst_size.to_string()),
        ("max_label_names_per_series", limits.max_label_names_per_series.to_string()),
    ]
}

#[test]
fn each_document_gets_the_verdict_of_mimir() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/runtime-config");
    let files = std::fs::read_dir(&folder).expect("a folder of documents").map(|file| file.expect("a file").path());
    let (mut documents, mut differing) = (0, String::new());
    for path in files {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let Some((stem, _)) = name.split_once(".yaml") else { continue };
        let expected = std::fs::read_to_string(folder.join(format!("{stem}.expect"))).expect("a verdict");
        let found = verdict(&name, &std::fs::read(&path).expect("a document"));
        documents += 1;
        if found.trim_end() != expected.trim_end() {
            writeln!(differing, "{name}: {found}expected: {expected}").expect("a line");
        }
    }
    assert!(documents >= 40, "{documents} documents");
    assert!(differing.is_empty(), "{differing}");
}
