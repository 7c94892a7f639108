//! How `edgectl` asks the replicas of mimir-rls, and what it says of those that do not answer.

use std::fs;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use tempfile::TempDir;

use crate::replica::{Replica, details, fault, nowhere, runtime};
use crate::tls::tls_listener;
use crate::{Finished, edgectl, run};

const TENANT: &str = "GET /api/v1/tenants/team-a";

/// Runs `edgectl tenants team-a` against these addresses.
fn show(addresses: &[&str], more: &[&str]) -> Finished {
    let addresses: Vec<_> = addresses.iter().flat_map(|address| ["--address", address]).collect();
    run(&[&["tenants", "team-a"], &addresses[..], more].concat())
}

#[test]
fn a_replica_that_is_not_there_gets_a_port_forward() {
    let finished = show(&[&nowhere()], &[]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(69), ""), "{finished:?}");
    assert!(
        finished.err.contains("Connection refused") && finished.err.contains("kubectl port-forward pod/"),
        "{finished:?}"
    );
}

#[test]
fn one_answer_is_enough_and_the_others_are_named() {
    let (nowhere, replica) = (nowhere(), Replica::of(&[(TENANT, details(false, 2000.0))]));
    let finished = show(&[&nowhere, &replica.url], &["-o", "json"]);
    assert_eq!((finished.code, &finished.json()["replica"]), (Some(0), &replica.url.clone().into()), "{finished:?}");
    let lines: Vec<_> = finished.err.lines().collect();
    assert_eq!(lines.len(), 2, "{finished:?}");
    assert!(lines[0].starts_with(&format!("edgectl: {nowhere}: it cannot be reached")), "{finished:?}");
    assert!(lines[1].ends_with(&format!("{nowhere} may have them")), "{finished:?}");
}

#[test]
fn addresses_come_from_the_environment_too() {
    let replicas = [Replica::of(&[(TENANT, details(false, 2000.0))]), Replica::of(&[(TENANT, details(true, 5.0))])];
    let mut command = edgectl(&["tenants", "team-a", "-o", "json"]);
    // One of them twice: each is asked once.
    let addresses = format!("{},{},{0}", replicas[0].url, replicas[1].url);
    let finished = Finished::of(command.env("MIMIR_EDGE_ADDRESS", addresses).output().unwrap());
    assert_eq!(
        (finished.code, &finished.json()["replica"]),
        (Some(0), &replicas[1].url.clone().into()),
        "{finished:?}"
    );
    assert_eq!(replicas.each_ref().map(|replica| replica.asked().len()), [1, 1]);
}

#[test]
fn the_token_of_a_file_is_sent() {
    let replica = Replica::start(|asked| match asked.headers.get(header::AUTHORIZATION) {
        Some(token) if token == "Bearer a-token-of-16-bytes" => details(true, 5.0).to_string().into_response(),
        _ => fault(401, "send the token of --http-token-file: Authorization: Bearer TOKEN"),
    });
    let folder = TempDir::new().unwrap();
    let file = |name: &str, token: &str| {
        let path = folder.path().join(name);
        fs::write(&path, token).unwrap();
        path.display().to_string()
    };
    let without = show(&[&replica.url], &[]);
    assert_eq!(without.code, Some(69), "{without:?}");
    assert!(
        without.err.contains("401") && without.err.contains("give the file with its token with --token-file"),
        "{without:?}"
    );
    let wrong = show(&[&replica.url], &["--token-file", &file("wrong", "another-token")]);
    assert!(wrong.err.contains("the token of --token-file is not its token"), "{wrong:?}");
    let right = show(&[&replica.url], &["--token-file", &file("right", "a-token-of-16-bytes\n")]);
    assert_eq!(right.code, Some(0), "{right:?}");
    for path in [file("empty", " \n"), "none".to_owned(), file("binary", "\u{1}")] {
        let unusable = show(&[&replica.url], &["--token-file", &path]);
        assert_eq!(unusable.code, Some(66), "{unusable:?}");
        assert!(unusable.err.contains(&format!("--token-file {path}: ")), "{unusable:?}");
    }
}

#[test]
fn errors_say_what_to_do() {
    for (response, code, part) in [
        (fault(503, "nothing can be decided: no_limits"), 69, "it is not ready"),
        (fault(404, "no such page"), 69, "--http-listen"),
        (fault(400, "the tenant is invalid"), 64, "400 Bad Request: the tenant is invalid"),
        (Redirect::permanent("http://elsewhere").into_response(), 69, "308"),
        ("up 1\n".into_response(), 69, "something else than mimir-rls"),
        ((StatusCode::BAD_GATEWAY, "<html>\n  oops").into_response(), 69, "502 Bad Gateway: <html> oops"),
    ] {
        let response = std::sync::Mutex::new(Some(response));
        let replica = Replica::start(move |_| response.lock().unwrap().take().unwrap_or_else(|| fault(500, "again")));
        let finished = show(&[&replica.url], &[]);
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), ""), "{finished:?}");
        assert!(finished.err.contains(part), "{part}: {finished:?}");
    }
}

#[test]
fn an_endless_answer_is_not_read() {
    let replica = Replica::start(|_| vec![b' '; (32 << 20) + 1].into_response());
    let finished = show(&[&replica.url], &[]);
    assert_eq!(finished.code, Some(69), "{finished:?}");
    assert!(finished.err.contains("more than 33554432 bytes"), "{finished:?}");
}

#[test]
fn a_replica_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let finished = show(&[&format!("http://{}", silent.local_addr().unwrap())], &["--timeout", "100ms"]);
    assert_eq!(finished.code, Some(69), "{finished:?}");
    assert!(finished.err.contains("within 100ms") && finished.err.contains("--timeout"), "{finished:?}");
}

/// As behind a forwarded port of a mimir-rls with TLS: the certificate names the Service.
#[test]
fn https_needs_the_ca_and_the_name_in_the_certificate() {
    let runtime = runtime();
    let (listener, pem) = runtime.block_on(tls_listener("mimir-rls"));
    let replica = Replica::serve("https", runtime, listener, |_| details(true, 5.0).to_string().into_response());
    let ca = tempfile::NamedTempFile::new().unwrap();
    fs::write(&ca, pem).unwrap();
    let ca = ca.path().display().to_string();
    for (flags, code, part) in [
        (&["--ca-file", &ca, "--tls-server-name", "mimir-rls"][..], 0, ""),
        (&["--ca-file", &ca], 69, "--tls-server-name"),
        (&["--ca-file", &ca, "--tls-server-name", "mimir"], 69, "certificate"),
        (&["--ca-file", "none"], 66, "--ca-file none cannot be read"),
        (&["--ca-file", &ca, "--tls-server-name", "a b"], 66, "--tls-server-name a b"),
    ] {
        let finished = show(&[&replica.url], flags);
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.err.contains(part), "{part}: {finished:?}");
    }
    let plain = show(&[&replica.url.replace("https", "http")], &[]);
    assert_eq!(plain.code, Some(69), "{plain:?}");
    assert!(plain.err.contains("write https://"), "{plain:?}");
}
