//! Which headers Mimir gets.

use clap::Parser;

use http::HeaderMap;

use super::{MimirClient, headers};
use crate::args::MimirArgs;
use crate::edge_api::EdgeError;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    mimir: MimirArgs,
}

fn args(line: &str) -> MimirArgs {
    Cli::parse_from(std::iter::once("edgectl").chain(line.split_whitespace())).mimir
}

fn headers_of(line: &str) -> Result<HeaderMap, EdgeError> {
    let args = args(line);
    headers(&args.credentials, args.tenant.as_ref())
}

#[track_caller]
fn check(line: &str, name: &str, expected: &[&str]) {
    let headers = headers_of(line).unwrap();
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(values, expected, "{line}");
}

#[test]
fn authentication_is_that_of_mimirtool() {
    check("--mimir-tenant t", "authorization", &[]);
    check("--mimir-tenant t --mimir-key k", "authorization", &["Basic dDpr"]);
    check("--mimir-user u --mimir-tenant t --mimir-key k", "authorization", &["Basic dTpr"]);
    check("--mimir-user u", "authorization", &["Basic dTo="]);
    check("--mimir-auth-token abc", "authorization", &["Bearer abc"]);
    let both = headers_of("--mimir-key k --mimir-auth-token abc").expect_err("two kinds").to_string();
    assert!(both.contains("and not both"), "{both}");
}

#[test]
fn the_tenant_wins_over_extra_headers() {
    check("--mimir-tenant t --mimir-header X-Scope-OrgID=u", "x-scope-orgid", &["t"]);
    check("--mimir-header X-Scope-OrgID=u", "x-scope-orgid", &["u"]);
    check("--mimir-header a=1 --mimir-header a=2", "a", &["1", "2"]);
}

#[test]
fn debug_output_has_no_secret() {
    let args = args("--mimir http://mimir:8080/prefix --mimir-tenant t --mimir-key k1k2k3 --mimir-header a=k1k2k3");
    let client = MimirClient::new(&args, std::time::Duration::from_secs(1)).unwrap().unwrap();
    assert_eq!(client.url().to_string(), "http://mimir:8080/prefix");
    let shown = format!("{client:?}");
    assert!(!shown.contains("k1k2k3") && !shown.contains("dDpr"), "{shown}");
}
