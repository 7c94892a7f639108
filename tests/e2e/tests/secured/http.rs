//! The HTTP sides: HTTPS only, and a token for all but probes and metrics.

use e2e::{Authority, Connection, Edge, Https, Request, Secrets, SecuredEdge, TlsConnection};

use super::LIMITS;

/// The status of a request with this token.
#[track_caller]
fn status(port: u16, https: &Https, (method, path): (&str, &str), token: Option<&str>) -> u16 {
    let request = Request::new(method, path);
    let request = match token {
        Some(token) => request.header("Authorization", format!("Bearer {token}")),
        None => request,
    };
    let answer = TlsConnection::open(port, &https.client).and_then(|mut connection| connection.send(&request));
    answer.expect("the HTTP side answers").status
}

#[test]
fn http_sides_ask_for_the_token_of_all_but_probes() {
    let secrets = Secrets::new(&[&Authority::new("edge")]);
    let secured = SecuredEdge::start(Edge::builder(), &secrets, LIMITS);
    let (https, rls, sync) = (secrets.https(), secured.edge.rls.http_port(), secured.sync.http_port());
    let token = Some(https.token.as_str());
    for port in [rls, sync] {
        for path in ["/ready", "/live", "/metrics", "/", "/assets/app.js"] {
            assert_eq!(status(port, https, ("GET", path), None), 200, "{path}");
        }
        let plain = Connection::open(port).and_then(|mut connection| connection.send(&Request::new("GET", "/live")));
        assert!(plain.is_err(), "there is no plain HTTP: {plain:?}");
    }
    for (port, page, accepted) in [
        (rls, ("GET", "/api/v1/tenants"), 200),
        (rls, ("GET", "/api/v1/tenants/within"), 200),
        (rls, ("GET", "/api/v1/problems"), 200),
        (rls, ("GET", "/api/v1/denials"), 200),
        (rls, ("POST", "/api/v1/explain?items=1"), 200),
        (rls, ("GET", "/api/v1/log-level"), 200),
        // Without a level.
        (rls, ("PUT", "/api/v1/log-level"), 400),
        (rls, ("GET", "/api/v1/status"), 200),
        (rls, ("GET", "/nothing"), 404),
        (sync, ("GET", "/api/v1/problems"), 200),
        (sync, ("GET", "/nothing"), 404),
    ] {
        assert_eq!(status(port, https, page, None), 401, "{page:?} without a token");
        assert_eq!(status(port, https, page, Some("another")), 401, "{page:?} with another token");
        assert_eq!(status(port, https, page, token), accepted, "{page:?} with the token");
    }
}
